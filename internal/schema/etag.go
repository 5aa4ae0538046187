package schema

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"math/bits"
)

// Life identifies one session among all that have had the same id, one after the
// other. It is random, set at creation and at regeneration, and stays through all
// changes. It is zero in a session that was stored by an old version or by another
// program.
type Life [lifeLen]byte

const (
	lifeLen  = 12
	lifeText = lifeLen / 3 * 4
)

var lifeEncoding = base64.RawURLEncoding.Strict()

// NewLife returns a random life.
func NewLife() (l Life) {
	_, _ = rand.Read(l[:]) // never fails
	return l
}

// String is what ParseLife reads: 16 characters of the URL-safe base64 alphabet.
func (l Life) String() string { return lifeEncoding.EncodeToString(l[:]) }

// ParseLife reads the text of a life.
func ParseLife(text string) (l Life, ok bool) {
	if len(text) != lifeText {
		return Life{}, false
	}
	n, err := lifeEncoding.Decode(l[:], []byte(text))
	return l, err == nil && n == lifeLen
}

// ETag is the entity tag of the document (RFC 9110 section 8.8.3): strong,
// opaque, and the same wherever the session is read or stored. It depends on
// all that tells one state of one session from any other: namespace, id, life,
// times of creation and of the last change, and revision. It does not depend on
// ExpiresAt, so a touch does not change it.
func (s *Session) ETag() string {
	sum := tagSum{tagSeedA, tagSeedB}
	sum.text(s.Namespace)
	sum.text(s.ID)
	sum.number(binary.LittleEndian.Uint64(s.Life[:8]))
	sum.number(uint64(binary.LittleEndian.Uint32(s.Life[8:])))
	sum.number(uint64(s.CreatedAt.UnixMilli()))
	sum.number(uint64(s.UpdatedAt.UnixMilli()))
	sum.number(uint64(s.Revision)) //nolint:gosec // the bits, as they are

	var bytes [16]byte
	binary.BigEndian.PutUint64(bytes[:8], sum.a)
	binary.BigEndian.PutUint64(bytes[8:], sum.b)
	var tag [2 + 22]byte // quotes, and 16 bytes in base64
	tag[0], tag[len(tag)-1] = '"', '"'
	base64.RawURLEncoding.Encode(tag[1:len(tag)-1], bytes[:])
	return string(tag[:])
}

// tagSum is a hash of 128 bits in two lanes, each of which folds the product of
// a 64 by 64 bit multiplication, as wyhash does. A cryptographic hash would take
// longer than the rest of a read, and is not needed: an ETag is not a credential, and
// lives are random, so a collision cannot be constructed. The values are part of
// the contract: an ETag stays valid across versions, instances and stores.
type tagSum struct{ a, b uint64 }

const (
	tagSeedA = 0xa0761d6478bd642f
	tagSeedB = 0xe7037ed1a0b428db
	tagMulA  = 0x8ebc6af09c88c6e3
	tagMulB  = 0x589965cc75374cc3
)

func (t *tagSum) number(x uint64) {
	hi, lo := bits.Mul64(t.a^x, tagMulA)
	t.a = hi ^ lo ^ tagSeedB
	hi, lo = bits.Mul64(t.b^bits.RotateLeft64(x, 32), tagMulB)
	t.b = hi ^ lo ^ tagSeedA
}

func (t *tagSum) text(s string) {
	t.number(uint64(len(s)))
	for ; len(s) >= 8; s = s[8:] {
		t.number(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
	}
	var rest uint64
	for i := range len(s) {
		rest |= uint64(s[i]) << (8 * i)
	}
	t.number(rest)
}
