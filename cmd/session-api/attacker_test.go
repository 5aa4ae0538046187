package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"session-api/internal/soaktest"
)

// attacker sends what it likes, and counts the answers.
type attacker struct {
	t      *testing.T
	base   string
	client http.Client

	mu      sync.Mutex
	answers map[int]int // by status; 0 for none
}

func newAttacker(t *testing.T, p *process, clients int) *attacker {
	t.Helper()
	a := &attacker{t: t, base: "http://" + p.addr, answers: make(map[int]int), client: http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: 2 * patience,
	}}
	t.Cleanup(a.client.CloseIdleConnections)
	return a
}

// send sends a request with a body, and returns the answer's status and body.
func (a *attacker) send(method, path string, header http.Header, body string) (status int, answer string) {
	status, answer, _ = a.try(method, path, header, body)
	a.mu.Lock()
	a.answers[status]++
	a.mu.Unlock()
	return status, answer
}

// try is send that counts nothing, and says why there is no answer.
func (a *attacker) try(method, path string, header http.Header, body string) (status int, answer string, err error) {
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.base+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header = header.Clone()
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	content, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, string(content), err
}

// pour sends requests over connections of its own, each as soon as the one before
// is answered, and counts the answers. It takes a fraction of the processor time
// of send, so that floods are the service's work and not the test's.
func (a *attacker) pour(clients, times int, request func(client, n int) string) {
	a.t.Helper()
	times *= rounds(a.t, "ATTACKS", soaktest.Times(1, 10))
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			answers := make(map[int]int)
			var c pouring
			defer c.close()
			for n := range times {
				answers[c.exchange(a.base, request(client, n))]++
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			for status, count := range answers {
				a.answers[status] += count
			}
		})
	}
	all.Wait()
}

// pouring is a connection that is opened when it is needed.
type pouring struct {
	conn net.Conn
	r    *bufio.Reader
}

func (c *pouring) close() {
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// exchange returns the status of the answer, or 0 if there is none.
func (c *pouring) exchange(base, request string) (status int) {
	if c.conn == nil {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			return 0
		}
		c.conn, c.r = conn, bufio.NewReader(conn)
	}
	_ = c.conn.SetDeadline(time.Now().Add(2 * patience))
	_, failed := io.WriteString(c.conn, request) // it may be answered all the same
	status, kept, err := readAnswer(c.r)
	if failed != nil || err != nil || !kept {
		c.close()
	}
	return status
}

// readAnswer reads an answer that says how long it is, and reports whether the
// connection is kept.
func readAnswer(r *bufio.Reader) (status int, kept bool, err error) {
	kept = true
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadString('\n')
		if err != nil {
			return status, false, err
		}
		line = strings.TrimRight(line, "\r\n")
		name, value, _ := strings.Cut(line, ": ")
		switch {
		case first:
			_, code, _ := strings.Cut(line, " ")
			if status, err = strconv.Atoi(code[:min(3, len(code))]); err != nil {
				return 0, false, err
			}
		case line == "":
			_, err = r.Discard(length)
			return status, kept, err
		case strings.EqualFold(name, "Content-Length"):
			if length, err = strconv.Atoi(value); err != nil {
				return status, false, err
			}
		case strings.EqualFold(name, "Transfer-Encoding"):
			return status, false, errors.New("an answer in chunks")
		case strings.EqualFold(name, "Connection"):
			kept = kept && !strings.EqualFold(value, "close")
		}
	}
}

// posting is the text of a POST with a body and further lines of header.
func posting(path, body string, lines ...string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n" + body
}

func typed(mediaType string) http.Header { return http.Header{"Content-Type": {mediaType}} }

var (
	asJSON  = typed("application/json")
	asMerge = typed("application/merge-patch+json")
	asPatch = typed("application/json-patch+json")
)

func as(token string, header http.Header) http.Header {
	h := header.Clone()
	h.Set("Authorization", "Bearer "+token)
	return h
}
