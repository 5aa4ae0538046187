// Package http2test speaks HTTP/2 in tests: as a client, and frame by frame.
package http2test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// NewClient is a client that begins with HTTP/2, and knows nothing else.
func NewClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// patience is how long a test waits for what should happen at once.
const patience = 2 * time.Minute

// Conn is a connection to speak HTTP/2 on by hand.
type Conn struct {
	t *testing.T
	net.Conn
	*http2.Framer
	block bytes.Buffer
	hpack *hpack.Encoder
}

// Dial opens a connection, and says on it what HTTP/2 begins with.
func Dial(t *testing.T, addr string) *Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	f := New(t, conn)
	f.Begin()
	return f
}

// New returns a connection on which nothing has been said yet.
func New(t *testing.T, conn net.Conn) *Conn {
	t.Helper()
	f := &Conn{t: t, Conn: conn, Framer: http2.NewFramer(conn, conn)}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.hpack = hpack.NewEncoder(&f.block)
	return f
}

// Begin sends the preface and the settings.
func (f *Conn) Begin(settings ...http2.Setting) {
	f.t.Helper()
	_, err := f.Write([]byte(http2.ClientPreface))
	require.NoError(f.t, err)
	require.NoError(f.t, f.WriteSettings(settings...))
}

// Request begins one. more says that a body follows; headers are pairs.
func (f *Conn) Request(stream uint32, more bool, method, path string, headers ...string) {
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

// Until reads frames up to the first that is wanted.
func (f *Conn) Until(what string, wanted func(http2.Frame) bool) http2.Frame {
	f.t.Helper()
	for {
		frame, err := f.ReadFrame()
		require.NoError(f.t, err, "never: %s", what)
		if wanted(frame) {
			return frame
		}
	}
}

// Status reads frames up to the headers of an answer.
func (f *Conn) Status(stream uint32) int {
	f.t.Helper()
	frame := f.Until("an answer", func(frame http2.Frame) bool {
		_, ok := frame.(*http2.MetaHeadersFrame)
		return ok && frame.Header().StreamID == stream
	})
	status, err := strconv.Atoi(frame.(*http2.MetaHeadersFrame).PseudoValue("status"))
	require.NoError(f.t, err)
	return status
}

// Reset reads frames up to the one that ends a stream.
func (f *Conn) Reset(stream uint32) http2.ErrCode {
	f.t.Helper()
	frame := f.Until("the end of the stream", func(frame http2.Frame) bool {
		_, ok := frame.(*http2.RSTStreamFrame)
		return ok && frame.Header().StreamID == stream
	})
	return frame.(*http2.RSTStreamFrame).ErrCode
}

// Last reads frames up to the one that says which request was the last.
func (f *Conn) Last() *http2.GoAwayFrame {
	f.t.Helper()
	frame := f.Until("that this connection ends", func(frame http2.Frame) bool {
		_, ok := frame.(*http2.GoAwayFrame)
		return ok
	})
	return frame.(*http2.GoAwayFrame)
}

// Ended reads frames until the service closes the connection.
func (f *Conn) Ended() {
	f.t.Helper()
	for {
		if _, err := f.ReadFrame(); err != nil {
			require.NotErrorIs(f.t, err, os.ErrDeadlineExceeded, "closed by the service, not by the deadline of the test")
			return
		}
	}
}
