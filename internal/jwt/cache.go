package jwt

import (
	"hash/maphash"
	"sync/atomic"

	"session-api/internal/schema"
)

const (
	// cacheSlots is how many tokens are cached at most.
	cacheSlots = 1 << 12
	// maxCachedLen is the length of the longest one, in bytes: a full cache takes 8 MB.
	maxCachedLen = 2 << 10
)

// cache holds the last token of a session, as long as no other session takes its slot.
type cache struct {
	slots [cacheSlots]atomic.Pointer[cachedToken]
	seed  maphash.Seed
}

// cachedToken is a token, and which state of which session it is of.
type cachedToken struct {
	Token
	id       string
	life     schema.Life
	revision int64
}

func (c *cache) init() { c.seed = maphash.MakeSeed() }

func (c *cache) slot(id string) *atomic.Pointer[cachedToken] {
	return &c.slots[maphash.String(c.seed, id)%cacheSlots]
}

// find returns the token of the session as it is; nil if there is none.
func (c *cache) find(sess *schema.Session) *cachedToken {
	t := c.slot(sess.ID).Load()
	if t == nil || t.id != sess.ID || t.life != sess.Life || t.revision != sess.Revision {
		return nil
	}
	return t
}

func (c *cache) add(sess *schema.Session, t Token) {
	if len(t.Text) <= maxCachedLen {
		c.slot(sess.ID).Store(&cachedToken{t, sess.ID, sess.Life, sess.Revision})
	}
}
