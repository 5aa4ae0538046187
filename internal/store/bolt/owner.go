package bolt

import (
	"crypto/rand"
	"slices"
)

// What is in meta beside the format. Earlier versions check its sum, and leave it
// alone.
const (
	// ownersKey has the stamps of the processes that had the file, the last one
	// first.
	ownersKey = "owners"
	// reserveKey has nothing but zeros: pages that are freed when the volume is full.
	reserveKey = "reserve"
)

// stamp is a process's own, a new one each time that a file is opened.
type stamp [16]byte

func newStamp() (s stamp) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// owners are the last processes that had a file, the last one first.
type owners []stamp

// maxOwners is how many of them a file remembers: more than take it over between
// two looks at it.
const maxOwners = 8

// with returns the owners once s has taken the file.
func (o owners) with(s stamp) owners {
	all := append(owners{s}, o...)
	return all[:min(len(all), maxOwners)]
}

// is reports whether s has the file.
func (o owners) is(s stamp) bool { return len(o) > 0 && o[0] == s }

// was reports whether somebody has taken the file from s.
func (o owners) was(s stamp) bool { return len(o) > 1 && slices.Contains(o[1:], s) }

func (o owners) value() []byte {
	value := []byte{format}
	for _, s := range o {
		value = append(value, s[:]...)
	}
	return seal(value, 0, []byte(ownersKey))
}

// parseOwners is the reverse of value.
func parseOwners(content []byte) (owners, error) {
	var o owners
	for ; len(content) >= len(stamp{}); content = content[len(stamp{}):] {
		o = append(o, stamp(content[:len(stamp{})]))
	}
	if len(content) > 0 {
		return nil, errContent
	}
	return o, nil
}

// reserveValue is a value of about that many bytes.
func reserveValue(size int64) []byte {
	value := make([]byte, size)
	value[0] = format
	return seal(value, 0, []byte(reserveKey))
}
