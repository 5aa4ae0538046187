// Package redistest gives tests real Redis servers: single ones, a Cluster, a
// primary with replicas under Sentinel, and a proxy in front of any of them
// that makes the network fail.
//
// Every server is a child process that listens on a free port of 127.0.0.1,
// keeps its data in a directory of the test, reads no configuration of the
// machine, and ends with the test, or with the test's process. A failed test
// shows the logs of its servers. Valkey works wherever Redis does:
//
//	for _, binary := range redistest.Binaries(t) {
//		t.Run(filepath.Base(binary), func(t *testing.T) {
//			server := redistest.Start(t, redistest.Binary(binary))
//			...
//		})
//	}
//
// What goes wrong in here fails the test that was handed in, so its functions
// and methods belong into that test's own goroutine.
package redistest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	// patience is how long a server or a group of servers may take to get where
	// a test waits for it to be. On an idle machine none needs a tenth of it.
	patience = time.Minute
	// glance is the time between two looks at something that is waited for.
	glance = 10 * time.Millisecond
)

// install is what to do where no server is installed.
const install = "neither redis-server nor valkey-server (version 7 or newer) is installed; " +
	"on Debian or Ubuntu: sudo apt-get install redis-server; on macOS: brew install redis"

// Binaries returns the paths of the servers that are installed: redis-server,
// then valkey-server. There is at least one: without any the test is skipped,
// or fails where CI is set.
func Binaries(tb testing.TB) []string {
	tb.Helper()
	var paths []string
	known := map[string]bool{}
	for _, name := range []string{"redis-server", "valkey-server"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		// One may be the other under a compatible name.
		target, err := filepath.EvalSymlinks(path)
		if err != nil {
			tb.Fatalf("looking for %s: %v", name, err)
		}
		if !known[target] {
			known[target] = true
			paths = append(paths, path)
		}
	}
	switch {
	case len(paths) > 0:
	case os.Getenv("CI") != "": //nolint:forbidigo // whether a skip would go unseen is no setting of the service
		tb.Fatal(install)
	default:
		tb.Skip(install) //nolint:forbidigo // go test ./... works without Redis; make test installs it, and CI fails
	}
	return paths
}

// await looks until check returns nil. The test fails when it never does.
func await(tb testing.TB, what string, check func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), patience)
	defer cancel()
	if err := poll(ctx, check); err != nil {
		tb.Fatalf("waiting for %s: %v", what, err)
	}
}

// poll looks until check returns nil or ctx ends, and returns what was amiss at
// the last look.
func poll(ctx context.Context, check func(context.Context) error) error {
	look := time.NewTicker(glance)
	defer look.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("gave up after %v: %w", patience, err)
		}
	}
}
