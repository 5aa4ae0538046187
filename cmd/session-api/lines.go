package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// batch is some lines of an import, which are in memory together.
type batch struct {
	// before is how many lines come before it.
	before int64
	lines  [][]byte
	// cut: the last line has no line break.
	cut bool
	// err is why no batch follows, where that is not the end of the input.
	err error
}

const (
	batchLines = 256
	batchBytes = 4 << 20

	// recordHead is more than a record has beside the document.
	recordHead = 4 << 10
)

// readBatches reads lines after the first skip ones, and closes out at their
// end or with ctx. A batch does not wait for lines that are not there yet.
func readBatches(ctx context.Context, in io.Reader, skip int64, maxDocument int, out chan<- batch) {
	defer close(out)
	r := bufio.NewReaderSize(in, 1<<20)
	send := func(b batch) bool {
		select {
		case out <- b:
			return b.err == nil
		case <-ctx.Done():
			return false
		}
	}
	for n := range skip {
		if _, _, err := readLine(r, -1); err != nil {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: %d", errFewLines, n)
			}
			send(batch{before: skip, err: err})
			return
		}
	}
	b := batch{before: skip}
	for size := 0; ; {
		line, ended, err := readLine(r, maxDocument+recordHead)
		if err == nil {
			b.lines, b.cut = append(b.lines, line), !ended
			if size += len(line); size < batchBytes && len(b.lines) < batchLines && hasLine(r) {
				continue
			}
		} else if !errors.Is(err, io.EOF) {
			b.err = fmt.Errorf("line %d: %w", b.before+int64(len(b.lines))+1, err)
		}
		if !send(b) || err != nil {
			return
		}
		b, size = batch{before: b.before + int64(len(b.lines))}, 0
	}
}

// hasLine reports whether a whole line can be read without waiting.
func hasLine(r *bufio.Reader) bool {
	there, _ := r.Peek(r.Buffered()) // it never asks for more than there is
	return bytes.IndexByte(there, '\n') >= 0
}

// errLongLine: a line that no session makes.
var errLongLine = errors.New("the line is longer than SESSION_MAX_BYTES lets a session be")

// errFewLines: more lines are to be left out than there are.
var errFewLines = errors.New("-skip is more than the lines that there are")

// readLine reads a line of at most limit bytes, or goes past one of any length
// where limit is negative. ended reports whether it has a line break. At the
// end the error is io.EOF.
func readLine(r *bufio.Reader, limit int) (line []byte, ended bool, err error) {
	for some := false; ; some = true {
		part, err := r.ReadSlice('\n')
		if limit >= 0 {
			line = append(line, part...)
			if len(line) > limit {
				return nil, false, errLongLine
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
