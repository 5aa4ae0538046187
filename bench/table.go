package main

import (
	"strings"
	"unicode/utf8"
)

// table formats cells as a Markdown table that is readable as text. The first row is the
// heading. The first left columns are left-aligned, the others right-aligned.
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
