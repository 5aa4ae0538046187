package jwt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// States is what the shared keys are kept in; backend.States says how.
type States interface {
	LoadState(ctx context.Context, name string) ([]byte, error)
	SwapState(ctx context.Context, name string, old, next []byte) error
}

// stateName is the name of the state of the keys.
const stateName = "jwt-keys"

// sharedKeys are the keys that the instances make and share.
type sharedKeys struct {
	states   States
	schedule schedule
	logger   *slog.Logger
	current  atomic.Pointer[keyset]
	// turn is a mutex over the rest, which can be waited for with a context.
	turn    chan struct{}
	sealers []sealer
	// failedAt is when the shared keys could last not be read; zero since they could.
	failedAt time.Time
}

// retryAfter is how long an instance that cannot read the shared keys goes on with those
// that it has before it tries again.
const retryAfter = 5 * time.Second

func newSharedKeys(states States, s schedule, secrets [][]byte, logger *slog.Logger) (*sharedKeys, error) {
	sealers, err := newSealers(secrets)
	if err != nil {
		return nil, err
	}
	return &sharedKeys{states: states, schedule: s, logger: logger, turn: make(chan struct{}, 1), sealers: sealers}, nil
}

// setSecrets replaces the secrets that seal. What they open is read again.
func (s *sharedKeys) setSecrets(secrets [][]byte) error {
	sealers, err := newSealers(secrets)
	if err != nil {
		return err
	}
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	s.sealers = sealers
	s.current.Store(nil)
	return nil
}

// age is how long ago the set was compared with the shared one. A clock that was set back
// makes it old.
func (s *keyset) age(now time.Time) time.Duration { return now.Sub(s.checkedAt).Abs() }

// usable reports whether the set can be used where no newer one is to be had: no other
// instance can sign yet with a key that is not in it.
func (s *sharedKeys) usable(set *keyset, now time.Time) bool {
	return set != nil && set.age(now) < s.schedule.lead()/2
}

// get returns the keys. Where they have not been compared with the shared ones for a
// while it does that, and makes the keys that there have to be. Of many callers one does,
// and the others get what there is.
func (s *sharedKeys) get(ctx context.Context, now time.Time) (*keyset, error) {
	set := s.current.Load()
	if set != nil && set.age(now) < s.schedule.reload() {
		return set, nil
	}
	if s.usable(set, now) {
		select {
		case s.turn <- struct{}{}:
		default:
			return set, nil
		}
	} else {
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the keys: %w", context.Cause(ctx))
		}
	}
	defer func() { <-s.turn }()
	if set = s.current.Load(); set != nil && set.age(now) < s.schedule.reload() { // another caller was faster
		return set, nil
	}
	if s.usable(set, now) && !s.failedAt.IsZero() && now.Sub(s.failedAt).Abs() < retryAfter {
		return set, nil
	}
	fresh, err := s.refresh(ctx, now)
	if err == nil {
		return fresh, nil
	}
	if !s.usable(set, now) {
		return nil, err
	}
	if ctx.Err() == nil {
		s.failedAt = now
		s.logger.WarnContext(ctx, "the shared keys of JWTs cannot be read: those read before are in use", "error", err)
	}
	return set, nil
}

// find returns the key of that id, nil if there is none. One that is not known here may
// be on another instance.
func (s *sharedKeys) find(ctx context.Context, now time.Time, id string) (*key, error) {
	set, err := s.get(ctx, now)
	if err != nil {
		return nil, err
	}
	if k := set.byID[id]; k != nil || set.age(now) < leastReload {
		return k, nil
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the keys: %w", context.Cause(ctx))
	}
	defer func() { <-s.turn }()
	if set = s.current.Load(); set == nil || set.age(now) >= leastReload {
		if set, err = s.refresh(ctx, now); err != nil {
			return nil, err
		}
	}
	return set.byID[id], nil
}

// leastReload bounds how often keys are read again because a token names one that is not
// known.
const leastReload = time.Second

// maxAttempts is how often the state is read again because others change it. Of those that
// change it, one succeeds each time, and the rest have nothing left to do.
const maxAttempts = 16

// refresh reads the shared keys, and changes them where that is due. The caller has the
// turn.
func (s *sharedKeys) refresh(ctx context.Context, now time.Time) (*keyset, error) {
	now = now.UTC().Truncate(time.Millisecond)
	var before []byte
	var swapErr error
	for range maxAttempts {
		raw, err := s.states.LoadState(ctx, stateName)
		if err != nil {
			return nil, fmt.Errorf("reading the keys of JWTs: %w", err)
		}
		if swapErr != nil && bytes.Equal(raw, before) { // nobody was faster
			return nil, fmt.Errorf("writing the keys of JWTs: %w", swapErr)
		}
		keys, complete, err := openState(raw, s.sealers, now)
		switch {
		case errors.Is(err, errNewer):
			return nil, fmt.Errorf("reading the keys of JWTs: %w", err)
		case err != nil:
			s.logger.ErrorContext(ctx, "a copy of the keys of JWTs is replaced", "error", err)
		}
		keys, changed, err := s.schedule.advance(keys, now)
		if err != nil {
			return nil, err
		}
		set, err := newKeyset(keys, now)
		if err != nil {
			return nil, err
		}
		if changed || !complete {
			next, err := sealState(raw, s.sealers, keys, now)
			if err != nil {
				return nil, err
			}
			if swapErr = s.states.SwapState(ctx, stateName, raw, next); swapErr != nil {
				before = raw
				continue
			}
			s.report(ctx, set)
		}
		s.failedAt = time.Time{}
		s.current.Store(set)
		return set, nil
	}
	return nil, errors.Join(errors.New("writing the keys of JWTs: others change them all the time"), swapErr)
}

// report logs which keys this instance has made or removed.
func (s *sharedKeys) report(ctx context.Context, set *keyset) {
	ids := make([]string, len(set.keys))
	for i, k := range set.keys {
		ids[i] = k.id
	}
	last := set.keys[len(set.keys)-1]
	s.logger.InfoContext(ctx, "the keys of JWTs have changed", "published", ids, "last", last.id, "algorithm", last.algorithm, "signsFrom", last.signsFrom)
}
