package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deadlineRecorder is a http.ResponseWriter that notes those in force.
type deadlineRecorder struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (d *deadlineRecorder) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlineRecorder) SetWriteDeadline(t time.Time) error { d.write = t; return nil }

// In HTTP/2 a deadline that passes between two reads or writes ends the request,
// so there is none then. In HTTP/1 it waits for the next one.
func TestDeadlines_betweenReadsAndWrites(t *testing.T) {
	for major, none := range map[int]bool{1: false, 2: true} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("body"))
		r.ProtoMajor = major
		began := time.Now()
		w := &deadlineRecorder{httptest.NewRecorder(), began, began}
		p := newDeadlines(w, r)
		assert.Equal(t, none, w.read.IsZero())
		assert.Equal(t, none, w.write.IsZero())

		_, err := p.body(r).Read(make([]byte, 1))
		require.NoError(t, err)
		assert.Equal(t, none, w.read.IsZero())
		_, err = p.Write([]byte("x"))
		require.NoError(t, err)
		assert.Equal(t, none, w.write.IsZero())
		p.flush()
		assert.Equal(t, none, w.write.IsZero())
		p.beforeWrite()
		assert.True(t, w.write.After(began))
	}
}
