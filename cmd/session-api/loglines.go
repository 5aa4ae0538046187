package main

import (
	"io"
	"sync"
	"time"
)

const (
	// gatherFor is how long a line may wait for others, to be written with them.
	gatherFor = time.Millisecond
	// gatherMost is how many bytes of lines wait: who brings more writes them.
	gatherMost = 64 << 10
)

// logLines writes lines in the order in which they come, one after the other.
// Those of Write are written when it returns, with all that came before.
type logLines struct {
	w io.Writer

	mu       sync.Mutex
	gathered []byte
	resting  bool // the timer runs: somebody writes what is gathered after it
	timer    *time.Timer

	writing sync.Mutex // before mu
	spare   []byte     // to gather in
}

func newLogLines(w io.Writer) *logLines {
	l := &logLines{w: w, resting: true}
	l.timer = time.AfterFunc(gatherFor, l.rested)
	return l
}

// Write implements io.Writer.
func (l *logLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	l.gathered = append(l.gathered, line...)
	l.mu.Unlock()
	return len(line), l.flush()
}

// soon returns a writer for lines of which there are many. One that comes alone
// is written at once. Those that come within gatherFor after others are written
// together, at the end of that time: a system call for each is most of what a
// line costs, and many at once are in each other's way. A process that is killed
// takes with it what has gathered.
func (l *logLines) soon() io.Writer { return gatherer{l} }

type gatherer struct{ *logLines }

// Write implements io.Writer. What waits is bounded: where lines come faster
// than they can be written, it returns when they are.
func (l gatherer) Write(line []byte) (int, error) {
	l.mu.Lock()
	l.gathered = append(l.gathered, line...)
	due := !l.resting || len(l.gathered) >= gatherMost
	if !l.resting {
		l.resting = true
		l.timer.Reset(gatherFor)
	}
	l.mu.Unlock()
	if due {
		return len(line), l.flush()
	}
	return len(line), nil
}

// rested writes what has gathered since the last time, and rests again; where
// there is nothing, the next line is written at once.
func (l *logLines) rested() {
	l.mu.Lock()
	l.resting = len(l.gathered) > 0
	due := l.resting
	l.mu.Unlock()
	if due {
		_ = l.flush() // a log that cannot be written fails no request
		l.timer.Reset(gatherFor)
	}
}

// flush writes what has gathered, and returns when it is written, whoever does
// it.
func (l *logLines) flush() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	lines := l.gathered
	l.gathered = l.spare[:0]
	l.mu.Unlock()
	if l.spare = lines; cap(lines) > 2*gatherMost {
		l.spare = nil // many wrote at once
	}
	if len(lines) == 0 {
		return nil
	}
	_, err := l.w.Write(lines)
	return err
}
