package main

import (
	"net"
	"net/http"
	"sync"
)

// silentConns are the connections on which no byte has come yet. A shutdown
// would wait seconds for their first request.
type silentConns struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// track is a http.Server's ConnState hook.
func (s *silentConns) track(conn net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state != http.StateNew {
		delete(s.conns, conn)
		return
	}
	if s.conns == nil {
		s.conns = make(map[net.Conn]struct{})
	}
	s.conns[conn] = struct{}{}
}

// close closes them.
func (s *silentConns) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}
