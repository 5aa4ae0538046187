package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	// Go's standard library is in the binary, too. Its license is, word for word,
	// that of the modules that the Go project keeps beside it.
	goModule        = "golang.org/x/sys"
	standardLibrary = "the Go standard library"

	// Swagger UI comes packed, without its license, in a module of another license.
	swaggerModule = "github.com/swaggest/swgui"
	swaggerUI     = "Swagger UI, which github.com/swaggest/swgui packs (https://github.com/swagger-api/swagger-ui)"
)

// notices returns the texts of the licenses and notices, each once, with what they
// are the licenses of.
func notices(files []file) []byte {
	type notice struct {
		text string
		ids  []string
		of   []string
	}
	var all []*notice
	byText := make(map[string]*notice)
	for _, f := range files {
		n := byText[f.text]
		if n == nil {
			n = &notice{text: f.text, ids: f.ids}
			byText[f.text] = n
			all = append(all, n)
		}
		n.of = append(n.of, f.of)
		if f.of == goModule && len(f.ids) > 0 {
			n.of = append(n.of, standardLibrary)
		}
	}
	packed := slices.ContainsFunc(files, func(f file) bool { return f.of == swaggerModule })
	for _, n := range all {
		if packed && slices.Equal(n.ids, []string{"Apache-2.0"}) {
			n.of = append(n.of, swaggerUI)
			packed = false
		}
		slices.Sort(n.of)
		n.of = slices.Compact(n.of)
	}
	slices.SortFunc(all, func(a, b *notice) int { return cmp.Compare(a.of[0]+a.text, b.of[0]+b.text) })

	var out bytes.Buffer
	out.WriteString("The binary of session-api contains the software that is named here, under these\nlicenses. make licenses writes this file.\n")
	for _, n := range all {
		kind := "notice"
		if len(n.ids) > 0 {
			kind = strings.Join(n.ids, ", ")
		}
		fmt.Fprintf(&out, "\n%s\n%s\n", strings.Repeat("=", 80), kind)
		for _, of := range n.of {
			fmt.Fprintf(&out, "  %s\n", of)
		}
		fmt.Fprintf(&out, "%s\n\n%s\n", strings.Repeat("-", 80), n.text)
	}
	return out.Bytes()
}
