package httpserver

import (
	"io"
	"net/http"
	"time"
)

const (
	// maxStreams is how many requests an HTTP/2 connection may have at once: the
	// least that RFC 9113 (section 6.5.2) recommends. Clients open another
	// connection for more.
	maxStreams = 100
	// streamBuffer bounds what net/http buffers of unread bodies of a connection,
	// all requests together. No limit on body memory covers it, so it is the
	// least that the protocol allows.
	streamBuffer = 64<<10 - 1
	// frameBuffer is the largest frame that is read, likewise the least allowed.
	frameBuffer = 16 << 10
	// maxRefusedHeaders is how much of headers is read in order to answer 431. To
	// more, net/http may close the connection with the requests of other clients
	// on it; Envoy lets its clients send 60 KiB.
	maxRefusedHeaders = 64 << 10
	// maxStall is how long a connection may accept nothing of what is written. A
	// response that was cut off to free memory does not end before its
	// connection is closed.
	maxStall = 5 * time.Second
)

// enableHTTP2 adds HTTP/2 without TLS, with prior knowledge (RFC 9113 section
// 3.3), to a server of HTTP/1.1. refused is called for requests that are answered
// before the handler.
func enableHTTP2(server *http.Server, refused func(status int)) {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.Handler = limitHeaders(server.Handler, refused)
	server.MaxHeaderBytes = maxRefusedHeaders
	server.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          maxStreams,
		MaxReadFrameSize:              frameBuffer,
		MaxReceiveBufferPerConnection: streamBuffer,
		MaxReceiveBufferPerStream:     streamBuffer,
		WriteByteTimeout:              min(server.WriteTimeout, maxStall),
	}
}

// limitHeaders answers 431 to headers over the limit that net/http has for
// HTTP/1.1, in the same words.
func limitHeaders(next http.Handler, refused func(status int)) http.Handler {
	const most = maxHeaderBytes + 4096
	const refusal = "431 Request Header Fields Too Large"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if headerBytes(r) <= most {
			next.ServeHTTP(w, r)
			return
		}
		refused(http.StatusRequestHeaderFieldsTooLarge)
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		_, _ = io.WriteString(w, refusal)
	})
}

// headerBytes returns the size of a request's head in HTTP/1.1.
func headerBytes(r *http.Request) int {
	n := len(r.Method) + len(" ") + len(r.RequestURI) + len(" HTTP/1.1\r\n") + len("Host: ") + len(r.Host) + len("\r\n") + len("\r\n")
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return n
}
