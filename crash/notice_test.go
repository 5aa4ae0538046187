package crash_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What compares must be able to find something. These tests bring about what it
// is there to find.

// requireWrong checks that something of that kind was reported, and forgets it.
func (w *world) requireWrong(text string) {
	w.t.Helper()
	require.NotEmpty(w.t, w.wrong, "nothing was noticed")
	assert.Regexp(w.t, text, fmt.Sprint(w.wrong))
	w.wrong = nil
}

// quiet returns a world that has seen some crashes, and its service, which
// nobody uses.
func quiet(t *testing.T, crashes int) (*world, string) {
	t.Helper()
	w := newWorld(t, 0)
	last := crash{}
	for range crashes {
		last = w.crash(last)
	}
	_, url := w.serve()
	w.verify(url, last)
	w.requireRight("before")
	return w, url
}

// A data file that is a little old has lost changes, and has what was ended.
func TestNoticesOldFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	last := w.crash(crash{})
	service, url := w.serve()
	w.verify(url, last)
	c := w.clients[0]
	was := c.make(t)
	service.kill()
	data := filepath.Join(w.data, "sessions.db")
	old, err := os.ReadFile(data)
	require.NoError(t, err)

	service, url = w.serve()
	w.verify(url, crash{at: time.Now()})
	c.endNow(t, was)
	c.make(t)
	w.requireRight("before")
	last = crash{at: time.Now(), working: time.Now()}
	service.kill()
	require.NoError(t, os.WriteFile(data, old, 0o600))
	require.NoError(t, checkFile(w.data), "nothing is wrong with the file itself")
	_, url = w.serve()
	w.verify(url, last)
	w.requireWrong("(?s)should be.*was ended and is back")
}

// A data file of which a page is damaged must not pass.
func TestNoticesDamage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	w.crash(crash{})
	data := filepath.Join(w.data, "sessions.db")
	b, err := os.ReadFile(data)
	require.NoError(t, err)
	for i := 2 * os.Getpagesize(); i < len(b); i += 512 {
		b[i] ^= 1
	}
	require.NoError(t, os.WriteFile(data, b, 0o600))
	require.ErrorContains(t, checkFile(w.data), "damaged")
	_, err = w.start().url()
	require.ErrorContains(t, err, "damaged")
}

// What others do behind the back of a client is what a crash must not do.
func TestNotices(t *testing.T) {
	t.Parallel()
	w, url := quiet(t, 1)
	c := w.clients[1]
	for name, one := range map[string]struct {
		behind func()
		text   string
	}{
		"a session that is lost": {func() {
			c.expect(http.StatusNoContent, http.MethodDelete, c.pathOf(c.make(t).key, ""), "")
		}, "should be"},
		"another document": {func() {
			c.expect(http.StatusOK, http.MethodPatch, c.pathOf(c.make(t).key, ""), `{"inputs":{"text":"another"}}`)
		}, "should be"},
		"another deadline": {func() {
			c.expect(http.StatusOK, http.MethodPost, c.pathOf(c.make(t).key, "/touch"), "")
		}, "should be"},
		"a session of nobody": {func() {
			c.expect(http.StatusCreated, http.MethodPost, "/api/sessions", fmt.Sprintf(`{"meta":{"client":%d}}`, c.n))
		}, "should not be there"},
		"one that was ended": {func() {
			c.expect(http.StatusCreated, http.MethodPut, c.pathOf(c.finish(t).key, "")+"&revive=true", fmt.Sprintf(`{"meta":{"client":%d}}`, c.n))
		}, "is back"},
		"an end that is forgotten": {func() {
			c.finish(t).id += "-forgotten" // an id of which the service has never heard
		}, "answered 201, not 410"},
	} {
		one.behind()
		w.requireRight(name)
		w.verify(url, crash{at: time.Now()})
		t.Log(name)
		w.requireWrong(one.text)
		w.restore(url)
	}
}

// make makes a session.
func (c *client) make(t *testing.T) *session {
	t.Helper()
	op := c.create()
	for op.fleets {
		op = c.create()
	}
	c.perform(t, op)
	return c.live[len(c.live)-1]
}

// finish makes a session and ends it.
func (c *client) finish(t *testing.T) *endedSession {
	t.Helper()
	return c.endNow(t, c.make(t))
}

// endNow ends a session.
func (c *client) endNow(t *testing.T, s *session) *endedSession {
	t.Helper()
	op := c.delete(s)
	op.path, op.bearer = c.pathOf(op.on.key, ""), ""
	c.perform(t, op)
	return c.ended[len(c.ended)-1]
}

func (c *client) perform(t *testing.T, op *operation) {
	t.Helper()
	a := c.expect(op.status, op.method, op.path, op.body)
	require.NotNil(t, a)
	c.note(op, a)
}

// restore makes the clients' histories what the service has.
func (w *world) restore(url string) {
	w.t.Helper()
	for _, c := range w.clients {
		c.live, c.ended = nil, nil
		found := make(map[key]document)
		for _, space := range []string{defaultSpace, otherSpace} {
			c.list(found, space, "")
		}
		for k, doc := range found {
			if f := doc.fields(); f.Meta.Client == c.n {
				fleeting := f.ExpiresAt.Sub(f.CreatedAt) < 2*fleetingLife
				c.live = append(c.live, &session{key: k, versions: []version{{doc: doc}}, fleeting: fleeting})
			}
		}
	}
	w.verify(url, crash{at: time.Now()})
	w.requireRight("as it is")
}

// indexed returns a session that is in all indexes, and whose it is.
func (w *world) indexed() (*client, *session) {
	for _, c := range w.clients {
		for _, s := range c.live {
			if !s.fleeting && s.now().user() != "" && s.now().content().file != "" {
				return c, s
			}
		}
	}
	return nil, nil
}

// An index that disagrees with the sessions cannot be brought about from
// outside: here it is the client's history that disagrees with the index.
func TestNoticesIndexes(t *testing.T) {
	t.Parallel()
	w, url := quiet(t, 1)
	w.restore(url)
	c, s := w.indexed()
	require.NotNil(t, s)
	live := c.live
	for name, one := range map[string]struct {
		live  []*session
		check func()
		text  string
	}{
		"a user's list has one more": {nil, func() { c.verifyUser(s.space, s.now().user()) }, "not theirs"},
		"a user's list lacks one": {append([]*session{{key: key{s.space, "not there"}, versions: s.versions}}, live...), func() {
			c.verifyUser(s.space, s.now().user())
		}, "the list of"},
		"the count is higher": {nil, w.verifyCounts, "counts"},
		"the count is lower":  {append([]*session{s}, live...), w.verifyCounts, "counts"},
		"files are kept":      {nil, w.verifyFiles, "would keep"},
	} {
		c.live = one.live
		one.check()
		t.Log(name)
		w.requireWrong(one.text)
		c.live = live
	}
	// The last case has removed the files of which nobody knew.
	w.verifyFiles()
	w.requireWrong("would keep")
}
