package httpserver

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What has begun to connect is accepted, and nothing else begins.
func TestRefuse(t *testing.T) {
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	addr := listener.Addr().String()
	begun, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = begun.Close() })
	waiting, err := backlog(listener)
	require.NoError(t, err)
	assert.Equal(t, 1, waiting)

	require.NoError(t, refuse(listener))
	_, err = net.DialTimeout("tcp", addr, 50*time.Millisecond)
	require.ErrorContains(t, err, "timeout")
	accepted, err := listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = accepted.Close() })
	waiting, err = backlog(listener)
	require.NoError(t, err)
	assert.Zero(t, waiting)

	_, err = begun.Write([]byte("x"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return unread(accepted) }, patience, time.Millisecond)
	_, err = accepted.Read(make([]byte, 1))
	require.NoError(t, err, "it works as any other")
	assert.False(t, unread(accepted))

	require.NoError(t, listener.Close())
	_, err = net.Dial("tcp", addr)
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
}
