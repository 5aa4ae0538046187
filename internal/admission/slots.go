package admission

import (
	"context"
	"time"
)

// Slots are for work that keeps a processor busy.
type Slots struct{ taken chan struct{} }

// NewSlots returns n slots.
func NewSlots(n int) Slots { return Slots{make(chan struct{}, n)} }

// Do runs work in a slot. It returns ErrTimeout if no slot became free within five
// seconds, ctx's error if it was done before, and work's error otherwise.
func (s Slots) Do(ctx context.Context, work func() error) error {
	select {
	case s.taken <- struct{}{}:
	default:
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		select {
		case s.taken <- struct{}{}:
		case <-timer.C:
			return ErrTimeout
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-s.taken }()
	return work()
}
