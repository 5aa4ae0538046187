package schema_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"session-api/internal/schema"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// In a document how and when the user signed in is written in one form, whatever form it
// was sent in.
func TestAuthentication_written(t *testing.T) {
	for sent, want := range map[string]string{
		`{"time":"2026-01-31T23:59:59Z"}`: `{"time":"2026-01-31T23:59:59.000Z","methods":[],"level":""}`,
		`{"level":"aal2","methods":["pwd","otp"],"time":"2026-02-01T01:00:00.12345+02:00"}`: `{"time":"2026-01-31T23:00:00.123Z","methods":["pwd","otp"],"level":"aal2"}`,
		`{"time":"2026-01-31T23:59:59Z","methods":null,"level":null}`:                       `{"time":"2026-01-31T23:59:59.000Z","methods":[],"level":""}`,
		`{"time":"2026-01-31T23:59:59Z","level":"urn:mace:incommon:iap:silver"}`:            `{"time":"2026-01-31T23:59:59.000Z","methods":[],"level":"urn:mace:incommon:iap:silver"}`,
		`null`: ``,
	} {
		s := newSession(t, `{"user":{"id":"u","auth":`+sent+`}}`)
		if want != "" {
			want = `,"auth":` + want
		}
		assert.Contains(t, string(s.Doc), `"user":{"id":"u","email":"","roles":[]`+want+`},`)
		user, err := s.User()
		require.NoError(t, err)
		assert.Equal(t, want, user.Auth.Member())
		again := newSession(t, `{"user":{"id":"u"`+user.Auth.Member()+`}}`)
		assert.Equal(t, string(s.Doc[schema.RevisionOffset(s.ID):]), string(again.Doc[schema.RevisionOffset(again.ID):]))
	}
}

func TestAuthentication_fieldErrors(t *testing.T) {
	const when = `"time":"2026-01-31T23:59:59Z"`
	long := strings.Repeat("x", schema.MaxAuthLevel+1)
	for sent, pointers := range map[string][]string{
		`1`: {"/user/auth"}, `[]`: {"/user/auth"}, `"aal2"`: {"/user/auth"},
		`{}`:                                               {"/user/auth/time"},
		`{"time":null}`:                                    {"/user/auth/time"},
		`{"time":1769903999}`:                              {"/user/auth/time", "/user/auth/time"},
		`{"time":"yesterday"}`:                             {"/user/auth/time", "/user/auth/time"},
		`{"time":"2026-01-31"}`:                            {"/user/auth/time", "/user/auth/time"},
		`{"time":"2026-02-30T00:00:00Z"}`:                  {"/user/auth/time", "/user/auth/time"},
		`{"time":"0000-12-31T00:00:00Z"}`:                  {"/user/auth/time", "/user/auth/time"},
		`{` + when + `,"at":1}`:                            {"/user/auth/at"},
		`{` + when + `,"level":2}`:                         {"/user/auth/level"},
		`{` + when + `,"level":"a b"}`:                     {"/user/auth/level"},
		`{` + when + `,"level":"a\"b"}`:                    {"/user/auth/level"},
		`{` + when + `,"level":"ä"}`:                       {"/user/auth/level"},
		`{` + when + `,"level":"a\r\nX-User-Id: eve"}`:     {"/user/auth/level"},
		`{` + when + `,"level":"` + long + `"}`:            {"/user/auth/level"},
		`{` + when + `,"methods":"pwd"}`:                   {"/user/auth/methods"},
		`{` + when + `,"methods":["pwd",1,null,"","a,b"]}`: {"/user/auth/methods/1", "/user/auth/methods/2", "/user/auth/methods/3", "/user/auth/methods/4"},
		`{` + when + `,"methods":["` + strings.Repeat(`m","`, schema.MaxAuthMethods) + `m"]}`: {"/user/auth/methods"},
	} {
		for _, decode := range []func(body string) error{
			func(body string) error { _, err := new(schema.Rules).DecodeInput([]byte(body)); return err },
			func(body string) error {
				p, err := new(schema.Rules).DecodeMergePatch([]byte(body))
				if err == nil {
					_, err = p.Apply(schema.Sections{})
				}
				return err
			},
		} {
			err := decode(`{"user":{"id":"u","auth":` + sent + `}}`)
			var got []string
			if e, ok := err.(*schema.Error); assert.True(t, ok, "%s: %v", sent, err) { //nolint:errorlint // it is never wrapped
				for _, f := range e.Fields {
					got = append(got, f.Pointer)
				}
			}
			assert.Subset(t, pointers, got, sent)
			assert.NotEmpty(t, got, sent)
		}
	}
}

// A merge patch changes the fields that it names. Another user has not signed in as the
// one before.
func TestAuthentication_merged(t *testing.T) {
	r := new(schema.Rules)
	const auth = `{"time":"2026-01-31T23:59:59.000Z","methods":["pwd"],"level":"aal1"}`
	cur := sectionsOf(t, r, `{"user":{"id":"u","auth":`+auth+`}}`)
	for patch, want := range map[string]string{
		`{"email":"e"}`:                          `,"auth":` + auth,
		`{"id":"u"}`:                             `,"auth":` + auth,
		`{"auth":{}}`:                            `,"auth":` + auth,
		`{"auth":{"level":"aal2"}}`:              `,"auth":{"time":"2026-01-31T23:59:59.000Z","methods":["pwd"],"level":"aal2"}`,
		`{"auth":{"level":null,"methods":null}}`: `,"auth":{"time":"2026-01-31T23:59:59.000Z","methods":[],"level":""}`,
		`{"auth":null}`:                          ``,
		`{"id":"v"}`:                             ``,
		`{"id":"v","auth":{"time":"2026-02-01T00:00:00Z"}}`: `,"auth":{"time":"2026-02-01T00:00:00.000Z","methods":[],"level":""}`,
	} {
		p, err := r.DecodeMergePatch([]byte(`{"user":` + patch + `}`))
		require.NoError(t, err, patch)
		next, err := p.Apply(cur)
		require.NoError(t, err, patch)
		assert.Equal(t, want, next.User.Auth.Member(), patch)
	}
	for _, patch := range []string{`{"auth":{"time":null}}`, `{"id":"v","auth":{"level":"aal2"}}`} {
		p, err := r.DecodeMergePatch([]byte(`{"user":` + patch + `}`))
		require.NoError(t, err, patch)
		_, err = p.Apply(cur)
		require.Error(t, err, patch)
	}
	for operations, want := range map[string]string{
		`[{"op":"replace","path":"/user/auth/level","value":"aal2"}]`: `,"auth":{"time":"2026-01-31T23:59:59.000Z","methods":["pwd"],"level":"aal2"}`,
		`[{"op":"add","path":"/user/auth/methods/-","value":"otp"}]`:  `,"auth":{"time":"2026-01-31T23:59:59.000Z","methods":["pwd","otp"],"level":"aal1"}`,
		`[{"op":"remove","path":"/user/auth"}]`:                       ``,
		`[{"op":"replace","path":"/user/id","value":"v"}]`:            ``,
	} {
		ops, err := r.DecodeOperations([]byte(operations))
		require.NoError(t, err, operations)
		next, err := ops.Apply(cur)
		require.NoError(t, err, operations)
		assert.Equal(t, want, next.User.Auth.Member(), operations)
	}
}

func TestAuthentication_Reaches(t *testing.T) {
	for have, reached := range map[string][]string{
		"aal1": {"aal1"}, "aal2": {"aal1", "aal2"}, "aal3": {"aal1", "aal2", "aal3"}, "gold": {"gold"}, "": nil,
	} {
		for _, asked := range []string{"aal1", "aal2", "aal3", "AAL1", "gold", "silver"} {
			assert.Equal(t, slices.Contains(reached, asked), (&schema.Authentication{Level: have}).Reaches(asked), "%s, asked for %s", have, asked)
		}
	}
}

func TestDecodeRenewal_auth(t *testing.T) {
	r := new(schema.Rules)
	renewal, err := r.DecodeRenewal([]byte(`{"auth":{"time":"2026-02-01T00:00:00Z","methods":["hwk"],"level":"aal3"}}`))
	require.NoError(t, err)
	next, err := renewal.User.Apply(sectionsOf(t, r, `{"user":{"id":"u","email":"e","auth":{"time":"2026-01-31T23:59:59Z"}}}`))
	require.NoError(t, err)
	assert.Equal(t, &schema.User{ID: "u", Email: "e", Roles: []string{}, Auth: &schema.Authentication{
		Time: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Methods: []string{"hwk"}, Level: "aal3",
	}}, next.User)
	_, err = renewal.User.Apply(schema.Sections{})
	require.ErrorContains(t, err, "no user")

	for _, body := range []string{
		`{"auth":{}}`, `{"auth":1}`, `{"auth":{"time":"2026-02-01T00:00:00Z"},"user":{"id":"u"}}`,
		`{"user":{"id":"u"},"auth":{"time":"2026-02-01T00:00:00Z"}}`, `{"auth":{"time":"2026-02-01T00:00:00Z","x":1}}`,
	} {
		_, err := r.DecodeRenewal([]byte(body))
		require.Error(t, err, body)
	}
}
