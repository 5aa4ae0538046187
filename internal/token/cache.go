package token

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// cache holds tokens that have verified, each in the spelling in which it was
// sent, so that the next request with it need not verify it. The store is asked
// all the same whether the session lives. A cache belongs to one keyring, so a
// secret that is removed takes the tokens that it signed with it.
//
// The cache leaks nothing to a caller that guesses: the slot of a token is its
// hash under a random seed, and bytes are compared only if all 64 bits agree, so
// the time that a wrong token takes does not depend on how much of it is right.
// A token that does not verify is not cached and evicts nothing.
type cache struct {
	sets [cacheSets]cacheSet // first, so that none lies on two cache lines
	next [cacheSets]atomic.Uint32
	seed maphash.Seed
}

const (
	cacheSets = 1 << 13
	cacheWays = 4 // tokens in one set; a full cache takes some 7 MB
	// maxCachedLen is the length of the longest token that is cached: of all but
	// those with many percent-encoded characters.
	maxCachedLen = 194
)

// cacheSet holds the tokens whose hashes end alike, and replaces them in turn.
type cacheSet [cacheWays]atomic.Pointer[cachedToken]

// cachedToken holds the token inline: following a pointer to it would take most
// of the time of a lookup.
type cachedToken struct {
	hash            uint64
	length          uint16
	idStart, idStop uint16 // the id within the token
	token           [maxCachedLen]byte
}

func newCache() *cache {
	c := new(cache) // a composite literal would clear all of it once more
	c.seed = maphash.MakeSeed()
	return c
}

// find returns the id in the token, as a substring of it, empty if the token is
// not cached, and the token's hash for add.
func (c *cache) find(token string) (id string, hash uint64) {
	hash = maphash.String(c.seed, token)
	set := &c.sets[hash%cacheSets]
	for i := range set {
		if t := set[i].Load(); t != nil && t.hash == hash && string(t.token[:t.length]) == token {
			return token[t.idStart:t.idStop], hash
		}
	}
	return "", hash
}

// add caches a token that has verified, unless its id is percent-encoded, which
// no client needs to do.
func (c *cache) add(hash uint64, token, id string) {
	at := strings.Index(token, id)
	if at < 0 || len(token) > maxCachedLen {
		return
	}
	t := &cachedToken{
		hash: hash, length: uint16(len(token)), //nolint:gosec // it is at most maxCachedLen
		idStart: uint16(at), idStop: uint16(at + len(id)), //nolint:gosec // as above
	}
	copy(t.token[:], token)
	set := &c.sets[hash%cacheSets]
	set[c.next[hash%cacheSets].Add(1)%cacheWays].Store(t)
}
