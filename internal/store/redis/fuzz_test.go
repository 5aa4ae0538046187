package redis

import (
	"testing"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
)

// Whatever is in the stream of events, or is sent back by clients as an ID, reading
// it does not panic.
func FuzzEvents(f *testing.F) {
	const id = "0123456789abcdef0123456789abcdef"
	f.Add("1795280000123-0", "updated", "1795280000123", "session:"+id, `a\"da`, "7", "1795280000124", "")
	f.Add("0-1", "regenerated", "1", "session:shop:"+id, "", "1", "", id)
	f.Add("01-1", "created", "-1", "session:", `\u12`, "", "x", "")
	s := &Store{keys: format.Keys{Prefix: DefaultPrefix}}
	f.Fuzz(func(t *testing.T, at, what, when, session, user, revision, expires, previous string) {
		ev, ok := s.readEvent(rueidis.XRangeEntry{ID: at, FieldValues: map[string]string{
			"type": what, "at": when, "session": session, "user": user, "revision": revision, "expires": expires, "previous": previous,
		}})
		if ok {
			assert.Equal(t, session, s.keys.Session(ev.Session))
			assert.Equal(t, ev.UserID, unescaped(escaped(ev.UserID)))
			assert.Contains(t, backend.EventTypes, ev.Type)
		}
		if validEventID(at) {
			assert.Regexp(t, `^(0|[1-9][0-9]*)-(0|[1-9][0-9]*)$`, at)
		}
	})
}
