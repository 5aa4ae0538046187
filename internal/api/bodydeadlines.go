package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// defaultDeadline bounds one read of a body or one write of an answer where the
// server sets no limit.
const defaultDeadline = 30 * time.Second

// deadlines are the deadlines of requests and answers that may take long if they make
// progress. Each read and each write gets the time that the server's timeouts give to
// a whole request or answer.
type deadlines struct {
	w           http.ResponseWriter
	controller  *http.ResponseController
	read, write time.Duration
	// strict reports that a deadline ends the request even if nothing is read or written
	// at the time, as in HTTP/2.
	strict  bool
	aborted atomic.Bool
}

func newDeadlines(w http.ResponseWriter, r *http.Request) *deadlines {
	d := &deadlines{
		w: w, controller: http.NewResponseController(w), read: defaultDeadline, write: defaultDeadline, strict: isMultiplexed(r),
	}
	d.afterRead()
	d.afterWrite()
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
		if server.ReadTimeout > 0 {
			d.read = server.ReadTimeout
		}
		if server.WriteTimeout > 0 {
			d.write = server.WriteTimeout
		}
	}
	return d
}

// beforeWrite gives the next write its time. A writer without deadlines, as in
// tests, cannot hold anybody up.
func (d *deadlines) beforeWrite() {
	_ = d.controller.SetWriteDeadline(time.Now().Add(d.write))
	d.expireAborted()
}

// abortedWrite is how long a write may take once the request was aborted: enough for
// telling a client why.
const abortedWrite = 250 * time.Millisecond

// abort makes all reads fail from now on, and all writes that the client does not take
// at once, those in progress too. It must not be called once the handler has returned.
func (d *deadlines) abort() {
	d.aborted.Store(true)
	d.expireAborted()
}

// expireAborted corrects a deadline that was set, if the request was aborted.
func (d *deadlines) expireAborted() {
	if d.aborted.Load() {
		_ = d.controller.SetWriteDeadline(time.Now().Add(abortedWrite))
		_ = d.controller.SetReadDeadline(time.Unix(1, 0))
	}
}

// afterWrite gives what comes before the next write as long as it takes.
func (d *deadlines) afterWrite() {
	if d.strict {
		_ = d.controller.SetWriteDeadline(time.Time{})
		d.expireAborted()
	}
}

// afterRead is afterWrite for reads.
func (d *deadlines) afterRead() {
	if d.strict {
		_ = d.controller.SetReadDeadline(time.Time{})
		d.expireAborted()
	}
}

// Write implements io.Writer.
func (d *deadlines) Write(b []byte) (int, error) {
	d.beforeWrite()
	defer d.afterWrite()
	return d.w.Write(b)
}

// flush sends what is written. That it failed ends the request's context.
func (d *deadlines) flush() {
	d.beforeWrite()
	defer d.afterWrite()
	_ = d.controller.Flush()
}

// body returns the request's body, with a deadline for each read.
func (d *deadlines) body(r *http.Request) io.Reader { return &deadlineBody{d: d, body: r.Body} }

type deadlineBody struct {
	d     *deadlines
	body  io.Reader
	ended bool
}

// Read implements io.Reader.
func (b *deadlineBody) Read(into []byte) (int, error) {
	if b.ended { // the connection is net/http's again, deadlines included
		return 0, io.EOF
	}
	_ = b.d.controller.SetReadDeadline(time.Now().Add(b.d.read))
	b.d.expireAborted()
	n, err := b.body.Read(into)
	b.d.afterRead()
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
