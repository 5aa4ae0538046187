package audit

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// DefaultPatience is how long an entry is waited for.
	DefaultPatience = 2 * time.Second
	// maxWaiting is how many entries wait to be written at most.
	maxWaiting = 10_000
	// maxBatch is how many are written at once.
	maxBatch = 256
	// retryAfter is how long a failed output is left alone.
	retryAfter = time.Second
	// syncAfter is how long a written entry may not be on the disk.
	syncAfter = time.Second
	// closeFor is how long Close may take.
	closeFor = 2 * time.Second
)

// ErrUnwritten: an entry was not written in time. It is written later, if that becomes
// possible.
var ErrUnwritten = errors.New("the audit log cannot be written")

// Options are the settings of a Log.
type Options struct {
	// Sync has each entry on the disk before Append returns. Without it, the system has
	// it, so that it outlives the process, and the disk a second later.
	Sync bool
	// Patience bounds how long Append waits; DefaultPatience by default.
	Patience time.Duration
	Now      func() time.Time // time.Now by default
	Logger   *slog.Logger     // nil for none
}

// output is where the lines go.
type output interface {
	// write writes all of the lines. Where it fails, it is as if it had written none, but
	// for what recovery has to say before the next lines.
	write(lines []byte) error
	sync() error
	close() error
	// recovery returns the entry that has to come next, nil for none.
	recovery() *Entry
}

// Log writes entries. One goroutine does all writing, several entries at once where they
// come at once, so that an output that blocks delays nobody for longer than the patience.
// What cannot be written is kept, up to 10,000 entries, and written later; an entry of
// its own says how many were lost.
type Log struct {
	o      Options
	path   string // of a file
	wake   chan struct{}
	reopen chan chan error
	quit   chan struct{}
	ended  chan struct{}

	mu      sync.Mutex
	waiting []*pending
	lost    int  // since the last entry about it
	failing bool // nothing can be written, as far as is known
	closed  bool

	failures, losses atomic.Int64
	sequence         atomic.Uint64

	// The rest is the goroutine's.
	out      output
	at       position
	unsynced time.Time // when the first entry was written that may not be on the disk
}

// pending is an entry that waits to be written.
type pending struct {
	entry Entry
	done  chan error // has room for one
	told  bool       // that it failed
}

// OpenFile returns a Log that appends to the file of a path, and goes on with its chain.
// Nothing else may write the file.
func OpenFile(path string, o Options) (*Log, error) {
	out, at, err := openFile(path)
	if err != nil {
		return nil, err
	}
	l := newLog(o, out, at)
	l.path = path
	go l.loop()
	return l, nil
}

// NewStream returns a Log with a new chain that is written to w, where other lines may
// come between.
func NewStream(w io.Writer, o Options) *Log {
	l := newLog(o, stream{w}, position{})
	go l.loop()
	return l
}

func newLog(o Options, out output, at position) *Log {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Patience <= 0 {
		o.Patience = DefaultPatience
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		o: o, out: out, at: at,
		wake: make(chan struct{}, 1), reopen: make(chan chan error), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	if l.at.chain == "" {
		var name [8]byte
		_, _ = rand.Read(name[:]) // never fails
		l.at.chain = hex.EncodeToString(name[:])
	}
	l.sequence.Store(l.at.sequence)
	return l
}

// Ready returns ErrUnwritten if an entry could not be written now, as far as is known.
func (l *Log) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.failing || len(l.waiting) >= maxWaiting {
		return ErrUnwritten
	}
	return nil
}

// Failures is how many entries were not written in time.
func (l *Log) Failures() int64 { return l.failures.Load() }

// Losses is how many of these will not be written later either.
func (l *Log) Losses() int64 { return l.losses.Load() }

// Sequence is the number of the last entry that was written.
func (l *Log) Sequence() uint64 { return l.sequence.Load() }

// Append writes an entry, with the present time if it has none. It returns once that is
// written, or ErrUnwritten: then it is written later, if that becomes possible. It does
// not wait while the log is failing.
func (l *Log) Append(e Entry) error {
	if e.Time.IsZero() {
		e.Time = l.o.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	one := &pending{entry: e, done: make(chan error, 1)}
	l.mu.Lock()
	if l.closed || len(l.waiting) >= maxWaiting {
		l.lost++
		l.mu.Unlock()
		l.losses.Add(1)
		l.failures.Add(1)
		return ErrUnwritten
	}
	l.waiting = append(l.waiting, one)
	failing := l.failing
	l.mu.Unlock()
	if failing { // the goroutine tries again by itself
		l.failures.Add(1)
		return ErrUnwritten
	}
	l.wakeUp()
	late := time.NewTimer(l.o.Patience)
	defer late.Stop()
	select {
	case err := <-one.done:
		if err != nil {
			l.failures.Add(1)
		}
		return err
	case <-l.ended:
		select {
		case err := <-one.done:
			return err
		default:
		}
	case <-late.C:
		l.fail(fmt.Errorf("nothing was written for %v", l.o.Patience))
		l.wakeUp() // in case that it was written just now
	}
	l.failures.Add(1)
	return ErrUnwritten
}

// wakeUp lets the goroutine look at what waits.
func (l *Log) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// fail notes that the log cannot be written, and logs it once.
func (l *Log) fail(cause error) {
	l.mu.Lock()
	before := l.failing
	l.failing = true
	l.mu.Unlock()
	if !before {
		l.o.Logger.Error("the audit log cannot be written; entries are kept in memory meanwhile", "error", cause)
	}
}

// recovered notes that the log can be written.
func (l *Log) recovered() {
	l.mu.Lock()
	before := l.failing
	l.failing = false
	l.mu.Unlock()
	if before {
		l.o.Logger.Warn("the audit log is written again", "sequence", l.sequence.Load(), "lost", l.losses.Load())
	}
}

// loop writes until Close.
func (l *Log) loop() {
	defer close(l.ended)
	timer := time.NewTimer(syncAfter)
	defer timer.Stop()
	for {
		select {
		case <-l.wake:
		case <-timer.C:
		case result := <-l.reopen:
			result <- l.rotate()
		case <-l.quit:
			l.writeWaiting()
			if !l.unsynced.IsZero() {
				_ = l.out.sync() // it is in the system's hands
			}
			_ = l.out.close() // as above
			return
		}
		failed := !l.writeWaiting()
		if wait := l.syncSoon(); failed || wait > 0 {
			if failed {
				wait = retryAfter
			}
			timer.Reset(wait)
		}
	}
}

// syncSoon syncs what was written if it is time, and otherwise returns how long there is.
func (l *Log) syncSoon() time.Duration {
	if l.unsynced.IsZero() || l.o.Sync {
		return 0
	}
	if wait := syncAfter - time.Since(l.unsynced); wait > 0 {
		return wait
	}
	if err := l.sync(); err != nil {
		l.failures.Add(1)
		l.o.Logger.Error("the audit log may not be on the disk", "error", err)
		l.unsynced = time.Time{} // the system does not try again what it could not write
	}
	return 0
}

// sync has on the disk what was written.
func (l *Log) sync() error {
	err := l.out.sync()
	if err == nil {
		l.unsynced = time.Time{}
	}
	return err
}

// writeWaiting writes what waits, and reports whether it could.
func (l *Log) writeWaiting() bool {
	for {
		if l.o.Sync && !l.unsynced.IsZero() {
			if err := l.sync(); err != nil {
				l.fail(err)
				return false
			}
		}
		l.mu.Lock()
		batch := l.waiting[:min(len(l.waiting), maxBatch)]
		lost := l.lost
		l.mu.Unlock()
		if len(batch) == 0 && lost == 0 {
			l.recovered()
			return true
		}
		err := l.writeBatch(batch, lost)
		if err == nil {
			l.mu.Lock()
			if l.waiting = l.waiting[len(batch):]; len(l.waiting) == 0 {
				l.waiting = nil // and the room of many
			}
			l.lost -= lost
			l.mu.Unlock()
			if l.unsynced.IsZero() {
				l.unsynced = time.Now()
			}
			if l.o.Sync {
				err = l.sync()
			}
		}
		if err != nil {
			l.fail(err)
			err = ErrUnwritten
		}
		for _, one := range batch {
			one.tell(err)
		}
		if err != nil {
			return false
		}
	}
}

// tell says what became of an entry, the first time.
func (p *pending) tell(err error) {
	if !p.told {
		p.told = true
		p.done <- err
	}
}

// writeBatch writes entries, and how many were lost.
func (l *Log) writeBatch(batch []*pending, lost int) error {
	at, now := l.at, l.o.Now().UTC().Truncate(time.Millisecond)
	var lines []byte
	var err error
	add := func(e *Entry) {
		if err == nil {
			lines, err = at.appendLine(lines, e)
		}
	}
	if e := l.out.recovery(); e != nil {
		e.Time = now
		add(e)
	}
	if at.sequence == 0 {
		add(&Entry{Time: now, Actor: System, Act: LogBegun, Outcome: Done})
	}
	for _, one := range batch {
		add(&one.entry)
	}
	if lost > 0 {
		add(&Entry{Time: now, Actor: System, Act: LogLost, Outcome: Failed, Details: map[string]any{"count": lost}})
	}
	if err == nil {
		err = l.out.write(lines)
	}
	if err != nil {
		return err
	}
	l.at = at
	l.sequence.Store(at.sequence)
	return nil
}

// Close writes what waits, for two seconds at most, and closes the output.
func (l *Log) Close() error {
	l.mu.Lock()
	before := l.closed
	l.closed = true
	l.mu.Unlock()
	if before {
		return nil
	}
	close(l.quit)
	late := time.NewTimer(closeFor)
	defer late.Stop()
	select {
	case <-l.ended:
	case <-late.C:
		return ErrUnwritten
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) > 0 {
		return fmt.Errorf("%w: %d entries are lost", ErrUnwritten, len(l.waiting))
	}
	return nil
}
