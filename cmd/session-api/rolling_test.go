package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"session-api/internal/servicetest"
	"session-api/internal/soaktest"
	"session-api/internal/store/redis/redistest"
)

// rounds is how often a test does what costs time: so many times, or as many
// as the variable says.
func rounds(t *testing.T, variable string, few int) int {
	t.Helper()
	v := os.Getenv(variable)
	if v == "" {
		return few
	}
	n, err := strconv.Atoi(v)
	require.NoError(t, err, variable)
	require.Positive(t, n, variable)
	return n
}

// freePort is one that nobody listens on, at any of the hosts.
func freePort(t *testing.T, hosts ...string) string {
	t.Helper()
	first, err := net.Listen("tcp", net.JoinHostPort(hosts[0], "0"))
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(first.Addr().String())
	require.NoError(t, err)
	for _, host := range hosts[1:] {
		other, err := net.Listen("tcp", net.JoinHostPort(host, port))
		require.NoError(t, err)
		require.NoError(t, other.Close())
	}
	require.NoError(t, first.Close())
	return port
}

// nameServer answers every question with the hosts, as Docker's does for a
// service of several containers. It returns its address.
func nameServer(t *testing.T, hosts ...string) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			m.Response, m.Additionals = true, nil
			for _, host := range hosts {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 2},
					Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(host).To4())},
				})
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

// proxy runs a program until the test ends, and waits until it answers.
func proxy(t *testing.T, addr string, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name // where Debian keeps it, out of the way of most users
	}
	cmd := exec.Command(path, args...)
	cmd.Env = []string{"HOME=" + t.TempDir()}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start(), "%s is not installed", name)
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if !t.Failed() {
			return
		}
		for line := range strings.Lines(out.String()) {
			if !strings.Contains(line, "while connecting to upstream") { // it tried the other one
				t.Log(line)
			}
		}
	})
	untilTrue(t, name+" answers", func() bool {
		resp, err := http.Get("http://" + addr + "/healthz")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
}

// What stands in front of two instances, at hosts on one port. It returns its
// address.
type front func(t *testing.T, hosts []string, port string) (addr string)

// composeProxy is deploy/nginx.conf as it is, but for what only Docker has.
func composeProxy(t *testing.T, hosts []string, port string) string {
	t.Helper()
	conf, err := os.ReadFile(filepath.Join("..", "..", "deploy", "nginx.conf"))
	require.NoError(t, err)
	return nginx(t, strings.NewReplacer(
		"127.0.0.11", nameServer(t, hosts...),
		"session-api:8080", "session-api:"+port,
	).Replace(string(conf)))
}

// keepAlive is an nginx that keeps its connections to the instances, and knows
// nothing of their readiness.
func keepAlive(t *testing.T, hosts []string, port string) string {
	t.Helper()
	return nginx(t, `
worker_processes auto;
pid /tmp/nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path /tmp/client_body;
    proxy_temp_path /tmp/proxy;
    upstream instances {
        server `+hosts[0]+`:`+port+` max_fails=0;
        server `+hosts[1]+`:`+port+` max_fails=0;
        keepalive 64;
        keepalive_timeout 200ms;
    }
    server {
        listen 8080;
        location / {
            proxy_pass http://instances;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_connect_timeout 1s;
        }
    }
}`)
}

func nginx(t *testing.T, conf string) string {
	t.Helper()
	dir := t.TempDir()
	addr := "127.0.0.1:" + freePort(t, "127.0.0.1")
	conf = strings.NewReplacer("/tmp/", dir+"/", "listen 8080", "listen "+addr).Replace(conf)
	path := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(path, []byte(conf), 0o600))
	directives := "daemon off;"
	if os.Getuid() == 0 {
		directives += " user root;" // the directory is the test's alone
	}
	proxy(t, addr, "nginx", "-e", "stderr", "-p", dir, "-c", path, "-g", directives)
	return addr
}

// asksReadiness is a Caddy that keeps its connections, and sends nothing to an
// instance that is not ready.
func asksReadiness(t *testing.T, hosts []string, port string) string {
	t.Helper()
	return caddy(t, "http://"+hosts[0]+":"+port, "http://"+hosts[1]+":"+port)
}

// speaksH2C is one that speaks HTTP/2 to them.
func speaksH2C(t *testing.T, hosts []string, port string) string {
	t.Helper()
	return caddy(t, "h2c://"+hosts[0]+":"+port, "h2c://"+hosts[1]+":"+port)
}

func caddy(t *testing.T, instances ...string) string {
	t.Helper()
	addr := "127.0.0.1:" + freePort(t, "127.0.0.1")
	path := filepath.Join(t.TempDir(), "Caddyfile")
	require.NoError(t, os.WriteFile(path, []byte(`{
	admin off
	auto_https off
}
http://`+addr+` {
	reverse_proxy `+strings.Join(instances, " ")+` {
		lb_try_duration 2s
		health_uri /readyz
		health_interval 50ms
	}
}
`), 0o600))
	proxy(t, addr, "caddy", "run", "--config", path, "--adapter", "caddyfile")
	return addr
}

// comings are visitors that come again and again: each creates a session,
// appends to a list in it, patches it, reads it and ends it. No answer may be
// another than that of a service that is always there.
type comings struct {
	t      *testing.T
	base   string
	client http.Client
	pause  time.Duration // before each request: the processor is for others

	requests, failed atomic.Int64
	done             []atomic.Int64 // answers, by visitor
	mu               sync.Mutex
	firstFailures    []string
	longest          time.Duration
}

func (c *comings) fail(format string, args ...any) {
	c.failed.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.firstFailures) < 10 {
		c.firstFailures = append(c.firstFailures, fmt.Sprintf(format, args...))
	}
}

func (c *comings) ask(visitor int, method, path, mediaType, token, body string, want int) string {
	if c.pause > 0 {
		<-time.After(c.pause)
	}
	began := time.Now()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.fail("%v", err)
		return ""
	}
	if body != "" {
		req.Header.Set("Content-Type", mediaType)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	c.requests.Add(1)
	defer c.done[visitor].Add(1)
	resp, err := c.client.Do(req)
	if err != nil {
		c.fail("%s %s: %v", method, path, err)
		return ""
	}
	content, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != want {
		c.fail("%s %s: %d %v %s", method, path, resp.StatusCode, err, content)
	}
	c.mu.Lock()
	c.longest = max(c.longest, time.Since(began))
	c.mu.Unlock()
	return string(content)
}

// stay is a visit of one that is there already, and neither begins nor ends a
// session.
func (c *comings) stay(visitor int, token string) {
	c.ask(visitor, http.MethodPatch, "/api/session", "application/merge-patch+json", token, `{"meta":{"n":1}}`, http.StatusOK)
	c.ask(visitor, http.MethodGet, "/api/session", "", token, "", http.StatusOK)
	c.ask(visitor, http.MethodPost, "/api/session/operations", "application/json-patch+json", token,
		`[{"op":"replace","path":"/meta/n","value":2}]`, http.StatusOK)
}

// visit is one visitor's coming. Each append must have happened, and once.
func (c *comings) visit(visitor, appends int) {
	var created struct{ Token string }
	answer := c.ask(visitor, http.MethodPost, "/api/session?transport=bearer", "application/json", "", `{"inputs":{"list":[]}}`, http.StatusCreated)
	if json.Unmarshal([]byte(answer), &created) != nil || created.Token == "" {
		return
	}
	before := c.failed.Load()
	for n := range appends {
		c.ask(visitor, http.MethodPost, "/api/session/operations", "application/json-patch+json", created.Token,
			`[{"op":"add","path":"/inputs/list/-","value":`+strconv.Itoa(n)+`}]`, http.StatusOK)
		c.ask(visitor, http.MethodPatch, "/api/session", "application/merge-patch+json", created.Token,
			`{"meta":{"n`+strconv.Itoa(n)+`":true}}`, http.StatusOK)
	}
	var d struct {
		Inputs   struct{ List []int }
		Revision int
	}
	answer = c.ask(visitor, http.MethodGet, "/api/session", "", created.Token, "", http.StatusOK)
	if err := json.Unmarshal([]byte(answer), &d); err != nil {
		c.fail("%v: %s", err, answer)
	} else if c.failed.Load() == before && (len(d.Inputs.List) != appends || d.Revision != 1+2*appends) {
		c.fail("%d changes of each kind were acknowledged: %s", appends, answer)
	}
	c.ask(visitor, http.MethodDelete, "/api/session", "", created.Token, "", http.StatusNoContent)
}

// goOn returns when each visitor has had so many answers more.
func (c *comings) goOn(more int64) {
	before := make([]int64, len(c.done))
	for i := range c.done {
		before[i] = c.done[i].Load()
	}
	untilTrue(c.t, "the visitors get answers", func() bool {
		for i := range c.done {
			if c.done[i].Load() < before[i]+more {
				return false
			}
		}
		return true
	})
}

// created is how many sessions the instance has stored since it was started.
func created(t *testing.T, p *process) int {
	t.Helper()
	var stats struct{ Sets int }
	require.NoError(t, json.Unmarshal([]byte(do(t, http.MethodGet, "http://"+p.addr+"/stats", nil, "").body), &stats))
	return stats.Sets
}

// startComings lets visitors come to the address until the returned function is
// called.
func startComings(t *testing.T, addr string, visitors int) (c *comings, stop func()) {
	t.Helper()
	c = newComings(t, addr, visitors)
	if !soaktest.Long() {
		c.pause = 5 * time.Millisecond // which leaves hundreds of requests while an instance is restarted
	}
	stop = c.start(func(visitor int) { c.visit(visitor, 5) })
	return c, stop
}

// startStaying is startComings of visitors that are there already.
func startStaying(t *testing.T, addr string, visitors int) (c *comings, stop func()) {
	t.Helper()
	c = newComings(t, addr, visitors)
	tokens := make([]string, visitors)
	for i := range tokens {
		tokens[i] = visit(t, c.base, "").token
	}
	c.pause = 5 * time.Millisecond
	stop = c.start(func(visitor int) { c.stay(visitor, tokens[visitor]) })
	return c, stop
}

func newComings(t *testing.T, addr string, visitors int) *comings {
	t.Helper()
	return &comings{t: t, base: "http://" + addr, done: make([]atomic.Int64, visitors), client: http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: visitors}, Timeout: patience,
	}}
}

// start lets each visitor come again and again.
func (c *comings) start(visit func(visitor int)) (stop func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	var all sync.WaitGroup
	for i := range c.done {
		all.Go(func() {
			for ctx.Err() == nil {
				visit(i)
			}
		})
	}
	stop = func() { cancel(); all.Wait(); c.client.CloseIdleConnections() }
	c.t.Cleanup(stop)
	return stop
}

// Two instances behind a proxy are restarted in turn, again and again, and
// nobody notices. ROLLS says how often.
func TestRollingRestart(t *testing.T) {
	visitors := soaktest.Times(4, 16)
	path := servicetest.Binary(t)
	for name, tc := range map[string]struct {
		front        front
		delay, http2 string
	}{
		"nginx of docker-compose.yml":   {composeProxy, "50", "false"},
		"nginx with kept connections":   {keepAlive, "1000", "false"},
		"Caddy that asks for readiness": {asksReadiness, "600", "false"},
		"Caddy that speaks HTTP/2":      {speaksH2C, "600", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			hosts := []string{"127.0.0.1", "127.0.0.2"}
			port := freePort(t, hosts...)
			environ := func(i int) map[string]string {
				return instanceOn(t, server, "HOST", hosts[i], "PORT", port, "HTTP2", tc.http2, "SHUTDOWN_DELAY_MS", tc.delay)
			}
			instances := []*process{launch(t, path, environ(0)), launch(t, path, environ(1))}
			load, stop := startComings(t, tc.front(t, hosts, port), visitors)

			times := rounds(t, "ROLLS", soaktest.Times(1, 50))
			for range times {
				for i, p := range instances {
					p.signal(t, syscall.SIGTERM)
					require.Zero(t, p.end(t), p.errOut)
					require.Empty(t, p.log.all("requests were cut off"))
					instances[i] = launch(t, path, environ(i))
					untilTrue(t, "the proxy sends it requests again", func() bool { return created(t, instances[i]) > 0 })
					load.goOn(5) // what waited for the other one included
				}
			}
			stop()
			t.Logf("%d rounds, %d requests, %d failed, the longest took %v",
				times, load.requests.Load(), load.failed.Load(), load.longest.Round(time.Millisecond))
			assert.Zero(t, load.failed.Load(), strings.Join(load.firstFailures, "\n"))
		})
	}
}
