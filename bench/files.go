package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

const (
	cleanupPath = "/api/cleanup"
	// treeMark stands for the path of the file tree in a row's settings.
	treeMark = "TREE"
	// files is the number of files in the tree, of which the sessions of the row refer
	// to as many as referenced.
	files      = million
	referenced = 100 * thousand
	// perDir is the number of files in a directory of unreferenced files.
	perDir = 1000
)

// tree returns the directory of the rows about the cleanup.
func (l *harness) tree() string { return l.path("tree") }

// createTree creates the file tree, unless a row has before.
func (l *harness) createTree(ctx context.Context) error {
	mark := l.path("planted")
	if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.logf("making %d files", files)
	var work sync.WaitGroup
	var failed [treeWorkers]error
	for w := range treeWorkers {
		work.Go(func() { failed[w] = l.createSubtree(ctx, w) })
	}
	work.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return err
	}
	// It is also what find compares ages with: the tree is older.
	_, err := l.file("planted", nil)
	return err
}

// treeWorkers is the number of goroutines that create files.
const treeWorkers = 32

// createSubtree creates the directories whose number modulo treeWorkers is part.
func (l *harness) createSubtree(ctx context.Context, part int) error {
	for d := part; d < files/perDir && ctx.Err() == nil; d += treeWorkers {
		dir, name := fmt.Sprintf("run-%04d", d), "file-%d.csv"
		if d*perDir < referenced { // as session.json names them
			dir, name = modelUser, "figures-%d.csv"
		}
		dir = filepath.Join(l.tree(), dir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		for n := d * perDir; n < (d+1)*perDir; n++ {
			f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf(name, firstNumber+n)), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// cleaner is the service's cleanup.
type cleaner struct {
	server *process
	// idle is the resident memory before the first run, in bytes.
	idle int64
}

// memoryReturnDelay is how long an idle service takes to return memory to the system.
const memoryReturnDelay = 15 * time.Second

// waitForRest waits for memoryReturnDelay.
func waitForRest(ctx context.Context) error {
	select {
	case <-time.After(memoryReturnDelay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func prepareCleanup(ctx context.Context, l *harness, _ *row, s *serviceUnderTest) (contender, error) {
	if err := l.createTree(ctx); err != nil {
		return nil, err
	}
	if err := waitForRest(ctx); err != nil {
		return nil, err
	}
	idle, err := resident(s.server.pid())
	return &cleaner{s.server, idle}, err
}

// stop implements contender. The row stops the service.
func (*cleaner) stop() {}

// measure implements contender. It is one dry run.
func (c *cleaner) measure(ctx context.Context, l *harness, _ time.Duration, _ int) (t sample, requests int64, err error) {
	watching, enough := context.WithCancel(ctx)
	peak := make(chan int64)
	go func() { peak <- watchMemory(watching, c.server) }()
	began := time.Now()
	err = c.run(ctx, l)
	t.elapsed = time.Since(began)
	enough()
	t.memory = max(0, <-peak-c.idle)
	return t, 1, err
}

// run requests a dry run, and checks that it has seen all files.
func (c *cleaner) run(ctx context.Context, l *harness) error {
	resp, err := l.sendAsService(ctx, http.MethodPost, "http://"+c.server.addr+cleanupPath+"?dryRun=true")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	var report struct{ Scanned, Kept, Deleted int }
	if err := json.NewDecoder(resp.Body).Decode(&report); err != nil {
		return err
	}
	if report.Scanned != files || report.Kept != referenced || report.Deleted != files-referenced {
		return fmt.Errorf("cleanup: %s: scanned %d, kept %d, deleted %d", resp.Status, report.Scanned, report.Kept, report.Deleted)
	}
	return nil
}

// watchMemory returns the peak of a process's resident memory until ctx ends, in bytes.
func watchMemory(ctx context.Context, p *process) (most int64) {
	look := time.NewTicker(restPoll)
	defer look.Stop()
	for {
		if n, err := resident(p.pid()); err == nil { // it may end meanwhile, which others notice
			most = max(most, n)
		}
		select {
		case <-ctx.Done():
			return most
		case <-look.C:
		}
	}
}

// find walks the same tree and asks for the age of each file, too.
var find = yardstick{name: "find", start: startFind}

type finder struct{ dir, mark string }

func startFind(_ context.Context, l *harness, _ *row, _ *serviceUnderTest) (contender, error) {
	return &finder{l.tree(), l.path("planted")}, nil
}

// stop implements contender.
func (*finder) stop() {}

// measure implements contender: it is one walk.
func (f *finder) measure(ctx context.Context, _ *harness, _ time.Duration, _ int) (t sample, requests int64, err error) {
	cmd := exec.CommandContext(ctx, "find", f.dir, "-type", "f", "!", "-name", ".session-api-cleanup", "!", "-newer", f.mark, "-printf", ".")
	endWithParent(cmd)
	began := time.Now()
	out, err := cmd.Output()
	t.elapsed = time.Since(began)
	if err == nil && len(out) != files {
		err = fmt.Errorf("%d files in place of %d", len(out), files)
	}
	return t, 1, err
}

// noCleanup is the row's service while it cleans nothing.
var noCleanup = yardstick{name: "no cleanup", start: startShared}

// cleanupLoad is the row's service under wrk while it cleans.
type cleanupLoad struct {
	sharedService
	cleaner cleaner
}

func prepareBusy(ctx context.Context, l *harness, _ *row, s *serviceUnderTest) (contender, error) {
	return &cleanupLoad{sharedService{s.loadedServer}, cleaner{server: s.server}}, l.createTree(ctx)
}

// measure implements contender. It cancels the cleanup at the end.
func (b *cleanupLoad) measure(ctx context.Context, l *harness, length time.Duration, round int) (t sample, requests int64, err error) {
	cleaning, enough := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			err = b.cleaner.run(cleaning, l)
		}
		ended <- err
	}()
	t, requests, err = b.loadedServer.measure(ctx, l, length, round)
	enough()
	if failed := <-ended; err == nil && !errors.Is(failed, context.Canceled) {
		err = failed
	}
	if err != nil {
		return sample{}, 0, err
	}
	return t, requests, b.awaitIdle(ctx)
}

// awaitIdle waits until the cancelled run has ended.
func (b *cleanupLoad) awaitIdle(ctx context.Context) error {
	look := time.NewTicker(restPoll)
	defer look.Stop()
	for {
		spent, err := cpuSpent([]*process{b.server}, func() error {
			select {
			case <-look.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil || spent[0] == 0 {
			return err
		}
	}
}
