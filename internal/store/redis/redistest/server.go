package redistest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/rueidis"
)

// logShown is how much of a server's log a failed test shows: its end.
const logShown = 16 << 10

// Server is a server, in the course of a test perhaps several runs of it.
type Server struct {
	tb        testing.TB
	name      string
	binary    string
	args      []string
	port      int
	log       string // the file of its log
	account   account
	authority *authority // nil without TLS
	onStart   [][]string // commands that each run is sent when it answers

	mu     sync.Mutex
	run    *process // nil when it was ended
	frozen bool
	client rueidis.Client // of this run; nil before the first command
}

// Start starts a server, and returns when it answers.
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	set := newSettings(tb, opts)
	s := newServer(tb, "server", &set)
	s.configure(append(set.keeper(s.port, s.dir()), set.directives...))
	s.launch()
	s.awaitReady()
	return s
}

// newServer returns a server that has a port and a directory, and ends with the
// test.
func newServer(tb testing.TB, name string, set *settings) *Server {
	tb.Helper()
	s := &Server{
		tb:        tb,
		name:      name,
		binary:    set.binary,
		port:      reservePort(tb),
		log:       filepath.Join(tb.TempDir(), "log"),
		account:   set.account,
		authority: set.authority,
	}
	tb.Cleanup(func() {
		s.Kill()
		if tb.Failed() {
			tb.Logf("log of the %s at %s:\n%s", s.name, s.Addr(), s.logEnd())
		}
	})
	return s
}

// configure writes the configuration file, and lets the server read it.
func (s *Server) configure(directives [][]string) {
	s.tb.Helper()
	path := filepath.Join(s.dir(), "server.conf")
	if err := os.WriteFile(path, configFile(directives), 0o600); err != nil {
		s.tb.Fatalf("configuring the %s: %v", s.name, err)
	}
	s.args = []string{path}
}

// dir is where the server keeps its files.
func (s *Server) dir() string { return filepath.Dir(s.log) }

// Addr is where the server listens, whether it runs or not.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is Addr, user and password as one redis:// or rediss:// address.
func (s *Server) URL() string {
	u := url.URL{Scheme: "redis", Host: s.Addr()}
	if s.authority != nil {
		u.Scheme = "rediss"
	}
	if s.account.user != "" {
		u.User = url.UserPassword(s.account.user, s.account.password)
	}
	return u.String()
}

// TLS returns the configuration of a client that trusts the server, or nil if
// the server speaks without TLS.
func (s *Server) TLS() *tls.Config { return s.authority.client() }

// CAFile is the certificate of the server's authority, in PEM, or "" if the
// server speaks without TLS.
func (s *Server) CAFile() string {
	if s.authority == nil {
		return ""
	}
	return s.authority.caFile
}

// ClientCertificate returns the files of a certificate of the server's authority,
// and of its key, that a client may show.
func (s *Server) ClientCertificate() (certFile, keyFile string) {
	return s.authority.certFile, s.authority.keyFile
}

// Kill ends the server as kill -9 does: nothing is flushed or said goodbye to.
// It does nothing if the server does not run.
func (s *Server) Kill() {
	s.tb.Helper()
	s.end((*process).kill)
}

// Stop ends the server as an operator does, who lets it finish. It does nothing
// if the server does not run.
func (s *Server) Stop() {
	s.tb.Helper()
	s.Resume() // a frozen process would not listen
	s.end(func(p *process) error { return p.cmd.Process.Signal(syscall.SIGTERM) })
}

// Restart starts the server anew on its port, with what its directory holds,
// and returns when it answers. One that runs is stopped first.
func (s *Server) Restart() {
	s.tb.Helper()
	s.Stop()
	s.launch()
	s.awaitReady()
}

// Pause freezes the server until Resume: connections stay open and can even be
// made, but nothing is answered.
func (s *Server) Pause() {
	s.tb.Helper()
	s.setFrozen(true, (*process).freeze)
}

// Resume ends a Pause. It does nothing without one.
func (s *Server) Resume() {
	s.tb.Helper()
	s.setFrozen(false, (*process).thaw)
}

// Up tells whether the server runs, and is not paused.
func (s *Server) Up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run != nil && s.run.running() && !s.frozen
}

// launch starts the process, and does not wait until it answers.
func (s *Server) launch() {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	// Not until the test ends, but until the cleanup ends it: other cleanups
	// may need it still.
	run, err := startProcess(context.WithoutCancel(s.tb.Context()), s.log, s.binary, s.args...)
	if err != nil {
		s.tb.Fatalf("starting the %s: %v", s.name, err)
	}
	s.run, s.frozen = run, false
}

// awaitReady waits until the server answers, and has loaded its data.
func (s *Server) awaitReady() {
	s.tb.Helper()
	var ended error
	await(s.tb, "the "+s.name+" to answer", func(ctx context.Context) error {
		if !s.Up() {
			ended = fmt.Errorf("it ended at once:\n%s", s.logEnd())
			return nil
		}
		_, err := s.do(ctx, "PING")
		return err
	})
	if ended != nil {
		s.tb.Fatalf("starting the %s: %v", s.name, ended)
	}
	for _, command := range s.onStart {
		s.CLI(command...)
	}
}

// end ends the process, and returns when it has ended.
func (s *Server) end(signal func(*process) error) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return
	}
	if err := signal(s.run); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.tb.Fatalf("ending the %s: %v", s.name, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.tb.Context()), patience)
	defer cancel()
	select {
	case <-s.run.ended:
		s.run = nil
	case <-ctx.Done():
		s.tb.Fatalf("the %s does not end", s.name)
	}
	if s.client != nil {
		s.client.Close() // not sooner: it would wait for answers
		s.client = nil
	}
}

func (s *Server) setFrozen(frozen bool, change func(*process) error) {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil || s.frozen == frozen {
		return
	}
	if err := change(s.run); err != nil {
		s.tb.Fatalf("pausing or resuming the %s: %v", s.name, err)
	}
	s.frozen = frozen
}

// logEnd returns the end of the server's log.
func (s *Server) logEnd() []byte {
	content, err := os.ReadFile(s.log)
	if err != nil {
		return []byte(err.Error())
	}
	return content[max(0, len(content)-logShown):]
}
