package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/httplog/v3"

	"session-api/internal/token"
)

// recordRequest counts the request, and writes its line where it gets one. Whether it
// does is decided before any of the line is put together.
func (s *Server) recordRequest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := stateOf(r)
		c.response.ResponseWriter, c.response.s, c.response.r = w, s, r
		defer func() {
			c.panicked = recover()
			c.took = time.Since(c.start)
			if c.response.status == 0 {
				c.response.status = http.StatusOK // as net/http has it
			}
			s.count(r, c)
			if s.lines.wanted(c.response.status) {
				s.logAccess(r, r.URL, c)
			}
			if c.panicked != nil {
				panic(c.panicked)
			}
		}()
		next.ServeHTTP(&c.response, r)
	})
}

// count counts a request that has been answered.
func (s *Server) count(r *http.Request, c *requestState) {
	if c.endpoint != nil && c.endpoint.metrics.route != "" {
		c.endpoint.metrics.observe(s.metrics, r.Method, c.response.status, c.took)
		return
	}
	route := unmatched
	if pattern := c.route.RoutePattern(); pattern != "" {
		route = pattern
	}
	s.metrics.observe(route, r.Method, c.response.status, c.took)
}

// sampler says which requests get a line.
type sampler struct {
	every     uint64 // as AccessLog has it
	succeeded atomic.Uint64
}

func (l *sampler) wanted(status int) bool {
	return status >= http.StatusBadRequest ||
		l.every == 1 || l.every > 1 && l.succeeded.Add(1)%l.every == 0
}

// setLogSession adds the session, as a short hash, to the request's line.
func setLogSession(r *http.Request, id string) { stateOf(r).session = id }

// setCaller makes a service token the request's, for its line among others, and reports
// whether it was not before.
func setCaller(r *http.Request, t *token.Service) bool {
	c, ok := r.Context().Value(stateKey{}).(*requestState)
	if !ok { // an authorization request has no state yet
		return true
	}
	if c.caller == t {
		return false
	}
	c.caller = t
	return true
}

// idHash is a session id in the log: enough to find the lines of one session,
// not to name it.
func idHash(id string) string { return string(appendIDHash(nil, id)) }

func appendIDHash(b []byte, id string) []byte {
	var room [128]byte // most ids have less
	sum := sha256.Sum256(append(room[:0], id...))
	return hex.AppendEncode(b, sum[:6])
}

// logAccess logs a request for u that has been answered: directly for a success, which
// is the frequent case, and through httplog for a failure and in the text format. Both
// log the client's address without a port, as the trusted proxies report it.
func (s *Server) logAccess(r *http.Request, u *url.URL, c *requestState) {
	if s.logSuccess(r, u, c) {
		return
	}
	shown := r.WithContext(c)
	shown.URL, shown.RemoteAddr = u, s.proxies.Client(r)
	s.httplog.ServeHTTP(discard{}, shown)
}

// logSuccess writes the line of a request for u as JSON, unless it has to go
// through httplog.
func (s *Server) logSuccess(r *http.Request, u *url.URL, c *requestState) (written bool) {
	written = true
	if s.AccessLog.Lines == nil || c.response.status >= http.StatusBadRequest || c.panicked != nil || c.Err() != nil {
		return false
	}
	if level := levelOf(r.Method); s.Logger.Enabled(c, level) {
		withBuffer(func(b []byte) []byte {
			b = s.appendLine(b, r, u, c, level)
			if written = !s.containsSecret(b); written {
				_, _ = s.AccessLog.Lines.Write(b) // a log that cannot be written fails no request
			}
			return b
		})
	}
	return written
}

// levelOf is the level of a line of success.
func levelOf(method string) slog.Level {
	if method == http.MethodOptions {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// newHTTPLog returns a handler that writes the line of a request, which has
// been answered before: httplog is shown how it ended.
func (s *Server) newHTTPLog() http.Handler {
	fields := *httplog.SchemaECS.Concise(s.AccessLog.Concise)
	duration, bytes := fields.ResponseDuration, fields.ResponseBytes
	fields.ResponseDuration, fields.ResponseBytes = "", "" // httplog would measure its own response
	logger := slog.New(levelHandler{token.LogHandler(s.Logger.Handler(), s.redactSecrets)})
	write := httplog.RequestLogger(logger, &httplog.Options{Level: slog.LevelDebug, Schema: &fields})
	return write(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := stateOf(r)
		attrs := make([]slog.Attr, 0, 6)
		if !s.AccessLog.Concise {
			attrs = append(attrs, slog.Int64(duration, c.took.Nanoseconds()), slog.Int(bytes, c.response.bytes))
		}
		attrs = append(attrs, slog.String("requestId", c.requestID[0]))
		if c.session != "" {
			attrs = append(attrs, slog.String("session", idHash(c.session)))
		}
		if c.caller != nil {
			attrs = append(attrs, slog.String("serviceToken", c.caller.Name))
		}
		if c.code != "" {
			attrs = append(attrs, slog.String("code", string(c.code)))
		}
		httplog.SetAttrs(r.Context(), attrs...)
		w.WriteHeader(c.response.status)
		if c.panicked != nil {
			panic(c.panicked)
		}
	}))
}

// levelHandler is a slog.Handler that puts the time that the request took into
// httplog's message, and gives the line the level that fits its status.
type levelHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h levelHandler) Handle(ctx context.Context, rec slog.Record) error {
	if c, ok := ctx.Value(stateKey{}).(*requestState); ok {
		if i := strings.LastIndex(rec.Message, " ("); i >= 0 {
			rec.Message = fmt.Sprintf("%s (%v)", rec.Message[:i], c.took)
		}
		switch {
		case c.quiet:
			rec.Level = slog.LevelDebug
		case ofProtocol(c.response.status) && rec.Level > slog.LevelInfo:
			rec.Level = slog.LevelInfo
		}
		if !h.Enabled(ctx, rec.Level) {
			return nil
		}
	}
	return h.Handler.Handle(ctx, rec)
}

// ofProtocol reports whether an answer of failure is part of the protocol between
// well-behaved clients and the service: a visitor without a session, a writer
// who came second. Their lines are no warnings.
func ofProtocol(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusConflict, http.StatusGone,
		http.StatusPreconditionFailed, http.StatusPreconditionRequired, http.StatusTooManyRequests:
		return true
	}
	return false
}

// discard is a http.ResponseWriter for an answer that was sent before.
type discard struct{}

// Header implements http.ResponseWriter.
func (discard) Header() http.Header { return nil }

// Write implements http.ResponseWriter.
func (discard) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader implements http.ResponseWriter.
func (discard) WriteHeader(int) {}
