package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// batch is some lines of an import, which are in memory together.
type batch struct {
	lines [][]byte
	// cut: the last line has no line break.
	cut bool
	// err is why no batch follows; io.EOF at the end of the input.
	err error
}

const (
	batchLines = 256
	batchBytes = 4 << 20

	// readAhead is how much is asked for at a time.
	readAhead = 1 << 20

	// recordHead is more than a record has beside the document.
	recordHead = 4 << 10
)

// readBatch reads lines of at most limit bytes. It waits for the first, and
// takes of those after it what is there.
func readBatch(r *bufio.Reader, limit int) (b batch) {
	for size := 0; ; {
		line, ended, err := readLine(r, limit)
		if err != nil {
			b.err = err
			return b
		}
		b.lines, b.cut = append(b.lines, line), !ended
		if size += len(line); size >= batchBytes || len(b.lines) == batchLines || !hasLine(r) {
			return b
		}
	}
}

// hasLine reports whether a whole line can be read without waiting.
func hasLine(r *bufio.Reader) bool {
	there, _ := r.Peek(r.Buffered()) // it never asks for more than there is
	return bytes.IndexByte(there, '\n') >= 0
}

// ErrLongLine: a line that no session makes.
var ErrLongLine = errors.New("the line is longer than the largest session's")

// readLine reads a line of at most limit bytes, or goes past one of any length
// where limit is negative. ended reports whether it has a line break. At the
// end the error is io.EOF.
func readLine(r *bufio.Reader, limit int) (line []byte, ended bool, err error) {
	for some := false; ; some = true {
		part, err := r.ReadSlice('\n')
		if limit >= 0 {
			line = append(line, part...)
			if len(line) > limit {
				return nil, false, ErrLongLine
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
