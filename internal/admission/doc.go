// Package admission bounds how much of a kind of work is in progress at once, and
// decides whose work is next: a [Semaphore] of bytes in memory, fair among clients, and
// [Slots] of processors.
//
// What is not admitted in time fails with [ErrTimeout], so that a service under
// overload answers instead of queueing without bound.
package admission

import "errors"

// ErrTimeout is returned for what was not admitted in time.
var ErrTimeout = errors.New("admission: timed out")
