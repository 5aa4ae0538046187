package redis

import (
	"strconv"
	"time"
)

// tombstoneEnd is how long what is ended now is remembered, as scripts take it.
func (s *Store) tombstoneEnd(now time.Time) string {
	if s.opts.Tombstone == 0 {
		return ""
	}
	return millis(now.Add(s.opts.Tombstone))
}

// tombstoneLife is how long what expires is remembered after its deadline, as
// scripts take it.
func (s *Store) tombstoneLife() string {
	if s.opts.Tombstone == 0 {
		return ""
	}
	return strconv.FormatInt(s.opts.Tombstone.Milliseconds(), 10)
}
