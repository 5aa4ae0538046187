package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rawAnswer is an answer to bytes that no client library would send.
type rawAnswer struct {
	*http.Response
	body string
}

// wire is a connection to the service.
type wire struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// patience is how long a test waits for what should take no time.
const patience = 2 * time.Minute

func (s *service) wire() *wire {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(s.t, conn.SetDeadline(time.Now().Add(patience)))
	return &wire{t: s.t, conn: conn, in: bufio.NewReader(conn)}
}

// send sends the bytes as they are, and reads the answer to a request of that
// method.
func (c *wire) send(method, raw string) rawAnswer {
	c.t.Helper()
	_, err := io.WriteString(c.conn, raw)
	require.NoError(c.t, err)
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	require.NoError(c.t, err, "%.200q", raw)
	body, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	require.NoError(c.t, resp.Body.Close())
	return rawAnswer{resp, string(body)}
}

// request puts a request together. Each header is "Name: value".
func request(method, target, host string, headers ...string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, target, host, strings.Join(append(headers, ""), "\r\n"))
}

// Whatever comes: nobody is 401, somebody 200, and nothing else is answered.
func TestVerifyAnswersWhateverComes(t *testing.T) {
	s := start(t, func(set *settings) {
		set.AllowedOrigins = []string{"https://app.example.com"}
		set.RequireIfMatch, set.AutoCreate, set.CreatePerMinute = true, true, 1
	})
	c := s.client()
	d := c.do("POST", "/api/session", ada).expect(201).document()
	signedIn := "Cookie: " + cookieName + "=" + c.token()

	type question struct {
		method, target string
		headers        []string
		rest           string // what comes after the headers
	}
	questions := map[string]question{
		"HTTP/1.0 and absolute":   {target: "http://elsewhere.example" + verify},
		"an override":             {headers: []string{"X-HTTP-Method-Override: DELETE"}},
		"forged identity":         {headers: []string{"X-User-Id: root", "X-User-Roles: admin", "X-Session-Id: x"}},
		"conditional, if changed": {headers: []string{"If-None-Match: *"}},
		"conditional, matching":   {headers: []string{`If-None-Match: "1"`}},
		"conditional, malformed":  {headers: []string{"If-None-Match: x"}},
		"If-Match":                {method: "PUT", headers: []string{`If-Match: "99"`}},
		"If-Modified-Since":       {headers: []string{"If-Modified-Since: Sat, 21 Nov 2099 00:00:00 GMT"}},
		"a range":                 {headers: []string{"Range: bytes=5-2", "If-Range: x"}},
		"a preflight": {method: "OPTIONS", headers: []string{
			"Origin: https://app.example.com",
			"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-a",
		}},
		"a preflight from elsewhere": {method: "OPTIONS", headers: []string{"Origin: https://evil.example", "Access-Control-Request-Method: PUT"}},
		"another site's page":        {method: "POST", headers: []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}},
		"an origin of null":          {method: "DELETE", headers: []string{"Origin: null", "Sec-Fetch-Site: cross-site"}},
		"an upgrade":                 {headers: []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"}},
		"an upgrade to HTTP/2":       {headers: []string{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"}},
		"many headers":               {headers: strings.Split(strings.Repeat("X-A: b\n", 200)+"X-A: b", "\n")},
		"many cookies":               {headers: []string{"Cookie: " + strings.Repeat("a=b; ", 1000) + "a=b"}},
		"odd cookies":                {headers: []string{`Cookie: ;;; =; "; a="b;c"; ` + cookieName + "x=1"}},
		"odd types":                  {method: "POST", headers: []string{"Content-Type: nonsense; ;", "Content-Encoding: gzip", "Accept: text/html;q=0"}},
		"a body that never comes":    {method: "POST", headers: []string{"Content-Length: 1000000"}},
		"half a body":                {method: "PUT", headers: []string{"Content-Length: 1000"}, rest: `{"inputs":`},
		"a body with GET":            {headers: []string{"Content-Length: 5"}, rest: "hello"},
		"a body of Envoy's":          {method: "POST", headers: []string{"content-length: 0"}},
		"expecting":                  {method: "POST", headers: []string{"Content-Length: 10", "Expect: 100-continue"}},
		"expecting, chunked":         {method: "POST", headers: []string{"Transfer-Encoding: chunked", "Expect: 100-continue"}},
		"chunked":                    {method: "POST", headers: []string{"Transfer-Encoding: chunked"}, rest: "5\r\nhello\r\n0\r\n\r\n"},
		"chunks that never come":     {method: "POST", headers: []string{"Transfer-Encoding: chunked"}},
		"chunks that are none":       {method: "PATCH", headers: []string{"Transfer-Encoding: chunked"}, rest: "zz\r\n"},
		"two lengths in effect":      {method: "POST", headers: []string{"Transfer-Encoding: chunked", "Content-Length: 5"}, rest: "0\r\n\r\n"},
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "QUERY", "FOO", "get", "M-SEARCH"} {
		questions["method "+method] = question{method: method}
	}
	for _, suffix := range []string{
		"/", "//", "/a/b.html", "/%00", "/%2e%2e/%2E%2E", "/../../healthz", "/./", "/%2f..%2f", "/%c0%ae", "/%ff", "/ä", "/a;b=c", "/\\", "*", "x",
		"%2f", "/?", "?", "/?a=b&a=c", "/?next=/home?x=y", "/api/session", "/" + strings.Repeat("long/", 1000), "/#f", "/a%20b+c", "/:x", "/@", "/{id}", "/|",
	} {
		questions["suffix "+suffix[:min(len(suffix), 20)]] = question{target: verify + suffix}
	}
	ask := func(t *testing.T, q question, credentials ...string) rawAnswer {
		t.Helper()
		if q.method == "" {
			q.method = "GET"
		}
		if q.target == "" {
			q.target = verify
		}
		a := s.wire().send(q.method, request(q.method, q.target, "app.example.com", append(credentials, q.headers...)...)+q.rest)
		if q.method == "HEAD" {
			assert.Empty(t, a.body)
		}
		assert.NotEmpty(t, a.Header.Get("X-Request-Id"))
		for name := range a.Header {
			assert.False(t, strings.HasPrefix(name, "Access-Control-"), name)
		}
		assert.Equal(t, a.Close, len(a.TransferEncoding) > 0 || q.rest != "" || strings.Contains(strings.Join(q.headers, "\n"), "-Encoding: chunked") ||
			strings.Contains(strings.Join(q.headers, "\n"), "Content-Length: 1"), "closes where a body may follow, and only there")
		return a
	}
	for name, q := range questions {
		t.Run(name, func(t *testing.T) {
			a := ask(t, q, signedIn)
			if strings.HasPrefix(name, "many cookies") || strings.HasPrefix(name, "odd cookies") {
				return // two lines of cookies: see below
			}
			require.Equal(t, 200, a.StatusCode, a.body)
			assert.Equal(t, [4]string{d.ID, "u-1", "ada@example.org", "editor,reviewer"}, identity(t, a.Header))
			assert.Empty(t, a.body)
		})
		t.Run(name+", nobody", func(t *testing.T) {
			a := ask(t, q)
			require.Equal(t, 401, a.StatusCode, a.body)
			anonymous(t, a.Header)
		})
	}
	for name, credentials := range map[string][]string{
		"a token of 10 kB":    {"Cookie: " + cookieName + "=s%3A" + strings.Repeat("a", 10_000)},
		"a bearer of 10 kB":   {"Authorization: Bearer s:" + strings.Repeat("a", 10_000)},
		"an empty cookie":     {"Cookie: " + cookieName + "="},
		"an empty bearer":     {"Authorization: Bearer"},
		"basic and a cookie":  {"Authorization: Basic YTpi", signedIn},
		"another and a token": {"Authorization: Bearer eyJhbGciOiJub25lIn0.e30.", signedIn},
		"two lines":           {"Authorization: Bearer a", "Authorization: Bearer b"},
		"a broken escape":     {"Cookie: " + cookieName + "=s%3"},
		"half quoted":         {"Cookie: " + cookieName + `="` + c.token()},
	} {
		a := ask(t, question{}, credentials...)
		assert.Equal(t, 401, a.StatusCode, name)
	}
	assert.Equal(t, 200, ask(t, question{}, "Cookie: a=b; "+strings.Repeat("c=d; ", 500), signedIn).StatusCode, "cookies in two lines")
	for name, line := range map[string]string{
		"quoted":             "Cookie: " + cookieName + `="` + c.token() + `"`,
		"as Java does":       `Cookie: $Version="1"; ` + cookieName + `="` + c.token() + `";$Path="/"`,
		"one after a forged": signedIn + "x; " + strings.TrimPrefix(signedIn, "Cookie: "),
		"one before another": signedIn + "; " + cookieName + "=",
	} {
		assert.Equal(t, 200, ask(t, question{}, line).StatusCode, name)
	}
	stored := c.do("GET", "/api/session", "").expect(200).document()
	assert.Equal(t, 1, stored.Revision, "nothing was changed by all that")
}

// What net/http cannot read never gets to the route. It lets nobody pass.
func TestVerifyOfWhatIsNoRequest(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create(ada)
	signedIn := "Cookie: " + cookieName + "=" + c.token()
	for _, raw := range []string{
		request("GET", verify+"/%zz", "a", signedIn),
		request("GET", verify, "a", signedIn, "Content-Length: -1"),
		request("GET", verify, "a", signedIn, "Expect: something-else"),
		request("GET", verify, "a", signedIn, "X-A: \x00"),
		request("G(T", verify, "a", signedIn),
		"GET " + verify + " HTTP/1.1\r\n" + signedIn + "\r\n\r\n",
	} {
		a := s.wire().send("GET", raw)
		assert.GreaterOrEqual(t, a.StatusCode, 400, "%q", raw)
		anonymous(t, a.Header)
	}
}

// What Traefik's ForwardAuth sends: GET to its address, the client's headers
// without those of the connection, and its own.
func TestVerifyForTraefik(t *testing.T) {
	s := start(t)
	c := s.client()
	d := c.create(ada)
	traefik := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 1},
	}
	t.Cleanup(traefik.CloseIdleConnections)
	// forward returns the answer, and whether Traefik would let the request pass.
	forward := func(address, token string) (rawAnswer, bool) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+address, http.NoBody)
		require.NoError(t, err)
		for name, value := range map[string]string{ // of a client's cross-site POST with a body
			"Accept": "*/*", "Content-Length": "11", "Content-Type": "application/json", "Origin": "https://evil.example",
			"Sec-Fetch-Site": "cross-site", "If-Match": `"7"`, "Range": "bytes=0-1", "X-User-Id": "root", "X-User-Roles": "admin",
			"Cookie":             cookieName + "=" + token,
			"X-Forwarded-Method": "POST", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.example.com",
			"X-Forwarded-Uri": "/orders?role=admin&page=2", "X-Forwarded-For": "203.0.113.7", "X-Real-Ip": "203.0.113.7",
		} {
			req.Header.Set(name, value)
		}
		resp, err := traefik.Do(req)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return rawAnswer{Response: resp}, resp.StatusCode >= 200 && resp.StatusCode < 300
	}
	a, passes := forward(verify, c.token())
	assert.True(t, passes)
	assert.Equal(t, [4]string{d.ID, "u-1", "ada@example.org", "editor,reviewer"}, identity(t, a.Header))
	assert.False(t, a.Close, "Traefik keeps its connections")

	a, passes = forward(verify, "")
	assert.False(t, passes)
	assert.Equal(t, 401, a.StatusCode)
	a, passes = forward(verify+"?role=admin", c.token())
	assert.False(t, passes)
	assert.Equal(t, 403, a.StatusCode)
	_, passes = forward(verify+"?role=admin&role=editor", c.token())
	assert.True(t, passes)

	s.clock.advance(time.Hour)
	a, passes = forward(verify, c.token())
	assert.True(t, passes)
	assert.Len(t, a.Cookies(), 1, "for addAuthCookiesToResponse")
}

// envoy is what Envoy's ext_authz asks over HTTP: the client's method and Host,
// its path and query behind the prefix, a length of 0, and the headers that are
// allowed.
func envoy(prefix, method, target string, headers ...string) string {
	return request(method, prefix+target, "shop.example.com", append([]string{
		"content-length: 0", "x-envoy-internal: true", "x-forwarded-for: 203.0.113.7", "x-forwarded-proto: https", "x-request-id: 5f0c0d1e-2b3a-4c5d-8e9f-000000000000",
	}, headers...)...)
}

func TestVerifyForEnvoy(t *testing.T) {
	s := start(t)
	c := s.client()
	d := c.create(ada)
	signedIn := "cookie: " + cookieName + "=" + c.token()
	kept := s.wire() // Envoy keeps its connections
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"} {
		for _, target := range []string{"/", "/orders/7?page=2&sort=a/b", "/a%2Fb/../c", "/*?", "/healthz"} {
			a := kept.send(method, envoy(verify+";session", method, target, signedIn))
			require.Equal(t, 200, a.StatusCode, "%s %s: %s", method, target, a.body)
			require.Equal(t, [4]string{d.ID, "u-1", "ada@example.org", "editor,reviewer"}, identity(t, a.Header))
			require.Equal(t, "5f0c0d1e-2b3a-4c5d-8e9f-000000000000", a.Header.Get("X-Request-Id"))
			require.False(t, a.Close)
			a = kept.send(method, envoy(verify+";session", method, target))
			require.Equal(t, 401, a.StatusCode)
			require.False(t, a.Close)
			a = kept.send(method, envoy(verify, method, target, signedIn)) // as it was documented before
			require.Equal(t, 200, a.StatusCode)
		}
	}
}
