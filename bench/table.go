package main

import (
	"strings"
	"unicode/utf8"
)

// table writes cells as Markdown that also reads well as it is. The first row
// is the heading; the first columns, so many, are aligned to the left and the
// others to the right.
func table(left int, rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, cells := range rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, cells := range rows {
		for i, cell := range cells {
			fill := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < left {
				b.WriteString("| " + cell + fill + " ")
			} else {
				b.WriteString("| " + fill + cell + " ")
			}
		}
		b.WriteString("|\n")
		if n == 0 {
			for i, w := range widths {
				end := ":"
				if i < left {
					end = "-"
				}
				b.WriteString("|" + strings.Repeat("-", w+1) + end)
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}
