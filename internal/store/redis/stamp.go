package redis

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"time"

	"session-api/internal/schema"
)

// A stamp names the index entries that were written together for a session.
// The session's value carries the stamp of those that are its own now. Whoever
// changes what a session is indexed by writes new entries under a new stamp, so
// that removing the old ones, however late, never takes away a present one.
//
// Its first digestLen bytes are a digest of what is indexed, then follow the
// time and what makes it unique.
type stamp [stampLen]byte

const (
	digestLen = 3
	stampTime = 5
	stampLen  = digestLen + stampTime + 4

	// stampText is how long a stamp is as text, digestText its digest.
	stampText  = stampLen / 3 * 4
	digestText = digestLen / 3 * 4

	// The time of a stamp counts in steps of 256 ms, which lasts until the
	// year 10889.
	stampStep = 8
)

var stampEncoding = base64.RawURLEncoding.Strict()

// newStamp returns a stamp for entries that are written now.
func newStamp(now time.Time, user string, files []string) stamp {
	var s stamp
	d := digest(user, files)
	copy(s[:], d[:])
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(max(now.UnixMilli(), 0))>>stampStep)
	copy(s[digestLen:], at[8-stampTime:])
	_, _ = rand.Read(s[digestLen+stampTime:]) // never fails
	return s
}

// digest tells what is indexed of one session from what is indexed of another.
func digest(user string, files []string) [digestLen]byte {
	h := fnv.New64a()
	var size [binary.MaxVarintLen64]byte
	write := func(text string) {
		_, _ = h.Write(size[:binary.PutUvarint(size[:], uint64(len(text)))]) // never fails
		_, _ = h.Write([]byte(text))
	}
	write(user)
	for _, path := range files {
		write(path)
	}
	sum := h.Sum64()
	return [digestLen]byte{byte(sum >> 16), byte(sum >> 8), byte(sum)} //nolint:gosec // the low bytes, as they are
}

// digestString is the digest as the text of a stamp starts with it.
func digestString(user string, files []string) string {
	d := digest(user, files)
	return stampEncoding.EncodeToString(d[:])
}

// fits reports whether the stamp may be that of what is indexed: no is
// certain, yes is all but certain.
func (s stamp) fits(user string, files []string) bool {
	return [digestLen]byte(s[:digestLen]) == digest(user, files)
}

// settled reports whether whoever wrote entries under the stamp has finished or
// failed by now: their session is what it is, or never will be.
func (s stamp) settled(now time.Time) bool {
	var at [8]byte
	copy(at[8-stampTime:], s[digestLen:])
	written := int64(binary.BigEndian.Uint64(at[:]) << stampStep) //nolint:gosec // 48 bits
	return now.UnixMilli()-written > settleTime.Milliseconds()
}

// settleTime is far longer than any operation takes, and than clocks differ.
const settleTime = 2 * time.Minute

func (s stamp) String() string { return stampEncoding.EncodeToString(s[:]) }

// A session's birth, its life as a value has it, is a stamp in form only: one
// that was stored before sessions had lives has its first stamp for both.
func birthOf(life schema.Life) stamp { return stamp(life) }

// parseStamp reads the text of a stamp.
func parseStamp(text string) (s stamp, ok bool) {
	if len(text) != stampText {
		return s, false
	}
	n, err := stampEncoding.Decode(s[:], []byte(text))
	return s, err == nil && n == stampLen
}
