package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Locker makes sure that one job at a time cleans, of all that share a store.
type Locker interface {
	// Lock acquires the lease of that name, and keeps it until unlock is called or the
	// process has been dead for the length of the lease. held is false if another
	// holder has it. The lease may be lost: two jobs that clean at once do no harm.
	Lock(ctx context.Context, name string, lease time.Duration) (unlock func(), held bool, err error)
}

// ErrBusy is returned if another instance was cleaning for as long as the caller waited.
var ErrBusy = errors.New("another instance is cleaning")

const (
	leaseName = "cleanup"
	// leaseDuration is how long the lease outlives an instance that died.
	leaseDuration = 10 * time.Second
	// busyTimeout is how long a run on request waits for another instance: longer than
	// the lease, and shorter than callers wait for an answer.
	busyTimeout = 15 * time.Second
	// leasePoll is the interval between two attempts.
	leasePoll = 100 * time.Millisecond
)

// acquireLease waits for the lease. With a wait of 0 it tries once.
func (j *Job) acquireLease(ctx context.Context, wait time.Duration) (unlock func(), err error) {
	if j.locker == nil {
		return func() {}, nil
	}
	waiting, cancel := context.WithTimeoutCause(ctx, wait, ErrBusy)
	defer cancel()
	for {
		unlock, held, err := j.locker.Lock(ctx, leaseName, leaseDuration)
		switch {
		case err != nil:
			return nil, fmt.Errorf("taking turns with other instances: %w", err)
		case held:
			return unlock, nil
		}
		select {
		case <-time.After(leasePoll):
		case <-waiting.Done():
			return nil, context.Cause(waiting)
		}
	}
}
