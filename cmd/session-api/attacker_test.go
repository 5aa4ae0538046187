package main

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
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
