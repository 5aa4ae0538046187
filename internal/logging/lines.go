package logging

import (
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
)

const (
	// gatherFor is how long a line may wait for others, to be written with them.
	gatherFor = time.Millisecond
	// gatherMost is how many bytes of lines wait before their writers wait too.
	gatherMost = 64 << 10
	// stallAfter is how long a write to the output may take before nobody waits
	// for it any longer.
	stallAfter = 250 * time.Millisecond
	// stalledMost is how many bytes of lines are kept while the output stalls.
	// Lines beyond that are dropped, and counted.
	stalledMost = 1 << 20
	// closeFor is how long the last lines may take to be written.
	closeFor = 2 * time.Second
)

// Lines writes lines to an output in the order in which they come. One
// goroutine does all writing, so an output that blocks (a stopped pager, a full
// pipe) delays its callers by stallAfter at most, and not the requests after
// them.
//
// Write returns when its line is written, with all lines before it, or when the
// output stalls.
type Lines struct {
	w io.Writer
	// OnLoss, if set, is called in a goroutine of its own with the number of
	// lines that were dropped, once the output takes lines again.
	OnLoss func(lines int)

	// wake has a token when there is something to write, urgent when a caller
	// waits for it.
	wake, urgent chan struct{}
	// broken is closed when the output is found to have no reader.
	broken chan struct{}
	quit   chan struct{}
	ended  chan struct{}

	mu       sync.Mutex
	gathered []byte
	dropped  int
	stalled  bool
	// queued and written count bytes since the start.
	queued, written uint64
	err             error         // of the last write
	progress        chan struct{} // closed after each write, and made anew
}

// NewLines returns Lines that write to w until Close.
func NewLines(w io.Writer) *Lines {
	l := &Lines{
		w:    w,
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1),
		broken: make(chan struct{}), quit: make(chan struct{}), ended: make(chan struct{}),
		progress: make(chan struct{}),
	}
	go l.loop()
	return l
}

// Write implements io.Writer. The error is that of the output.
func (l *Lines) Write(line []byte) (int, error) {
	target, _ := l.add(line)
	wakeUp(l.wake)
	wakeUp(l.urgent)
	return len(line), l.await(target)
}

// Soon returns a writer for lines of which there are many. Its Write does not
// wait for the output, unless more than gatherMost bytes do. A line that comes
// alone is written at once; lines that come within gatherFor after others are
// written together, because a system call for each is most of what a line
// costs. A process that is killed loses what has gathered.
func (l *Lines) Soon() io.Writer { return gatherer{l} }

type gatherer struct{ *Lines }

// Write implements io.Writer.
func (l gatherer) Write(line []byte) (int, error) {
	target, waiting := l.add(line)
	wakeUp(l.wake)
	if waiting < gatherMost {
		return len(line), nil
	}
	wakeUp(l.urgent)
	return len(line), l.await(target)
}

// add queues a line, unless the output stalls and too much waits already. It
// returns the count of bytes that are written when the line is, and how many
// wait.
func (l *Lines) add(line []byte) (target uint64, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stalled && len(l.gathered)+len(line) > stalledMost {
		l.dropped++
		return l.queued, len(l.gathered)
	}
	l.gathered = append(l.gathered, line...)
	l.queued += uint64(len(line))
	return l.queued, len(l.gathered)
}

// await returns when as many bytes are written, or when the output stalls.
func (l *Lines) await(target uint64) error {
	stall := time.NewTimer(stallAfter)
	defer stall.Stop()
	for {
		l.mu.Lock()
		progress, done, err := l.progress, l.written >= target, l.err
		stalled := l.stalled
		l.mu.Unlock()
		switch {
		case done:
			return err
		case stalled:
			return nil
		}
		select {
		case <-progress:
		case <-l.ended:
			return errLogClosed
		case <-stall.C:
			l.mu.Lock()
			if l.progress == progress { // not one write has ended meanwhile
				l.stalled = true
			}
			l.mu.Unlock()
			return nil
		}
	}
}

var errLogClosed = errors.New("the log is closed")

// loop writes what is queued until Close.
func (l *Lines) loop() {
	defer close(l.ended)
	rest := time.NewTimer(gatherFor)
	defer rest.Stop()
	var spare []byte
	for {
		select {
		case <-l.wake:
		case <-l.quit:
			l.writeGathered(spare)
			return
		}
		spare = l.writeGathered(spare)
		rest.Reset(gatherFor)
		select {
		case <-rest.C:
		case <-l.urgent:
		case <-l.quit:
		}
	}
}

// writeGathered writes what is queued, and returns a buffer for the next call.
func (l *Lines) writeGathered(spare []byte) []byte {
	l.mu.Lock()
	lines := l.gathered
	l.gathered = spare[:0]
	l.mu.Unlock()
	var err error
	if len(lines) > 0 {
		_, err = l.w.Write(lines)
	}
	l.mu.Lock()
	dropped := l.dropped
	l.dropped, l.stalled, l.err = 0, false, err
	l.written += uint64(len(lines))
	close(l.progress)
	l.progress = make(chan struct{})
	l.mu.Unlock()
	if errors.Is(err, syscall.EPIPE) {
		l.reportBroken()
	}
	if dropped > 0 && l.OnLoss != nil {
		go l.OnLoss(dropped) // which writes a line itself
	}
	if cap(lines) > 2*gatherMost {
		return nil // many wrote at once
	}
	return lines
}

// Broken is closed when the output is found to have no reader (EPIPE).
func (l *Lines) Broken() <-chan struct{} { return l.broken }

// reportBroken closes broken. Only loop calls it.
func (l *Lines) reportBroken() {
	select {
	case <-l.broken:
	default:
		close(l.broken)
	}
}

// Close writes what is queued, for closeFor at most, and ends the goroutine.
func (l *Lines) Close() {
	close(l.quit)
	late := time.NewTimer(closeFor)
	defer late.Stop()
	select {
	case <-l.ended:
	case <-late.C:
	}
}

// wakeUp leaves a token in c, if there is none.
func wakeUp(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
