package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"session-api/internal/servicetest"
	"session-api/internal/soaktest"
)

// dialer dials connections that take no more than so many bytes that nobody
// reads.
func dialer(window int) *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, conn syscall.RawConn) error {
		var failed error
		err := conn.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, window)
		})
		if err != nil {
			return err
		}
		return failed
	}}
}

// dawdlers are connections on which hardly anything happens: a quarter says
// nothing, a quarter sends headers byte by byte, a quarter bodies byte by byte,
// and a quarter reads large answers byte by byte.
type dawdlers struct {
	conns []net.Conn
	stop  context.CancelFunc
	ended sync.WaitGroup
}

func dawdle(t *testing.T, p *process, token string, count int) *dawdlers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	d := &dawdlers{stop: cancel}
	t.Cleanup(d.leave)
	headers := "GET /api/session HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
	body := fmt.Sprintf("POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", 1<<20)
	get := "GET /api/session?touch=false HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\n\r\n"
	narrow := dialer(4 << 10)
	for i := range count {
		conn, err := narrow.Dial("tcp", p.addr)
		require.NoError(t, err)
		d.conns = append(d.conns, conn)
		_, err = io.WriteString(conn, []string{"", headers, body, get}[i%4])
		require.NoError(t, err)
	}
	d.ended.Go(func() { // a byte each second and connection
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		one := make([]byte, 1)
		for at := 0; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for range count / 100 {
				conn := d.conns[at]
				switch at % 4 {
				case 1, 2: // what was cut off fails, and that is right
					_, _ = io.WriteString(conn, " ")
				case 3:
					_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
					_, _ = conn.Read(one)
				}
				at = (at + 1) % count
			}
		}
	})
	return d
}

func (d *dawdlers) leave() {
	d.stop()
	d.ended.Wait()
	for _, conn := range d.conns {
		_ = conn.Close()
	}
	d.conns = nil
}

// latencies are how long small requests take that come one after the other.
func latencies(t *testing.T, p *process, token string, count int) []time.Duration {
	t.Helper()
	a := newAttacker(t, p, 1)
	took := make([]time.Duration, 0, count)
	for n := range count {
		began := time.Now()
		method, header, body := http.MethodGet, http.Header{}, ""
		if n%3 == 0 {
			method, header, body = http.MethodPatch, asMerge, `{"meta":{"n":`+strconv.Itoa(n)+`}}`
		}
		status, answer := a.send(method, "/api/session", as(token, header), body)
		took = append(took, time.Since(began))
		require.Equal(t, http.StatusOK, status, answer)
	}
	return took
}

func percentile(took []time.Duration, p float64) time.Duration {
	slices.Sort(took)
	return took[int(float64(len(took)-1)*p)]
}

// 5,000 connections that do nothing or little hold up neither the others nor
// the end. SLOW_ROUNDS says how often it is measured with and without them.
func TestSlowConnections(t *testing.T) {
	const count = 5000
	each := soaktest.Times(300, 4000)
	var files unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &files)) // which Go raises as far as it goes
	require.Greater(t, files.Max, uint64(count+500), "the limit of open files (ulimit -Hn) is too low")

	p := launch(t, servicetest.Binary(t), servicetest.Environment(t, "CREATE_RATE_PER_MINUTE", "0", "ACCESS_LOG", "errors", "SHUTDOWN_TIMEOUT_MS", "1000",
		"READ_HEADER_TIMEOUT_MS", "120000", "READ_TIMEOUT_MS", "120000", "WRITE_TIMEOUT_MS", "120000"))
	small := visit(t, "http://"+p.addr, `{"inputs":{"step":1}}`)
	large := visit(t, "http://"+p.addr, `{"inputs":{"text":"`+strings.Repeat("x", 900<<10)+`"}}`)
	latencies(t, p, small.token, 300) // all that is made once is made

	var without, with []time.Duration
	var slow *dawdlers
	for range rounds(t, "SLOW_ROUNDS", soaktest.Times(1, 5)) {
		without = append(without, latencies(t, p, small.token, each)...)
		if slow != nil {
			slow.leave()
		}
		slow = dawdle(t, p, large.token, count)
		with = append(with, latencies(t, p, small.token, each)...)
	}
	before, beside := percentile(without, 0.99), percentile(with, 0.99)
	t.Logf("p99 %v without, %v with %d slow connections: %.2f times; p50 %v and %v; %d MiB",
		before, beside, count, float64(beside)/float64(before), percentile(without, 0.5), percentile(with, 0.5), p.peak(t))
	assert.LessOrEqual(t, p.peak(t), 512, "MiB")

	began := time.Now()
	p.signal(t, syscall.SIGTERM)
	assert.Zero(t, p.end(t), p.errOut)
	t.Logf("the end took %v", time.Since(began).Round(time.Millisecond))
	soaktest.Within(t, time.Since(began), 5*time.Second, "a second is promised, and some for a busy machine")
	assert.Len(t, p.log.all("requests were cut off"), 1)
	assert.Empty(t, p.log.all("background work or requests did not stop in time"))
}
