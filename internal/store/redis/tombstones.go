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

// expiryTombstone returns the tombstone of a live session with that deadline, and the end
// of it; both are empty if there is none. The .0 tells it from the tombstone of a
// session that was ended.
func (s *Store) expiryTombstone(deadline time.Time) (value, end string) {
	if s.opts.Tombstone == 0 {
		return "", ""
	}
	end = millis(deadline.Add(s.opts.Tombstone))
	return end + ".0", end
}
