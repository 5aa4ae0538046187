package format

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestVersion(t *testing.T) {
	now := time.Now()
	v := NewVersion(now, "ada", []string{"a", "b"})
	assert.True(t, v.Fits("ada", []string{"a", "b"}))
	assert.False(t, v.Fits("ada", []string{"ab"}))
	assert.False(t, v.Fits("adaa", []string{"b"}))
	assert.False(t, v.Fits("ada", nil))
	assert.Equal(t, Digest("ada", []string{"a", "b"}), v.String()[:digestText])
	again, ok := ParseVersion(v.String())
	assert.True(t, ok)
	assert.Equal(t, v, again)
	assert.NotEqual(t, v, NewVersion(now, "ada", []string{"a", "b"}), "no two are the same")

	assert.False(t, v.Settled(now.Add(-time.Hour)), "clocks differ")
	assert.False(t, v.Settled(now.Add(SettleTime-time.Second)))
	assert.True(t, v.Settled(now.Add(SettleTime+time.Second)))
	for _, text := range []string{"", v.String()[1:], v.String() + "A", "===============", strings.Repeat("\n", versionText)} {
		_, ok := ParseVersion(text)
		assert.False(t, ok, "%q", text)
	}
}
