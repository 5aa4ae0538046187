package config

import (
	"strings"

	"session-api/internal/memlimit"
)

const (
	// sessionShare is the default share of the process's memory for sessions, in
	// percent. Garbage collection may need as much again, and connections and bodies
	// need the rest.
	sessionShare = 40
	// bodyDivisor is the default fraction of memory for large request bodies, and for
	// answers.
	bodyDivisor = 8
)

// sessionBytes returns the default of SESSION_MAX_MEMORY_BYTES: enough for the largest
// session.
func sessionBytes(limit memlimit.Limit, largest int) int64 {
	if limit.Bytes == 0 {
		return 0
	}
	return max(limit.Bytes/100*sessionShare, 2*int64(largest))
}

// applyMemoryDefaults sets defaults that depend on the process's memory limit.
func (c *Config) applyMemoryDefaults(environ map[string]string, limit memlimit.Limit) {
	c.memoryLimit = limit
	if limit.Bytes == 0 {
		return
	}
	isSet := func(name string) bool { return strings.TrimSpace(environ[name]) != "" }
	if !isSet("SESSION_MAX_MEMORY_BYTES") && !c.OnRedis() {
		c.Store.MaxMemoryBytes = sessionBytes(limit, c.Documents.MaxBytes)
	}
	if !isSet("MAX_BODY_MEMORY_BYTES") {
		c.HTTP.MaxBodyMemory = min(c.HTTP.MaxBodyMemory, max(limit.Bytes/bodyDivisor, 2*int64(c.Documents.MaxBytes)))
	}
}
