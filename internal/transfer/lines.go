package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// batch is a number of lines that are in memory at once.
type batch struct {
	lines [][]byte
	// truncated reports that the last line has no line break.
	truncated bool
	// err is the error after the lines; io.EOF at the end of the input.
	err error
}

const (
	batchLines = 256
	batchBytes = 4 << 20

	// readAhead is the size of the read buffer.
	readAhead = 1 << 20

	// recordHead bounds the length of a record without its document.
	recordHead = 4 << 10
)

// readBatch reads lines of at most limit bytes. It waits for the first line only, and
// takes further ones from the buffer.
func readBatch(r *bufio.Reader, limit int) (b batch) {
	for size := 0; ; {
		line, ended, err := readLine(r, limit)
		if err != nil {
			b.err = err
			return b
		}
		b.lines, b.truncated = append(b.lines, line), !ended
		if size += len(line); size >= batchBytes || len(b.lines) == batchLines || !hasLine(r) {
			return b
		}
	}
}

// hasLine reports whether the buffer holds a whole line.
func hasLine(r *bufio.Reader) bool {
	there, _ := r.Peek(r.Buffered()) // does not read
	return bytes.IndexByte(there, '\n') >= 0
}

// ErrLineTooLong is returned for a line longer than any record.
var ErrLineTooLong = errors.New("the line is longer than the largest session's")

// readLine reads a line of at most limit bytes, or skips one of any length if limit is
// negative. ended reports whether it has a line break. It returns io.EOF at the end.
func readLine(r *bufio.Reader, limit int) (line []byte, ended bool, err error) {
	for some := false; ; some = true {
		part, err := r.ReadSlice('\n')
		if limit >= 0 {
			line = append(line, part...)
			if len(line) > limit {
				return nil, false, ErrLineTooLong
			}
		}
		switch {
		case err == nil:
			return line, true, nil
		case errors.Is(err, io.EOF) && (some || len(part) > 0):
			return line, false, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, false, err
		}
	}
}
