package bolt

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"slices"

	"go.etcd.io/bbolt"
)

// What is in meta beside the format. Earlier versions check its sum, and leave it
// alone.
const (
	// ownersKey has the IDs of the processes that had the file, the last one
	// first.
	ownersKey = "owners"
	// Keys that begin with reserveKey have nothing but zeros: pages that are freed when
	// the volume is full. They come first, and have pages of their own, so that they are
	// not written with what changes.
	reserveKey = "a reserve "
)

// ownerID is a process's own, a new one each time that a file is opened.
type ownerID [16]byte

func newOwnerID() (s ownerID) {
	_, _ = rand.Read(s[:]) // never fails
	return s
}

// owners are the last processes that had a file, the last one first.
type owners []ownerID

// maxOwners is how many of them a file remembers: more than take it over between
// two looks at it.
const maxOwners = 8

// with returns the owners once s has taken the file.
func (o owners) with(s ownerID) owners {
	all := append(owners{s}, o...)
	return all[:min(len(all), maxOwners)]
}

// is reports whether s has the file.
func (o owners) is(s ownerID) bool { return len(o) > 0 && o[0] == s }

// was reports whether somebody has taken the file from s.
func (o owners) was(s ownerID) bool { return len(o) > 1 && slices.Contains(o[1:], s) }

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
	for ; len(content) >= len(ownerID{}); content = content[len(ownerID{}):] {
		o = append(o, ownerID(content[:len(ownerID{})]))
	}
	if len(content) > 0 {
		return nil, errContent
	}
	return o, nil
}

// reservePart is how long a value of the reserve is: two of them have a page.
const reservePart = 1900

// putReserve puts about as many bytes into the reserve.
func putReserve(meta *bbolt.Bucket, size int64) error {
	for n := range size / reservePart {
		key := binary.BigEndian.AppendUint32([]byte(reserveKey), uint32(n))
		value := make([]byte, reservePart)
		value[0] = format
		if err := meta.Put(key, seal(value, 0, key)); err != nil {
			return err
		}
	}
	return nil
}

// dropReserve frees the pages of the reserve.
func dropReserve(meta *bbolt.Bucket) error {
	var keys [][]byte
	cursor := meta.Cursor()
	for key, _ := cursor.Seek([]byte(reserveKey)); bytes.HasPrefix(key, []byte(reserveKey)); key, _ = cursor.Next() {
		keys = append(keys, bytes.Clone(key))
	}
	for _, key := range keys { // a cursor skips entries when one is deleted under it
		if err := meta.Delete(key); err != nil {
			return err
		}
	}
	return nil
}
