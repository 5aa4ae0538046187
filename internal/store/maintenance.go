package store

import (
	"context"
	"log/slog"
	"time"
)

const (
	// sweepLease is how long an instance that died holds up the sweeps of others.
	sweepLease = 10 * time.Second
	// overLimitInterval is how often the log says that the backend is over its
	// limits.
	overLimitInterval = time.Hour
	// clockInterval is how soon it shows that the clock was set.
	clockInterval = time.Second
)

// Sweep frees what has expired and returns how many sessions that were.
func (s *Sessions) Sweep(ctx context.Context, now time.Time) (int, error) {
	return s.backend.Sweep(ctx, now)
}

// SweepLoop sweeps each interval until ctx ends. Of instances that share the
// sessions, one does so at a time.
func (s *Sessions) SweepLoop(ctx context.Context, interval time.Duration, logger *slog.Logger) {
	each(ctx, interval, func(now time.Time) bool {
		if err := s.sweepAlone(ctx, now); err != nil && ctx.Err() == nil {
			logger.ErrorContext(ctx, "sweeping expired sessions", "error", err)
		}
		return true
	})
}

// sweepAlone does nothing while another instance sweeps.
func (s *Sessions) sweepAlone(ctx context.Context, now time.Time) error {
	unlock, held, err := s.Lock(ctx, "sweep", sweepLease)
	if err != nil || !held {
		return err
	}
	defer unlock()
	_, err = s.Sweep(ctx, now)
	return err
}

// OverLimitLoop says each hour, until ctx ends, if the backend holds more than its
// limits allow. The backend itself has said it when it was opened. policy is how
// it evicts.
func (s *Sessions) OverLimitLoop(ctx context.Context, policy string, logger *slog.Logger) {
	each(ctx, overLimitInterval, func(now time.Time) bool {
		if st, err := s.Stats(ctx, now); err == nil && st.OverLimit {
			logger.WarnContext(ctx, "the store still holds more than its limits allow: raise SESSION_MAX_ENTRIES or SESSION_MAX_MEMORY_BYTES, or end sessions",
				"sessions", st.Entries, "maxEntries", st.MaxEntries, "bytes", st.Bytes, "policy", policy)
		}
		return true
	})
}

// ClockLoop lets the backend see the clock each second, as long as it holds
// sessions back that a clock which is ahead may have ended, or until ctx ends.
func (s *Sessions) ClockLoop(ctx context.Context) {
	if s.can.clock == nil || s.can.clock.HeldBack() == 0 {
		return
	}
	each(ctx, clockInterval, func(now time.Time) bool {
		s.can.clock.LookAtClock(now)
		return s.can.clock.HeldBack() > 0
	})
}

// each calls do each interval until it returns false or ctx ends.
func each(ctx context.Context, interval time.Duration, do func(now time.Time) bool) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if !do(now) {
				return
			}
		}
	}
}
