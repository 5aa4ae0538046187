package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// peer is something that people keep sessions with, with as many sessions as
// the others.
type peer struct {
	name, kept string // its name, and where it keeps sessions
	server     *process
	redis      *process // nil where it needs none
	// own: it has a row's service, which is stopped as a whole.
	own *serviceUnderTest

	read, write loadedServer
}

// The operations in which peers are compared.
const (
	readSession = "read a session"
	writeKey    = "write one key"
)

// peerSamples are the rounds of a peer in an operation.
type peerSamples struct {
	peer    *peer
	samples []sample
}

// peerResults are the rounds of all peers, by operation.
type peerResults map[string][]peerSamples

// peersDir is where the peers are, seen from the project's directory, in which
// go run ./bench runs.
const peersDir = "bench/peers"

// webdisPrefix says whose keys they are: all use one Redis.
const webdisPrefix = "webdis:"

// measurePeers lets all of them take rounds.
func (l *harness) measurePeers(ctx context.Context) (results peerResults, err error) {
	var peers []*peer
	defer func() {
		for _, p := range peers {
			p.stop()
		}
	}()
	var redis *process
	for _, start := range []func(context.Context, *process) (*peer, error){
		l.startOurs, l.startOursOnRedis, l.startScs, l.startExpress, l.startExpressOnRedis, l.startWebdis,
	} {
		p, err := start(ctx, redis)
		if err != nil {
			return nil, err
		}
		peers = append(peers, p)
		if p.own != nil && p.redis != nil {
			redis = p.redis // that of the service is everybody's
		}
	}
	results = peerResults{}
	for _, operation := range []string{readSession, writeKey} {
		l.logf("%s: %d rounds", operation, l.rounds)
		list := make([]peerSamples, len(peers))
		for round := range l.rounds + 1 {
			for i, p := range peers {
				list[i].peer = p
				s := p.read
				if operation == writeKey {
					s = p.write
				}
				length := l.duration
				if round == 0 {
					length = time.Second // to warm up
				}
				t, _, err := s.measure(ctx, l, length, round)
				if err != nil {
					return nil, fmt.Errorf("%s: %s: %w", p.name, operation, err)
				}
				if round > 0 {
					list[i].samples = append(list[i].samples, t)
				}
			}
		}
		results[operation] = list
	}
	return results, nil
}

func (p *peer) stop() {
	if p.own != nil {
		p.own.stop()
		return
	}
	p.server.stop()
}

// loads writes what wrk sends to it.
func (l *harness) loads(p *peer, read, write *row, readers, writers []caller) error {
	for _, one := range []struct {
		into    *loadedServer
		row     *row
		callers []caller
		name    string
	}{{&p.read, read, readers, "read"}, {&p.write, write, writers, "write"}} {
		ld, err := l.load(one.row, strings.ReplaceAll(p.name+"-"+p.kept+"-"+one.name, " ", "-"), one.callers)
		if err != nil {
			return err
		}
		*one.into = loadedServer{server: p.server, load: ld, redis: p.redis}
	}
	return nil
}

func (l *harness) startOurs(ctx context.Context, _ *process) (*peer, error) {
	return l.startOwn(ctx, get(row{env: errorsOnly, sessions: thousand}), "memory")
}

func (l *harness) startOursOnRedis(ctx context.Context, _ *process) (*peer, error) {
	return l.startOwn(ctx, get(row{env: errorsOnly, onRedis: true, sessions: thousand}), "Redis")
}

func (l *harness) startOwn(ctx context.Context, r row, kept string) (*peer, error) {
	s, err := l.startRow(ctx, &r, "own-"+kept)
	if err != nil {
		return nil, err
	}
	p := &peer{name: "session-api", kept: kept, server: s.server, redis: s.redis, own: s}
	write := patch(r)
	return p, l.loads(p, &r, &write, s.callers, s.callers)
}

func (l *harness) startScs(ctx context.Context, _ *process) (*peer, error) {
	binary := l.path("scs")
	if err := buildModule(ctx, filepath.Join(peersDir, "scs"), binary); err != nil {
		return nil, err
	}
	server, err := start(ctx, l.path("scs.log"), nil, findAddr, binary)
	if err != nil {
		return nil, err
	}
	return l.startApp(ctx, &peer{name: "scs in a Go handler", kept: "memory", server: server})
}

func (l *harness) startExpress(ctx context.Context, _ *process) (*peer, error) {
	return l.startNode(ctx, &peer{name: "Express with express-session", kept: "memory"})
}

func (l *harness) startExpressOnRedis(ctx context.Context, redis *process) (*peer, error) {
	return l.startNode(ctx, &peer{name: "Express with express-session", kept: "Redis", redis: redis})
}

func (l *harness) startNode(ctx context.Context, p *peer) (_ *peer, err error) {
	env := []string{"NODE_ENV=production", "SESSION_SECRET=" + l.secret}
	if p.redis != nil {
		env = append(env, "REDIS_URL=redis://"+p.redis.addr)
	}
	p.server, err = start(ctx, l.path("express-"+p.kept+".log"), env, findAddr, "node", filepath.Join(peersDir, "express", "app.js"))
	if err != nil {
		return nil, err
	}
	return l.startApp(ctx, p)
}

// startApp makes sessions in an app that is a peer, as its users do.
func (l *harness) startApp(ctx context.Context, p *peer) (*peer, error) {
	const path = "/session"
	callers := make([]caller, thousand)
	for n := range callers {
		a, err := l.do(ctx, p.server.addr, http.MethodPost, path, numberedBody(sessionBody, n), http.StatusCreated, headerLines(asJSON)...)
		if err != nil {
			p.stop()
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		cookie, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
		callers[n].header = "Cookie: " + cookie
	}
	read := &row{method: http.MethodGet, path: path, status: http.StatusOK}
	write := patch(row{})
	write.path, write.header = path, asJSON
	for _, r := range []*row{&write, read} { // what is written is there then
		const n = 7
		want := `"step":` + numberedBody(numberMark, n)
		a, err := l.doCaller(ctx, p.server.addr, r, callers[0], n)
		if err == nil && !strings.Contains(string(a.Body), want) {
			err = fmt.Errorf("no %s in %s", want, a.Body)
		}
		if err != nil {
			p.stop()
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return p, l.loads(p, read, &write, callers, callers)
}

// startWebdis runs Webdis, in which a document is a value under a key.
func (l *harness) startWebdis(ctx context.Context, redis *process) (*peer, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	settings, err := webdisSettings(addr, redis.addr, l.path("webdis.out"))
	if err != nil {
		return nil, err
	}
	path, err := l.file("webdis.json", settings)
	if err != nil {
		return nil, err
	}
	server, err := start(ctx, l.path("webdis.log"), nil, func(io.Reader) string {
		if accepts(ctx, addr) {
			return addr
		}
		return ""
	}, "webdis", path)
	if err != nil {
		return nil, err
	}
	p := &peer{name: "Webdis", kept: "Redis", server: server, redis: redis}
	readers, writers := make([]caller, thousand), make([]caller, thousand)
	for n := range readers {
		key := fmt.Sprintf("%s%064d", webdisPrefix, n)
		// Webdis wants a header line as much as the others send one.
		readers[n] = caller{"/GET/" + key + ".json", "Accept: */*"}
		writers[n] = caller{"/SET/" + key, "Accept: */*"}
		if _, err := l.do(ctx, addr, http.MethodPut, writers[n].path, numberedBody(sessionBody, n), http.StatusOK); err != nil {
			p.stop()
			return nil, err
		}
	}
	if _, err := l.do(ctx, addr, http.MethodGet, readers[0].path, "", http.StatusOK); err != nil {
		p.stop()
		return nil, err
	}
	read := &row{method: http.MethodGet}
	write := &row{method: http.MethodPut, body: sessionBody}
	return p, l.loads(p, read, write, readers, writers)
}

func webdisSettings(addr, redis, log string) ([]byte, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	redisHost, redisPort, err := net.SplitHostPort(redis)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"http_host": host, "http_port": json.Number(port), "redis_host": redisHost, "redis_port": json.Number(redisPort),
		"threads": 2, "pool_size": 16, "daemonize": false, "database": 0, "verbosity": 1, "logfile": log,
	})
}

// accepts reports whether somebody listens there.
func accepts(ctx context.Context, addr string) bool {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	_ = conn.Close() // nothing was sent
	return true
}

// peerVersions returns the versions of the programs that peers need, or how to
// get them. Those of packages are in the peers' own lists.
func peerVersions(ctx context.Context) (versions []string, err error) {
	if _, err := os.Stat(filepath.Join(peersDir, "express", "node_modules")); err != nil {
		return nil, errors.New("the packages of Express are missing: tools/npm-ci.sh bench/peers/express, in the project's directory")
	}
	node, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("node, which Express runs on, is missing (tools/need.sh npm, or apt-get install nodejs npm): %w", err)
	}
	if _, err := exec.LookPath("webdis"); err != nil {
		return nil, errors.New("webdis is missing: tools/need.sh webdis, or apt-get install webdis")
	}
	versions = append(versions, "Node.js "+strings.TrimSpace(string(node)))
	for _, module := range []string{"express", "express-session", "connect-redis"} {
		content, err := os.ReadFile(filepath.Join(peersDir, "express", "node_modules", module, "package.json"))
		if err != nil {
			return nil, err
		}
		var about struct{ Version string }
		if err := json.Unmarshal(content, &about); err != nil {
			return nil, fmt.Errorf("%s: %w", module, err)
		}
		versions = append(versions, module+" "+about.Version)
	}
	return versions, nil
}
