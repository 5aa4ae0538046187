package schema_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

const foreignID = "node-session-00001"

func TestDecodeForeign(t *testing.T) {
	created := time.Date(2026, 11, 21, 17, 4, 5, 123_000_000, time.UTC)
	for name, doc := range map[string]string{
		"as documented":           `{"id":"node-session-00001","createdAt":"2026-11-21T17:04:05.123Z","user":{"id":"ada","email":"","roles":[]},"inputs":{"a":1},"apiConfig":{},"results":{"analysis":{"files":["x"]}},"meta":{}}`,
		"spaced, in other order":  " {\n \"results\" : {\"analysis\": {\"files\": [ \"x\" ]}} , \"user\": {\"id\": \"ada\"}, \"createdAt\":\"2026-11-21T17:04:05.123Z\",\n\t\"inputs\": {\"a\" : 1}, \"id\":\"node-session-00001\"}\n",
		"other times":             `{"createdAt":"2026-11-21T19:04:05.123456+02:00","updatedAt":null,"user":{"id":"ada"},"inputs":{"a":1},"results":{"analysis":{"files":["x"]}}}`,
		"milliseconds":            `{"createdAt":1795280645123,"user":{"id":"ada"},"inputs":{"a":1},"results":{"analysis":{"files":["x"]}},"meta":null,"apiConfig":[]}`,
		"written back to a store": `{"id":"node-session-00001","createdAt":"2026-11-21T17:04:05.123Z","version":1,"revision":1,"user":{"id":"ada"},"inputs":{"a":1},"results":{"analysis":{"files":["x"]}},"stored":{"index":"x"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			rules := &schema.Rules{MaxBytes: 1 << 20}
			sess, sections, err := rules.DecodeForeign(foreignID, []byte(doc))
			require.NoError(t, err)
			sess, err = rules.Build(sess, sections)
			require.NoError(t, err)
			assert.Equal(t, created, sess.CreatedAt)
			assert.Equal(t, created, sess.UpdatedAt)
			assert.EqualValues(t, 1, sess.Revision)
			assert.Equal(t, "ada", sess.UserID)
			assert.Equal(t, []string{"x"}, sess.Files)
			assert.Contains(t, string(sess.Doc), `"user":{"id":"ada","email":"","roles":[]},"inputs":{"a":1},"apiConfig":{},"results":{"analysis":{"files":["x"]}},"meta":{}`)
		})
	}
}

func TestDecodeForeignKeepsRevisionAndTimes(t *testing.T) {
	sess, _, err := new(schema.Rules).DecodeForeign(foreignID,
		[]byte(`{"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-02T00:00:00Z","expiresAt":"2026-01-03T00:00:00Z","revision":7}`))
	require.NoError(t, err)
	assert.EqualValues(t, 7, sess.Revision)
	assert.Equal(t, 2, sess.UpdatedAt.Day())
	assert.Equal(t, 3, sess.ExpiresAt.Day())
}

// What the store on Redis keeps beside the document, another program may write back. If
// it is not as it was, the document is still one.
func TestDecodeForeignTakesFacts(t *testing.T) {
	for facts, want := range map[string]string{
		`{"label":"curl","remember":true}`:   `{"label":"curl","remember":true}`,
		`{"remember":true, "label":"curl"}`:  `{"label":"curl","remember":true}`,
		`{"label":"a\u0000b"}`:               ``,
		`{"label":"curl","another":"thing"}`: ``,
		`[]`:                                 ``,
		`null`:                               ``,
	} {
		sess, _, err := new(schema.Rules).DecodeForeign(foreignID, []byte(`{"createdAt":"2026-01-01T00:00:00Z","facts":`+facts+`}`))
		require.NoError(t, err, facts)
		assert.Equal(t, want, sess.Facts.String(), facts)
	}
}

func TestDecodeForeignRefuses(t *testing.T) {
	const created = `"createdAt":"2026-01-01T00:00:00Z"`
	for name, doc := range map[string]string{
		"nothing":              ``,
		"text":                 `hello`,
		"an array":             `[]`,
		"a cut document":       `{"id":"node-session-00001","createdAt":"2026`,
		"no createdAt":         `{"id":"node-session-00001"}`,
		"another id":           `{"id":"node-session-00002",` + created + `}`,
		"no id":                `{"id":null,` + created + `}`,
		"a time that is none":  `{"createdAt":"yesterday"}`,
		"a time far away":      `{"createdAt":1e300}`,
		"an unknown member":    `{"cookie":{},` + created + `}`,
		"a section of text":    `{"inputs":"a",` + created + `}`,
		"a user without id":    `{"user":{"email":"a"},` + created + `}`,
		"a user that is text":  `{"user":"ada",` + created + `}`,
		"a revision of 0":      `{"revision":0,` + created + `}`,
		"another version":      `{"version":2,` + created + `}`,
		"a name twice":         `{` + created + `,` + created + `}`,
		"a forbidden name":     `{"meta":{"__proto__":1},` + created + `}`,
		"larger than allowed":  `{"meta":{"a":"` + strings.Repeat("x", 2000) + `"},` + created + `}`,
		"something after it":   `{` + created + `} {}`,
		"what is not UTF-8":    "{\"meta\":{\"a\":\"\xff\"}," + created + "}",
		"deeper than it may":   `{"meta":` + strings.Repeat(`{"a":`, 70) + `1` + strings.Repeat(`}`, 70) + `,` + created + `}`,
		"a compressed session": "\x00zst{\"id\":\"",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := (&schema.Rules{MaxBytes: 1024}).DecodeForeign(foreignID, []byte(doc))
			assert.Error(t, err)
		})
	}
}

func FuzzDecodeForeign(f *testing.F) {
	f.Add([]byte(`{"id":"node-session-00001","createdAt":"2026-11-21T17:04:05.123Z","user":{"id":"ada"},"inputs":{"a":1}}`))
	f.Add([]byte(`{"createdAt":1795280645123,"meta":null,"stored":{}}`))
	rules := new(schema.Rules)
	f.Fuzz(func(t *testing.T, doc []byte) {
		sess, sections, err := rules.DecodeForeign(foreignID, doc)
		if err != nil {
			return
		}
		if sess.ExpiresAt.IsZero() {
			sess.ExpiresAt = sess.CreatedAt
		}
		built, err := rules.Build(sess, sections)
		if err != nil {
			t.Fatal(err)
		}
		// What was read once is read the same way when it was written.
		again, more, err := rules.DecodeForeign(foreignID, built.AppendJSON(nil))
		if err != nil {
			t.Fatalf("%v: %s", err, built.Doc)
		}
		rebuilt, err := rules.Build(again, more)
		if err != nil || !bytes.Equal(rebuilt.Doc, built.Doc) {
			t.Fatalf("%s became %s (%v)", built.Doc, rebuilt.Doc, err)
		}
	})
}
