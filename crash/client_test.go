package crash_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The namespaces in which clients have sessions.
const (
	defaultSpace = "default"
	otherSpace   = "crash"
)

// How many sessions a client keeps, and how many ended ones it remembers.
const (
	fewSessions  = 4
	manySessions = 12
	manyEnded    = 60
)

const (
	fleetingLife = 900 * time.Millisecond
	shortGrace   = 700 * time.Millisecond
	longGrace    = time.Minute
)

// client is one that sends a request, waits for the answer and notes what it
// was told. What it knows is its own: its sessions and its users.
type client struct {
	n        int
	random   *rand.Rand
	http     *http.Client
	url      string
	files    string        // where analysis files are
	interval time.Duration // how long changes may wait for the disk
	report   func(format string, args ...any)
	hangs    func() // is called when no answer comes

	live   []*session
	ended  []*endedSession
	asked  *operation // what it has sent and has no answer to
	serial int
	told   told
}

// operation is a request that changes something, and what that comes to.
type operation struct {
	name, method, path, body string
	bearer                   string // in place of the service token
	status                   int    // of its success

	// on is the session that it is about. It gets another content, or, if it
	// touches, another deadline.
	on      *session
	becomes *content
	touches bool
	// ends are the sessions that it ends.
	ends []*session
	// begets is the content of a new session, as its key; the id may be the
	// service's to choose. Where it ends on too, that one is regenerated, and
	// its key leads to the new one for the time of grace.
	begets *content
	as     key
	fleets bool
	grace  time.Duration

	sent time.Time
}

type answer struct {
	status    int
	header    http.Header
	body      []byte
	sent, got time.Time
}

// ask sends a request. With an error, nobody knows what has come of it.
func (c *client) ask(method, path, body string, header ...string) (*answer, error) {
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+serviceToken)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	a := &answer{sent: time.Now()}
	resp, err := c.http.Do(req)
	if err == nil {
		a.body, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it has been read, or cannot be
	}
	if err != nil {
		if os.IsTimeout(err) {
			c.hangs()
		}
		return nil, err
	}
	a.status, a.header, a.got = resp.StatusCode, resp.Header, time.Now()
	return a, nil
}

// work changes one thing after the other, until there is no answer any more.
func (c *client) work() {
	for c.asked == nil {
		op := c.choose()
		c.asked, op.sent = op, time.Now()
		a, err := c.ask(op.method, op.path, op.body, "Authorization", "Bearer "+cmp.Or(op.bearer, serviceToken))
		switch {
		case err != nil:
		case a.status == http.StatusServiceUnavailable:
			c.told.refused++
		case a.status != op.status:
			c.report("%s is answered %d: %s", op.name, a.status, a.body)
		default:
			c.asked = nil
			c.note(op, a)
		}
	}
}

func chance(random *rand.Rand, one int) bool { return random.IntN(one) == 0 }

// choose makes up the next request.
func (c *client) choose() *operation {
	var usable []*session
	for _, s := range c.live {
		if !s.fleeting {
			usable = append(usable, s)
		}
	}
	dice := c.random.IntN(100)
	switch {
	case len(usable) < fewSessions, len(usable) < manySessions && dice < 18:
		return c.create()
	case chance(c.random, 25):
		return c.signOut()
	}
	s := usable[c.random.IntN(len(usable))]
	switch {
	case len(usable) >= manySessions || dice < 30:
		return c.delete(s)
	case dice < 65:
		return c.change(s)
	case dice < 80:
		return c.touch(s)
	default:
		return c.regenerate(s)
	}
}

func (c *client) pathOf(k key, rest string) string {
	return "/api/sessions/" + k.id + rest + "?namespace=" + k.space
}

// users are those whose sessions sign out at once; the last one's never do.
func (c *client) users() []string {
	return []string{fmt.Sprintf("user-%d-a", c.n), fmt.Sprintf("user-%d-b", c.n), fmt.Sprintf("user-%d-c", c.n)}
}

// fill makes up content, and the file that it refers to.
func (c *client) fill() *content {
	c.serial++
	size := c.random.IntN(3000)
	if chance(c.random, 20) {
		size *= 20
	}
	return &content{
		serial: c.serial, text: strings.Repeat("x", size), user: c.users()[c.random.IntN(2)], file: c.file(),
	}
}

// file makes a file that has been there for a while.
func (c *client) file() string {
	name := fmt.Sprintf("%d-%d.txt", c.n, c.serial)
	path, old := filepath.Join(c.files, name), time.Now().Add(-time.Hour)
	if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
		panic(err)
	}
	if err := os.Chtimes(path, old, old); err != nil {
		panic(err)
	}
	return name
}

// body is the content as a request has it: all sections, so that PUT, and PATCH
// too, leave nothing of what was there.
func (c *client) body(of *content, more string) string {
	user := "null"
	if of.user != "" {
		user = fmt.Sprintf(`{"id":%q}`, of.user)
	}
	return fmt.Sprintf(`{"user":%s,"inputs":{"serial":%d,"text":%q},"results":{"analysis":{"files":[%q]}},"meta":{"client":%d}%s}`,
		user, of.serial, of.text, of.file, c.n, more)
}

func (c *client) create() *operation {
	op := &operation{begets: c.fill(), status: http.StatusCreated}
	op.as.space = []string{defaultSpace, otherSpace}[c.random.IntN(2)]
	more := ""
	if op.fleets = chance(c.random, 5); op.fleets {
		op.begets.user = c.users()[2]
		more = fmt.Sprintf(`,"ttlMs":%d`, fleetingLife.Milliseconds())
	}
	if op.as.space == defaultSpace {
		op.name, op.method, op.path = "create", http.MethodPost, "/api/sessions"
	} else {
		op.as.id = fmt.Sprintf("of-client-%d-number-%d", c.n, c.serial)
		op.name, op.method, op.path = "create by id", http.MethodPut, c.pathOf(op.as, "")
		if chance(c.random, 3) && !op.fleets {
			op.begets.user = ""
		}
	}
	op.body = c.body(op.begets, more)
	return op
}

func (c *client) change(s *session) *operation {
	next := c.fill()
	op := &operation{on: s, becomes: next, status: http.StatusOK}
	was := s.now().content()
	switch c.random.IntN(3) {
	case 0: // everything
		op.name, op.method, op.path, op.body = "put", http.MethodPut, c.pathOf(s.key, ""), c.body(next, "")
	case 1: // the visitor's own change
		next.user, next.file = was.user, was.file
		op.name, op.method, op.path = "patch", http.MethodPatch, c.pathOf(s.key, "")
		if s.token != "" {
			op.path, op.bearer = "/api/session", s.token
		}
		op.body = fmt.Sprintf(`{"inputs":{"serial":%d,"text":%q}}`, next.serial, next.text)
	default: // another user
		next.file = was.file
		op.name, op.method, op.path = "patch of the user", http.MethodPatch, c.pathOf(s.key, "")
		op.body = fmt.Sprintf(`{"user":{"id":%q},"inputs":{"serial":%d,"text":%q}}`, next.user, next.serial, next.text)
	}
	return op
}

func (c *client) touch(s *session) *operation {
	op := &operation{name: "touch", on: s, touches: true, method: http.MethodPost, status: http.StatusOK}
	op.path = c.pathOf(s.key, "/touch")
	if s.token != "" {
		op.path, op.bearer = "/api/session/touch", s.token
	}
	return op
}

func (c *client) delete(s *session) *operation {
	op := &operation{name: "delete", on: s, ends: []*session{s}, method: http.MethodDelete, status: http.StatusNoContent}
	op.path = c.pathOf(s.key, "")
	if s.token != "" {
		op.path, op.bearer = "/api/session", s.token
	}
	return op
}

func (c *client) signOut() *operation {
	user, space := c.users()[c.random.IntN(2)], []string{defaultSpace, otherSpace}[c.random.IntN(2)]
	op := &operation{name: "sign out", method: http.MethodDelete, status: http.StatusOK}
	op.path = "/api/sessions?userId=" + user + "&namespace=" + space
	for _, s := range c.live {
		if s.space == space && s.now().user() == user {
			op.ends = append(op.ends, s)
		}
	}
	return op
}

func (c *client) regenerate(s *session) *operation {
	same := s.now().content()
	op := &operation{name: "regenerate", on: s, ends: []*session{s}, begets: &same, method: http.MethodPost, status: http.StatusOK}
	op.as.space = s.space
	op.grace = []time.Duration{0, shortGrace, longGrace}[c.random.IntN(3)]
	op.path = c.pathOf(s.key, "/regenerate")
	op.body = fmt.Sprintf(`{"graceMs":%d}`, op.grace.Milliseconds())
	return op
}

// note takes an answer to heart.
func (c *client) note(op *operation, a *answer) {
	switch {
	case len(op.ends) > 0:
		c.told.ends += len(op.ends)
	case op.on != nil || op.begets != nil: // a user without sessions signs out at any time
		c.told.changes++
		c.told.last = op.sent
	}
	var handed struct {
		Session json.RawMessage `json:"session"`
		Token   string          `json:"token"`
		Deleted *int            `json:"deleted"`
	}
	doc := document(a.body)
	if len(a.body) > 0 {
		if err := json.Unmarshal(a.body, &handed); err != nil {
			c.report("%s is answered %s", op.name, a.body)
			return
		}
		if handed.Session != nil {
			doc = document(handed.Session)
		}
	}
	if handed.Deleted != nil && *handed.Deleted != len(op.ends) {
		c.report("%s ends %d sessions, not %d", op.path, *handed.Deleted, len(op.ends))
	}
	var born *session
	switch {
	case op.begets != nil:
		if doc.content() != *op.begets {
			c.report("%s makes another session than was asked for: %.200s", op.name, doc)
		}
		born = c.born(op, doc, handed.Token)
		if len(op.ends) == 0 && c.interval > 0 {
			born.versions = []version{{}}
		}
		born.becomes(doc, a.got, c.interval > 0)
	case op.becomes != nil || op.touches:
		if !op.explains(doc) {
			c.report("%s of %.200s is answered %.200s", op.name, op.on.now(), doc)
		}
		if op.becomes != nil && op.becomes.user != op.on.now().user() {
			c.endGraces(op.on)
		}
		op.on.becomes(doc, a.got, c.interval > 0)
	}
	for _, s := range op.ends {
		c.end(s, op, born, a.sent, a.got)
	}
}

// explains reports whether the document is what the operation makes of on.
func (op *operation) explains(doc document) bool {
	was, is := op.on.now().fields(), doc.fields()
	if is.ID != was.ID || !is.CreatedAt.Equal(was.CreatedAt) {
		return false
	}
	if op.touches {
		return is.Revision == was.Revision && doc.content() == op.on.now().content() && !is.ExpiresAt.Before(was.ExpiresAt)
	}
	return op.becomes != nil && is.Revision == was.Revision+1 && doc.content() == *op.becomes
}

// born adds a new session.
func (c *client) born(op *operation, doc document, token string) *session {
	s := &session{key: key{op.as.space, doc.fields().ID}, token: token, fleeting: op.fleets}
	s.versions = []version{{doc: doc}}
	c.live = append(c.live, s)
	return s
}

// endGraces notes that no old key leads to the session any more: it is another
// user's.
func (c *client) endGraces(s *session) {
	for _, gone := range c.ended {
		if gone.grace != nil && gone.grace.to == s {
			gone.grace = nil
		}
	}
}

// end takes a session from the live ones to the ended. When that was, lies
// between the two times.
func (c *client) end(s *session, op *operation, successor *session, from, till time.Time) {
	c.live = slices.DeleteFunc(c.live, func(one *session) bool { return one == s })
	gone := &endedSession{key: s.key, token: s.token}
	if successor != nil && op.grace > 0 {
		const cut = time.Millisecond // a time has whole ones, and is cut to them
		gone.grace = &grace{to: successor, user: successor.now().user(), from: from.Add(op.grace - cut), till: till.Add(op.grace)}
	}
	c.ended = append(c.ended, gone)
	if len(c.ended) > manyEnded { // any but the last: some are to grow old
		c.ended = slices.Delete(c.ended, 0, 1)
		i := c.random.IntN(len(c.ended) / 2)
		c.ended[0], c.ended[i] = c.ended[i], c.ended[0]
	}
}
