package api_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// bodyRoutes are the routes that read a document, with a body that is fine.
var bodyRoutes = []struct{ method, path string }{
	{"POST", "/api/session"}, {"PUT", "/api/session"}, {"PATCH", "/api/session"},
}

func TestBodiesThatAreNoJSON(t *testing.T) {
	c := start(t).client()
	made := c.do("POST", "/api/session", `{"inputs":{"a":1}}`).expect(201)
	deep := strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64)
	bodies := map[string]string{
		"null": "null", "array": `[1]`, "array of arrays": `[[]]`, "two arrays": `[][]`, "scalar": `1`, "string": `"x"`, "truncated": `{"inputs":{`, "comment": `{/**/}`,
		"duplicate key": `{"inputs":{"a":1,"a":2}}`, "duplicate section": `{"meta":{},"meta":{}}`,
		"duplicate by escape": `{"inputs":{"a":1,"\u0061":2}}`, "duplicate deep down": `{"inputs":{"x":[{"y":{"k":1,"k":1}}]}}`,
		"second value": `{} {}`, "trailing junk": `{}x`, "invalid UTF-8": "{\"inputs\":{\"a\":\"\xff\"}}",
		"lone surrogate": `{"inputs":{"a":"\ud800"}}`, "lone surrogate key": `{"inputs":{"\udc00":1}}`,
		"BOM": "\ufeff{}", "too deep": `{"inputs":` + deep + `}`, "NaN": `{"inputs":{"a":NaN}}`, "white space": "  ",
	}
	for name, body := range bodies {
		for _, route := range bodyRoutes {
			t.Run(name+" "+route.method, func(t *testing.T) {
				c.do(route.method, route.path, body).problem(400, "invalid_json")
			})
		}
	}
	for _, route := range bodyRoutes[1:] {
		c.do(route.method, route.path, "").problem(400, "bad_request")
	}
	for _, body := range []string{"{}", "null", "1", `[1]`, `[[]]`, "[", `[{"op":"add","path":"/inputs/a","value":{"k":1,"k":2}}]`} {
		a := c.do("POST", "/api/session/operations", body)
		assert.Contains(t, []int{400, 422}, a.StatusCode, "%s: %s", body, a.body)
	}
	for _, path := range []string{"/api/session/touch", "/api/session/regenerate"} {
		c.do("POST", path, "[1]").problem(400, "invalid_json")
		c.do("POST", path, `{"ttlMs":1,"ttlMs":1}`).problem(400, "invalid_json")
	}
	assert.Equal(t, string(made.body), string(c.do("GET", "/api/session", "").expect(200).body), "nothing stored has changed")
}

func TestBodiesThatAreNoSession(t *testing.T) {
	c := start(t, func(s *settings) { s.rules.ForbiddenKeys = []string{"apiKey", "password"} }).client()
	made := c.create("")
	cases := map[string]string{
		`{"USER":{"id":"x"}}`:      "/USER",
		`{"unknown":1}`:            "/unknown",
		`{"inputs":[1]}`:           "/inputs",
		`{"user":[]}`:              "/user/id",
		`{"inputs":{"n":[1e400]}}`: "/inputs/n/0",
		`{"inputs":{"n":-1e400}}`:  "/inputs/n",
		`{"meta":{"n":` + strings.Repeat("9", 5000) + `}}`: "/meta/n",
		`{"ttlMs":1.5}`:                                "/ttlMs",
		`{"ttlMs":1e400}`:                              "/ttlMs",
		`{"inputs":"x"}`:                               "/inputs",
		`{"user":"x"}`:                                 "/user",
		`{"user":{}}`:                                  "/user/id",
		`{"user":{"id":""}}`:                           "/user/id",
		`{"user":{"id":7}}`:                            "/user/id",
		`{"user":{"id":"x","roles":"admin"}}`:          "/user/roles",
		`{"user":{"id":"x","roles":[1]}}`:              "/user/roles/0",
		`{"user":{"id":"x","admin":true}}`:             "/user/admin",
		`{"inputs":{"__proto__":{}}}`:                  "/inputs/__proto__",
		`{"meta":{"a":[{"constructor":1}]}}`:           "/meta/a/0/constructor",
		`{"results":{"a/b":{"~":{"prototype":null}}}}`: "/results/a~1b/~0/prototype",
		`{"apiConfig":{"APIKEY":"k"}}`:                 "/apiConfig/APIKEY",
		`{"inputs":{"x":{"Password":"p"}}}`:            "/inputs/x/Password",
	}
	for body, pointer := range cases {
		for _, route := range bodyRoutes {
			t.Run(route.method+body, func(t *testing.T) {
				a := c.do(route.method, route.path, body)
				p := a.problem(422, "validation_failed")
				require.NotEmpty(t, p.Errors)
				assert.Equal(t, pointer, p.Errors[0].Pointer, "%s", a.body)
			})
		}
	}
	assert.Equal(t, made.Revision, c.do("GET", "/api/session", "").expect(200).document().Revision)
}

func TestOperationsThatFailChangeNothing(t *testing.T) {
	c := start(t).client()
	made := c.do("POST", "/api/session", `{"inputs":{"list":[1,2],"o":{"p":{}}}}`).expect(201)
	cases := []struct {
		ops, code string
		status    int
	}{
		{`[{"op":"replace","path":"/inputs/none","value":1}]`, "patch_failed", 422},
		{`[{"op":"add","path":"inputs","value":1}]`, "patch_failed", 422},
		{`[{"op":"add","path":"/inputs/list/9","value":1}]`, "patch_failed", 422},
		{`[{"op":"add","path":"/inputs/list/01","value":1}]`, "patch_failed", 422},
		{`[{"op":"add","path":"/inputs/list/-1","value":1}]`, "patch_failed", 422},
		{`[{"op":"move","from":"/inputs/o","path":"/inputs/o/p/q"}]`, "patch_failed", 422},
		{`[{"op":"replace","path":"/id","value":"x"}]`, "patch_failed", 422},
		{`[{"op":"remove","path":"/expiresAt"}]`, "patch_failed", 422},
		{`[{"op":"replace","path":"","value":{}}]`, "patch_failed", 422},
		{`[{"op":"copy","from":"/revision","path":"/inputs/r"}]`, "patch_failed", 422},
		{`[{"op":"add","path":"/inputs/x","value":1},{"op":"test","path":"/inputs/x","value":2}]`, "patch_test_failed", 409},
		{`[{"op":"add","path":"/meta/__proto__","value":1}]`, "", 422},
		{`[{"op":"add","path":"/inputs","value":7}]`, "", 422},
	}
	for _, tc := range cases {
		a := c.do("POST", "/api/session/operations", tc.ops, "Content-Type", "application/json-patch+json")
		if a.expect(tc.status); tc.code != "" {
			a.problem(tc.status, tc.code)
		}
	}
	assert.Equal(t, string(made.body), string(c.do("GET", "/api/session", "").expect(200).body))
}

func TestWhatIsStoredComesBackAsItWas(t *testing.T) {
	c := start(t).client()
	inputs := `{"z":9007199254740993,"a":1e300,"m":-0,"n":1.0,"big":` + strings.Repeat("1234567890", 10) + `,"ü":"☃ \ud83d\ude00 😀","nested":{"b":[],"a":null}}`
	c.create(`{ "inputs" : ` + inputs + ` }`)
	assert.Equal(t, inputs, string(c.do("GET", "/api/session", "").expect(200).document().Inputs))
	c.do("PATCH", "/api/session", `{"inputs":{"new":1e-7}}`).expect(200)
	want := strings.TrimSuffix(inputs, "}") + `,"new":1e-7}`
	assert.Equal(t, want, string(c.do("GET", "/api/session", "").expect(200).document().Inputs))
}

func TestSizeLimit(t *testing.T) {
	const limit = 4096
	c := start(t, func(s *settings) { s.rules = &schema.Rules{MaxBytes: limit} }).client()
	made := c.do("POST", "/api/session", `{"inputs":{"pad":""}}`).expect(201)
	room := limit - len(made.body)
	fits := fmt.Sprintf(`{"inputs":{"pad":"%s"}}`, strings.Repeat("x", room))
	over := fmt.Sprintf(`{"inputs":{"pad":"%s"}}`, strings.Repeat("x", room+1))

	full := c.do("PUT", "/api/session", fits).expect(200)
	assert.Len(t, full.body, limit)
	c.do("PUT", "/api/session", over).problem(413, "too_large")
	c.do("PATCH", "/api/session", `{"meta":{"a":1}}`).problem(413, "too_large")
	c.do("POST", "/api/session/operations", `[{"op":"copy","from":"/inputs/pad","path":"/meta/pad"}]`).problem(413, "too_large")
	c.do("POST", "/api/session", over).problem(413, "too_large")
	assert.Equal(t, string(full.body), string(c.do("GET", "/api/session", "").expect(200).body))

	far := c.do("PUT", "/api/session", `{"inputs":{"pad":"`+strings.Repeat("x", 64<<10)+`"}}`)
	far.problem(413, "too_large")
	assert.True(t, far.Close, "a body that is not read ends the connection")
}

func TestMediaTypes(t *testing.T) {
	c := start(t).client()
	c.create("")
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=latin1", "application/json; charset=utf-16", "application/json; charset=utf88", "application/json; charset=", "application/jsonx", ";", "application/json-patch+json"} {
		for _, route := range bodyRoutes {
			c.do(route.method, route.path, `{}`, "Content-Type", contentType).problem(415, "unsupported_media_type")
		}
	}
	c.do("POST", "/api/session/operations", `[]`, "Content-Type", "application/merge-patch+json").problem(415, "unsupported_media_type")
	c.do("POST", "/api/session/touch", `{}`, "Content-Type", "text/plain").problem(415, "unsupported_media_type")
	c.do("PUT", "/api/session", `{}`, "Content-Type", "application/json", "Content-Type", "application/json").problem(415, "unsupported_media_type")

	c.do("PATCH", "/api/session", `{}`, "Content-Type", "application/json").expect(200)
	c.do("PATCH", "/api/session", `{}`, "Content-Type", "Application/Merge-Patch+JSON; Charset=UTF-8").expect(200)
	for _, charset := range []string{"utf8", "UTF8", "Utf8", `"utf8"`, `"UTF-8"`, "utf-8"} {
		c.do("PUT", "/api/session", `{}`, "Content-Type", "application/json; charset="+charset).expect(200)
	}
	c.do("POST", "/api/session/operations", `[]`, "Content-Type", "application/json").expect(200)
	c.do("POST", "/api/session/touch", "", "Content-Type", "text/plain").expect(200) // there is no body to read

	var zipped bytes.Buffer
	gz := gzip.NewWriter(&zipped)
	_, err := io.WriteString(gz, `{}`)
	require.NoError(t, err)
	require.NoError(t, gz.Close())
	for _, codings := range [][]string{{"gzip"}, {"identity", "gzip"}, {"", "br"}, {"identity, gzip"}, {"gzip", "identity"}, {"GZIP"}, {"x"}} {
		var headers []string
		for _, coding := range codings {
			headers = append(headers, "Content-Encoding", coding)
		}
		c.do("PUT", "/api/session", zipped.String(), headers...).problem(415, "unsupported_media_type")
	}
	c.do("PUT", "/api/session", `{}`, "Content-Encoding", "identity", "Content-Encoding", "Identity, ").expect(200)
}

func TestPathsMethodsAndQueries(t *testing.T) {
	c := start(t).client()
	c.create("")
	for _, path := range []string{
		"//", "/api", "/api/", "/api/session/", "//api/session", "/api//session", "/api/../api/session", "/api/session/%00",
		"/api/sessions/", "/api/%73ession/x", "/api/session/operations/1", "/openapi.yml", "/API/session",
	} {
		a := c.do("GET", path, "")
		a.problem(404, "not_found")
		assert.Empty(t, a.Header.Get("Location"))
	}
	for _, method := range []string{"TRACE", "get", "BREW", "CONNECT2", "OPTIONS"} {
		a := c.do(method, "/api/session", "")
		a.problem(405, "method_not_allowed")
		assert.Equal(t, []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, a.Header.Values("Allow"), method)
	}
	assert.Equal(t, []string{"POST"}, c.do("GET", "/api/session/touch", "").expect(405).Header.Values("Allow"))
	c.do("TRACE", "/nowhere", "").problem(404, "not_found")
	c.do("POST", "/api/session/touch", "", "X-HTTP-Method-Override", "DELETE").expect(200)

	for _, query := range []string{"touch=maybe", "touch=", "touch=true&touch=false", "touch=%zz", "a;b", "touch=true;x"} {
		c.do("GET", "/api/session?"+query, "").problem(400, "invalid_query")
	}
	c.do("GET", "/api/session?utm_source=x", "").expect(200)
	c.do("POST", "/api/cleanup?dryRun=perhaps", "").problem(400, "invalid_query")
}

func TestStandardHeaders(t *testing.T) {
	c := start(t).client()
	for _, a := range []*answer{
		c.do("POST", "/api/session", ""), c.do("GET", "/api/session", ""), c.do("GET", "/nowhere", ""), c.do("GET", "/healthz", ""),
		c.do("PUT", "/healthz", ""), c.do("GET", "/metrics", ""), c.do("GET", "/openapi.yaml", ""), c.do("DELETE", "/api/session", ""),
	} {
		assert.Equal(t, "no-store", a.Header.Get("Cache-Control"), a.Request.URL.Path)
		assert.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
		assert.NotEmpty(t, a.Header.Get("X-Request-Id"))
	}
	assert.Equal(t, "req-42", c.do("GET", "/healthz", "", "X-Request-Id", "req-42").Header.Get("X-Request-Id"))
	for _, id := range []string{"a b", strings.Repeat("a", 129), "<script>", "s:" + strings.Repeat("a", 20) + ".x"} {
		assert.NotEqual(t, id, c.do("GET", "/healthz", "", "X-Request-Id", id).Header.Get("X-Request-Id"))
	}
}

func TestCrossSiteRequests(t *testing.T) {
	const friend, stranger = "https://app.example.com", "https://evil.example"
	c := start(t, func(s *settings) { s.AllowedOrigins = []string{friend} }).client()
	d := c.create("")
	unsafe := []struct{ method, path, body string }{
		{"POST", "/api/session", ""},
		{"PUT", "/api/session", `{}`},
		{"PATCH", "/api/session", `{}`},
		{"DELETE", "/api/session", ""},
		{"POST", "/api/session/operations", `[]`},
		{"POST", "/api/session/touch", ""},
		{"POST", "/api/session/regenerate", ""},
	}
	for _, r := range unsafe {
		for _, headers := range [][]string{
			{"Origin", stranger},
			{"Origin", "null"},
			{"Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Site", "same-site"},
			{"Origin", stranger, "Sec-Fetch-Site", "cross-site"},
			{"Origin", friend + ".evil.example"},
			{"Origin", "http://app.example.com"},
		} {
			a := c.do(r.method, r.path, r.body, headers...)
			a.problem(403, "forbidden_origin")
			assert.Empty(t, a.Header.Get("Access-Control-Allow-Origin"))
		}
	}
	assert.Equal(t, d.ID, c.do("GET", "/api/session", "", "Origin", stranger, "Sec-Fetch-Site", "cross-site").expect(200).document().ID)

	a := c.do("PUT", "/api/session", `{"meta":{"a":1}}`, "Origin", friend, "Sec-Fetch-Site", "cross-site").expect(200)
	assert.Equal(t, friend, a.Header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "true", a.Header.Get("Access-Control-Allow-Credentials"))
	assert.Contains(t, a.Header.Get("Access-Control-Expose-Headers"), "Etag")
	assert.Contains(t, a.Header.Values("Vary"), "Origin")
	c.do("PUT", "/api/session", `{}`, "Origin", c.s.url).expect(200)
	c.do("PUT", "/api/session", `{}`, "Sec-Fetch-Site", "same-origin").expect(200)
	c.s.client().do("PUT", "/api/session", `{}`, "Origin", stranger, "Authorization", "Bearer "+sign(d.ID, secret)).expect(200)

	preflight := []string{"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "content-type,if-match"}
	a = c.do("OPTIONS", "/api/session", "", append(preflight, "Origin", friend)...).expect(204)
	assert.Equal(t, friend, a.Header.Get("Access-Control-Allow-Origin"))
	assert.Equal(t, "PATCH", a.Header.Get("Access-Control-Allow-Methods"))
	a = c.do("OPTIONS", "/api/session", "", append(preflight, "Origin", stranger)...)
	assert.Empty(t, a.Header.Get("Access-Control-Allow-Origin"))
}

// The memory of a body is used again for the next one: no session may hold on
// to it, however many are written at once.
func TestNoSessionIsMadeOfAnothersBody(t *testing.T) {
	s := start(t)
	const writers, rounds = 8, 5
	inputs := func(writer, round int) string {
		return fmt.Sprintf(`{"text":"%s","writer":%d,"round":%d}`, strings.Repeat(string(rune('a'+writer)), 200+10*writer), writer, round)
	}
	clients := make([]*client, writers)
	var wg sync.WaitGroup
	for i := range clients {
		clients[i] = s.client()
		wg.Go(func() {
			c := clients[i]
			c.do("POST", "/api/session", `{"inputs":`+inputs(i, 0)+`}`).expect(201)
			for round := 1; round < rounds; round++ {
				method := []string{"PATCH", "PUT"}[round%2]
				d := c.do(method, "/api/session", `{"inputs":`+inputs(i, round)+`}`).expect(200).document()
				assert.Equal(t, inputs(i, round), string(d.Inputs))
			}
		})
	}
	wg.Wait()
	for i, c := range clients {
		d := c.do("GET", "/api/session", "").expect(200).document()
		assert.Equal(t, inputs(i, rounds-1), string(d.Inputs))
	}
}
