//go:build power

package crash_test

import (
	"os"
	"os/exec"
	"path/filepath"
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
		d.ignores = p.ignores
		r, cmd := record(t, p.root, d)
		p.last = r
		return cmd
	}
	w.started = func() { p.last.started() }
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
		if n == moreImages {
			p.dropped += dropped
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
	t.Logf("%d power cuts; %d sectors, sizes and names had not reached the disk; %d images checked", p.cuts, p.dropped, p.images)
	require.Positive(t, p.dropped)
}

func TestPowerCutsWithInterval(t *testing.T) {
	t.Parallel()
	p := newPower(t, 300*time.Millisecond)
	p.crashes(max(1, kills(t)/4))
	t.Logf("%d power cuts; %d sectors, sizes and names had not reached the disk; %d images checked", p.cuts, p.dropped, p.images)
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
	last = p.crash(last)
	_, url := p.serve()
	p.verify(url, last)
	p.requireWrong("should be")
}

// The sync between a transaction's pages and the head that makes them count is
// needed as much as the one after.
func TestPowerCutsNoticeMissingOrder(t *testing.T) {
	t.Parallel()
	p := newPower(t, 0)
	last := p.crash(crash{})
	p.requireRight("while syncs work")
	heads := int64(2 * os.Getpagesize())
	p.ignores = func(_ string, f *file) bool {
		return len(f.pending) > 0 && f.pending[len(f.pending)-1].off >= heads
	}
	p.luck = func() luck { return luck{p.random, 0.5, 512} }
	for range 30 { // it takes a cut between the two
		last = p.crash(last)
		if len(p.wrong) > 0 {
			p.requireWrong("damaged")
			return
		}
	}
	require.FailNow(t, "nothing was noticed")
}
