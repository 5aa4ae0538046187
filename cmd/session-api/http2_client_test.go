package main

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// speaksHTTP2 is a client that begins with HTTP/2, and knows nothing else.
func speaksHTTP2(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// frames is a connection to speak HTTP/2 on by hand.
type frames struct {
	t *testing.T
	net.Conn
	*http2.Framer
	block bytes.Buffer
	hpack *hpack.Encoder
}

// dialHTTP2 opens a connection, and says on it what HTTP/2 begins with.
func dialHTTP2(t *testing.T, addr string) *frames {
	t.Helper()
	conn, _ := dial(t, addr)
	f := newFrames(t, conn)
	f.begin()
	return f
}

func newFrames(t *testing.T, conn net.Conn) *frames {
	t.Helper()
	f := &frames{t: t, Conn: conn, Framer: http2.NewFramer(conn, conn)}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.hpack = hpack.NewEncoder(&f.block)
	return f
}

func (f *frames) begin(settings ...http2.Setting) {
	f.t.Helper()
	_, err := f.Write([]byte(http2.ClientPreface))
	require.NoError(f.t, err)
	require.NoError(f.t, f.WriteSettings(settings...))
}

// request begins one. more says that a body follows; headers are pairs.
func (f *frames) request(stream uint32, more bool, method, path string, headers ...string) {
	f.t.Helper()
	f.block.Reset()
	for pair := range slices.Chunk(append([]string{":method", method, ":scheme", "http", ":authority", "localhost", ":path", path}, headers...), 2) {
		require.NoError(f.t, f.hpack.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1]}))
	}
	const most = 16 << 10 // of a frame
	parts := slices.Collect(slices.Chunk(f.block.Bytes(), most))
	require.NoError(f.t, f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: parts[0], EndStream: !more, EndHeaders: len(parts) == 1,
	}))
	for i, part := range parts[1:] {
		require.NoError(f.t, f.WriteContinuation(stream, i == len(parts)-2, part))
	}
}

// posts begins a request of which the service reads the body.
func (f *frames) posts(stream uint32, length int) {
	f.t.Helper()
	f.request(stream, true, "POST", "/api/session", "content-type", "application/json",
		"content-length", strconv.Itoa(length), "expect", "100-continue")
	require.Equal(f.t, 100, f.status(stream), "it comes when the handler reads the body")
}

// until reads frames up to the first that is wanted.
func (f *frames) until(what string, wanted func(http2.Frame) bool) http2.Frame {
	f.t.Helper()
	for {
		frame, err := f.ReadFrame()
		require.NoError(f.t, err, "never: %s", what)
		if wanted(frame) {
			return frame
		}
	}
}

// status reads frames up to the headers of an answer.
func (f *frames) status(stream uint32) int {
	f.t.Helper()
	frame := f.until("an answer", func(frame http2.Frame) bool {
		_, ok := frame.(*http2.MetaHeadersFrame)
		return ok && frame.Header().StreamID == stream
	})
	status, err := strconv.Atoi(frame.(*http2.MetaHeadersFrame).PseudoValue("status"))
	require.NoError(f.t, err)
	return status
}

// reset reads frames up to the one that ends a stream.
func (f *frames) reset(stream uint32) http2.ErrCode {
	f.t.Helper()
	frame := f.until("the end of the stream", func(frame http2.Frame) bool {
		_, ok := frame.(*http2.RSTStreamFrame)
		return ok && frame.Header().StreamID == stream
	})
	return frame.(*http2.RSTStreamFrame).ErrCode
}

// last reads frames up to the one that says which request was the last.
func (f *frames) last() *http2.GoAwayFrame {
	f.t.Helper()
	frame := f.until("that this connection ends", func(frame http2.Frame) bool {
		_, ok := frame.(*http2.GoAwayFrame)
		return ok
	})
	return frame.(*http2.GoAwayFrame)
}

// ended reads frames until the service closes the connection.
func (f *frames) ended() {
	f.t.Helper()
	for {
		if _, err := f.ReadFrame(); err != nil {
			require.NotErrorIs(f.t, err, os.ErrDeadlineExceeded, "closed by the service, not by the deadline of the test")
			return
		}
	}
}
