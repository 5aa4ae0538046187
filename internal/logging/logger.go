package logging

import (
	"io"
	"log/slog"
)

// New returns a logger that writes lines of JSON or text to w.
func New(w io.Writer, asJSON bool, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if asJSON {
		return slog.New(jsonHandler{slog.NewJSONHandler(w, options), w})
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// jsonHandler is slog's, and knows its output.
type jsonHandler struct {
	*slog.JSONHandler
	w io.Writer
}

// JSONLines returns a writer for lines of JSON that were made without the
// logger: its output, where New made it for JSON, and nil otherwise. Lines keep
// the order of the logger's, but are not always written at once.
func JSONLines(logger *slog.Logger) io.Writer {
	h, ok := logger.Handler().(jsonHandler)
	if !ok {
		return nil
	}
	if lines, ok := h.w.(*Lines); ok {
		return lines.Soon()
	}
	return h.w
}
