package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"session-api/internal/filelock"
)

// fileMode lets nobody read the file but its owner.
const fileMode = 0o600

// file is an output that is a file. Lines are only ever appended to it.
type file struct {
	path string
	f    *os.File
	size int64 // up to the end of the last whole line
	// torn is what follows after size, and cannot be cut off.
	torn []byte
	// unended: that line lacks its line break.
	unended bool
}

// openFile opens the file of a path, or creates it, and returns where its chain has got
// to. Nothing else may be writing it.
func openFile(path string) (*file, position, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // opening a FIFO would block
		return nil, position{}, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, fileMode) //nolint:gosec // the operator names it
	if err != nil {
		return nil, position{}, err
	}
	opened := &file{path: path, f: f}
	if !filelock.Try(f) {
		return nil, position{}, errors.Join(fmt.Errorf("%s is in use by another process", path), f.Close())
	}
	at, err := opened.resume()
	if err != nil {
		return nil, position{}, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return opened, at, nil
}

// errForeign: the file holds something else than an audit log.
var errForeign = errors.New("the file is not empty, and its last megabyte has no whole line of an audit log: name another file, or move it away")

// resume reads the last whole line, and what a crash may have left after it.
func (o *file) resume() (at position, err error) {
	info, err := o.f.Stat()
	if err != nil || info.Size() == 0 {
		return at, err
	}
	from := max(0, info.Size()-maxLine)
	tail := make([]byte, info.Size()-from)
	if _, err := o.f.ReadAt(tail, from); err != nil && !errors.Is(err, io.EOF) {
		return at, err
	}
	// What ends with a line break was written to the end, unless the system crashed.
	for end := bytes.LastIndexByte(tail, '\n'); end >= 0; {
		begin := bytes.LastIndexByte(tail[:end], '\n') + 1
		text := tail[begin:end]
		if l, err := parseLine(text); err == nil {
			o.size, o.torn = from+int64(end)+1, bytes.Clone(tail[end+1:])
			return o.resumeUnended(position{l.Chain, l.Sequence, sha256.Sum256(text)}), nil
		}
		end = begin - 1
	}
	return at, errForeign
}

// resumeUnended accepts a last line that lacks nothing but its line break.
func (o *file) resumeUnended(at position) position {
	l, err := parseLine(o.torn)
	if err != nil || l.Chain != at.chain || l.Sequence != at.sequence+1 || l.Previous != at.last.String() {
		return at
	}
	at = position{l.Chain, l.Sequence, sha256.Sum256(o.torn)}
	o.size += int64(len(o.torn))
	o.torn, o.unended = nil, true
	return at
}

// recovery returns the entry that says what there is after the last whole line, nil for
// nothing.
func (o *file) recovery() *Entry {
	if len(o.torn) == 0 {
		return nil
	}
	return &Entry{
		Actor: System, Act: LogRecovered, Outcome: Done,
		Details: map[string]any{"bytes": len(o.torn), "sha256": hash(sha256.Sum256(o.torn)).String()},
	}
}

// write implements output. Where it fails, it cuts off what was written of the lines.
func (o *file) write(lines []byte) error {
	if len(o.torn) > 0 || o.unended {
		lines = append([]byte("\n"), lines...)
	}
	n, err := o.f.Write(lines)
	if err == nil {
		o.size += int64(len(o.torn) + n)
		o.torn, o.unended = nil, false
		return nil
	}
	if n > 0 {
		whole := o.size + int64(len(o.torn))
		if cut := o.f.Truncate(whole); cut != nil { // an attribute of the file can forbid it
			o.torn = append(o.torn, lines[:n]...)
		}
	}
	return withoutPath(err)
}

// sync implements output.
func (o *file) sync() error { return withoutPath(o.f.Sync()) }

// close implements output.
func (o *file) close() error { return o.f.Close() }

// isCurrent reports whether the path still leads to the file.
func (o *file) isCurrent() bool {
	named, err := os.Stat(o.path)
	if err != nil {
		return false
	}
	opened, err := o.f.Stat()
	return err == nil && os.SameFile(named, opened)
}

// withoutPath returns the cause of an error of a file. The caller names the file.
func withoutPath(err error) error {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err
	}
	return err
}

// stream is an output that is written and nothing else, such as the standard output.
type stream struct{ w io.Writer }

func (o stream) write(lines []byte) error { _, err := o.w.Write(lines); return err }
func (stream) sync() error                { return nil }
func (stream) close() error               { return nil }
func (stream) recovery() *Entry           { return nil }
