// Package disktest has disks that fail on demand, for tests: a directory on a
// FUSE file system that hands everything through to another one, in a process
// of its own. A process that maps a file of a file system which it serves
// itself can come to wait for itself.
//
// It needs /dev/fuse and the right to mount.
package disktest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// childWord as the first argument tells a process that it is to serve a disk.
const childWord = "disktest-serve"

// Main is what TestMain of a package must begin with, that mounts disks: the
// disk is served by another process of the same program.
func Main() {
	if len(os.Args) != 4 || os.Args[1] != childWord {
		return
	}
	if err := serve(os.Args[2], os.Args[3], os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "serving a disk:", err)
		os.Exit(1) //nolint:revive // this process is not the test's
	}
	os.Exit(0) //nolint:revive // as above
}

// Disk is a mounted disk.
type Disk struct {
	// Dir is where it is, Under what really holds its files.
	Dir, Under string

	t       testing.TB
	mu      sync.Mutex
	in      io.WriteCloser
	out     *bufio.Reader
	journal string
}

// Mount mounts a disk for as long as the test runs.
func Mount(t testing.TB) *Disk {
	t.Helper()
	under := filepath.Join(t.TempDir(), "under")
	require.NoError(t, os.Mkdir(under, 0o700))
	return mount(t, under)
}

// MountAgain mounts the same files as another machine would that shares them, and
// returns where. Locks of one do not reach the other.
func MountAgain(t testing.TB, d *Disk) string {
	t.Helper()
	return mount(t, d.Under).Dir
}

func mount(t testing.TB, under string) *Disk {
	t.Helper()
	root := t.TempDir()
	d := &Disk{t: t, Under: under, Dir: filepath.Join(root, "disk"), journal: filepath.Join(root, "journal")}
	require.NoError(t, os.Mkdir(d.Dir, 0o700))
	self, err := os.Executable()
	require.NoError(t, err)
	child := exec.Command(self, childWord, d.Under, d.Dir)
	var errOut bytes.Buffer
	child.Stderr = &errOut
	d.in, err = child.StdinPipe()
	require.NoError(t, err)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	d.out = bufio.NewReader(out)
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		_ = d.in.Close() // which ends it
		if err := child.Wait(); err != nil {
			t.Errorf("the process that serves the disk: %v: %s", err, errOut.String())
		}
	})
	line, err := d.out.ReadString('\n')
	require.NoError(t, err, "mounting a disk takes /dev/fuse and the right to mount: %s", &errOut)
	require.Equal(t, "ok\n", line)
	return d
}

// tell gives a command to the process that serves the disk.
func (d *Disk) tell(format string, args ...any) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := fmt.Fprintf(d.in, format+"\n", args...)
	require.NoError(d.t, err)
	line, err := d.out.ReadString('\n')
	require.NoError(d.t, err)
	require.Equal(d.t, "ok\n", line)
}

// FailWrites makes every write fail from now on; 0 makes them succeed.
func (d *Disk) FailWrites(errno syscall.Errno) { d.t.Helper(); d.tell("write %d", errno) }

// FailSyncs makes every sync fail from now on; 0 makes them succeed.
func (d *Disk) FailSyncs(errno syscall.Errno) {
	d.t.Helper()
	d.tell("sync %d %d", int64(math.MaxInt64), errno)
}

// FailSyncsOfHead makes every sync fail if the last write was to the first so
// many bytes of a file; 0 as errno makes them succeed.
func (d *Disk) FailSyncsOfHead(size int64, errno syscall.Errno) {
	d.t.Helper()
	d.tell("sync %d %d", size, errno)
}

// SlowSyncs makes every sync from now on take that long, and ends those that are
// under way.
func (d *Disk) SlowSyncs(by time.Duration) { d.t.Helper(); d.tell("slow %d", by) }

// Record begins to record what happens to the file.
func (d *Disk) Record(name string) { d.t.Helper(); d.tell("record %s", name) }

// Mark notes in the recording that the test has come so far.
func (d *Disk) Mark() { d.t.Helper(); d.tell("mark") }

// Event is a write, a change of the size, a sync or a mark.
type Event struct {
	// Data was written at Off. Without data, Off is the new size, or one of the
	// following.
	Off  int64
	Data []byte
}

const (
	syncEvent = -1 // it has succeeded
	markEvent = -2
)

// Sync reports whether the event is a sync.
func (e Event) Sync() bool { return e.Off == syncEvent }

// Mark reports whether the event is a mark.
func (e Event) Mark() bool { return e.Off == markEvent }

// Recorded ends recording and returns what happened, in order.
func (d *Disk) Recorded() []Event {
	d.t.Helper()
	d.tell("save %s", d.journal)
	b, err := os.ReadFile(d.journal)
	require.NoError(d.t, err)
	var events []Event
	for len(b) > 0 {
		e := Event{Off: int64(binary.LittleEndian.Uint64(b))}
		size := binary.LittleEndian.Uint64(b[8:])
		if e.Data = b[16 : 16+size]; size == 0 {
			e.Data = nil
		}
		events, b = append(events, e), b[16+size:]
	}
	return events
}

// Image returns what a file holds to which the events have happened, one after
// the other.
func Image(events []Event) []byte {
	var b []byte
	for _, e := range events {
		end := e.Off + int64(len(e.Data))
		switch {
		case e.Off < 0:
			continue
		case e.Data == nil && e.Off < int64(len(b)):
			b = b[:e.Off]
		case end > int64(len(b)):
			b = append(b, make([]byte, end-int64(len(b)))...)
		}
		copy(b[e.Off:], e.Data)
	}
	return b
}
