//go:build power

package crash_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// power cuts a world's power: the service is killed, and its data directory
// becomes what a disk may hold of it then.
type power struct {
	*world
	root    string // whose content the disk has
	last    *recording
	luck    func() luck
	ignores func(path string, f *file) bool
	wrote   func(path string, w *write)
	options []string // of strace

	cuts, dropped, images int
}

func newPower(t *testing.T, interval time.Duration) *power {
	t.Helper()
	w := newWorld(t, interval)
	p := &power{world: w, root: filepath.Join(w.root, "disk")}
	p.luck = func() luck { return newLuck(w.random) }
	require.NoError(t, os.Mkdir(p.root, 0o700))
	w.data = filepath.Join(p.root, "data")
	w.command = func() *exec.Cmd {
		d, err := newDisk(p.root)
		require.NoError(t, err)
		d.ignores, d.wrote = p.ignores, p.wrote
		r, cmd := record(t, p.root, d, p.options...)
		p.last = r
		return cmd
	}
	w.started = func() { require.NoError(t, p.last.started()) }
	w.lose = p.cut
	return p
}

// moreImages is how many more images of each cut are checked by themselves.
const moreImages = 5

// cut replaces the data by an image of what the disk may hold.
func (p *power) cut() {
	p.t.Helper()
	require.NoError(p.t, p.last.wait())
	d := p.last.disk
	require.NoError(p.t, d.same(p.root), "what was recorded is what happened")
	p.cuts++
	for n := range 1 + moreImages {
		image, dropped := d.image(p.luck())
		require.NoError(p.t, put(p.root, image))
		p.images++
		p.dropped += dropped
		if n == moreImages {
			return
		}
		if image["data/sessions.db"] != nil {
			if err := checkFile(p.data); err != nil {
				p.report("%v", err)
				return
			}
		}
	}
}

// TestPowerCuts takes the power away: what the service had not synced is there
// in part, or not at all.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	p := newPower(t, 0)
	p.crashes(max(1, kills(t)/2))
	p.say()
	require.Positive(t, p.dropped)
}

func TestPowerCutsWithInterval(t *testing.T) {
	t.Parallel()
	p := newPower(t, 300*time.Millisecond)
	p.crashes(max(1, kills(t)/4))
	p.say()
}

// A disk that takes longer than the interval makes writers wait, so that no more
// is lost than an interval brings.
func TestPowerCutsOfSlowDiskWithInterval(t *testing.T) {
	t.Parallel()
	p := newPower(t, 300*time.Millisecond)
	p.options = []string{"-e", "inject=fdatasync:delay_enter=150000"} // µs, twice in a transaction
	p.busy = 3 * time.Second
	p.crashes(max(1, kills(t)/4))
	p.say()
}

// say says what there was.
func (p *power) say() {
	p.t.Helper()
	p.t.Logf("%d power cuts, %d images of what may be left; %d sectors, sizes and names lack in them", p.cuts, p.images, p.dropped)
}

// A disk that says it has written what it has not loses what was acknowledged:
// if that went unnoticed, the tests above would say nothing.
func TestPowerCutsNoticeMissingSyncs(t *testing.T) {
	t.Parallel()
	p := newPower(t, 0)
	last := p.crash(crash{})
	p.requireRight("while syncs work")
	p.ignores = func(string, *file) bool { return true }
	p.luck = func() luck { return luck{p.random, 0, 512} }
	service, url := p.serve()
	p.verify(url, last)
	p.clients[0].make(t)
	p.requireRight("while there is power")
	service.kill()
	p.cut()
	_, url = p.serve()
	p.verify(url, crash{at: time.Now()})
	p.requireWrong("should be")
}

// The sync between a transaction's pages and the head that makes them count is
// needed as much as the one after. The cut that shows it comes when the disk has
// the head already.
func TestPowerCutsNoticeMissingOrder(t *testing.T) {
	t.Parallel()
	const transactions = 20
	heads := int64(2 * os.Getpagesize())
	check := func(ignores func(path string, f *file) bool) (damaged int) {
		p := newPower(t, 0)
		p.ignores = ignores
		var images []map[string][]byte
		enough := make(chan struct{})
		p.wrote = func(path string, w *write) {
			if path != "data/sessions.db" || w.off >= heads || len(images) == transactions {
				return
			}
			if images = append(images, p.last.disk.alone(path, w)); len(images) == transactions {
				close(enough)
			}
		}
		s, url := p.serve()
		for _, c := range p.clients {
			c.url = url
		}
		var running sync.WaitGroup
		for _, c := range p.clients {
			running.Go(c.work)
		}
		select {
		case <-enough:
		case <-time.After(patience):
		}
		s.kill()
		running.Wait()
		require.NoError(t, p.last.wait())
		require.Len(t, images, transactions)
		for _, image := range images {
			require.NoError(t, put(p.root, image))
			if err := checkFile(p.data); err != nil {
				require.ErrorContains(t, err, "damaged")
				damaged++
			}
		}
		return damaged
	}
	require.Zero(t, check(nil))
	require.Positive(t, check(func(_ string, f *file) bool {
		return len(f.pending) > 0 && f.pending[len(f.pending)-1].off >= heads
	}))
}
