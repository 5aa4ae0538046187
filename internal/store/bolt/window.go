package bolt

import (
	"fmt"
	"io"
)

const (
	// maxAhead is how much of a file is read at a time, where it is read in
	// order.
	maxAhead = 256 << 10
	// maxGap is what order may leave out.
	maxGap = 4 << 10
)

// window is the part of a file that was read last: where what is asked for
// follows what was asked for before, more and more is read at a time.
type window struct {
	file io.ReaderAt
	size int64 // of the file
	data []byte
	off  int64 // of data
	// from and end are the bounds of what was asked for last.
	from, end int64
	next      int64 // how much is read next
}

// read returns bytes of the file. They are good until the next read.
func (w *window) read(off, size int64) ([]byte, error) {
	switch gap := off - w.end; {
	case gap >= 0 && gap <= maxGap:
		w.next = min(2*w.next, maxAhead)
	case off != w.from: // which is more of the same
		w.next = 0
	}
	w.from, w.end = off, off+size
	if off < w.off || w.end > w.off+int64(len(w.data)) {
		if err := w.fetch(off, min(max(size, w.next), w.size-off)); err != nil {
			return nil, err
		}
	}
	w.next = max(w.next, size)
	return w.data[off-w.off:][:size:size], nil
}

func (w *window) fetch(off, size int64) error {
	if int64(cap(w.data)) < size {
		w.data = make([]byte, size)
	}
	w.data, w.off = w.data[:size], off
	if _, err := w.file.ReadAt(w.data, off); err != nil {
		w.data = nil
		return fmt.Errorf("reading the data file: %w", err)
	}
	return nil
}
