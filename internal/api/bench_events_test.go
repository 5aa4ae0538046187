package api_test

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/memory"
)

// BenchmarkEvents follows touches of sessions through one stream over TCP, as
// fast as it is read: events/s is what one reader gets. The touches are on the
// same machine, and wait for the reader where it is behind.
func BenchmarkEvents(b *testing.B) {
	const kept, ahead = 100_000, 50_000
	rules := &schema.Rules{MaxBytes: 1 << 20}
	mem := memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 1000, Events: kept})
	b.Cleanup(func() { _ = mem.Close() })
	handler, err := api.New(options(store.NewSessions(mem, rules, store.Lifetimes{TTL: time.Hour}, store.UserLimit{}), rules))
	require.NoError(b, err)
	srv := httptest.NewServer(handler)
	b.Cleanup(srv.Close)

	now := schema.Now(time.Now())
	sec := schema.EmptySections()
	sec.User = &schema.User{ID: "user-1042", Roles: []string{}}
	sess, err := rules.Build(schema.Session{
		Namespace: schema.DefaultNamespace, ID: schema.NewID(), Revision: 1, CreatedAt: now, UpdatedAt: now,
		TTL: 365 * 24 * time.Hour, ExpiresAt: now.Add(time.Hour),
	}, sec)
	require.NoError(b, err)
	require.NoError(b, mem.Create(b.Context(), now, sess))

	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/api/events", http.NoBody)
	require.NoError(b, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(b, err)
	b.Cleanup(func() { _ = resp.Body.Close() })
	lines := bufio.NewScanner(bufio.NewReaderSize(resp.Body, 64<<10))
	read := make(chan int, kept) // how many events came, now and then
	go func() {
		defer close(read)
		for n := 0; lines.Scan(); {
			if !bytes.HasPrefix(lines.Bytes(), []byte("event: touched")) {
				continue
			}
			if n++; n%1000 == 0 || n == b.N {
				read <- n
			}
		}
	}()

	b.ReportAllocs()
	b.ResetTimer()
	came := 0
	for n := range b.N {
		for n-came >= ahead {
			came = <-read
		}
		if _, err := mem.Touch(b.Context(), now, sess.Key(), sess.ExpiresAt.Add(time.Duration(n+1)*time.Millisecond)); err != nil {
			b.Fatal(err)
		}
	}
	for came < b.N {
		more, ok := <-read
		if !ok {
			b.Fatal("the stream ended")
		}
		came = more
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
