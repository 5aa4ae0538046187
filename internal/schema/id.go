package schema

import (
	"crypto/rand"
	"encoding/hex"
)

// NewID returns a fresh session id: 64 lowercase hexadecimal characters made
// of 32 random bytes.
func NewID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	var id [2 * len(b)]byte
	hex.Encode(id[:], b[:])
	return string(id[:])
}

// ValidID reports whether id has the form of the ids that the service generates.
func ValidID(id string) bool {
	if len(id) != 64 {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// ValidForeignID reports whether id has the form of an id that a trusted caller may
// choose: 16 to 128 characters of [A-Za-z0-9_-]. Every valid ID is one too.
func ValidForeignID(id string) bool {
	if len(id) < 16 || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// ValidNamespace reports whether name has the form of a namespace: 1 to 32
// characters of [a-z0-9-].
func ValidNamespace(name string) bool {
	if name == "" || len(name) > 32 {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c == '-':
		default:
			return false
		}
	}
	return true
}
