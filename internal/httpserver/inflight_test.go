package httpserver

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// The end waits for requests that are handled, and no other begins.
func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newInFlight()
		finish := make(chan struct{})
		handled := 0
		handler := h.count(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { handled++; <-finish }))
		ask := func() {
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		}
		go ask()
		synctest.Wait()

		ended := false
		go func() { h.wait(); ended = true }()
		synctest.Wait()
		assert.False(t, ended)
		assert.PanicsWithValue(t, http.ErrAbortHandler, ask)
		assert.Equal(t, 1, handled)
		assert.False(t, ended)

		close(finish)
		synctest.Wait()
		assert.True(t, ended)
		h.wait()
	})
}
