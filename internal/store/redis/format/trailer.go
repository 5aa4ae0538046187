package format

import (
	"strconv"
	"strings"
	"time"

	"session-api/internal/schema"
)

// Trailer is what a value says beside the document.
type Trailer struct {
	// Index is the version of the session's entries.
	Index Version
	// Life is the session's, "birth" in the value. In a value of an earlier
	// version without one it is the same as Index.
	Life schema.Life
	// Files are the versions of the entries in the index by file, nil where all
	// have the version Index.
	Files *FileVersions
	// DocumentLen is the length of the document, 0 where that is not compressed.
	DocumentLen int
	TTL, OwnTTL time.Duration
	// facts is the mark of the session's facts.
	facts factsMark
}

// The trailer, in the order of its members. "bytes" is in compressed values only,
// "files" only where they have more than one version, "ownMs" only where it is not 0, and
// "facts" only where there are some. What follows the life is the value's end: see End.
const (
	trailerStart = `,"stored":{`
	trailerBytes = `"bytes":`
	trailerFiles = `"files":"`
	trailerIndex = `"index":"`
	trailerLife  = `,"birth":"`
	trailerTTL   = `,"idleMs":`
	trailerOwn   = `,"ownMs":`
	trailerEnd   = `}}`

	// TrailerMax is longer than any trailer, and TrailerUsual than one without
	// file versions.
	TrailerMax   = TrailerUsual + len(trailerFiles) + fileVersionsText + len(`",`)
	TrailerUsual = 200
)

// End is how the value of a session ends: with its idle timeouts, and the mark of its
// facts.
func End(sess *schema.Session) string {
	b := make([]byte, 0, 48+len(trailerFacts)+factsMarkMax)
	b = append(b, trailerTTL...)
	b = strconv.AppendInt(b, sess.TTL.Milliseconds(), 10)
	if sess.OwnTTL != 0 {
		b = append(b, trailerOwn...)
		b = strconv.AppendInt(b, sess.OwnTTL.Milliseconds(), 10)
	}
	b = markOf(sess.Facts.String()).appendTo(b)
	return string(append(b, trailerEnd...))
}

// maxTTL is the longest idle timeout that is read: far more than any setting.
const maxTTL = 200 * 365 * 24 * time.Hour

// ParseTrailer reads the trailer at the end of a value, of which tail is the last
// part. found is false if no trailer starts there.
func ParseTrailer(tail string) (t Trailer, found, ok bool) {
	_, text, found := cutTrailer(tail)
	if !found {
		return Trailer{}, false, false
	}
	t, ok = parseTrailer(text)
	return t, true, ok
}

// DocumentLen returns the length of the document in a value of that length and
// that tail; 0 if it has no trailer.
func DocumentLen(length int64, tail string) int64 {
	_, text, ok := cutTrailer(tail)
	if !ok {
		return 0
	}
	t, ok := parseTrailer(text)
	switch {
	case !ok:
		return 0
	case t.DocumentLen > 0:
		return int64(t.DocumentLen)
	}
	return length - int64(len(text)) - int64(t.facts.length()) + int64(len("}"))
}

// cutTrailer splits a value, without its marks, before its trailer.
func cutTrailer(value string) (body, tail string, ok bool) {
	from := max(0, len(value)-TrailerMax)
	at := strings.LastIndex(value[from:], trailerStart)
	if at < 0 {
		return "", "", false
	}
	return value[:from+at], value[from+at:], true
}

// parseTrailer reads a trailer from its start.
func parseTrailer(text string) (t Trailer, ok bool) {
	rest, ok := strings.CutPrefix(text, trailerStart)
	if !ok {
		return t, false
	}
	if after, found := strings.CutPrefix(rest, trailerBytes); found {
		digits, after, found := strings.Cut(after, ",")
		size, valid := schema.ParseDigits(digits)
		if !found || !valid {
			return t, false
		}
		t.DocumentLen, rest = int(size), after
	}
	if after, found := strings.CutPrefix(rest, trailerFiles); found {
		text, after, found := strings.Cut(after, `",`)
		if t.Files, ok = ParseFileVersions(text); !found || !ok || t.Files == nil {
			return t, false
		}
		rest = after
	}
	cutVersion := func(name string) (v Version, ok bool) {
		after, ok := strings.CutPrefix(rest, name)
		if !ok || len(after) <= versionText || after[versionText] != '"' {
			return v, false
		}
		rest = after[versionText+1:]
		return ParseVersion(after[:versionText])
	}
	cutMillis := func(name string) (d time.Duration, ok bool) {
		after, ok := strings.CutPrefix(rest, name)
		if !ok {
			return 0, false
		}
		end := strings.IndexAny(after, ",}")
		if end < 0 {
			return 0, false
		}
		rest = after[end:]
		ms, ok := schema.ParseDigits(after[:end])
		return time.Duration(ms) * time.Millisecond, ok && ms <= int64(maxTTL/time.Millisecond)
	}
	if t.Index, ok = cutVersion(trailerIndex); !ok {
		return t, false
	}
	t.Life = schema.Life(t.Index)
	if strings.HasPrefix(rest, trailerLife) {
		life, ok := cutVersion(trailerLife)
		if !ok {
			return t, false
		}
		t.Life = schema.Life(life)
	}
	if t.TTL, ok = cutMillis(trailerTTL); !ok {
		return t, false
	}
	if strings.HasPrefix(rest, trailerOwn) {
		if t.OwnTTL, ok = cutMillis(trailerOwn); !ok {
			return t, false
		}
	}
	if after, found := strings.CutPrefix(rest, trailerFacts); found {
		text, after, found := strings.Cut(after, `"`)
		if t.facts, ok = parseFactsMark(text); !found || !ok {
			return t, false
		}
		rest = after
	}
	return t, rest == trailerEnd
}
