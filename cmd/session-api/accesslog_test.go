package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The end of the service writes what is still to be written: there is a line for
// each request.
func TestNoLineIsLostAtTheEnd(t *testing.T) {
	s := start(t, map[string]string{"PORT": "0", "ACCESS_LOG": "all"})
	const clients, each = 8, 50
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range each {
				resp, err := http.Get(s.url("/healthz"))
				if assert.NoError(t, err) {
					assert.NoError(t, resp.Body.Close())
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, s.end(t))
	assert.Equal(t, clients*each, strings.Count(s.log.String(), "GET /healthz => HTTP 200"))
	assert.Len(t, s.log.all("stopped"), 1)
}
