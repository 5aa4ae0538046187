// Package spelling finds the name that a misspelt one was meant to be.
package spelling

import "iter"

// Nearest returns the name with the least distance among those that are near, the
// first of several, or nothing.
func Nearest(names iter.Seq[string], distance func(name string) (distance int, near bool)) string {
	best, least := "", -1
	for name := range names {
		if d, near := distance(name); near && (least < 0 || d < least) {
			best, least = name, d
		}
	}
	return best
}

// Distance is the number of bytes that are inserted, left out, changed or
// swapped with their neighbour to turn a into b (optimal string alignment).
func Distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
