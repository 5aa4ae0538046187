package api

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
)

// secretShaped is what a token or a session id looks like, wherever a client
// may have put it: in a path, a query, a Referer.
var secretShaped = regexp.MustCompile(`[sS](:|%(?:25)*3[aA])[A-Za-z0-9_-]{16,128}\.[A-Za-z0-9+/=%_-]*|[0-9a-fA-F]{64}|(?i:bearer)[ \t\n]+\S+`)

const redacted = "[redacted]"

// redactor is a slog.Handler that takes secrets out of the lines that it
// passes on. Queries go as a whole: they have no place for what is worth
// logging, and every place for what is not.
type redactor struct {
	slog.Handler
	hide func(string) string // takes the configured secrets out
}

func redact(h slog.Handler, hide func(string) string) slog.Handler { return redactor{h, hide} }

// Handle implements slog.Handler.
func (h redactor) Handle(ctx context.Context, rec slog.Record) error {
	out := slog.NewRecord(rec.Time, rec.Level, h.scrub(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.scrubAttr(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h redactor) WithAttrs(attrs []slog.Attr) slog.Handler {
	return redactor{h.Handler.WithAttrs(attrs), h.hide}
}

// WithGroup implements slog.Handler.
func (h redactor) WithGroup(name string) slog.Handler {
	return redactor{h.Handler.WithGroup(name), h.hide}
}

func (h redactor) scrub(s string) string { return scrub(h.hide(s)) }

func (h redactor) scrubAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(h.scrub(v.String()))
	case slog.KindGroup:
		group := v.Group()
		scrubbed := make([]slog.Attr, len(group))
		for i, g := range group {
			scrubbed[i] = h.scrubAttr(g)
		}
		a.Value = slog.GroupValue(scrubbed...)
	case slog.KindAny:
		switch x := v.Any().(type) {
		case error:
			a.Value = slog.StringValue(h.scrub(x.Error()))
		case []string:
			scrubbed := make([]string, len(x))
			for i, e := range x {
				scrubbed[i] = h.scrub(e)
			}
			a.Value = slog.AnyValue(scrubbed)
		}
	}
	return a
}

// maxLogText is how much of a text is logged, in bytes: a binary one grows
// sixfold when it is quoted.
const maxLogText = 1 << 10

// scrub takes the queries of URLs and all that looks like a secret out of s, and
// cuts off what is beyond maxLogText.
func scrub(s string) string {
	if s = scrubWhole(s); len(s) <= maxLogText {
		return s
	}
	return strings.ToValidUTF8(s[:maxLogText], "") + "…"
}

func scrubWhole(s string) string {
	if i := strings.IndexByte(s, '?'); i >= 0 {
		end := len(s)
		if n := strings.IndexByte(s[i:], ' '); n >= 0 {
			end = i + n
		}
		s = s[:i] + "?" + redacted + s[end:]
	}
	s = scrubIDs(s)
	if !maybeSecret(s) {
		return s
	}
	return secretShaped.ReplaceAllString(s, redacted)
}

// beforeID is what the paths of service routes have before an id.
const beforeID = "/api/sessions/"

// scrubIDs takes the ids out of the paths of service routes. Those that callers
// bring have no shape to know them by.
func scrubIDs(s string) string {
	i := strings.Index(s, beforeID)
	if i < 0 {
		return s
	}
	start := i + len(beforeID)
	end := start + strings.IndexAny(s[start:]+" ", "/? \"\t\n")
	if s[start:end] == "count" {
		return s
	}
	return s[:start] + redacted + scrubIDs(s[end:])
}

// maybeSecret reports whether secretShaped may match s. It says no to nearly
// everything that is logged, at a fraction of what the expression costs.
func maybeSecret(s string) bool {
	hexRun := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
			if hexRun++; hexRun == 64 {
				return true
			}
			continue
		case c == ':' || c == '%': // s: or s%3a
			if i > 0 && s[i-1]|0x20 == 's' && len(s)-i > 16 {
				return true
			}
		case c == ' ' || c == '\t' || c == '\n': // Bearer and white space
			if i >= 6 && strings.EqualFold(s[i-6:i], "bearer") {
				return true
			}
		}
		hexRun = 0
	}
	return false
}
