package config

import (
	"strings"

	"session-api/internal/memlimit"
)

const (
	// sessionShare is the default share of the process's memory for sessions, and for
	// requests with an Idempotency-Key, in percent. Garbage collection may need as much
	// again, and connections and bodies need the rest.
	sessionShare = 40
	// requestShare is the part of it that those requests have at most.
	requestShare = 5
	// bodyDivisor is the default fraction of memory for large request bodies, and for
	// answers.
	bodyDivisor = 8
)

// sessionBytes returns the default of SESSION_MAX_MEMORY_BYTES beside so many bytes of
// requests: enough for the largest session.
func sessionBytes(limit memlimit.Limit, largest int, requests int64) int64 {
	if limit.Bytes == 0 {
		return 0
	}
	return max(limit.Bytes/100*sessionShare-requests, 2*int64(largest))
}

// requestBytes returns the default of IDEMPOTENCY_MAX_BYTES: enough for the largest
// session as an answer.
func requestBytes(limit memlimit.Limit, largest int, usual int64) int64 {
	return min(usual, max(limit.Bytes/100*requestShare, 2*int64(largest)))
}

// applyMemoryDefaults sets defaults that depend on the process's memory limit.
func (c *Config) applyMemoryDefaults(environ map[string]string, limit memlimit.Limit) {
	c.memoryLimit = limit
	if limit.Bytes == 0 {
		return
	}
	isSet := func(name string) bool { return strings.TrimSpace(environ[name]) != "" }
	if !isSet("IDEMPOTENCY_MAX_BYTES") {
		c.Idempotency.MaxBytes = requestBytes(limit, c.Documents.MaxBytes, c.Idempotency.MaxBytes)
	}
	if !isSet("SESSION_MAX_MEMORY_BYTES") && !c.OnRedis() {
		requests := c.Idempotency.MaxBytes
		if c.Idempotency.TTL == 0 {
			requests = 0
		}
		c.Store.MaxMemoryBytes = sessionBytes(limit, c.Documents.MaxBytes, requests)
	}
	if !isSet("MAX_BODY_MEMORY_BYTES") {
		c.HTTP.MaxBodyMemory = min(c.HTTP.MaxBodyMemory, max(limit.Bytes/bodyDivisor, 2*int64(c.Documents.MaxBytes)))
	}
}
