package api

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
)

// remembered are tokens that have verified, each in the spelling in which it was
// sent, so that the next request with it need not. Whether the session lives,
// the store is asked all the same. A keyring has its own: with a secret that is
// retired go the tokens that it signed.
//
// Nobody learns of a token by trying: the place of one is its hash under a
// random seed, and it is compared with what is there only if all 64 bits agree.
// So how long a wrong token takes says nothing of how much of it is right. What
// does not verify is not remembered, and takes no place from what does.
type remembered struct {
	seed maphash.Seed
	sets [rememberedSets]rememberedSet
}

const (
	rememberedSets = 1 << 13
	rememberedWays = 4 // tokens in one set; all in all they take some 7 MB
	// rememberedLen is the length of the longest token that is remembered: all
	// but such as have many characters percent-encoded.
	rememberedLen = 194
)

// rememberedSet holds the tokens whose hashes end alike. The next one that comes
// in goes where the one before it did not.
type rememberedSet struct {
	tokens [rememberedWays]atomic.Pointer[rememberedToken]
	next   atomic.Uint32
}

// rememberedToken has the token with it, and not elsewhere: to look for it there
// would be most of what finding it takes.
type rememberedToken struct {
	hash            uint64
	length          uint16
	idStart, idStop uint16 // where the token has the id
	token           [rememberedLen]byte
}

func newRemembered() *remembered { return &remembered{seed: maphash.MakeSeed()} }

// find returns the id that the token names, a part of it; empty if it is not
// known.
func (r *remembered) find(token string) (id string, hash uint64) {
	hash = maphash.String(r.seed, token)
	set := &r.sets[hash%rememberedSets]
	for i := range set.tokens {
		if t := set.tokens[i].Load(); t != nil && t.hash == hash && string(t.token[:t.length]) == token {
			return token[t.idStart:t.idStop], hash
		}
	}
	return "", hash
}

// add remembers a token that has verified, unless it spells the id in another
// way, which nobody has to.
func (r *remembered) add(hash uint64, token, id string) {
	at := strings.Index(token, id)
	if at < 0 || len(token) > rememberedLen {
		return
	}
	t := &rememberedToken{
		hash: hash, length: uint16(len(token)), //nolint:gosec // it is at most rememberedLen
		idStart: uint16(at), idStop: uint16(at + len(id)), //nolint:gosec // as above
	}
	copy(t.token[:], token)
	set := &r.sets[hash%rememberedSets]
	set.tokens[set.next.Add(1)%rememberedWays].Store(t)
}
