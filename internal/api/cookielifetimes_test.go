package api

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSentCookies(t *testing.T) {
	c := newCookieLifetimes()
	at := time.UnixMilli(1_800_000_000_123)
	key := c.own("one")
	assert.False(t, c.covers(key, at), "nothing is known of it")
	c.put(key, at)
	assert.True(t, c.covers(key, at))
	assert.True(t, c.covers(key, at.Add(-time.Hour)))
	assert.False(t, c.covers(key, at.Add(time.Millisecond)))
	assert.False(t, c.covers(key.verified(), at), "what a gateway was sent is another matter")
	assert.False(t, c.covers(c.own("two"), at))
	c.put(key, at.Add(-time.Hour))
	assert.False(t, c.covers(key, at), "what was sent last counts, though it ends earlier")
	assert.Zero(t, testing.AllocsPerRun(10, func() { c.put(c.own("one"), at) }))
}

// Whatever many writers leave behind, what is known of a session is what one of
// them has sent for it.
func TestSentCookies_many(t *testing.T) {
	c := newCookieLifetimes()
	at := time.UnixMilli(1_800_000_000_000)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 200_000 {
				key := c.own(strconv.Itoa(i))
				until := at.Add(time.Duration(i) * time.Second)
				c.put(key, until)
				if c.covers(key, until.Add(time.Second)) {
					t.Error("another's")
					return
				}
			}
		})
	}
	all.Wait()
	known := 0
	for i := range 200_000 {
		if c.covers(c.own(strconv.Itoa(i)), at.Add(time.Duration(i)*time.Second)) {
			known++
		}
	}
	assert.Greater(t, known, sentSets*sentWays/2)
}
