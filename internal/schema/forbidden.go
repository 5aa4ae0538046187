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
	keys := r.folded.of(r.ForbiddenKeys)
	if isFoldedByCase(name) {
		for _, key := range keys {
			if equalButForCase(name, key) {
				return true
			}
		}
		return false
	}
	return slices.Contains(keys, foldName(string(name)))
}

// isFoldedByCase reports whether foldName does no more to a name than make its
// letters small.
func isFoldedByCase(name []byte) bool {
	for _, c := range name {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return len(name) == 0 || name[0] != ' ' && name[len(name)-1] != ' '
}

// equalButForCase reports whether an ASCII name is the folded key.
func equalButForCase(name []byte, key string) bool {
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

// foldName returns a name as those are compared that a setting forbids: without
// what nobody sees, in the letters that others stand for (NFKC: full width,
// ligatures), without case (Unicode's full folding), and without white space
// around it.
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
	// Folding can make what NFKC has another form for.
	return strings.TrimSpace(norm.NFKC.String(cases.Fold().String(name)))
}

// invisible are the characters that no reader sees.
var invisible = rangetable.Merge(unicode.Cc, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldedKeys are the ForbiddenKeys as foldName has them, made when they are
// asked for first.
type foldedKeys struct{ made atomic.Pointer[foldedList] }

type foldedList struct{ keys, folded []string }

func (f *foldedKeys) of(keys []string) []string {
	if made := f.made.Load(); made != nil && len(made.keys) == len(keys) && &made.keys[0] == &keys[0] {
		return made.folded
	}
	made := &foldedList{keys: keys, folded: make([]string, len(keys))}
	for i, key := range keys {
		made.folded[i] = foldName(key)
	}
	f.made.Store(made)
	return made.folded
}
