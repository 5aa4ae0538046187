package api

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Many clients write the whole of a body before they read the answer. If the
// connection is closed while they write, what they get is a reset, and the
// answer that says what was wrong is lost (RFC 9112 section 9.6). So an answer
// that is given before the body is read is sent, and what comes of the body is
// read and dropped for a moment, as nginx does with lingering_close.
const (
	// lingerTime is how long that goes on at most, and lingerIdle how long it
	// waits for more, unless the server gives a whole request less.
	lingerTime = 5 * time.Second
	lingerIdle = time.Second
	// lingerIdleMany is lingerIdle for HTTP/2, where no connection is closed: a
	// RST_STREAM tells clients to stop sending and to keep the answer (RFC 9113
	// section 8.1). Some do not keep it, others stop by themselves and wait for
	// the stream to end.
	lingerIdleMany = 200 * time.Millisecond
	// lingerBytes is how much is dropped at most.
	lingerBytes = 64 << 20
	// maxLingering is for how many requests at once that is done.
	maxLingering = 256
	// readByServer is what net/http itself reads of a body before it closes the
	// connection.
	readByServer = 256 << 10
	// sentUnasked is what clients of HTTP/2 send of a body before they are asked
	// for more.
	sentUnasked = 64<<10 - 1
)

// requestBody is a request's body that knows how far it has been read.
type requestBody struct {
	io.ReadCloser
	begun, ended, failed bool
}

// Read implements io.Reader.
func (b *requestBody) Read(into []byte) (int, error) {
	b.begun = true
	n, err := b.ReadCloser.Read(into)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		b.ended = true
	default:
		b.failed = true
	}
	return n, err
}

// isUnread reports whether so much of a body may be unread that net/http does not
// read it by itself, or, in HTTP/2, that the client still has some of it to send.
func (b *requestBody) isUnread(r *http.Request) bool {
	ready := int64(readByServer)
	if isMultiplexed(r) {
		ready = sentUnasked
	}
	return !b.ended && !b.failed && (r.ContentLength < 0 || r.ContentLength > ready)
}

// isAwaited reports whether the client sends the body only when it is asked to
// (RFC 9110 section 10.1.1), and has not been.
func (b *requestBody) isAwaited(r *http.Request) bool {
	expect := r.Header["Expect"]
	return !b.begun && len(expect) > 0 && strings.EqualFold(expect[0], "100-continue")
}

// discardBuffers are for what is read and dropped.
var discardBuffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// linger sends the answer, and drops what still comes of the request's body.
// The handler is done.
func (s *Server) linger(w http.ResponseWriter, r *http.Request, body *requestBody) {
	if body.ReadCloser == nil || !body.isUnread(r) || body.isAwaited(r) {
		return
	}
	select {
	case s.lingering <- struct{}{}:
		defer func() { <-s.lingering }()
	default:
		return
	}
	conn := http.NewResponseController(w)
	if conn.Flush() != nil {
		return
	}
	buf := discardBuffers.Get().(*[16 << 10]byte) //nolint:forcetypeassert // the pool holds nothing else
	defer discardBuffers.Put(buf)
	longest, idle := lingerTime, lingerIdle
	if isMultiplexed(r) {
		idle = lingerIdleMany
	}
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ReadTimeout > 0 {
		longest, idle = min(longest, server.ReadTimeout), min(idle, server.ReadTimeout)
	}
	began := time.Now()
	for left := lingerBytes; left > 0; {
		if s.draining.Load() {
			longest = idle
		}
		now := time.Now()
		wait := min(idle, longest-now.Sub(began))
		if wait <= 0 || conn.SetReadDeadline(now.Add(wait)) != nil {
			break
		}
		n, err := body.Read(buf[:])
		if err != nil {
			break
		}
		left -= n
	}
	if !body.ended && !isMultiplexed(r) {
		_ = conn.SetReadDeadline(time.Now()) // or net/http would read on
	}
}
