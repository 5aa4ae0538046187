package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// lab is where everything happens: a directory that goes at the end, the
// service's binary, its secrets, and a client.
type lab struct {
	options
	dir, binary   string
	secret, token string
	programs      []string // what measures, and which version
	client        *http.Client
	progress      io.Writer
}

// newLab prepares all that the rows have in common. It is to be closed.
func newLab(ctx context.Context, o options, progress io.Writer) (*lab, error) {
	programs, err := o.programs(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "session-api-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{
		options: o, dir: dir, programs: programs, progress: progress,
		secret: rand.Text() + rand.Text(), token: rand.Text() + rand.Text(),
		client: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: 4},
			Timeout:   time.Minute,
		},
	}
	if err := errors.Join(os.Mkdir(l.files(), 0o700), os.Mkdir(l.tree(), 0o700), l.build(ctx)); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// programs returns what measures the rows that the options ask for.
func (o *options) programs(ctx context.Context) ([]string, error) {
	wrk, err := wrkVersion(ctx)
	if err != nil || !o.onRedis() && !o.peers {
		return []string{"wrk " + wrk}, err
	}
	redis, err := redisVersion(ctx)
	if err != nil || !o.peers {
		return []string{"wrk " + wrk, "Redis " + redis}, err
	}
	others, err := peerVersions(ctx)
	return append([]string{"wrk " + wrk, "Redis " + redis}, others...), err
}

// close removes the directory.
func (l *lab) close() {
	if err := os.RemoveAll(l.dir); err != nil {
		l.say("removing the temporary directory: %v", err)
	}
}

// say tells the person who waits.
func (l *lab) say(format string, args ...any) {
	_, _ = fmt.Fprintf(l.progress, format+"\n", args...) // nobody may be listening
}

// path returns the path of a file in the directory.
func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

// file writes a file in the directory and returns its path.
func (l *lab) file(name string, content []byte) (string, error) {
	path := l.path(name)
	return path, os.WriteFile(path, content, 0o600)
}

// files returns the directory of the service's analysis files: empty, and not
// the lab's own, because the service refuses one that holds its binary.
func (l *lab) files() string { return l.path("files") }

// build makes the service as make build does; to be profiled, with what that
// takes.
func (l *lab) build(ctx context.Context) error {
	l.say("building cmd/session-api")
	l.binary = l.path("session-api")
	args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", l.binary}
	if l.profile != nil {
		args = append(args, "-tags", profileTag)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "session-api/cmd/session-api")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the service: %w\n%s", err, out)
	}
	return nil
}
