package bolt

import "time"

// What had expired before the file was opened is not loaded; it is taken back
// all the same, in the first transactions: if the clock was wrong, and is set
// back, it must not come to life at the next opening.

// batchRetract is how many entries are taken back with a transaction.
const batchRetract = 4096

// retract takes back what the entries of these numbers say, unless a later
// one has done so, of sessions and of graces. Keys of sessions stay taken for
// the window from their deadlines on. It returns how many of them are
// done. It comes early in a transaction, like compact.
func (w *writer) retract(numbers []uint64, window time.Duration) int {
	numbers = numbers[:min(len(numbers), batchRetract)]
	for _, n := range numbers {
		number := appendNumber(w.scratch[:0], n)
		value := w.log.Get(number)
		if value == nil {
			continue // it was collected
		}
		e, err := openEntry(number, value)
		if err != nil {
			w.fail(err)
			break
		}
		switch {
		case e.kind == sessionKind && w.index.of(e.key) == at(n, true):
			_, _, expires, _, err := e.times()
			if err != nil {
				w.fail(err)
				break
			}
			w.setTombstone(e.key, lapsed(expires, window))
		case e.kind == graceKind && !w.graces.leads(e.key):
			w.leadNowhere(e.key)
		}
	}
	return len(numbers)
}
