package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Locker lets one job at a time clean, of all those that share a store.
type Locker interface {
	// Lock takes the lease of that name, and keeps it until unlock is called or
	// the process has been dead for the length of the lease. held is false
	// where another has it. It need not be watertight: two jobs that clean at
	// once do no harm.
	Lock(ctx context.Context, name string, lease time.Duration) (unlock func(), held bool, err error)
}

// ErrBusy: another instance was cleaning all the time that the caller waited.
var ErrBusy = errors.New("another instance is cleaning")

const (
	leaseName = "cleanup"
	// lease is how long an instance that died holds the others up.
	lease = 10 * time.Second
	// busyTimeout is how long a run on request waits for another instance: longer
	// than for one that died, and not so long that its caller has left.
	busyTimeout = 15 * time.Second
	// leasePoll is how often it looks.
	leasePoll = 100 * time.Millisecond
)

// lock waits for the turn of this instance. Without a wait it tries once.
func (j *Job) lock(ctx context.Context, wait time.Duration) (unlock func(), err error) {
	if j.locker == nil {
		return func() {}, nil
	}
	waiting, cancel := context.WithTimeoutCause(ctx, wait, ErrBusy)
	defer cancel()
	for {
		unlock, held, err := j.locker.Lock(ctx, leaseName, lease)
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
