package format

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"hash/fnv"
	"time"
)

// A Version names the index entries that were written together for a session.
// The session's value has the version of its present entries. A change of what is
// indexed writes new entries under a new version, so that removing the old ones,
// however late, never removes a present one.
//
// Its first digestLen bytes are a digest of what is indexed, followed by the time
// and by what makes the version unique.
type Version [versionLen]byte

const (
	digestLen      = 3
	versionTimeLen = 5
	versionLen     = digestLen + versionTimeLen + 4

	// versionText is the length of a version as text, digestText that of its
	// digest.
	versionText = versionLen / 3 * 4
	digestText  = digestLen / 3 * 4

	// The time of a version counts in steps of 256 ms, which lasts until the
	// year 10889.
	versionTimeShift = 8
)

var versionEncoding = base64.RawURLEncoding.Strict()

// NewVersion returns a new version of the entries of a session with that user and
// those files.
func NewVersion(now time.Time, user string, files []string) Version {
	var v Version
	d := digest(user, files)
	copy(v[:], d[:])
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(max(now.UnixMilli(), 0))>>versionTimeShift)
	copy(v[digestLen:], at[8-versionTimeLen:])
	_, _ = rand.Read(v[digestLen+versionTimeLen:]) // never fails
	return v
}

// digest returns a digest of what is indexed of a session.
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

// Digest returns the text that versions start with of a session with that user
// and those files.
func Digest(user string, files []string) string {
	d := digest(user, files)
	return versionEncoding.EncodeToString(d[:])
}

// Fits reports whether the version may be of entries of that user and those files:
// false is certain, true is all but certain.
func (v Version) Fits(user string, files []string) bool {
	return [digestLen]byte(v[:digestLen]) == digest(user, files)
}

// Settled reports whether the operation that wrote the entries of the version has
// ended by now: a session that does not have the version never will.
func (v Version) Settled(now time.Time) bool {
	var at [8]byte
	copy(at[8-versionTimeLen:], v[digestLen:])
	written := int64(binary.BigEndian.Uint64(at[:]) << versionTimeShift) //nolint:gosec // 48 bits
	return now.UnixMilli()-written > SettleTime.Milliseconds()
}

// SettleTime is far longer than any operation takes, and than clocks differ.
const SettleTime = 2 * time.Minute

// String returns the version as values have it.
func (v Version) String() string { return versionEncoding.EncodeToString(v[:]) }

// ParseVersion reads the text of a version.
func ParseVersion(text string) (v Version, ok bool) {
	if len(text) != versionText {
		return v, false
	}
	n, err := versionEncoding.Decode(v[:], []byte(text))
	return v, err == nil && n == versionLen
}
