package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"session-api/internal/schema"
)

// exchange is a request and its answer. It holds the parts of the budgets that
// a large body and a large answer take.
type exchange struct {
	http.ResponseWriter
	s            *Server
	r            *http.Request
	body, answer *hold
	read         *bytes.Buffer // nil for nothing
	// refused: there was no room for the answer, and a problem was sent.
	refused bool
}

// Unwrap lets a http.ResponseController find the writer beneath.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// end gives back what the exchange held.
func (x *exchange) end() {
	x.body.leave()
	x.answer.leave()
	x.body, x.answer = nil, nil
	if x.read != nil && x.read.Cap() <= maxPooled {
		x.read.Reset()
		bodyBuffers.Put(x.read)
	}
	x.read = nil
}

// bodyBuffers are for bodies. A change that is read from one may refer to its
// bytes until the request is answered; no document does.
var bodyBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// buffer returns a buffer for the body, which is the exchange's until its end.
func (x *exchange) buffer() *bytes.Buffer {
	x.read = bodyBuffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
	return x.read
}

// holdBody makes room for a body of that size.
func (x *exchange) holdBody(bytes int64) (err error) {
	x.body, err = x.s.bodies.enter(x.r.Context(), x.s.budgetClient(x.r), bytes, func() {
		_ = http.NewResponseController(x.ResponseWriter).SetReadDeadline(time.Now())
	})
	return err
}

// WriteHeader implements http.ResponseWriter. The body is done with by now.
func (x *exchange) WriteHeader(status int) {
	x.body.leave()
	x.body = nil
	if x.answer == nil && x.r.Method != http.MethodHead {
		if length := x.Header()["Content-Length"]; len(length) == 1 && len(length[0]) >= len("16384") {
			if bytes, err := strconv.ParseInt(length[0], 10, 64); err == nil && bytes > smallBody && !x.holdAnswer(bytes) {
				return
			}
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

// holdAnswer makes room for an answer of that size. Where there is none, a
// problem is the answer; what a change has changed stays changed.
func (x *exchange) holdAnswer(bytes int64) bool {
	var err error
	x.answer, err = x.s.answers.enter(x.r.Context(), "", bytes, func() {
		_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Now())
	})
	if err == nil {
		return true
	}
	x.refused = true
	x.Header().Del("ETag")
	x.s.writeProblem(x.ResponseWriter, x.r, err)
	return false
}

// Write implements http.ResponseWriter. An answer to HEAD has no body.
func (x *exchange) Write(b []byte) (int, error) {
	if x.refused || x.r.Method == http.MethodHead {
		return len(b), nil
	}
	return x.ResponseWriter.Write(b)
}

// WriteString implements io.StringWriter.
func (x *exchange) WriteString(text string) (int, error) {
	if x.refused || x.r.Method == http.MethodHead {
		return len(text), nil
	}
	return io.WriteString(x.ResponseWriter, text)
}

// inTurn runs what takes a processor and much memory for a while: the reading
// of a large body, the change of a large document. At least one processor
// is left to the others, unless there is but one. What stores do with a change of
// many references to files has turns of its own, see store.Sessions.
func (s *Server) inTurn(ctx context.Context, bytes int, work func() error) error {
	if bytes <= smallBody {
		return work()
	}
	select {
	case s.turns <- struct{}{}:
	default:
		tooLong := time.NewTimer(budgetPatience)
		defer tooLong.Stop()
		select {
		case s.turns <- struct{}{}:
		case <-tooLong.C:
			return errOverloaded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-s.turns }()
	return work()
}

// turnTaker is a change whose Apply waits for its turn.
type turnTaker struct {
	schema.Change
	bytes int // of the body
	s     *Server
	ctx   context.Context //nolint:containedctx // the request's, which Apply is a part of
}

// Apply implements schema.Change. Its error may also be errOverloaded.
func (c *turnTaker) Apply(cur schema.Sections) (next schema.Sections, err error) {
	bytes := c.bytes + len(cur.Inputs) + len(cur.APIConfig) + len(cur.Results) + len(cur.Meta)
	if bytes <= smallBody {
		return c.Change.Apply(cur)
	}
	err = c.s.inTurn(c.ctx, bytes, func() (err error) {
		next, err = c.Change.Apply(cur)
		return err
	})
	return next, err
}
