package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what should happen at once: far longer than
// that takes on a machine that is busy with other things.
const patience = 2 * time.Minute

const (
	// endPatience is how long a test waits for a service that was told to end.
	endPatience = 28 * time.Second
	// beyondPatience is a SHUTDOWN_TIMEOUT_MS that a test does not wait for: what
	// ends has not waited for it.
	beyondPatience = "29000"
)

// logWatch collects the log lines of a service, in JSON, and hands out the
// first with a given message.
type logWatch struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	lines   []map[string]any
	changed chan struct{} // closed with each line, and made anew
}

func newLogWatch() *logWatch { return &logWatch{changed: make(chan struct{})} }

func (w *logWatch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	for bytes.IndexByte(w.buf.Bytes(), '\n') >= 0 {
		line, _ := w.buf.ReadBytes('\n')
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			fields = map[string]any{"msg": "not JSON: " + string(line)}
		}
		w.lines = append(w.lines, fields)
	}
	close(w.changed)
	w.changed = make(chan struct{})
	return len(p), nil
}

// all returns the lines with the message so far.
func (w *logWatch) all(msg string) []map[string]any {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []map[string]any
	for _, line := range w.lines {
		if line["msg"] == msg {
			found = append(found, line)
		}
	}
	return found
}

// wait returns the first line with the message, once it is there.
func (w *logWatch) wait(t *testing.T, msg string) map[string]any {
	t.Helper()
	return w.waitFor(t, msg, 1)
}

// waitFor returns the nth line with the message.
func (w *logWatch) waitFor(t *testing.T, msg string, nth int) map[string]any {
	t.Helper()
	deadline := time.After(patience)
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		if found := w.all(msg); len(found) >= nth {
			return found[nth-1]
		}
		select {
		case <-changed:
		case <-deadline:
			require.FailNow(t, "no such log line", "%q\n%s", msg, w)
		}
	}
}

func (w *logWatch) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, line := range w.lines {
		fmt.Fprintln(&b, line)
	}
	return b.String()
}

// running is a service in this process: the run that main calls.
type running struct {
	log    *logWatch
	errOut *bytes.Buffer
	addr   string
	stop   context.CancelFunc
	ended  chan struct{}
	status int
}

// start runs the service and waits until it listens.
func start(t *testing.T, environ map[string]string) *running {
	t.Helper()
	environ["LOG_FORMAT"] = "json"
	ctx, cancel := context.WithCancel(t.Context())
	s := &running{log: newLogWatch(), errOut: &bytes.Buffer{}, stop: cancel, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.status = run(ctx, nil, environ, s.log, s.errOut)
	}()
	t.Cleanup(func() { s.end(t) })
	s.addr = s.log.wait(t, "listening")["addr"].(string)
	return s
}

// end stops the service, waits for its end and returns its exit status.
func (s *running) end(t *testing.T) int {
	t.Helper()
	s.stop()
	select {
	case <-s.ended:
	case <-time.After(endPatience):
		require.FailNow(t, "the service does not end", s.log)
	}
	return s.status
}

func (s *running) url(path string) string { return "http://" + s.addr + path }

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request on a connection of its own.
func do(t *testing.T, method, url string, header http.Header, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if header != nil {
		req.Header = header
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Do(req)
	require.NoError(t, err)
	return read(t, resp)
}

func read(t *testing.T, resp *http.Response) answer {
	t.Helper()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return answer{resp.StatusCode, resp.Header, string(content)}
}

// untilTrue asks again and again until the answer is yes.
func untilTrue(t *testing.T, what string, ask func() bool) {
	t.Helper()
	look := time.NewTicker(2 * time.Millisecond) // and leave the processor to what is waited for
	defer look.Stop()
	for began := time.Now(); !ask(); <-look.C {
		require.Less(t, time.Since(began), patience, "never: %s", what)
	}
}

// dial opens a connection to speak HTTP on by hand.
func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn, bufio.NewReader(conn)
}

// inFlight starts a request that the service has begun to handle, and returns
// the connection on which the rest of its body, a "}", is still to be sent.
func inFlight(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, r := dial(t, addr)
	_, err := io.WriteString(conn, "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	line, err := r.ReadString('\n') // it comes when the handler reads the body
	require.NoError(t, err)
	require.Contains(t, line, "100 Continue")
	_, err = r.ReadString('\n')
	require.NoError(t, err)
	_, err = io.WriteString(conn, "{")
	require.NoError(t, err)
	return conn, r
}
