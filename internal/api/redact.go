package api

import (
	"context"
	"log/slog"

	"session-api/internal/redact"
)

// redactor is a slog.Handler that takes secrets out of the lines that it
// passes on, see redact.Text.
type redactor struct {
	slog.Handler
	hide func(string) string // takes the configured secrets out
}

func redactLog(h slog.Handler, hide func(string) string) slog.Handler { return redactor{h, hide} }

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

func (h redactor) scrub(s string) string { return redact.Text(h.hide(s)) }

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

// hideSecrets takes what is configured as a secret at present out of a text.
func (s *Server) hideSecrets(text string) string {
	if keys := s.keys.Load(); keys != nil {
		return keys.texts.Hide(text)
	}
	return text
}

// holdsSecret reports whether a text holds what is configured as a secret.
func (s *Server) holdsSecret(text []byte) bool {
	keys := s.keys.Load()
	return keys != nil && keys.texts.In(text)
}
