// Package gateways_test runs the configurations of this directory: real
// gateways between a browser, session-api and an application.
package gateways_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/websocket"

	contract "session-api"
	"session-api/internal/api"
	"session-api/internal/cleanup"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
)

const (
	cookieName = "validator_session_id"
	// pageOrigin is where pages of another site are from, that may call session-api.
	pageOrigin = "https://pages.example.com"
	// patience is how long a test waits for what should take no time.
	patience = 2 * time.Minute
)

// fallible is a memory store that can be taken away.
type fallible struct {
	*memory.Store
	down, hangs atomic.Bool
}

func (f *fallible) ask(ctx context.Context) error {
	switch {
	case f.hangs.Load():
		<-ctx.Done()
		return fmt.Errorf("%w: %w", backend.ErrUnavailable, ctx.Err())
	case f.down.Load():
		return backend.ErrUnavailable
	}
	return nil
}

func (f *fallible) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	if err := f.ask(ctx); err != nil {
		return schema.Session{}, err
	}
	return f.Store.Get(ctx, now, key)
}

func (f *fallible) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	if err := f.ask(ctx); err != nil {
		return schema.Session{}, err
	}
	return f.Store.Peek(ctx, now, key)
}

// noCleanup is a cleaner of a service that has no directory to clean.
type noCleanup struct{}

func (noCleanup) Run(context.Context, bool) (cleanup.Report, error) {
	return cleanup.Report{}, nil
}
func (noCleanup) Last() (cleanup.Report, bool) { return cleanup.Report{}, false }
func (noCleanup) Totals() cleanup.Totals       { return cleanup.Totals{} }
func (noCleanup) Status() cleanup.Status       { return cleanup.Ready }

// sessions is session-api, as gateways see it.
type sessions struct {
	*httptest.Server
	store       *fallible
	ahead       atomic.Int64 // of the real time, in nanoseconds
	connections atomic.Int64
	asked       atomic.Int64 // requests that are no questions of a gateway
	inside      atomic.Int64 // those among them that are not for what pages need
}

func startSessions(t *testing.T) *sessions {
	t.Helper()
	s := &sessions{store: &fallible{Store: memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 1000})}}
	rules := &schema.Rules{MaxBytes: 1 << 20, MaxTTL: 30 * 24 * time.Hour, Sanitize: schema.SanitizeControls}
	handler, err := api.New(api.Options{
		Sessions: store.NewSessions(s.store, rules, store.Lifetimes{TTL: 24 * time.Hour, MaxTTL: rules.MaxTTL, TouchInterval: time.Minute}, store.UserLimit{}),
		Rules:    rules, Cleaner: noCleanup{}, Logger: slog.New(slog.DiscardHandler), Contract: contract.OpenAPI,
		Now:     func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
		Secrets: api.Secrets{Session: [][]byte{[]byte("a-secret-of-tests-that-is-32-bytes")}},
		Cookie:  api.Cookie{Name: cookieName, SameSite: http.SameSiteLaxMode}, TouchOnAccess: true,
		AllowedOrigins: []string{pageOrigin},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	require.NoError(t, err)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/session/verify") {
			s.asked.Add(1)
			switch r.URL.EscapedPath() {
			case "/api/session", "/api/session/operations", "/api/session/touch", "/api/session/regenerate":
			default:
				s.inside.Add(1)
			}
		}
		handler.ServeHTTP(w, r)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(func() {
		s.Close()
		_ = s.store.Close()
	})
	return s
}

// signIn makes a session with a document, and returns its cookie.
func (s *sessions) signIn(t *testing.T, document string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/session", strings.NewReader(document))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.Client().Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	s.Client().CloseIdleConnections()
	return cookieName + "=" + resp.Cookies()[0].Value
}

// seen is a request as it came to the application.
type seen struct {
	method, target string
	header         http.Header
	body           string
}

// application is what the gateways protect.
type application struct {
	*httptest.Server
	mu       sync.Mutex
	requests []seen
}

func startApplication(t *testing.T) *application {
	t.Helper()
	a := &application{}
	echo := websocket.Server{Handler: func(ws *websocket.Conn) { _, _ = io.Copy(ws, ws) }}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "websocket" {
			a.saw(r, "")
			echo.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		a.saw(r, string(body))
		if strings.HasPrefix(r.URL.Path, "/missing") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		}
		http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *application) saw(r *http.Request, body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, seen{r.Method, r.RequestURI, r.Header.Clone(), body})
}

// take returns what came since the last time.
func (a *application) take() []seen {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.requests
	a.requests = nil
	return taken
}

// gateway is one that runs, and all that is around it.
type gateway struct {
	t        *testing.T
	name     string
	url      string
	sessions *sessions
	app      *application
	// certificate and key are files, for a gateway that speaks TLS.
	certificate, key string
}

// through runs the test behind each of the gateways.
func through(t *testing.T, test func(t *testing.T, g *gateway)) {
	t.Helper()
	throughEach(t, false, test)
}

// throughEach is through gateways that speak TLS, or not.
func throughEach(t *testing.T, secure bool, test func(t *testing.T, g *gateway)) {
	t.Helper()
	for name, start := range map[string]func(*gateway, string){"nginx": startNginx, "caddy": startCaddy} {
		t.Run(name, func(t *testing.T) {
			g := &gateway{t: t, name: name, sessions: startSessions(t), app: startApplication(t)}
			port := freePort(t)
			g.url = "http://127.0.0.1:" + port
			if secure {
				g.url = "https://127.0.0.1:" + port
				g.certify()
			}
			start(g, port)
			test(t, g)
		})
	}
}

// certify gives the gateway a certificate that nobody trusts.
func (g *gateway) certify() {
	g.t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(g.t, err)
	dir := g.t.TempDir()
	g.certificate, g.key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		g.certificate: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, g.key: {Type: "PRIVATE KEY", Bytes: key},
	} {
		require.NoError(g.t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
}

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// configuration is a file of this directory with the addresses of the test.
func (g *gateway) configuration(name, port string) string {
	g.t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(g.t, err)
	changed := string(content)
	if g.certificate != "" {
		changed = strings.NewReplacer(
			"listen 8000;", "listen 8000 ssl; ssl_certificate "+g.certificate+"; ssl_certificate_key "+g.key+";",
			"\n:8000 {", "\nhttps://127.0.0.1:"+port+" {\n\ttls "+g.certificate+" "+g.key,
		).Replace(changed)
	}
	for _, address := range [][2]string{
		{"127.0.0.1:8080", strings.TrimPrefix(g.sessions.URL, "http://")},
		{"127.0.0.1:9000", strings.TrimPrefix(g.app.URL, "http://")},
		{"listen 8000", "listen 127.0.0.1:" + port},
		{"\n:8000 {", "\nhttp://127.0.0.1:" + port + " {"},
	} {
		changed = strings.ReplaceAll(changed, address[0], address[1])
	}
	require.NotContains(g.t, changed, ":8080")
	require.NotContains(g.t, changed, ":9000")
	require.NotContains(g.t, changed, "8000")
	return changed
}

func startNginx(g *gateway, port string) {
	g.t.Helper()
	dir := g.t.TempDir()
	user := ""
	if os.Geteuid() == 0 { // or its workers could not write here
		user = "user root;"
	}
	server := filepath.Join(dir, "server.conf")
	require.NoError(g.t, os.WriteFile(server, []byte(g.configuration("nginx.conf", port)), 0o600))
	conf := filepath.Join(dir, "nginx.conf")
	require.NoError(g.t, os.WriteFile(conf, []byte(user+`
		daemon off;
		pid `+dir+`/pid;
		error_log stderr warn;
		worker_processes 1;
		events {}
		http {
			access_log off;
			client_max_body_size 16m;
			client_body_temp_path `+dir+`/body;
			proxy_temp_path `+dir+`/proxy;
			fastcgi_temp_path `+dir+`/fastcgi;
			uwsgi_temp_path `+dir+`/uwsgi;
			scgi_temp_path `+dir+`/scgi;
			include `+server+`;
		}`), 0o600))
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // where Debian keeps it, out of the way of most users
	}
	g.run(nil, program, "-e", "stderr", "-p", dir, "-c", conf)
}

func startCaddy(g *gateway, port string) {
	g.t.Helper()
	dir := g.t.TempDir()
	conf := filepath.Join(dir, "Caddyfile")
	require.NoError(g.t, os.WriteFile(conf, []byte("{\n\tadmin off\n\tauto_https off\n}\n"+g.configuration("Caddyfile", port)), 0o600))
	program, err := exec.LookPath("caddy")
	require.NoError(g.t, err, "Caddy is needed: apt-get install caddy")
	g.run([]string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, program, "run", "--adapter", "caddyfile", "--config", conf)
}

// run runs the gateway for the length of the test.
func (g *gateway) run(environment []string, program string, args ...string) {
	g.t.Helper()
	var log output
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(g.t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it ends by a signal
		close(ended)
	}()
	g.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = cmd.Process.Kill()
		}
		if g.t.Failed() {
			g.t.Log(log.String())
		}
	})
	require.Eventually(g.t, func() bool {
		_, addr, _ := strings.Cut(g.url, "://")
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, patience, 5*time.Millisecond, "the gateway does not listen: %s", &log)
}

// output is what a process says.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// answer is what the gateway's client gets.
type answer struct {
	status int
	header http.Header
	body   string
}

// cookies are the cookies that the answer sets, by name.
func (a answer) cookies() map[string]string {
	cookies := map[string]string{}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		cookies[c.Name] = c.Value
	}
	return cookies
}

// do sends the gateway a request. Headers are name, value, name, value, and go
// out as they are spelt.
func (g *gateway) do(method, target string, body io.Reader, headers ...string) answer {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url, body)
	require.NoError(g.t, err)
	req.URL.Opaque = target // as it is
	if strings.HasPrefix(target, "//") {
		req.URL.Opaque = g.url + target
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header[headers[i]] = append(req.Header[headers[i]], headers[i+1])
	}
	client := &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DisableKeepAlives: true, DisableCompression: true,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	require.NoError(g.t, err)
	content, err := io.ReadAll(resp.Body)
	require.NoError(g.t, err)
	require.NoError(g.t, resp.Body.Close())
	return answer{resp.StatusCode, resp.Header, string(content)}
}

// get is do with GET and a cookie.
func (g *gateway) get(target, cookie string) answer {
	g.t.Helper()
	return g.do(http.MethodGet, target, http.NoBody, "Cookie", cookie)
}
