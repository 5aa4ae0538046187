package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"session-api/internal/servicetest"
)

// A log that nobody reads, such as that of a stopped pager, stops neither
// requests nor SIGTERM.
func TestBlockedLog(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer func() { _ = read.Close() }()
	_, err = unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, 4096)
	require.NoError(t, err)
	cmd := command(servicetest.Binary(t), servicetest.Environment(t, "ACCESS_LOG", "all"))
	cmd.Stdout, cmd.Stderr = write, write
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var line struct{ Msg, Addr string }
	for decoder := json.NewDecoder(read); line.Msg != "listening"; {
		require.NoError(t, decoder.Decode(&line))
	}

	for range 500 { // their lines are more than the pipe holds, and nobody reads them
		resp := do(t, http.MethodGet, "http://"+line.Addr+"/healthz", http.Header{"User-Agent": {strings.Repeat("x", 200)}}, "")
		require.Equal(t, http.StatusOK, resp.status)
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-ended:
		assert.NoError(t, err)
	case <-time.After(patience):
		require.Fail(t, "SIGTERM does not end it")
	}
}

// A log whose reader is gone ends the service as SIGTERM does: what is in
// flight is answered.
func TestBrokenLog(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd := command(servicetest.Binary(t), servicetest.Environment(t))
	cmd.Stdout = write
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var line struct{ Msg, Addr string }
	for decoder := json.NewDecoder(read); line.Msg != "listening"; {
		require.NoError(t, decoder.Decode(&line))
	}
	conn, r := inFlight(t, line.Addr)

	require.NoError(t, read.Close())
	assert.Equal(t, http.StatusOK, do(t, http.MethodGet, "http://"+line.Addr+"/healthz", nil, "").status)
	untilTrue(t, "it accepts nobody any more", func() bool {
		other, err := net.Dial("tcp", line.Addr)
		if err == nil {
			_ = other.Close()
		}
		return err != nil
	})
	_, err = io.WriteString(conn, "}")
	require.NoError(t, err)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusCreated, resp.StatusCode)
	select {
	case err := <-ended:
		assert.NoError(t, err, "exit status 0")
	case <-time.After(patience):
		require.Fail(t, "it does not end")
	}
}
