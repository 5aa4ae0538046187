package audit

// Output is where a Log under test writes.
type Output interface {
	Write(lines []byte) error
	Sync() error
}

type testOutput struct{ Output }

func (o testOutput) write(lines []byte) error { return o.Write(lines) }
func (o testOutput) sync() error              { return o.Sync() }
func (testOutput) close() error               { return nil }
func (testOutput) recovery() *Entry           { return nil }

// NewTo returns a Log with a new chain that is written to out.
func NewTo(out Output, o Options) *Log {
	l := newLog(o, testOutput{out}, position{})
	go l.loop()
	return l
}

const (
	MaxWaiting = maxWaiting
	RetryAfter = retryAfter
	SyncAfter  = syncAfter
)
