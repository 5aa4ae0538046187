package api

import (
	"sync"
	"time"
)

const (
	// noticeInterval is how long a notice is not repeated.
	noticeInterval = time.Minute
	// maxNotices is how many different ones are given in that time.
	maxNotices = 16
)

// notices bounds how often the log says something that every request could
// cause. The zero value is ready to use.
type notices struct {
	mu    sync.Mutex
	since time.Time
	given map[string]struct{}
}

// due reports whether the text is to be logged now.
func (n *notices) due(now time.Time, text string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if passed := now.Sub(n.since); passed >= noticeInterval || passed < 0 {
		n.since, n.given = now, make(map[string]struct{}, maxNotices)
	}
	if _, ok := n.given[text]; ok || len(n.given) >= maxNotices {
		return false
	}
	n.given[text] = struct{}{}
	return true
}
