package httpserver

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// What counts is how long the client is waited for, not what the service does
// meanwhile.
func TestBodyRate(t *testing.T) {
	rate := newBodyRate(240)
	for name, tc := range map[string]struct {
		waited, reading time.Duration
		got             int64
		stalled, slow   bool
	}{
		"it has just begun":             {0, time.Second / 2, 0, false, true},
		"nothing for a while":           {0, time.Second, 1 << 20, true, false},
		"byte by byte":                  {time.Second, time.Second / 10, 10, true, true},
		"well enough":                   {10 * time.Second, time.Second / 10, 4000, false, false},
		"it is waited for by the other": {time.Hour, 0, 1, false, true},
	} {
		var p bodyProgress
		const now = 2 * time.Hour
		p.waited.Store(int64(tc.waited))
		p.got.Store(tc.got)
		if tc.reading > 0 {
			p.since.Store(int64(now - tc.reading))
		}
		assert.Equal(t, tc.stalled, rate.hasStalled(&p, now), name)
		_, all := p.time(now)
		assert.Equal(t, tc.slow, rate.isSlow(&p, all), name)
	}
}
