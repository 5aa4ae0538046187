//go:build power

package crash_test

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// recording follows what a process asks of the kernel for the files below a
// directory, as strace sees it, and leads a disk along.
type recording struct {
	disk *disk
	root string
	open map[string]*call // by thread, calls that have begun

	begun chan struct{} // closed with the first line
	done  chan error
	out   *os.File // the end that strace writes to
}

// call is a system call that has begun.
type call struct {
	name string
	args []string
	// finish does on the disk what the call has done.
	finish func()
	// undo takes back what the call has not done after all.
	undo func()
}

// calls are the system calls that are recorded. Another one that changes a file
// would go unseen, but not unnoticed: see requireSame.
const calls = "openat,pwrite64,ftruncate,fallocate,fsync,fdatasync,renameat,renameat2,linkat,unlinkat,mkdirat"

// record returns the command that runs the service, and records it until it
// ends. What is below root now is taken to be on the disk. options are more of
// strace's.
func record(t *testing.T, root string, d *disk, options ...string) (*recording, *exec.Cmd) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	require.NoError(t, err, "a power cut takes strace to record what was written, and the right to trace")
	r := &recording{disk: d, root: root, open: make(map[string]*call), begun: make(chan struct{}), done: make(chan error, 1)}
	in, out, err := os.Pipe()
	require.NoError(t, err)
	r.out = out
	// With -D the service is our own child, so that a signal meets it and not
	// strace.
	options = append([]string{"-D", "-f", "-y", "-xx", "-s", "1000000000", "--seccomp-bpf", "-e", "trace=" + calls, "-o", "/dev/fd/3"}, options...)
	cmd := exec.Command(strace, append(options, binary)...)
	cmd.ExtraFiles = []*os.File{out}
	go func() {
		err := r.read(in)
		_, _ = io.Copy(io.Discard, in) // so that nobody waits
		_ = in.Close()                 // it was only read
		r.done <- err
	}()
	return r, cmd
}

// started must be called once the command runs. It waits until strace has got
// hold of the service: killed before that, both are never done.
func (r *recording) started() error {
	_ = r.out.Close() // strace has its own
	select {
	case <-r.begun:
		return nil
	case <-time.After(patience):
		return errors.New("strace has nothing to say of the service: may it trace?")
	}
}

// wait waits until all is read, after the service has ended.
func (r *recording) wait() error { return <-r.done }

func (r *recording) read(in io.Reader) error {
	lines := bufio.NewReaderSize(in, 1<<20)
	for first := true; ; first = false {
		line, err := lines.ReadString('\n')
		if first {
			close(r.begun)
		}
		if errors.Is(err, io.EOF) && line == "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the recording: %w", err)
		}
		if err := r.line(strings.TrimSuffix(line, "\n")); err != nil {
			return fmt.Errorf("%w: %.300s", err, line)
		}
	}
}

// line is one of strace's: a whole call, or its beginning, or its end.
func (r *recording) line(line string) error {
	thread, text, _ := strings.Cut(line, " ")
	text = strings.TrimLeft(text, " ")
	switch {
	case strings.HasPrefix(text, "+++"), strings.HasPrefix(text, "---"):
		return nil
	case strings.HasPrefix(text, "<... "):
		c := r.open[thread]
		delete(r.open, thread)
		if c == nil {
			return errors.New("a call ends that has not begun")
		}
		return r.end(c, text)
	}
	begun, unfinished := strings.CutSuffix(text, " <unfinished ...>")
	c, err := r.begin(begun)
	if err != nil {
		return err
	}
	if unfinished {
		r.open[thread] = c
		return nil
	}
	return r.end(c, text)
}

func (r *recording) begin(text string) (*call, error) {
	name, rest, ok := strings.Cut(text, "(")
	if !ok {
		return nil, errors.New("not a call")
	}
	if end := strings.LastIndex(rest, ") = "); end >= 0 {
		rest = rest[:end]
	}
	rest = strings.TrimSuffix(strings.TrimRight(rest, " "), ")")
	c := &call{name: name, args: strings.Split(rest, ", "), finish: func() {}, undo: func() {}}
	return c, r.prepare(c)
}

// end is told of the result: a number, an error, or that nobody knows.
func (r *recording) end(c *call, text string) error {
	_, result, ok := cutLast(text, " = ")
	switch {
	case !ok:
		return errors.New("a call without a result")
	case strings.HasPrefix(result, "?"): // it was killed on its way
	case strings.HasPrefix(result, "-"):
		c.undo()
	default:
		if c.name == "pwrite64" {
			n, err := strconv.Atoi(result)
			if err != nil || strconv.Itoa(n) != c.args[2] {
				return errors.New("a write that was cut short")
			}
		}
		c.finish()
	}
	return nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// prepare works out what the call is to do.
func (r *recording) prepare(c *call) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("a call with other arguments than expected")
		}
	}()
	d := r.disk
	switch c.name {
	case "openat":
		path, ok := r.below(c.args[0], c.args[1])
		if !ok || !strings.Contains(c.args[2], "O_CREAT") && !strings.Contains(c.args[2], "O_TRUNC") {
			return nil
		}
		c.finish = func() {
			d.create(path, false)
			if strings.Contains(c.args[2], "O_TRUNC") {
				d.size(path, 0)
			}
		}
	case "mkdirat":
		if path, ok := r.below(c.args[0], c.args[1]); ok {
			c.finish = func() { d.create(path, true) }
		}
	case "unlinkat":
		if path, ok := r.below(c.args[0], c.args[1]); ok {
			c.finish = func() { d.remove(path) }
		}
	case "renameat", "renameat2":
		from, ok := r.below(c.args[0], c.args[1])
		to, okTo := r.below(c.args[2], c.args[3])
		if ok != okTo {
			return errors.New("a file moves in or out")
		}
		if ok {
			c.finish = func() { d.rename(from, to) }
		}
	case "linkat":
		from, ok := r.below(c.args[0], c.args[1])
		to, okTo := r.below(c.args[2], c.args[3])
		if ok != okTo {
			return errors.New("a file is linked in or out")
		}
		if ok {
			c.finish = func() { d.link(from, to) }
		}
	case "pwrite64":
		path, ok := r.below(c.args[0], "")
		if !ok {
			return nil
		}
		w := d.write(path, number64(c.args[3]), unhex(c.args[1]))
		c.finish = func() {
			w.done = true
			if d.wrote != nil {
				d.wrote(path, w)
			}
		}
		c.undo = func() { w.data = nil }
	case "ftruncate":
		path, ok := r.below(c.args[0], "")
		if ok {
			c.finish = func() { d.size(path, number64(c.args[1])) }
		}
	case "fallocate":
		if _, ok := r.below(c.args[0], ""); ok {
			return errors.New("not expected")
		}
	case "fsync", "fdatasync":
		path, ok := r.below(c.args[0], "")
		if ok {
			c.finish = d.sync(path)
		}
	}
	return nil
}

// below returns a path relative to the root, from a descriptor as strace writes
// it, and a name that belongs to it.
func (r *recording) below(descriptor, name string) (string, bool) {
	_, path, ok := strings.Cut(descriptor, "<")
	if !ok {
		return "", false
	}
	path = string(unhex(strings.TrimSuffix(path, ">")))
	if name != "" {
		if name := string(unhex(name)); filepath.IsAbs(name) {
			path = name
		} else {
			path = filepath.Join(path, name)
		}
	}
	rel, err := filepath.Rel(r.root, path)
	if err != nil || strings.HasPrefix(rel, "..") {
		return "", false
	}
	return rel, true
}

// unhex decodes a string of which strace has written each byte as \x and two
// digits.
func unhex(s string) []byte {
	b := []byte(strings.Trim(s, `"`))
	n := 0
	for i := 0; i+3 < len(b); i += 4 {
		b[n], b[n+1] = b[i+2], b[i+3]
		n += 2
	}
	out := make([]byte, n/2)
	if _, err := hex.Decode(out, b[:n]); err != nil {
		panic(err)
	}
	return out
}

func number64(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}
