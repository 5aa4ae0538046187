package api_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
)

func TestRoot(t *testing.T) {
	s := start(t)
	c := s.client()

	t.Run("a person gets a page", func(t *testing.T) {
		resp := c.do("GET", "/", "", "Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8").expect(200)
		assert.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
		assert.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
		assert.NotContains(t, resp.Header.Get("Content-Security-Policy"), "unsafe")
		for _, text := range []string{"session-api", "<strong>ready</strong>", `href="docs"`, `href="stats"`, `href="docs/README.md"`} {
			assert.Contains(t, string(resp.body), text)
		}
	})

	t.Run("a program gets JSON, whose links lead somewhere", func(t *testing.T) {
		for _, accept := range []string{"", "*/*", "application/json", "text/html;q=0, */*"} {
			resp := c.do("GET", "/", "", "Accept", accept).expect(200)
			var got struct {
				Status string
				Links  map[string]string
			}
			require.NoError(t, json.Unmarshal(resp.body, &got), accept)
			assert.Equal(t, "ready", got.Status)
			require.NotEmpty(t, got.Links)
			for _, path := range got.Links {
				c.do("GET", path, "").expect(200)
			}
		}
	})

	t.Run("what does not answer is told", func(t *testing.T) {
		away := start(t, func(set *settings) { set.store = silentStore{set.store} })
		assert.Contains(t, string(away.client().do("GET", "/", "").expect(200).body), "the store does not answer")
		away.api.Drain()
		assert.Contains(t, string(away.client().do("GET", "/", "").expect(200).body), "shutting down")
	})

	resp := c.do("GET", "/favicon.ico", "").expect(200)
	assert.Equal(t, "image/png", resp.Header.Get("Content-Type"))
	resp = c.do("GET", "/docs/README.md", "").expect(200)
	assert.Contains(t, string(resp.body), "# session-api")
	c.do("POST", "/", "").expect(405)
	c.do("GET", "/nothing", "", "Accept", "text/html").expect(404)
}

// silentStore cannot be asked.
type silentStore struct{ backend.Store }

func (silentStore) Ping(context.Context) error { return backend.ErrUnavailable }
