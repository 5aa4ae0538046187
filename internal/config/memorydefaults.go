package config

import (
	"strings"

	"session-api/internal/memlimit"
)

const (
	// sessionShare is how many percent of the process's memory sessions may take
	// where nothing says how much: a collection needs about as much again at
	// worst, and connections and bodies the rest.
	sessionShare = 40
	// bodyPart is the part of it that large bodies in work may take, and answers
	// likewise.
	bodyPart = 8
)

// sessionBytes is SESSION_MAX_MEMORY_BYTES where it is not set: always enough for
// the largest session, as where it is.
func sessionBytes(limit memlimit.Limit, largest int) int64 {
	if limit.Bytes == 0 {
		return 0
	}
	return max(limit.Bytes/100*sessionShare, 2*int64(largest))
}

// fitMemory makes the defaults fit the limit, as far as nothing else is set.
func (c *Config) fitMemory(environ map[string]string, limit memlimit.Limit) {
	c.memoryLimit = limit
	if limit.Bytes == 0 {
		return
	}
	isSet := func(name string) bool { return strings.TrimSpace(environ[name]) != "" }
	if !isSet("SESSION_MAX_MEMORY_BYTES") && !c.OnRedis() {
		c.Store.MaxMemoryBytes = sessionBytes(limit, c.Documents.MaxBytes)
	}
	if !isSet("MAX_BODY_MEMORY_BYTES") {
		c.HTTP.MaxBodyMemory = min(c.HTTP.MaxBodyMemory, max(limit.Bytes/bodyPart, 2*int64(c.Documents.MaxBytes)))
	}
}
