package token

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Secrets are the configured secrets in all spellings in which a client may have
// put one into a text that is logged: as it is, as JSON quotes it, without the
// padding of base64, and with any of its bytes escaped as in a URL, in either case
// and any number of times.
type Secrets struct {
	plain    []string // as they are, the longest first
	needles  [][]byte
	replacer *strings.Replacer
}

// NewSecrets returns the secrets of the lists. It leaves out those of fewer than
// minSecretText bytes, which occur in ordinary words.
func NewSecrets(secrets ...[][]byte) *Secrets {
	const minSecretText = 8
	t := &Secrets{}
	var texts []string
	for _, list := range secrets {
		for _, secret := range list {
			for _, s := range []string{string(secret), strings.TrimRight(string(secret), "=")} {
				if len(s) >= minSecretText {
					t.plain = append(t.plain, s)
					texts = append(texts, spellings(s)...)
				}
			}
		}
	}
	t.plain = longestFirst(t.plain)
	var pairs []string
	for _, text := range longestFirst(texts) {
		t.needles = append(t.needles, []byte(text))
		pairs = append(pairs, text, Mark)
	}
	t.replacer = strings.NewReplacer(pairs...)
	return t
}

// longestFirst sorts texts so that each goes before its own prefixes, and leaves
// out those that are there twice.
func longestFirst(texts []string) []string {
	slices.SortFunc(texts, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(b), len(a)), strings.Compare(a, b))
	})
	return slices.Compact(texts)
}

// spellings are those that need no decoding, as most clients write them.
func spellings(secret string) []string {
	quoted, _ := json.Marshal(secret) // a string always marshals
	return []string{secret, url.QueryEscape(secret), string(quoted[1 : len(quoted)-1])}
}

// In reports whether the text holds one of the secrets.
func (t *Secrets) In(text []byte) bool {
	for _, needle := range t.needles {
		if bytes.Contains(text, needle) {
			return true
		}
	}
	if bytes.IndexByte(text, '%') < 0 {
		return false
	}
	s := string(text)
	return t.hideEscaped(s) != s
}

// Hide replaces the secrets in the text by Mark.
func (t *Secrets) Hide(text string) string {
	text = t.replacer.Replace(text)
	if strings.IndexByte(text, '%') < 0 {
		return text
	}
	return t.hideEscaped(text)
}

// hideEscaped replaces the secrets of which some bytes are escaped as in a URL.
func (t *Secrets) hideEscaped(text string) string {
	var hidden strings.Builder
	done := 0 // how much of text is in hidden, or has been left out
	for i := 0; i < len(text); i++ {
		for _, secret := range t.plain {
			if n := escapedPrefixLen(text[i:], secret); n > 0 {
				hidden.WriteString(text[done:i])
				hidden.WriteString(Mark)
				done = i + n
				i = done - 1
				break
			}
		}
	}
	if done == 0 {
		return text
	}
	return hidden.String() + text[done:]
}

// escapedPrefixLen returns how many bytes of text are the secret, 0 where it does
// not begin with it.
func escapedPrefixLen(text, secret string) int {
	at := 0
	for i := range len(secret) {
		c, n := unescapeByte(text[at:])
		if n == 0 {
			return 0
		}
		if c != secret[i] {
			// A + or % that stands for itself, or a + for a space.
			if c, n = text[at], 1; c != secret[i] && (c != '+' || secret[i] != ' ') {
				return 0
			}
		}
		at += n
	}
	return at
}

// unescapeByte returns the byte that text begins with, and how long it is there:
// a byte that is escaped several times is %252B.
func unescapeByte(text string) (c byte, n int) {
	if text == "" {
		return 0, 0
	}
	if text[0] == '%' {
		digits := strings.TrimPrefix(text, "%")
		for strings.HasPrefix(digits, "25") && len(digits) >= 4 && isHex(digits[2]) && isHex(digits[3]) {
			digits = digits[2:]
		}
		if len(digits) >= 2 && isHex(digits[0]) && isHex(digits[1]) {
			b, _ := hex.DecodeString(digits[:2]) // two digits always decode
			return b[0], len(text) - len(digits) + 2
		}
	}
	return text[0], 1
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}
