package api

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"session-api/internal/spelling"
)

// refuseUnknown returns a problem if the query, which is well-formed, holds a
// parameter that is none of the known ones. It names the first such parameter,
// the known one that is meant where that can be guessed, and all that there are.
func refuseUnknown(rawQuery string, known []string) error {
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if pair == "" {
			continue
		}
		name, _, _ := strings.Cut(pair, "=")
		if strings.ContainsAny(name, "%+") {
			var err error
			if name, err = url.QueryUnescape(name); err != nil {
				return &problem{codeInvalidQuery, "The query is not well-formed."}
			}
		}
		if !slices.Contains(known, name) {
			return unknownParameter(name, known)
		}
	}
	return nil
}

func unknownParameter(name string, known []string) *problem {
	text := "This route has no query parameter " + shownName(name)
	if len(known) == 0 {
		return &problem{codeInvalidQuery, text + ", nor any other."}
	}
	text += "."
	if meant := nearest(name, known); meant != "" {
		text += " Did you mean " + meant + "?"
	}
	return &problem{codeInvalidQuery, text + " It knows " + enumerate(slices.Sorted(slices.Values(known))) + "."}
}

// maxShownName is how much of a name that a client sent is shown to it, in
// bytes.
const maxShownName = 64

func shownName(name string) string {
	if len(name) > maxShownName {
		return strconv.QuoteToASCII(strings.ToValidUTF8(name[:maxShownName], "")) + "…"
	}
	return strconv.QuoteToASCII(name)
}

// enumerate joins names as a sentence does.
func enumerate(names []string) string {
	last := len(names) - 1
	if last < 1 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// nearest returns the one of the known names that a slip, be it of the case
// alone, turns into name, or nothing if none is that near: at least half of the
// longer one has to be right.
func nearest(name string, known []string) string {
	if len(name) > maxShownName {
		return ""
	}
	return spelling.Nearest(slices.Values(known), func(one string) (distance int, near bool) {
		d := spelling.Distance(strings.ToLower(name), strings.ToLower(one))
		return d, 2*d <= max(len(name), len(one))
	})
}
