package token

import (
	"bytes"
	"strings"
)

// PlainJSON reports whether text can be written between the quotes of a JSON
// string as it is: nothing in it needs an escape, and Redact would not change it.
// It may be false for some texts of which that is true as well.
func PlainJSON(text []byte) bool {
	hexRun, slashes := 0, 0
	for i, c := range text {
		switch byteKinds[c] {
		case hexByte:
			if hexRun++; hexRun == 64 {
				return false
			}
			continue
		case plainByte:
		case slash:
			slashes++
		case divider: // s: or bearer and a space
			if i > 0 && (text[i-1]|0x20 == 's' || text[i-1]|0x20 == 'r') {
				return false
			}
		case underscore: // sat_
			if bytes.HasSuffix(text[:i], []byte(servicePrefix[:3])) {
				return false
			}
		case otherByte:
			return false
		}
		hexRun = 0
	}
	return slashes < 3 || !bytes.Contains(text, []byte(beforeID))
}

// byteKind is what PlainJSON distinguishes.
type byteKind byte

const (
	otherByte byteKind = iota
	plainByte
	hexByte
	slash
	divider
	underscore
)

var byteKinds = func() (of [256]byteKind) {
	for c := ' '; c < 0x7f; c++ {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			of[c] = hexByte
		case c == '/':
			of[c] = slash
		case c == ':', c == ' ':
			of[c] = divider
		case c == '_':
			of[c] = underscore
		case strings.ContainsRune(`"\?%`, c):
		default:
			of[c] = plainByte
		}
	}
	return of
}()
