package api_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTheOldTokenDoesWhatTheNewOneDoes(t *testing.T) {
	for _, transport := range []string{"cookie", "bearer"} {
		for _, use := range everyUse {
			s := start(t)
			c := s.client()
			first := c.create(`{"meta":{"z":1}}`)
			old := []string{"Cookie", cookieName + "=" + c.token()}
			if transport == "bearer" {
				old = []string{"Authorization", "Bearer " + c.token()}
			}
			d := c.do("POST", "/api/session/regenerate", `{"graceMs":5000}`).expect(200).document()
			assert.NotEqual(t, first.ID, d.ID)
			s.clock.advance(4999 * time.Millisecond)

			name := fmt.Sprintf("%s: %s %s", transport, use.method, use.path)
			a := s.client().do(use.method, use.path, use.body, old...)
			assert.Equal(t, 200, a.StatusCode, name)
			assert.Empty(t, a.Header["Set-Cookie"], name)
			if use.method != "HEAD" && !strings.HasPrefix(use.path, verify) {
				assert.Equal(t, d.ID, a.document().ID, name)
				got := c.do("GET", "/api/session?touch=false", "").expect(200).document()
				assert.Equal(t, a.document().Meta, got.Meta, name)
				assert.Equal(t, a.document().ExpiresAt, got.ExpiresAt, name)
			}
			s.clock.advance(time.Millisecond)
			a = s.client().do(use.method, use.path, use.body, old...)
			assert.Equal(t, 401, a.StatusCode, name)
		}
	}
}

func TestCreatingWithATokenInItsGraceEndsTheSuccessor(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create("")
	old := cookieName + "=" + c.token()
	c.do("POST", "/api/session/regenerate", `{"graceMs":5000}`).expect(200)
	s.as("POST", "/api/session", "", old).expect(201)
	c.do("GET", "/api/session", "").problem(401, "unauthorized")
}

// A browser may hold the old cookie and the new one, of two kinds.
func TestBothTokensInTheGrace(t *testing.T) {
	s := start(t)
	c := s.client()
	c.create("")
	old := cookieName + "=" + c.token()
	d := c.do("POST", "/api/session/regenerate", `{"graceMs":60000}`).expect(200).document()
	s.clock.advance(50 * time.Second)
	s.client().do("POST", "/api/sessions/"+d.ID+"/touch", "").expect(200)
	for _, both := range []string{old + "; " + cookieName + "=" + c.token(), cookieName + "=" + c.token() + "; " + old} {
		a := s.as("POST", "/api/session/touch", "", both).expect(200)
		assert.Equal(t, d.ID, a.document().ID)
		assert.Len(t, a.Header["Set-Cookie"], 1, "the one that may be renewed counts")
	}
	s.client().do("GET", "/api/session", "", "Cookie", old, "Authorization", "Bearer "+c.token()).expect(200)
}

func TestWritesInFlightBesideARegenerate(t *testing.T) {
	const writers = 16
	for range 10 {
		s := start(t)
		c := s.client()
		c.create("")
		old := cookieName + "=" + c.token()
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				s.as("PATCH", "/api/session", fmt.Sprintf(`{"meta":{"w%d":true}}`, i), old).expect(200)
			})
		}
		all.Go(func() { c.do("POST", "/api/session/regenerate", `{"graceMs":5000}`).expect(200) })
		all.Wait()
		meta := string(c.do("GET", "/api/session", "").expect(200).document().Meta)
		assert.Equal(t, writers, strings.Count(meta, "true"), meta)
	}
}
