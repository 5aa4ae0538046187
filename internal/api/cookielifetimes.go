package api

import (
	"hash/maphash"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// cookieLifetimes caches the expiry of the cookies that were sent last. Browsers do not
// report it, and a cookie may expire before its session, because a service, another tab
// or another instance has moved the deadline. A cache miss costs a Set-Cookie and
// nothing else, so the cache need not hold all sessions.
type cookieLifetimes struct {
	sets [sentSets][sentWays]sentCookie // first, so that each is a cache line
	seed maphash.Seed
}

const (
	sentSets = 1 << 14
	sentWays = 4 // all in all they take 1 MiB
)

// sentCookie is the cookie of one session. Both words are written without a
// lock: those of two writers do not fit each other, and are no cookie at all.
type sentCookie struct {
	check atomic.Uint64 // the session's hash, exclusive or until
	until atomic.Uint64 // in Unix milliseconds
}

// sentKey is the hash of a session's id.
type sentKey uint64

func newCookieLifetimes() *cookieLifetimes {
	c := new(cookieLifetimes) // a composite literal would clear all of it once more
	c.seed = maphash.MakeSeed()
	return c
}

// own is the key of what the caller's own routes have sent.
func (c *cookieLifetimes) own(id string) sentKey { return sentKey(maphash.String(c.seed, id)) }

// verified is the key of what was sent to a gateway.
func (k sentKey) verified() sentKey { return k ^ 0x9e3779b97f4a7c15 }

// covers reports whether the cookie that was sent last lives until then. It does
// not where none is remembered.
func (c *cookieLifetimes) covers(key sentKey, until time.Time) bool {
	set := &c.sets[key%sentSets]
	for i := range set {
		sent := set[i].until.Load()
		if set[i].check.Load()^sent == uint64(key) {
			return sent >= unixMillis(until)
		}
	}
	return false
}

// put remembers a cookie that is being sent.
func (c *cookieLifetimes) put(key sentKey, until time.Time) {
	set := &c.sets[key%sentSets]
	place := &set[rand.Uint32()%sentWays] //nolint:gosec // spreads them, guards nothing
	for i := range set {
		sent := set[i].until.Load()
		if set[i].check.Load()^sent == uint64(key) {
			place = &set[i]
			break
		}
		if sent == 0 {
			place = &set[i]
		}
	}
	sent := unixMillis(until)
	place.until.Store(sent)
	place.check.Store(uint64(key) ^ sent)
}

func unixMillis(t time.Time) uint64 { return uint64(max(0, t.UnixMilli())) }
