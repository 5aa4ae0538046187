package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// defaultPatience is how long one read of a body or one write of an answer may
// take where the server sets no limit.
const defaultPatience = 30 * time.Second

// patience moves the deadlines of requests and answers that may take as long as
// they get on. The server's own deadlines are for requests that are handled at
// once: here each read and each write gets as long as they give to the whole.
type patience struct {
	w           http.ResponseWriter
	controller  *http.ResponseController
	read, write time.Duration
	// strict: a deadline that passes ends the request, whether or not anybody
	// reads or writes then. So it is in HTTP/2.
	strict bool
}

func newPatience(w http.ResponseWriter, r *http.Request) *patience {
	p := &patience{
		w: w, controller: http.NewResponseController(w), read: defaultPatience, write: defaultPatience, strict: manyAtOnce(r),
	}
	p.afterRead()
	p.afterWrite()
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
		if server.ReadTimeout > 0 {
			p.read = server.ReadTimeout
		}
		if server.WriteTimeout > 0 {
			p.write = server.WriteTimeout
		}
	}
	return p
}

// beforeWrite gives the next write its time. A writer without deadlines, as in
// tests, cannot hold anybody up.
func (p *patience) beforeWrite() { _ = p.controller.SetWriteDeadline(time.Now().Add(p.write)) }

// afterWrite gives what comes before the next write as long as it takes.
func (p *patience) afterWrite() {
	if p.strict {
		_ = p.controller.SetWriteDeadline(time.Time{})
	}
}

// afterRead is afterWrite for reads.
func (p *patience) afterRead() {
	if p.strict {
		_ = p.controller.SetReadDeadline(time.Time{})
	}
}

// Write implements io.Writer.
func (p *patience) Write(b []byte) (int, error) {
	p.beforeWrite()
	defer p.afterWrite()
	return p.w.Write(b)
}

// flush sends what is written. That it failed ends the request's context.
func (p *patience) flush() {
	p.beforeWrite()
	defer p.afterWrite()
	_ = p.controller.Flush()
}

// body returns the request's body, each read of which gets its time.
func (p *patience) body(r *http.Request) io.Reader { return &patientBody{p: p, body: r.Body} }

type patientBody struct {
	p     *patience
	body  io.Reader
	ended bool
}

// Read implements io.Reader.
func (b *patientBody) Read(into []byte) (int, error) {
	if b.ended { // the connection is net/http's again, deadlines included
		return 0, io.EOF
	}
	_ = b.p.controller.SetReadDeadline(time.Now().Add(b.p.read))
	n, err := b.body.Read(into)
	b.p.afterRead()
	switch {
	case errors.Is(err, io.EOF):
		b.ended = true
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("%w: %w", errShortBody, err)
	default:
		err = fmt.Errorf("%w: %w", errBrokenBody, err)
	}
	return n, err
}

var (
	errShortBody  = &problem{codeBadRequest, "The body ends before its announced length."}
	errBrokenBody = &problem{codeBadRequest, "The body cannot be read."}
)
