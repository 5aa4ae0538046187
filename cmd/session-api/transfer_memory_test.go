package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/config"
	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// endless is a store with so many sessions that it does not keep them: it makes
// up what is listed, and forgets what is created.
type endless struct {
	backend.Store
	sample schema.Session
	count  int

	mu   sync.Mutex
	seen int
	peak uint64 // of the memory in use
}

// look measures the memory in use, now and then.
func (e *endless) look(more int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.seen
	e.seen += more
	if steps := max(e.count/10, 1); before/steps != e.seen/steps {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		e.peak = max(e.peak, m.HeapAlloc)
	}
}

func (e *endless) Namespaces(context.Context, time.Time) ([]string, error) {
	return []string{schema.DefaultNamespace}, nil
}

func (e *endless) List(_ context.Context, _ time.Time, q backend.Query) (backend.Page, error) {
	var page backend.Page
	for n := range min(q.Limit, e.count-e.seen) {
		sess := e.sample
		sess.ID = fmt.Sprintf("%016d", e.seen+n)
		sess.Doc = bytes.Replace(sess.Doc, []byte("0123456789abcdef"), []byte(sess.ID), 1)
		page.Sessions = append(page.Sessions, sess)
	}
	if e.look(len(page.Sessions)); e.seen < e.count {
		page.Next = "further"
	}
	return page, nil
}

func (e *endless) Create(context.Context, time.Time, schema.Session, ...backend.CreateOption) error {
	e.look(1)
	return nil
}

// What is in memory does not depend on how many sessions there are.
func TestTransfer_memoryIsBounded(t *testing.T) {
	for name, of := range map[string]struct{ size, total, allowed int }{
		"small sessions": {4 << 10, 24 << 20, 16 << 20},
		"large sessions": {1 << 20, 64 << 20, 40 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			sec := schema.EmptySections()
			sec.Inputs = []byte(`{"text":"` + strings.Repeat("x", of.size-500) + `"}`)
			sample, err := new(schema.Rules).Build(schema.Session{
				Namespace: schema.DefaultNamespace, ID: "0123456789abcdef", Revision: 1, TTL: time.Hour,
				ExpiresAt: time.Now().Add(time.Hour),
			}, sec)
			require.NoError(t, err)
			count := of.total / of.size
			runtime.GC()
			var before runtime.MemStats
			runtime.ReadMemStats(&before)

			// What the export writes the import reads at once.
			from, into := &endless{sample: sample, count: count}, &endless{count: count}
			in, out := io.Pipe()
			export, load := &exportJob{out: out}, &importJob{in: in}
			go func() { _ = out.CloseWithError(export.run(t.Context(), from, &config.Config{})) }()
			require.NoError(t, load.run(t.Context(), into, &config.Config{Documents: config.Documents{MaxBytes: 1 << 20}}))
			assert.Equal(t, count, into.seen)
			peak := max(from.peak, into.peak)
			require.Positive(t, peak)
			t.Logf("%d MB in use at most", (peak-min(peak, before.HeapAlloc))>>20)
			assert.Less(t, peak-min(peak, before.HeapAlloc), uint64(of.allowed))
		})
	}
}
