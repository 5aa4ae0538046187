package historytest

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
)

// ErrNotLinearizable: no order of what was done explains what was answered.
var ErrNotLinearizable = errors.New("not linearizable")

const (
	// judgeTime bounds the search of one history.
	judgeTime = 20 * time.Second
	// textTime bounds it where it only makes the report shorter.
	textTime = time.Second
)

// judge checks all histories, until it finds one that is wrong, and shows that.
func (r *Run) judge() error {
	if r.absurd != nil {
		return fmt.Errorf("%w: an error of no kind: %w", ErrNotLinearizable, r.absurd)
	}
	model := rules{tombstones: r.load.Tombstones, ttl: r.offset(r.now.Add(life))}.model()
	var wrong atomic.Pointer[family]
	var undecided, next atomic.Int64
	var judges sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		judges.Go(func() {
			for wrong.Load() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(r.families) {
					return
				}
				switch porcupine.CheckOperationsTimeout(model, r.families[n].history, judgeTime) {
				case porcupine.Illegal:
					wrong.Store(r.families[n])
				case porcupine.Unknown:
					undecided.Add(1)
				default:
				}
			}
		})
	}
	judges.Wait()
	if f := wrong.Load(); f != nil {
		return fmt.Errorf("%w (seed %d):\n%s", ErrNotLinearizable, r.seed, f.text(model))
	}
	if n := undecided.Load(); n > 0 {
		return fmt.Errorf("%d histories of %d could not be checked in %v each (seed %d)", n, len(r.families), judgeTime, r.seed)
	}
	return nil
}

// text shows a history, as far as it is needed to see that it is wrong: up to
// the first return that nothing explains, where that is found soon enough.
func (f *family) text(model porcupine.Model) string {
	ops := slices.Clone(f.history)
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Return, b.Return) })
	needed := 1 + sort.Search(len(ops)-1, func(n int) bool {
		return porcupine.CheckOperationsTimeout(model, until(ops, n+1), textTime) == porcupine.Illegal
	})
	ops = until(ops, needed)
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, op := range ops {
		back := "-"
		if op.Return != int64(never) {
			back = time.Duration(op.Return).String()
		}
		fmt.Fprintf(&b, "client %d  %13v %13s  %v -> %v\n", op.ClientId, time.Duration(op.Call), back, op.Input, op.Output)
	}
	return b.String()
}

// until returns the history up to the n-th return: what returned later had no
// answer then, and what was called later was not there.
func until(ops []porcupine.Operation, n int) []porcupine.Operation {
	now := ops[n-1].Return
	var out []porcupine.Operation
	for i, op := range ops {
		switch c := op.Input.(call); {
		case i < n:
			out = append(out, op)
		case op.Call <= now && !c.kind.reads():
			op.Output, op.Return = result{failure: lost}, int64(never)
			out = append(out, op)
		}
	}
	return out
}

// String shows a call as it stands in a history.
func (c call) String() string {
	s := fmt.Sprintf("%s(%d", kindNames[c.kind], c.key)
	switch c.kind {
	case create, revive:
		s += fmt.Sprintf(", %v", c.new)
	case swap:
		s += fmt.Sprintf(", %v to %v", c.old, c.new)
	case regenerate, leave, arrive:
		s += fmt.Sprintf(", %v to %d as %v, grace %t", c.old, c.to, c.new, c.grace)
	case touch:
		s += fmt.Sprintf(", until %d", c.until)
	case begin, answer, abandon:
		s = fmt.Sprintf("%s(attempt %d, forget %t", kindNames[c.kind], c.attempt, c.forget)
	case remove:
		s += fmt.Sprintf(", revision %d", c.revision)
	default:
	}
	return s + ")"
}

func (v version) String() string {
	return fmt.Sprintf("[write %d, created %d, revision %d, expires %d]", v.write, v.created, v.revision, v.expires)
}

func (res result) String() string {
	if res.request != (request{}) {
		return fmt.Sprintf("plan %d, lease %d, answer %d, begun %t", res.request.plan, res.request.lease, res.request.answer, res.begun)
	}
	if res.failure != success || res.got == (version{}) {
		return failureNames[res.failure]
	}
	return fmt.Sprintf("%d %v", res.key, res.got)
}
