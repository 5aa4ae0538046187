package datafile

import (
	"fmt"
	"io"
)

const (
	// maxAhead is the most that is read ahead of what was asked for.
	maxAhead = 256 << 10
	// maxGap is the most that sequential reads may skip.
	maxGap = 4 << 10
)

// Buffer reads ahead where reads are sequential: the more often one follows the one
// before, the more is read at a time. It is for one goroutine.
type Buffer struct {
	file io.ReaderAt
	size int64 // of the file
	data []byte
	off  int64 // of data
	// from and end are the bounds of the last read.
	from, end int64
	next      int64 // how much is read next
}

// NewBuffer returns a Buffer for a file of the size.
func NewBuffer(file io.ReaderAt, size int64) *Buffer { return &Buffer{file: file, size: size} }

// Read returns size bytes from the offset off on. They are valid until the next Read.
func (b *Buffer) Read(off, size int64) ([]byte, error) {
	switch gap := off - b.end; {
	case gap >= 0 && gap <= maxGap:
		b.next = min(2*b.next, maxAhead)
	case off != b.from: // which reads more of the same
		b.next = 0
	}
	b.from, b.end = off, off+size
	if off < b.off || b.end > b.off+int64(len(b.data)) {
		if err := b.fetch(off, min(max(size, b.next), b.size-off)); err != nil {
			return nil, err
		}
	}
	b.next = max(b.next, size)
	return b.data[off-b.off:][:size:size], nil
}

func (b *Buffer) fetch(off, size int64) error {
	if int64(cap(b.data)) < size {
		b.data = make([]byte, size)
	}
	b.data, b.off = b.data[:size], off
	if _, err := b.file.ReadAt(b.data, off); err != nil {
		b.data = nil
		return fmt.Errorf("reading the data file: %w", err)
	}
	return nil
}
