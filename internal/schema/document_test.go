package schema_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

func TestBuildMakesTheWholeDocument(t *testing.T) {
	s := newSession(t, `{"meta":{"m":4},"results":{"report":"r.txt"},"apiConfig":{"c":2},"inputs":{"i":1},
		"user":{"roles":["a","b\"<"],"email":"é@x","id":"u-1"}}`)
	want := `{"id":"` + s.ID + `","createdAt":"2026-11-21T17:04:05.123Z","updatedAt":"2026-11-21T17:05:05.123Z",` +
		`"expiresAt":"2026-11-21T18:04:05.123Z","version":1,"revision":3,` +
		`"user":{"id":"u-1","email":"é@x","roles":["a","b\"<"]},` +
		`"inputs":{"i":1},"apiConfig":{"c":2},"results":{"report":"r.txt"},"meta":{"m":4}}`
	assert.Equal(t, want, string(s.Doc))
	assert.Equal(t, "u-1", s.UserID)
	assert.Equal(t, []string{"r.txt"}, s.Files)
}

func TestBuildOfAnEmptySession(t *testing.T) {
	s := newSession(t, `{}`)
	assert.True(t, strings.HasSuffix(string(s.Doc), `"revision":3,"user":null,"inputs":{},"apiConfig":{},"results":{},"meta":{}}`), string(s.Doc))
	assert.Empty(t, s.UserID)
	assert.Empty(t, s.Files)
}

func TestBuildReplacesWhatTheSessionHad(t *testing.T) {
	s := newSession(t, `{"user":{"id":"u"},"results":{"report":"r.txt"}}`)
	s.Revision = 4
	next, err := defaultRules().Build(s, schema.EmptySections())
	require.NoError(t, err)
	assert.Empty(t, next.UserID)
	assert.Empty(t, next.Files)
	assert.Contains(t, string(next.Doc), `"revision":4,"user":null`)
	assert.Contains(t, string(s.Doc), `"revision":3,"user":{`, "the old one stays as it is")
}

func TestBuildHoldsToTheSizeLimit(t *testing.T) {
	sec := inputsOf(t, defaultRules(), `{"a":"`+strings.Repeat("x", 5000)+`"}`)
	s, err := defaultRules().Build(schema.Session{ID: schema.NewID(), Revision: 1}, sec)
	require.NoError(t, err)

	exact := &schema.Rules{MaxBytes: len(s.Doc)}
	_, err = exact.Build(s, sec)
	require.NoError(t, err)

	tight := &schema.Rules{MaxBytes: len(s.Doc) - 1}
	_, err = tight.Build(s, sec)
	requireError(t, err, schema.CodeTooLarge)

	unlimited := &schema.Rules{}
	_, err = unlimited.Build(s, sec)
	require.NoError(t, err)
}

func TestSectionsGivesBackWhatWentIn(t *testing.T) {
	for _, body := range []string{
		`{}`,
		`{"user":{"id":"u","email":"a\"\\@b","roles":["x","ü"]}}`,
		`{"inputs":{"a":"}\"]{[","b":[[],{},"\\"]},"meta":{"user":{"id":"not me"}}}`,
	} {
		s := newSession(t, body)
		sec, err := s.Sections()
		require.NoError(t, err)
		assert.True(t, sectionsOf(t, defaultRules(), body).Equal(sec), body)
		user, err := s.User()
		require.NoError(t, err)
		assert.True(t, user.Equal(sec.User))
	}
}

func TestSectionsOfADamagedDocument(t *testing.T) {
	s := newSession(t, `{"user":{"id":"u"},"inputs":{"a":[1,"x \"long\" text that takes more than one look to get past"]}}`)
	whole := string(s.Doc)
	for cut := range len(whole) {
		s.Doc = []byte(whole[:cut])
		_, err := s.Sections()
		require.Error(t, err, "cut at %d", cut)
	}
	for name, doc := range map[string]string{
		"other version":   strings.Replace(whole, `"version":1`, `"version":2`, 1),
		"other order":     strings.Replace(whole, `"apiConfig"`, `"meta"`, 1),
		"section gone":    strings.Replace(whole, `"apiConfig":{},`, ``, 1),
		"wrong type":      strings.Replace(whole, `"apiConfig":{}`, `"apiConfig":[]`, 1),
		"user without id": strings.Replace(whole, `"id":"u"`, `"id":""`, 1),
		"user of no kind": strings.Replace(whole, `{"id":"u","email":"","roles":[]}`, `7`, 1),
		"more members":    strings.TrimSuffix(whole, "}") + `,"more":{}}`,
		"something after": whole + " ",
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, whole, doc)
			s.Doc = []byte(doc)
			_, err := s.Sections()
			require.Error(t, err)
		})
	}
}

func TestUserOfADamagedDocument(t *testing.T) {
	s := newSession(t, `{}`)
	whole := string(s.Doc)
	user, err := s.User()
	require.NoError(t, err)
	assert.Nil(t, user)
	for _, doc := range []string{"", "{}", whole[:100], strings.Replace(whole, `"user":null`, `"user":1`, 1)} {
		s.Doc = []byte(doc)
		_, err := s.User()
		require.Error(t, err, doc)
	}
}

func TestDocumentIsOrdinaryJSON(t *testing.T) {
	s := newSession(t, `{"user":{"id":"u"},"inputs":{"n":12345678901234567890}}`)
	var doc struct {
		ID                              string
		CreatedAt, UpdatedAt, ExpiresAt time.Time
		Version, Revision               int
		User                            *schema.User
		Inputs                          map[string]json.Number
	}
	require.NoError(t, json.Unmarshal(s.AppendJSON(nil), &doc))
	assert.Equal(t, s.ID, doc.ID)
	assert.True(t, s.CreatedAt.Equal(doc.CreatedAt))
	assert.True(t, s.UpdatedAt.Equal(doc.UpdatedAt))
	assert.True(t, s.ExpiresAt.Equal(doc.ExpiresAt))
	assert.Equal(t, schema.Version, doc.Version)
	assert.Equal(t, 3, doc.Revision)
	assert.Equal(t, &schema.User{ID: "u", Roles: []string{}}, doc.User)
	assert.Equal(t, json.Number("12345678901234567890"), doc.Inputs["n"])
}
