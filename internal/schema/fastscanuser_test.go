package schema

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wholeUser decodes a user with the strict decoder.
func wholeUser(value []byte) (*User, error) {
	var m fieldErrors
	user := readUserPatch(value, &m).whole(&m)
	return user, m.err()
}

func TestFastScanUser(t *testing.T) {
	for _, u := range []User{
		{ID: "u-1", Email: "ada@example.org", Roles: []string{"editor", "admin"}},
		{ID: "u", Roles: []string{}},
		{ID: "ünïcode", Email: "", Roles: []string{"", "a,b", "{}[]"}},
		{ID: strings.Repeat("i", maxUserID), Email: strings.Repeat("e", maxUserEmail), Roles: slicesOf(maxUserRoles)},
		{ID: "u", Roles: []string{}, Auth: &Authentication{Time: signedIn, Methods: []string{}}},
		{ID: "u", Roles: []string{"r"}, Auth: &Authentication{Time: signedIn, Methods: []string{"pwd", "otp"}, Level: "aal2"}},
	} {
		got, ok := fastScanUser(u.appendJSON(nil))
		require.True(t, ok, "%+v", u)
		assert.Equal(t, &u, got)
	}
	for name, value := range map[string]string{
		"an escape":          `{"id":"\u0041","email":"","roles":[]}`,
		"an escaped quote":   `{"id":"a\"b","email":"","roles":[]}`,
		"another order":      `{"email":"","id":"a","roles":[]}`,
		"a member is left":   `{"id":"a","email":""}`,
		"one too many":       `{"id":"a","email":"","roles":[],"x":1}`,
		"no id":              `{"id":"","email":"","roles":[]}`,
		"a long id":          `{"id":"` + strings.Repeat("i", maxUserID+1) + `","email":"","roles":[]}`,
		"a long role":        `{"id":"a","email":"","roles":["` + strings.Repeat("r", maxUserRole+1) + `"]}`,
		"too many roles":     `{"id":"a","email":"","roles":["` + strings.Repeat(`r","`, maxUserRoles) + `r"]}`,
		"a control":          "{\"id\":\"a\x01\",\"email\":\"\",\"roles\":[]}",
		"space":              `{"id":"a", "email":"","roles":[]}`,
		"a comma too many":   `{"id":"a","email":"","roles":["r",]}`,
		"a comma too early":  `{"id":"a","email":"","roles":[,"r"]}`,
		"roles as text":      `{"id":"a","email":"","roles":"r"}`,
		"auth, another time": `{"id":"a","email":"","roles":[],"auth":{"time":"2026-01-31T23:59:59Z","methods":[],"level":""}}`,
		"auth, no level":     `{"id":"a","email":"","roles":[],"auth":{"time":"2026-01-31T23:59:59.000Z","methods":[]}}`,
		"auth, a comma":      `{"id":"a","email":"","roles":[],"auth":{"time":"2026-01-31T23:59:59.000Z","methods":["a,b"],"level":""}}`,
		"auth, space":        `{"id":"a","email":"","roles":[],"auth":{"time":"2026-01-31T23:59:59.000Z","methods":[],"level":"a b"}}`,
		"auth, no method":    `{"id":"a","email":"","roles":[],"auth":{"time":"2026-01-31T23:59:59.000Z","methods":[""],"level":""}}`,
		"auth, cut off":      `{"id":"a","email":"","roles":[],"auth":{"time":"2026-01-31T23:59:59.000Z","methods":[],"level":""}`,
		"auth, one too many": `{"id":"a","email":"","roles":[],"auth":{"time":"2026-01-31T23:59:59.000Z","methods":[],"level":"","x":{}}}`,
		"cut off":            `{"id":"a","email":"","roles":["r"`,
		"nothing":            ``,
		"null":               `null`,
	} {
		_, ok := fastScanUser([]byte(value))
		assert.False(t, ok, name)
	}
}

// signedIn is the time of a sign-in.
var signedIn = time.Date(2026, 1, 31, 23, 59, 59, 7e6, time.UTC)

func slicesOf(n int) []string {
	roles := make([]string, n)
	for i := range roles {
		roles[i] = strings.Repeat("r", i)
	}
	return roles
}

// FuzzFastScanUser checks that the fast scan agrees with the strict decoder.
func FuzzFastScanUser(f *testing.F) {
	f.Add("u-1", "ada@example.org", "editor", "admin", "")
	f.Add("ü", "", `a"b`, `\`, `,"x":[`)
	f.Fuzz(func(t *testing.T, id, email, role, another, tail string) {
		u := User{ID: id, Email: email, Roles: []string{role, another}}
		for _, value := range []string{string(u.appendJSON(nil)), `{"id":"` + id + `","email":"` + email + `","roles":["` + role + `"]` + tail + `}`} {
			got, ok := fastScanUser([]byte(value))
			if !ok || !jsontext.Value(value).IsValid() {
				continue
			}
			want, err := wholeUser([]byte(value))
			require.NoError(t, err, "%q", value)
			require.Equal(t, want, got, "%q", value)
		}
	})
}

// FuzzFastScanAuth is FuzzFastScanUser for how and when the user signed in.
func FuzzFastScanAuth(f *testing.F) {
	f.Add("2026-01-31T23:59:59.007Z", "pwd", "otp", "aal2", "")
	f.Add("2026-01-31T23:59:59+01:00", "", `a"b`, `\`, `,"x":[`)
	f.Fuzz(func(t *testing.T, when, method, another, level, tail string) {
		value := `{"id":"u","email":"","roles":[],"auth":{"time":"` + when + `","methods":["` + method + `","` + another + `"],"level":"` + level + `"` + tail + `}}`
		got, ok := fastScanUser([]byte(value))
		if !ok || !jsontext.Value(value).IsValid() {
			return
		}
		want, err := wholeUser([]byte(value))
		require.NoError(t, err, "%q", value)
		require.Equal(t, want, got, "%q", value)
	})
}
