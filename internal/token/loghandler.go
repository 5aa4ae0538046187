package token

import (
	"context"
	"log/slog"
)

// logHandler is a slog.Handler that redacts the records that it passes on.
type logHandler struct {
	slog.Handler
	hide func(string) string
}

// LogHandler returns a handler that passes records to h without credentials: the
// message and all attributes go through hide, for the configured secrets, and
// through Redact.
func LogHandler(h slog.Handler, hide func(string) string) slog.Handler { return logHandler{h, hide} }

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, rec slog.Record) error {
	out := slog.NewRecord(rec.Time, rec.Level, h.redact(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.redactAttr(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs), h.hide}
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.Handler.WithGroup(name), h.hide}
}

func (h logHandler) redact(s string) string { return Redact(h.hide(s)) }

func (h logHandler) redactAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(h.redact(v.String()))
	case slog.KindGroup:
		group := v.Group()
		redacted := make([]slog.Attr, len(group))
		for i, g := range group {
			redacted[i] = h.redactAttr(g)
		}
		a.Value = slog.GroupValue(redacted...)
	case slog.KindAny:
		switch x := v.Any().(type) {
		case error:
			a.Value = slog.StringValue(h.redact(x.Error()))
		case []string:
			redacted := make([]string, len(x))
			for i, e := range x {
				redacted[i] = h.redact(e)
			}
			a.Value = slog.AnyValue(redacted)
		}
	}
	return a
}
