package api

import (
	"sync"
	"time"
)

const (
	// hintEvery is how often one thing is hinted at.
	hintEvery = time.Minute
	// maxHints is how many different things are in that time: what is hinted at
	// may be what strangers send.
	maxHints = 100
)

// hints are lines of the log that tell an operator of a setting. Each comes once
// in a while, however often there is a reason for it.
type hints struct {
	mu    sync.Mutex
	given map[string]time.Time
}

// due reports whether it is time for the hint, and counts it as given then.
func (h *hints) due(about string, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if isRecent(h.given[about], now) {
		return false
	}
	if _, known := h.given[about]; !known && len(h.given) >= maxHints {
		for other, at := range h.given {
			if !isRecent(at, now) {
				delete(h.given, other)
			}
		}
		if len(h.given) >= maxHints {
			return false
		}
	}
	if h.given == nil {
		h.given = make(map[string]time.Time)
	}
	h.given[about] = now
	return true
}

func isRecent(at, now time.Time) bool {
	since := now.Sub(at)
	return since >= 0 && since < hintEvery
}
