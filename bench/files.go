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
	// treeMark stands for the directory of files in a row's settings.
	treeMark = "TREE"
	// files are in the tree, and as many of them as are referenced belong to the
	// sessions of the row.
	files      = million
	referenced = 100 * thousand
	// perDir is how many files a directory of the others has.
	perDir = 1000
)

// tree returns the directory of the rows about the cleanup.
func (l *lab) tree() string { return l.path("tree") }

// plant makes the tree, unless a row before has.
func (l *lab) plant(ctx context.Context) error {
	mark := l.path("planted")
	if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.say("making %d files", files)
	var work sync.WaitGroup
	var failed [seeders]error
	for w := range seeders {
		work.Go(func() { failed[w] = l.plantPart(ctx, w) })
	}
	work.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return err
	}
	// It is also what find compares ages with: the tree is older.
	_, err := l.file("planted", nil)
	return err
}

// seeders is how many make files at a time.
const seeders = 32

// plantPart makes each directory whose number has that remainder.
func (l *lab) plantPart(ctx context.Context, part int) error {
	for d := part; d < files/perDir && ctx.Err() == nil; d += seeders {
		dir, name := fmt.Sprintf("run-%04d", d), "file-%d.csv"
		if d*perDir < referenced { // as session.json names them
			dir, name = modelUser, "figures-%d.csv"
		}
		dir = filepath.Join(l.tree(), dir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		for n := d * perDir; n < (d+1)*perDir; n++ {
			f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf(name, firstStep+n)), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
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
	// idle is what the service had resident before its first run, in bytes.
	idle int64
}

// givenBack is when a service that has nothing to do has given back what it took
// for what it did before.
const givenBack = 15 * time.Second

// rest lets it do so.
func rest(ctx context.Context) error {
	select {
	case <-time.After(givenBack):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func prepareCleanup(ctx context.Context, l *lab, _ *row, s *subject) (side, error) {
	if err := l.plant(ctx); err != nil {
		return nil, err
	}
	if err := rest(ctx); err != nil {
		return nil, err
	}
	idle, err := resident(s.server.pid())
	return &cleaner{s.server, idle}, err
}

// stop implements side: the service is the row's.
func (*cleaner) stop() {}

// take implements side: it is one dry run, which looks at all and leaves it.
func (c *cleaner) take(ctx context.Context, l *lab, _ time.Duration, _ int) (t turn, requests int64, err error) {
	watching, enough := context.WithCancel(ctx)
	peak := make(chan int64)
	go func() { peak <- watchMemory(watching, c.server) }()
	began := time.Now()
	err = c.run(ctx, l)
	t.took = time.Since(began)
	enough()
	t.memory = max(0, <-peak-c.idle)
	return t, 1, err
}

// run asks for a dry run, and looks whether it has seen all.
func (c *cleaner) run(ctx context.Context, l *lab) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.server.addr+cleanupPath+"?dryRun=true", http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	resp, err := l.patient().Do(req)
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

// watchMemory returns the most that a process has resident until ctx ends, in
// bytes.
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

func startFind(_ context.Context, l *lab, _ *row, _ *subject) (side, error) {
	return &finder{l.tree(), l.path("planted")}, nil
}

// stop implements side.
func (*finder) stop() {}

// take implements side: it is one walk.
func (f *finder) take(ctx context.Context, _ *lab, _ time.Duration, _ int) (t turn, requests int64, err error) {
	cmd := exec.CommandContext(ctx, "find", f.dir, "-type", "f", "!", "-name", ".session-api-cleanup", "!", "-newer", f.mark, "-printf", ".")
	endWithParent(cmd)
	began := time.Now()
	out, err := cmd.Output()
	t.took = time.Since(began)
	if err == nil && len(out) != files {
		err = fmt.Errorf("%d files in place of %d", len(out), files)
	}
	return t, 1, err
}

// undisturbed is the row's service while it cleans nothing.
var undisturbed = yardstick{name: "no cleanup", start: startShared}

// busy is the row's service under wrk while it cleans.
type busy struct {
	shared
	cleaner cleaner
}

func prepareBusy(ctx context.Context, l *lab, _ *row, s *subject) (side, error) {
	return &busy{shared{s.served}, cleaner{server: s.server}}, l.plant(ctx)
}

// take implements side. What it began is given up at the end.
func (b *busy) take(ctx context.Context, l *lab, length time.Duration, round int) (t turn, requests int64, err error) {
	cleaning, enough := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			err = b.cleaner.run(cleaning, l)
		}
		ended <- err
	}()
	t, requests, err = b.served.take(ctx, l, length, round)
	enough()
	if failed := <-ended; err == nil && !errors.Is(failed, context.Canceled) {
		err = failed
	}
	if err != nil {
		return turn{}, 0, err
	}
	return t, requests, b.awaitIdle(ctx)
}

// awaitIdle waits until the run that was given up has ended.
func (b *busy) awaitIdle(ctx context.Context) error {
	look := time.NewTicker(restPoll)
	defer look.Stop()
	for {
		spent, err := spending([]*process{b.server}, func() error {
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
