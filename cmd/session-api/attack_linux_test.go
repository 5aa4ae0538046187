package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/soaktest"
)

// peak is the most memory that the process has had, in MiB, as the kernel
// counts it.
func (p *process) peak(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(status)
	require.NotNil(t, m, "%s", status)
	kib, err := strconv.Atoi(string(m[1]))
	require.NoError(t, err)
	return kib >> 10
}

// each lets so many clients do it at once, each so many times; more often where
// ATTACKS or SOAK says so.
func each(t *testing.T, clients, times int, do func(client, n int)) {
	t.Helper()
	times *= rounds(t, "ATTACKS", soaktest.Times(1, 10))
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for n := range times {
				do(client, n)
			}
		})
	}
	all.Wait()
}

// only holds the answers against those that are right, and wants some of each
// that must be.
func (a *attacker) only(may []int, must ...int) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for status := range a.answers {
		assert.Contains(a.t, append(may, must...), status, "%v", a.answers)
	}
	for _, status := range must {
		assert.Positive(a.t, a.answers[status], "%v", a.answers)
	}
}

// many is count values that f makes, separated by commas.
func many(count int, f func(i int) string) string {
	values := make([]string, count)
	for i := range values {
		values[i] = f(i)
	}
	return strings.Join(values, ",")
}

func always(text string) func(int) string { return func(int) string { return text } }

// member is a JSON member of some length, of which no two have one name.
func member(i int) string { return fmt.Sprintf(`"k%06d":1`, i) }

// The same letters again and again, in an order that many hash functions do not
// look at.
func colliding(i int) string {
	var b strings.Builder
	for bit := range 17 {
		b.WriteString([]string{"Aa", "BB"}[i>>bit&1])
	}
	return `"` + b.String() + `":1`
}

// overloaded is what a large request may get: not now, too slow, or the end of
// its connection while it is still being sent.
var overloaded = []int{http.StatusServiceUnavailable, http.StatusRequestTimeout, 0}

// longFloods are attacks of more than 10,000 sessions each, which only make soak has: in
// one process, the stores' own tests bound what so many take.
var longFloods = []string{
	"new sessions without end, the oldest go", "new sessions from one address, and from ever new ones", "ever new namespaces",
}

// attacks are what somebody may try, each with the most memory that the whole
// service may take meanwhile, in MiB. docs/security.md says so too.
var attacks = map[string]struct {
	bound   int
	environ []string // pairs
	attack  func(t *testing.T, p *process)
}{
	"new sessions without end, the oldest go": {
		128, nil,
		func(t *testing.T, p *process) {
			a := newAttacker(t, p, 16)
			create := posting("/api/session", `{"inputs":{"text":"`+strings.Repeat("x", 1000)+`"}}`)
			a.pour(16, soaktest.Times(700, 1000), func(int, int) string { return create }) // of which 10,000 stay
			a.only(nil, http.StatusCreated)
		},
	},
	"new sessions without end, none go": {
		128,
		[]string{"SESSION_EVICTION_POLICY", "none", "SESSION_MAX_ENTRIES", "5000"},
		func(t *testing.T, p *process) {
			v := visit(t, "http://"+p.addr, `{"inputs":{"step":1}}`)
			a := newAttacker(t, p, 16)
			create := posting("/api/session", "")
			a.pour(16, soaktest.Times(350, 500), func(int, int) string { return create })
			a.only(nil, http.StatusCreated, http.StatusServiceUnavailable)
			assert.Equal(t, 1, v.read("http://"+p.addr).Revision, "who was there still is")
			// There is room again once somebody leaves.
			require.Equal(t, http.StatusNoContent, v.ask(http.MethodDelete, "http://"+p.addr+"/api/session", "").status)
			visit(t, "http://"+p.addr, "")
		},
	},
	"new sessions from one address, and from ever new ones": {
		128,
		[]string{"CREATE_RATE_PER_MINUTE", "300", "TRUSTED_PROXIES", "127.0.0.1"},
		func(t *testing.T, p *process) {
			one := newAttacker(t, p, 8)
			same := posting("/api/session", "", "X-Forwarded-For: 192.0.2.1")
			one.pour(8, soaktest.Times(150, 500), func(int, int) string { return same })
			one.only(nil, http.StatusCreated, http.StatusTooManyRequests)
			assert.LessOrEqual(t, one.answers[http.StatusCreated], 600, "of two minutes, where one has just begun")
			ever := newAttacker(t, p, 8)
			ever.pour(8, soaktest.Times(750, 1500), func(client, n int) string {
				return posting("/api/session", "", fmt.Sprintf("X-Forwarded-For: 2001:%x:%x::1", 0xd00+client, n))
			})
			ever.only(nil, http.StatusCreated)
		},
	},
	"200 documents of 1 MiB at once": {
		512,
		[]string{"SESSION_MAX_MEMORY_BYTES", strconv.Itoa(64 << 20), "SESSION_EVICTION_POLICY", "none"},
		func(t *testing.T, p *process) {
			a := newAttacker(t, p, 200)
			body := `{"inputs":{"text":"` + strings.Repeat("x", 1<<20-1000) + `"}}`
			each(t, 200, 1, func(int, int) { a.send(http.MethodPost, "/api/session", asJSON, body) })
			a.only(overloaded, http.StatusCreated)
		},
	},
	"1 MiB of nesting": {
		512, nil,
		func(t *testing.T, p *process) {
			a := newAttacker(t, p, 50)
			open := `{"inputs":{"a":` + strings.Repeat("[", 1<<20-1000)
			flat := `{"inputs":{"a":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + `}}`
			each(t, 50, 2, func(_, n int) { a.send(http.MethodPost, "/api/session", asJSON, []string{open, flat}[n%2]) })
			a.only(overloaded, http.StatusBadRequest)
		},
	},
	"names that collide": {
		512,
		[]string{"SESSION_MAX_MEMORY_BYTES", strconv.Itoa(64 << 20), "SESSION_EVICTION_POLICY", "none"},
		func(t *testing.T, p *process) {
			a := newAttacker(t, p, 50)
			body := `{"inputs":{` + many(25_000, colliding) + `}}`
			each(t, 50, 1, func(int, int) { a.send(http.MethodPost, "/api/session", asJSON, body) })
			a.only(overloaded, http.StatusCreated)
		},
	},
	"small patches of large documents": {
		512, nil,
		func(t *testing.T, p *process) {
			const clients = 12
			a := newAttacker(t, p, clients)
			body := `{"inputs":{"a":[` + many(400_000, always("1")) + `]}}`
			tokens := make([]string, 4)
			for i := range tokens {
				tokens[i] = visit(t, a.base, body).token
			}
			front := "[" + many(1000, always(`{"op":"add","path":"/inputs/a/0","value":1}`)) + "]"
			twice := "[" + many(10, func(i int) string {
				return fmt.Sprintf(`{"op":"copy","from":"/inputs","path":"/inputs/b%d"}`, i)
			}) + "]"
			// Each document gets both kinds at once.
			each(t, clients, 1, func(client, n int) {
				kind := (client/len(tokens) + n) % 2
				a.send(http.MethodPost, "/api/session/operations", as(tokens[client%len(tokens)], asPatch), []string{front, twice}[kind])
			})
			a.only(append(overloaded, http.StatusRequestEntityTooLarge), http.StatusUnprocessableEntity)
		},
	},
	"merge patches of many names": {
		512, nil,
		func(t *testing.T, p *process) {
			const clients = 12
			a := newAttacker(t, p, clients)
			body := `{"inputs":{` + many(80_000, member) + `}}`
			tokens := make([]string, 4)
			for i := range tokens {
				tokens[i] = visit(t, a.base, body).token
			}
			each(t, clients, 1, func(client, _ int) {
				a.send(http.MethodPatch, "/api/session", as(tokens[client%len(tokens)], asMerge), body)
			})
			a.only(overloaded, http.StatusOK)
		},
	},
	"headers that do not end": {
		256, nil,
		func(t *testing.T, p *process) {
			head := "GET /api/session HTTP/1.1\r\nHost: localhost\r\n"
			for i := range 150 {
				head += fmt.Sprintf("X-%03d: %s\r\n", i, strings.Repeat("x", 95))
			}
			for range 3000 {
				conn, err := net.Dial("tcp", p.addr)
				require.NoError(t, err)
				t.Cleanup(func() { _ = conn.Close() })
				_, err = io.WriteString(conn, head)
				require.NoError(t, err)
			}
		},
	},
	"cookies and tokens by the thousand": {
		128, nil,
		func(t *testing.T, p *process) {
			a := newAttacker(t, p, 16)
			pairs := strings.TrimSuffix(strings.Repeat("a=b; ", 3000), "; ")
			same := strings.TrimSuffix(strings.Repeat("validator_session_id=s%3A"+strings.Repeat("a", 64)+".b; ", 100), "; ")
			requests := make([]string, 0, 4)
			for _, line := range []string{
				"Cookie: " + pairs,
				"Cookie: " + same,
				"Authorization: Bearer s:" + strings.Repeat("a", 10_000) + ".b",
				"Cookie: validator_session_id=s%3A" + strings.Repeat("a", 10_000) + ".b",
			} {
				requests = append(requests, "GET /api/session HTTP/1.1\r\nHost: localhost\r\n"+line+"\r\n\r\n")
			}
			a.pour(16, 100, func(_, n int) string { return requests[n%len(requests)] })
			a.only(nil, http.StatusUnauthorized)
		},
	},
	"ever new namespaces": {
		192,
		// Sessions of services go after those of visitors without a user: there is room for all.
		[]string{"SESSION_SWEEP_INTERVAL_MS", "500", "SESSION_MAX_ENTRIES", "100000"},
		func(t *testing.T, p *process) {
			a := newAttacker(t, p, 16)
			a.pour(16, soaktest.Times(750, 1500), func(client, n int) string {
				return posting(fmt.Sprintf("/api/sessions?namespace=n-%d-%d", client, n), "")
			})
			a.only(nil, http.StatusCreated)
		},
	},
	"answers that are not read": {
		256,
		[]string{"SESSION_MAX_MEMORY_BYTES", strconv.Itoa(64 << 20)},
		func(t *testing.T, p *process) {
			v := visit(t, "http://"+p.addr, `{"inputs":{"text":"`+strings.Repeat("x", 1<<20-1000)+`"}}`)
			// Of even the fewer, kept in whole, the documents would be beyond the bound.
			responses := soaktest.Times(500, 1000)
			for i := range responses {
				conn, err := dialer(4<<10).Dial("tcp", p.addr)
				require.NoError(t, err)
				t.Cleanup(func() { _ = conn.Close() })
				// Each has another document to send.
				patch := `{"meta":{"n":` + strconv.Itoa(i) + `}}`
				_, err = fmt.Fprintf(conn, "PATCH /api/session HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"+
					"Content-Type: application/merge-patch+json\r\nContent-Length: %d\r\n\r\n%s", v.token, len(patch), patch)
				require.NoError(t, err)
			}
			untilTrue(t, "all documents are made", func() bool { // and most of the answers wait
				resp := v.ask(http.MethodGet, "http://"+p.addr+"/api/session/stats", "")
				var st struct{ Sets int }
				return json.Unmarshal([]byte(resp.body), &st) == nil && st.Sets > responses // others write too
			})
			// Others that read get theirs although hundreds hold it up.
			began := time.Now()
			untilTrue(t, "a large answer is sent", func() bool {
				return v.ask(http.MethodGet, "http://"+p.addr+"/api/session", "").status == http.StatusOK
			})
			t.Logf("a large answer among %d that are not read took %v", responses, time.Since(began).Round(time.Millisecond))
		},
	},
	"bodies that do not come": {
		256,
		[]string{"SESSION_MAX_MEMORY_BYTES", strconv.Itoa(64 << 20)},
		func(t *testing.T, p *process) {
			sent := `{"inputs":{"text":"` + strings.Repeat("x", 40<<10)
			for range 1000 {
				conn, err := net.Dial("tcp", p.addr)
				require.NoError(t, err)
				t.Cleanup(func() { _ = conn.Close() })
				_, err = fmt.Fprintf(conn, "POST /api/session HTTP/1.1\r\nHost: localhost\r\n"+
					"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", 1<<20, sent)
				require.NoError(t, err)
			}
			began := time.Now()
			body := `{"inputs":{"text":"` + strings.Repeat("x", 900<<10) + `"}}`
			untilTrue(t, "a large body is taken", func() bool {
				return do(t, http.MethodPost, "http://"+p.addr+"/api/session", asJSON.Clone(), body).status == http.StatusCreated
			})
			t.Logf("a large body among 1,000 that do not come took %v", time.Since(began).Round(time.Millisecond))
		},
	},
}

// Whatever somebody tries, the service's memory stays within a bound, and
// others are served as always.
func TestAttacks(t *testing.T) {
	path := servicetest.Binary(t)
	for name, tc := range attacks {
		if slices.Contains(longFloods, name) && !soaktest.Long() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p := launch(t, path, servicetest.Environment(t, append([]string{
				"CREATE_RATE_PER_MINUTE", "0", "ACCESS_LOG", "errors",
				"GOMAXPROCS", "2", // large documents are worked on by so many at once
			}, tc.environ...)...))
			before := p.peak(t)
			others, stop := startStaying(t, p.addr, 3)
			tc.attack(t, p)
			others.goOn(20)
			stop()
			t.Logf("%d MiB, before it %d; %d requests of others, the longest took %v",
				p.peak(t), before, others.requests.Load(), others.longest.Round(time.Millisecond))
			bound := tc.bound
			if !soaktest.Long() { // on a busy machine, the collector is late
				bound += bound / 2
			}
			assert.LessOrEqual(t, p.peak(t), bound, "MiB")
			assert.Zero(t, others.failed.Load(), strings.Join(others.firstFailures, "\n"))
		})
	}
}
