package token

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRedact(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for in, want := range map[string]string{
		"":                                     "",
		"GET /api/session => HTTP 200 (1.2ms)": "GET /api/session => HTTP 200 (1.2ms)",
		"GET /x?token=1&b=2 => HTTP 404 (1ms)": "GET /x?[redacted] => HTTP 404 (1ms)",
		"https://app.example.com/a?b#c":        "https://app.example.com/a?[redacted]",
		"s:" + id + ".abc+/def":                "[redacted]",
		"/s%3A" + id + ".abc%2Bdef x":          "/[redacted] x",
		"/S%3a" + id + ".abc":                  "/[redacted]",
		"a s:short":                            "a s:short",
		"/api/session/" + id:                   "/api/session/[redacted]",
		strings.ToUpper(id):                    "[redacted]",
		id[:63]:                                id[:63],
		"bearer  abc.def":                      "[redacted]",
		"/x/eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln_-A/y":                        "/x/[redacted]/y",
		"eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.":                                     "[redacted]",
		"eyJ.eyJ, greyJay.x":                                                       "eyJ.eyJ, greyJay.x",
		"GET /api/sessions/0b7e6c2d-8a51-4c5e-9d43-5a3f1a2b4c6d/touch => HTTP 200": "GET /api/sessions/[redacted]/touch => HTTP 200",
		"/api/sessions/AbCdEfGhIjKlMnOpQrStUvWxYz012345":                           "/api/sessions/[redacted]",
		"http://a/api/sessions/an-id-of-a-caller http://b/api/sessions/another1":   "http://a/api/sessions/[redacted] http://b/api/sessions/[redacted]",
		"/api/sessions/count":                                                      "/api/sessions/count",
		"/api/sessions/get":                                                        "/api/sessions/get",
		"/api/sessions/end and more":                                               "/api/sessions/end and more",
		"/api/sessions/ending":                                                     "/api/sessions/[redacted]",
		"/api/user/sessions":                                                       "/api/user/sessions",
		"/api/user/sessions/an-id-of-a-caller":                                     "/api/user/sessions/[redacted]",
		"/api/sessions/count /api/user/sessions/an-id-of-a-caller/x /api/sessions/another-id": "/api/sessions/count /api/user/sessions/[redacted]/x /api/sessions/[redacted]",
		"/api/sessions/count /api/sessions/an-id-of-a-caller":                                 "/api/sessions/count /api/sessions/[redacted]",
		"GET /api/sessions/{id}/touch":                                                        "GET /api/sessions/{id}/touch",
		"/api/sessions/":                                                                      "/api/sessions/[redacted]",
		"/x/" + NewServiceSecret() + "/y":                                                     "/x/[redacted]/y",
		"sat%5F" + NewServiceSecret()[4:]:                                                     "[redacted]",
		"a sat%255f" + NewServiceSecret()[4:]:                                                 "a [redacted]",
		NewServiceSecret()[:40]:                                                               "[redacted]",
		"sat_down":                                                                            "sat_down",
		"Authorization: Bearer some-token":                                                    "Authorization: [redacted]",
		"Mozilla/5.0 (X11; Linux x86_64) Chrome/":                                             "Mozilla/5.0 (X11; Linux x86_64) Chrome/",
	} {
		assert.Equal(t, want, Redact(in), in)
	}
}

// FuzzMayMatch compares the quick scan with the expression.
func FuzzMayMatch(f *testing.F) {
	f.Add("s:" + strings.Repeat("a", 20) + ".x")
	f.Add("x s%3A" + strings.Repeat("0", 64) + ".x y")
	f.Add("Bearer x")
	f.Add("x eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0. y")
	f.Add("BEARER\tx s: a")
	f.Add(strings.Repeat("f", 64))
	f.Add("x sat_" + strings.Repeat("0", 20))
	f.Add("sat%255F" + strings.Repeat("0", 20))
	f.Fuzz(func(t *testing.T, s string) {
		if shape.MatchString(s) && !mayMatch(s) {
			t.Fatalf("%q would be logged", s)
		}
	})
}
