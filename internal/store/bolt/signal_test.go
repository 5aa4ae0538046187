package bolt

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSignal(t *testing.T) {
	var s signal
	s.init()
	closed := func(ch <-chan struct{}) bool {
		select {
		case <-ch:
			return true
		default:
			return false
		}
	}
	on := s.whenOn()
	assert.False(t, s.isOn())
	assert.False(t, closed(on))
	assert.False(t, s.clear())

	assert.True(t, s.set())
	assert.True(t, s.isOn())
	assert.True(t, closed(on))
	assert.True(t, closed(s.whenOn()))
	assert.False(t, s.set(), "it is on")
	assert.True(t, s.clear())
	assert.False(t, s.isOn())
	assert.False(t, closed(s.whenOn()))
	assert.True(t, s.set())
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		after := func(d time.Duration) { <-time.After(d); synctest.Wait() }
		var late atomic.Int64
		w := newWatchdog(DefaultCommitTimeout, func() { late.Add(1) })
		after(DefaultCommitTimeout - time.Millisecond)
		assert.Zero(t, late.Load())
		w.again()
		after(DefaultCommitTimeout - DefaultCommitTimeout/ticks)
		assert.Zero(t, late.Load(), "it has begun anew")
		after(DefaultCommitTimeout / ticks)
		assert.EqualValues(t, 1, late.Load())
		w.again()
		after(2 * DefaultCommitTimeout)
		assert.EqualValues(t, 1, late.Load(), "once is all")
		w.end()

		w = newWatchdog(DefaultCommitTimeout, func() { late.Add(1) })
		after(DefaultCommitTimeout - time.Millisecond)
		w.end()
		after(2 * DefaultCommitTimeout)
		assert.EqualValues(t, 1, late.Load(), "it has ended")
	})
}
