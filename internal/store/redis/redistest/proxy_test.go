package redistest_test

import (
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/redis/redistest"
)

// echo is a server that sends back what it is sent, and ends when its client
// does.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	target, err := net.ResolveTCPAddr("tcp", addr)
	require.NoError(t, err)
	conn, err := net.DialTCP("tcp", nil, target)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	require.NoError(t, err)
}

// requireBack requires that exactly this text comes.
func requireBack(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	got := make([]byte, len(text))
	_, err := io.ReadFull(conn, got)
	require.NoError(t, err)
	require.Equal(t, text, string(got))
}

// requireSilence requires that for a while nothing comes, not even the end.
func requireSilence(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
}

// requireEnd requires that the connection ends, and returns how.
func requireEnd(t *testing.T, conn net.Conn) error {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	_, err := conn.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	return err
}

func TestProxyPassesOn(t *testing.T) {
	proxy := redistest.StartProxy(t, echo(t))
	conn := dial(t, proxy.Addr())
	send(t, conn, "hello")
	requireBack(t, conn, "hello")

	// More than the proxy holds at a time, both ways at once.
	large := strings.Repeat("0123456789abcdef", 1<<20)
	go func() { _, _ = io.WriteString(conn, large) }()
	requireBack(t, conn, large)

	require.NoError(t, conn.CloseWrite())
	assert.ErrorIs(t, requireEnd(t, conn), io.EOF, "an end is an end on the other side, and comes back")
}

func TestProxyInFrontOfRedis(t *testing.T) {
	server := redistest.Start(t, redistest.TLS(), redistest.Password("service", "secret"))
	proxy := redistest.StartProxy(t, server.Addr())
	opt := server.ClientOption()
	opt.InitAddress = []string{proxy.Addr()}
	opt.DisableRetry = true
	client := connect(t, opt)
	_, err := ask(t, client, "SET", "key", "value")
	require.NoError(t, err)

	proxy.Refuse()
	proxy.Cut()
	_, err = ask(t, client, "GET", "key")
	require.Error(t, err)

	proxy.Accept()
	require.Eventually(t, func() bool {
		value, err := ask(t, client, "GET", "key")
		return err == nil && value == "value"
	}, patience, 10*time.Millisecond)
}

func TestProxyLatency(t *testing.T) {
	proxy := redistest.StartProxy(t, echo(t))
	conn := dial(t, proxy.Addr())
	const latency = 40 * time.Millisecond
	for _, directions := range [][]redistest.Direction{{redistest.Up}, {redistest.Down}, {redistest.Up, redistest.Down}} {
		for _, d := range directions {
			proxy.SetLatency(d, latency)
		}
		began := time.Now()
		send(t, conn, "hello")
		requireBack(t, conn, "hello")
		assert.GreaterOrEqual(t, time.Since(began), time.Duration(len(directions))*latency)
		for _, d := range directions {
			proxy.SetLatency(d, 0)
		}
	}
	proxy.SetLatency(redistest.Up, time.Hour)
	proxy.SetLatency(redistest.Up, 0)
	send(t, conn, "hello")
	requireBack(t, conn, "hello")
}

func TestProxyBandwidth(t *testing.T) {
	proxy := redistest.StartProxy(t, echo(t))
	conn := dial(t, proxy.Addr())
	for _, d := range []redistest.Direction{redistest.Up, redistest.Down} {
		proxy.SetBandwidth(d, 100_000)
		began := time.Now()
		text := strings.Repeat("x", 20_000)
		send(t, conn, text)
		requireBack(t, conn, text)
		// The last piece arrives before the pause that pays for it.
		assert.Greater(t, time.Since(began), 150*time.Millisecond)
		proxy.SetBandwidth(d, 0)
	}
}

func TestProxyStall(t *testing.T) {
	for name, d := range map[string]redistest.Direction{"up": redistest.Up, "down": redistest.Down} {
		t.Run(name, func(t *testing.T) {
			proxy := redistest.StartProxy(t, echo(t))
			conn := dial(t, proxy.Addr())
			send(t, conn, "before")
			requireBack(t, conn, "before")

			proxy.Stall(d)
			send(t, conn, "during")
			requireSilence(t, conn)
			late := dial(t, proxy.Addr())
			send(t, late, "also")
			requireSilence(t, late)

			proxy.Flow(d)
			requireBack(t, conn, "during")
			requireBack(t, late, "also")
		})
	}

	t.Run("hides that the other side has ended", func(t *testing.T) {
		proxy := redistest.StartProxy(t, echo(t))
		conn := dial(t, proxy.Addr())
		send(t, conn, "before")
		requireBack(t, conn, "before")
		proxy.Stall(redistest.Down)
		require.NoError(t, conn.CloseWrite())
		requireSilence(t, conn)
		proxy.Flow(redistest.Down)
		assert.ErrorIs(t, requireEnd(t, conn), io.EOF)
	})

	t.Run("ends with Cut and with the test", func(t *testing.T) {
		proxy := redistest.StartProxy(t, echo(t))
		proxy.Stall(redistest.Up)
		proxy.Stall(redistest.Down)
		cut, left := dial(t, proxy.Addr()), dial(t, proxy.Addr())
		send(t, cut, "lost")
		send(t, left, "lost")
		require.Eventually(t, func() bool { return proxy.Counts().Bytes[redistest.Up] == 8 }, patience, time.Millisecond)
		proxy.Cut()
		assert.ErrorIs(t, requireEnd(t, cut), syscall.ECONNRESET)
		proxy.Flow(redistest.Down)
		send(t, dial(t, proxy.Addr()), "left behind")
	})
}

func TestProxyCut(t *testing.T) {
	proxy := redistest.StartProxy(t, echo(t))
	conn := dial(t, proxy.Addr())
	send(t, conn, "hello")
	requireBack(t, conn, "hello")
	proxy.Cut()
	require.ErrorIs(t, requireEnd(t, conn), syscall.ECONNRESET)

	again := dial(t, proxy.Addr())
	send(t, again, "hello")
	requireBack(t, again, "hello")
}

func TestProxyRefuse(t *testing.T) {
	proxy := redistest.StartProxy(t, echo(t))
	conn := dial(t, proxy.Addr())
	send(t, conn, "hello")
	requireBack(t, conn, "hello")

	proxy.Refuse()
	assert.True(t, refused(proxy.Addr()))
	send(t, conn, "still here")
	requireBack(t, conn, "still here")

	proxy.Accept()
	again := dial(t, proxy.Addr())
	send(t, again, "hello")
	requireBack(t, again, "hello")
}

func TestProxyWithoutServer(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	proxy := redistest.StartProxy(t, server.Addr())
	conn, err := net.Dial("tcp", proxy.Addr())
	if err == nil { // the reset may also come a moment later
		err = requireEnd(t, conn)
	}
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestProxyCounts(t *testing.T) {
	proxy := redistest.StartProxy(t, redistest.Start(t).Addr())
	conn := dial(t, proxy.Addr())
	send(t, conn, "PING\r\n")
	requireBack(t, conn, "+PONG\r\n")
	before := proxy.Counts()
	assert.Equal(t, redistest.Counts{
		Connections: 1,
		RoundTrips:  1,
		Segments:    [2]int64{1, 1},
		Bytes:       [2]int64{int64(len("PING\r\n")), int64(len("+PONG\r\n"))},
	}, before)

	// A pipeline is one round trip, and one segment if it is written at once.
	send(t, conn, strings.Repeat("PING\r\n", 10))
	requireBack(t, conn, strings.Repeat("+PONG\r\n", 10))
	since := proxy.Counts().Sub(before)
	assert.Zero(t, since.Connections)
	assert.EqualValues(t, 1, since.RoundTrips)
	assert.EqualValues(t, 1, since.Segments[redistest.Up])
	assert.EqualValues(t, 60, since.Bytes[redistest.Up])
	assert.EqualValues(t, 70, since.Bytes[redistest.Down])
}
