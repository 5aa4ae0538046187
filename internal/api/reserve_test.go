package api_test

import (
	"testing"

	"session-api/internal/soaktest"
	"session-api/internal/store/memory"
)

// What visitors cannot take, services can, on every route by which they create or
// change a session.
func TestReserveIsForServices(t *testing.T) {
	s := start(t, withServiceTokens, func(set *settings) {
		set.AutoCreate = true
		set.store = memory.New(memory.Options{Policy: memory.None, MaxEntries: 10, Reserve: 40})
	})
	for range 6 {
		s.client().do("POST", "/api/session", "").expect(201)
	}
	visitor := s.client()
	visitor.do("POST", "/api/session", "").problem(503, "store_full")
	visitor.do("GET", "/api/session", "").problem(503, "store_full")
	visitor.do("PUT", "/api/session", `{"inputs":{"a":1}}`).problem(503, "store_full")

	b := s.backend()
	b.do("POST", "/api/sessions", "").expect(201)
	b.do("PUT", "/api/sessions/an-id-of-a-service", "{}").expect(201)
	s.client().do("POST", "/api/session", "", "Authorization", "Bearer "+serviceToken).expect(201)
	b.do("POST", "/api/sessions", `{"user":{"id":"ada"}}`).expect(201)
	b.do("POST", "/api/sessions", `{"user":{"id":"ada"}}`).problem(503, "store_full")
}

// A flood leaves alone who is signed in, and what services have made, also one
// that uses each of its sessions again.
func TestFloodPushesOutItself(t *testing.T) {
	for _, flood := range []struct {
		policy memory.Policy
		again  bool
	}{{memory.LRU, false}, {memory.LRU, true}, {memory.TTL, false}} {
		policy := flood.policy
		s := start(t, withServiceTokens, func(set *settings) {
			set.store = memory.New(memory.Options{Policy: policy, MaxEntries: 50, Reserve: 10})
		})
		b := s.backend()
		service := []string{"Authorization", "Bearer " + serviceToken}
		user := s.client()
		user.do("POST", "/api/session", "").expect(201)
		user.do("PUT", "/api/session", `{"user":{"id":"ada"}}`, service...).expect(200)
		made := []string{"/api/sessions/an-id-of-a-service?namespace=shop", "/api/sessions/an-id-of-a-service"}
		for _, path := range made {
			b.do("PUT", path, "{}").expect(201)
		}
		known := s.client()
		known.do("POST", "/api/session", "").expect(201)
		known.do("GET", "/api/session", "").expect(200)
		signedIn := []*client{user}
		strangers := soaktest.Times(150, 500)
		for n := range strangers {
			stranger := s.client()
			stranger.do("POST", "/api/session", "").expect(201)
			if flood.again {
				stranger.do("GET", "/api/session", "").expect(200)
			}
			if n%(strangers/5) == 0 { // people sign in meanwhile
				in := s.client()
				in.do("POST", "/api/session", "").expect(201)
				in.do("PUT", "/api/session", `{"user":{"id":"bob"}}`, service...).expect(200)
				signedIn = append(signedIn, in)
			}
		}
		for _, in := range signedIn {
			in.do("GET", "/api/session", "").expect(200)
		}
		for _, path := range made {
			b.do("GET", path, "").expect(200)
		}
		if policy == memory.LRU && !flood.again {
			known.do("GET", "/api/session", "").expect(200)
		}
	}
}
