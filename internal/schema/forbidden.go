package schema

import (
	"slices"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/unicode/rangetable"
)

// forbids reports whether name may not be a member name. The three fixed ones
// change an object's prototype when a careless JavaScript client assigns them,
// which takes exactly their letters.
func (r *Rules) forbids(name []byte) bool {
	switch string(name) {
	case "__proto__", "prototype", "constructor":
		return true
	}
	if len(r.ForbiddenKeys) == 0 {
		return false
	}
	keys := r.folded.get(r.ForbiddenKeys)
	if foldsByCaseOnly(name) {
		for _, key := range keys {
			if equalFoldASCII(name, key) {
				return true
			}
		}
		return false
	}
	return slices.Contains(keys, foldName(string(name)))
}

// foldsByCaseOnly reports whether foldName only lower-cases the name.
func foldsByCaseOnly(name []byte) bool {
	for _, c := range name {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return len(name) == 0 || name[0] != ' ' && name[len(name)-1] != ' '
}

// equalFoldASCII reports whether the ASCII name equals the folded key, ignoring case.
func equalFoldASCII(name []byte, key string) bool {
	if len(name) != len(key) {
		return false
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != key[i] {
			return false
		}
	}
	return true
}

// foldName returns the form in which forbidden keys are compared: without invisible
// characters, in compatibility form (NFKC: full width, ligatures), with full Unicode
// case folding, and without surrounding white space.
func foldName(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.Is(invisible, r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, name)
	name = norm.NFKC.String(name)
	if isASCII(name) {
		return strings.TrimSpace(strings.ToLower(name))
	}
	// Case folding can produce characters that NFKC replaces.
	return strings.TrimSpace(norm.NFKC.String(cases.Fold().String(name)))
}

// invisible is the set of characters that are not displayed.
var invisible = rangetable.Merge(unicode.Cc, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldedKeys caches the ForbiddenKeys in the form of foldName.
type foldedKeys struct{ cached atomic.Pointer[foldedList] }

type foldedList struct{ keys, folded []string }

func (f *foldedKeys) get(keys []string) []string {
	if made := f.cached.Load(); made != nil && len(made.keys) == len(keys) && &made.keys[0] == &keys[0] {
		return made.folded
	}
	made := &foldedList{keys: keys, folded: make([]string, len(keys))}
	for i, key := range keys {
		made.folded[i] = foldName(key)
	}
	f.cached.Store(made)
	return made.folded
}
