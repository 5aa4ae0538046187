package bolt

import (
	"testing"

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
	late := s.setter()
	assert.False(t, s.isOn())
	assert.False(t, closed(on))
	assert.Nil(t, s.whenOff())
	assert.False(t, s.clear())
	assert.False(t, late(), "it was cleared since")
	assert.False(t, s.isOn())

	s.set()
	assert.True(t, s.isOn())
	assert.True(t, closed(on))
	assert.True(t, closed(s.whenOn()))
	off := s.whenOff()
	assert.False(t, closed(off))
	assert.False(t, s.setter()(), "it is on")
	assert.True(t, s.clear())
	assert.True(t, closed(off))
	assert.False(t, closed(s.whenOn()))
	assert.True(t, s.setter()())
	assert.True(t, s.isOn())
}
