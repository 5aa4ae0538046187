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

// harness is what all rows share: a temporary directory, the service's binary, its
// secrets, and an HTTP client.
type harness struct {
	options
	dir, binary   string
	secret, token string
	programs      []string // the load generators and their versions
	client        *http.Client
	progress      io.Writer
}

// newHarness prepares a harness. The caller closes it.
func newHarness(ctx context.Context, o options, progress io.Writer) (*harness, error) {
	programs, err := o.programs(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "session-api-bench-")
	if err != nil {
		return nil, err
	}
	l := &harness{
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

// programs returns the load generators of the selected rows, with their versions.
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
func (l *harness) close() {
	if err := os.RemoveAll(l.dir); err != nil {
		l.logf("removing the temporary directory: %v", err)
	}
}

// logf reports progress.
func (l *harness) logf(format string, args ...any) {
	_, _ = fmt.Fprintf(l.progress, format+"\n", args...) // progress may go nowhere
}

// path returns the path of a file in the directory.
func (l *harness) path(name string) string { return filepath.Join(l.dir, name) }

// file writes a file in the directory and returns its path.
func (l *harness) file(name string, content []byte) (string, error) {
	path := l.path(name)
	return path, os.WriteFile(path, content, 0o600)
}

// files returns the directory of the service's analysis files: an empty one, because
// the service refuses a directory that holds its binary.
func (l *harness) files() string { return l.path("files") }

// releasePGO is the profile that the released binary is built with.
const releasePGO = "cmd/session-api/release.pgo"

// build builds the service as make build does; for profiles, with the tag for that.
func (l *harness) build(ctx context.Context) error {
	l.logf("building cmd/session-api")
	l.binary = l.path("session-api")
	args := []string{"build", "-pgo", releasePGO, "-trimpath", "-ldflags", "-s -w", "-o", l.binary}
	if l.profile != nil || l.pgo != "" {
		args = append(args, "-tags", profileTag)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "session-api/cmd/session-api")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the service: %w\n%s", err, out)
	}
	return nil
}
