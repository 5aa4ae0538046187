package main

import (
	"maps"
	"slices"
	"strings"
)

// typo is a variable that is no setting, and the setting that it may be meant
// to be.
type typo struct{ name, meant string }

// typos finds the variables whose names are nearly those of settings. Other
// unknown variables are somebody else's: Kubernetes alone sets SESSION_API_PORT
// for a service of that name.
func typos(environ map[string]string) []typo {
	var found []typo
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		if meant := nearest(name); meant != "" && meant != name {
			found = append(found, typo{name, meant})
		}
	}
	return found
}

// nearest returns the setting of that name, or the one setting that is so near
// that a slip explains the difference, or nothing.
func nearest(name string) string {
	best, least := "", 3
	for _, s := range settings() {
		if prefix, _, _ := strings.Cut(s.name, "_"); !strings.HasPrefix(name, prefix+"_") {
			continue
		}
		d := distance(name, s.name)
		if d > 0 && name+"_MS" == s.name {
			d = 1 // the unit is what people forget
		}
		if d < least && d <= len(name)/4 {
			best, least = s.name, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
