package httpserver

import (
	"io"
	"net/http"
	"time"
)

const (
	// maxStreams is how many requests one connection of HTTP/2 may have at once:
	// the least that RFC 9113 (section 6.5.2) recommends. Clients open another
	// connection for more.
	maxStreams = 100
	// streamBuffer is what net/http takes of bodies that nobody reads yet, for
	// all requests of a connection together. It counts towards no budget, so it
	// is the least that the protocol knows.
	streamBuffer = 64<<10 - 1
	// frameBuffer is the largest frame that is read, likewise the least.
	frameBuffer = 16 << 10
	// maxRefusedHeaders is what is read of headers to refuse them. What is more
	// net/http may refuse with all requests of the connection, other clients' as
	// well; Envoy lets clients of its own send 60 KiB.
	maxRefusedHeaders = 64 << 10
	// maxStall is how long a connection of many requests may take nothing at
	// all of what is sent: until it is closed, an answer that was cut off for
	// others to have its memory does not end.
	maxStall = 5 * time.Second
)

// speakHTTP2 makes the server take HTTP/2 without TLS as well, from clients
// that begin with it (RFC 9113 section 3.3). HTTP/1.1 stays as it is. refused is
// told of requests that are answered before any handler sees them.
func speakHTTP2(server *http.Server, refused func(status int)) {
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

// limitHeaders refuses headers over the limit that net/http holds to where it
// speaks HTTP/1.1 alone, and as it does.
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

// headerBytes is what the head of a request takes in HTTP/1.1.
func headerBytes(r *http.Request) int {
	n := len(r.Method) + len(" ") + len(r.RequestURI) + len(" HTTP/1.1\r\n") + len("Host: ") + len(r.Host) + len("\r\n") + len("\r\n")
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return n
}
