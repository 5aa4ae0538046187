package crash_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// listing is what the lists of all namespaces hold, and when they were read.
type listing struct {
	docs       map[key]document
	began, end time.Time
}

// list reads the whole list of a namespace, or of a user's sessions in it.
func (c *client) list(into map[key]document, space, user string) {
	path := "/api/sessions?namespace=" + space + fmt.Sprintf("&limit=%d", 1+c.random.IntN(100))
	if user != "" {
		path += "&userId=" + user
	}
	for next, last := "", (fields{}); ; {
		a, err := c.ask(http.MethodGet, path+next, "")
		if err != nil || a.status != http.StatusOK {
			c.report("%s: %v, %v", path, err, a)
			return
		}
		var page struct {
			Sessions   []json.RawMessage `json:"sessions"`
			NextCursor string            `json:"nextCursor"`
		}
		if err := json.Unmarshal(a.body, &page); err != nil {
			c.report("%s: %s", path, a.body)
			return
		}
		for _, doc := range page.Sessions {
			f := document(doc).fields()
			if _, twice := into[key{space, f.ID}]; twice {
				c.report("%s has %s twice", path, f.ID)
			}
			if last.ID != "" && f.CreatedAt.After(last.CreatedAt) {
				c.report("%s is not in its order", path)
			}
			into[key{space, f.ID}], last = document(doc), f
		}
		if page.NextCursor == "" {
			return
		}
		next = "&cursor=" + page.NextCursor
	}
}

// verify compares what the service has with what clients were told before it
// was taken down.
func (w *world) verify(url string, last crash) {
	first := w.clients[0]
	for _, c := range w.clients {
		c.url = url
	}
	found := listing{docs: make(map[key]document), began: time.Now()}
	for _, space := range []string{defaultSpace, otherSpace} {
		first.list(found.docs, space, "")
	}
	found.end = time.Now()
	parts := make([]map[key]document, len(w.clients))
	for i := range parts {
		parts[i] = make(map[key]document)
	}
	for k, doc := range found.docs {
		n := doc.fields().Meta.Client
		if n < 0 || n >= len(parts) {
			w.report("a session of nobody: %.200s", doc)
			continue
		}
		parts[n][k] = doc
	}
	for i, c := range w.clients {
		c.reconcile(listing{parts[i], found.began, found.end}, last)
	}
	var running sync.WaitGroup
	for _, c := range w.clients {
		running.Go(c.verify)
	}
	running.Wait()
	w.verifyCounts()
	w.verifyFiles()
}

// reconcile compares the client's sessions with those that are listed, and
// takes over what it could not know.
func (c *client) reconcile(found listing, last crash) {
	for _, s := range c.live {
		s.settle(last.working.Add(-c.interval))
	}
	var perhapsEnded []*session
	if op := c.asked; op != nil {
		perhapsEnded = op.ends
		c.told.unknown++
		if c.resolve(op, found.docs, last.at) {
			c.told.made++
		}
		c.asked = nil
	}
	var live []*session
	for _, s := range c.live {
		doc := found.docs[s.key]
		delete(found.docs, s.key)
		v, allowed := s.allows(doc)
		switch {
		case doc == nil && s.over(found.end): // expired, or lost before that
			continue
		case !allowed:
			c.report("session %s should be, as was told %v and %v before the last change and the crash,\n%.200s\nbut is %.200s",
				s.id, last.working.Sub(s.versions[0].at), last.at.Sub(s.versions[0].at), s.now(), doc)
			v = version{doc: doc}
		case doc != nil && !doc.fields().ExpiresAt.After(found.began):
			c.report("session %s has expired, and is there: %.200s", s.id, doc)
		}
		if doc != nil || !slices.Contains(perhapsEnded, s) {
			c.countLost(s, v, last)
		}
		if doc != nil {
			s.versions = []version{v}
			live = append(live, s)
		}
	}
	c.live = live
	for k, doc := range found.docs {
		c.report("session %s should not be there: %.200s", k.id, doc)
	}
}

// countLost counts the versions after the one that is left.
func (c *client) countLost(s *session, left version, last crash) {
	for _, v := range slices.Backward(s.versions) {
		if string(v.doc) == string(left.doc) {
			return
		}
		c.told.lost++
		c.told.oldest = max(c.told.oldest, last.at.Sub(v.at))
		c.told.span = max(c.told.span, last.working.Sub(v.at))
	}
}

// resolve finds out whether the operation that had no answer was made, and
// notes it if so. A session that it made leaves the listing.
func (c *client) resolve(op *operation, found map[key]document, killed time.Time) bool {
	switch {
	case op.begets != nil:
		for k, doc := range found {
			if k.space != op.as.space || op.as.id != "" && op.as.id != k.id || doc.content() != *op.begets || c.has(k) {
				continue
			}
			if op.on != nil && found[op.on.key] != nil {
				c.report("session %s was regenerated in part: it is there, and so is %s", op.on.id, k.id)
			}
			born := c.born(op, doc, "") // its token was in the answer
			for _, s := range op.ends {
				c.end(s, op, born, op.sent, killed)
			}
			return true
		}
		return false
	case len(op.ends) > 0:
		gone := false
		for _, s := range op.ends {
			if _, perhaps := s.allows(nil); found[s.key] == nil && !perhaps && !s.over(killed) {
				gone = true
				c.end(s, op, nil, killed, killed)
			}
		}
		return gone
	case op.on != nil && found[op.on.key] != nil && op.explains(found[op.on.key]):
		op.on.becomes(found[op.on.key], killed, false)
		return true
	}
	return false
}

func (c *client) has(k key) bool {
	return slices.ContainsFunc(c.live, func(s *session) bool { return s.key == k })
}

// verify asks for each session in every way.
func (c *client) verify() {
	for _, s := range c.live {
		c.verifyLive(s)
	}
	for _, gone := range c.ended {
		if gone.seen < 2 || chance(c.random, 10) {
			gone.seen++
			c.verifyEnded(gone)
		}
	}
	for _, user := range c.users() {
		for _, space := range []string{defaultSpace, otherSpace} {
			c.verifyUser(space, user)
		}
	}
}

// expect asks and compares the status. It returns nil if there is something
// else.
func (c *client) expect(status int, method, path, body string, header ...string) *answer {
	a, err := c.ask(method, path, body, header...)
	switch {
	case err != nil:
		c.report("%s %s: %v", method, path, err)
	case a.status != status:
		c.report("%s %s is answered %d, not %d: %.200s", method, path, a.status, status, a.body)
	default:
		return a
	}
	return nil
}

func (c *client) verifyLive(s *session) {
	doc := s.now()
	if s.fleeting {
		a, err := c.ask(http.MethodGet, c.pathOf(s.key, ""), "")
		expires := doc.fields().ExpiresAt
		switch {
		case err != nil:
			c.report("reading session %s: %v", s.id, err)
		case a.status == http.StatusOK && !a.sent.Before(expires):
			c.report("session %s has expired, and is there: %.200s", s.id, a.body)
		case a.status != http.StatusOK && a.got.Before(expires):
			c.report("session %s has not expired, and is gone: %d", s.id, a.status)
		}
		return
	}
	tag := "" // the first that is answered, which all others have to be
	check := func(a *answer) {
		if a != nil && tag == "" {
			tag = a.header.Get("ETag")
		}
		if a != nil && (string(a.body) != string(doc) || a.header.Get("ETag") != tag) {
			c.report("session %s is listed as %.200s\nand read as %s %.200s", s.id, doc, a.header.Get("ETag"), a.body)
		}
	}
	check(c.expect(http.StatusOK, http.MethodGet, c.pathOf(s.key, ""), ""))
	c.expect(http.StatusNotModified, http.MethodGet, c.pathOf(s.key, ""), "", "If-None-Match", tag)
	if s.token != "" {
		check(c.expect(http.StatusOK, http.MethodGet, "/api/session?touch=false", "", "Authorization", "Bearer "+s.token))
	}
}

func (c *client) verifyEnded(gone *endedSession) {
	a, err := c.ask(http.MethodGet, c.pathOf(gone.key, ""), "")
	if err != nil {
		c.report("reading session %s: %v", gone.id, err)
		return
	}
	// A change of the user whose answer was lost has ended the grace as well.
	if g := gone.grace; g != nil && slices.Contains(c.live, g.to) && g.to.now().user() == g.user && a.sent.Before(g.till) {
		switch {
		case a.status == http.StatusOK && string(a.body) != string(g.to.now()):
			c.report("session %s leads to %.200s\nnot to %.200s", gone.id, a.body, g.to.now())
		case a.status != http.StatusOK && a.got.Before(g.from):
			c.report("session %s is within its grace for %v, and leads nowhere: %d %s", gone.id, g.from.Sub(a.got), a.status, a.body)
		}
		return
	}
	gone.grace = nil
	if a.status != http.StatusNotFound {
		c.report("session %s was ended and is back: %d %.200s", gone.id, a.status, a.body)
	}
	if gone.token != "" {
		c.expect(http.StatusUnauthorized, http.MethodGet, "/api/session", "", "Authorization", "Bearer "+gone.token)
	}
	a = c.expect(http.StatusGone, http.MethodPut, c.pathOf(gone.key, ""), fmt.Sprintf(`{"meta":{"client":%d}}`, c.n))
	if a != nil && !strings.Contains(string(a.body), `"session_ended"`) {
		c.report("a late write to session %s: %s", gone.id, a.body)
	}
}

// verifyUser compares what the index of a user holds.
func (c *client) verifyUser(space, user string) {
	found := make(map[key]document)
	began := time.Now()
	c.list(found, space, user)
	for _, s := range c.live {
		if s.space != space || s.now().user() != user {
			continue
		}
		if doc := found[s.key]; string(doc) != string(s.now()) && !s.over(time.Now()) {
			c.report("the list of %s has %.200s\nnot %.200s", user, doc, s.now())
		}
		if s.over(began) {
			continue
		}
		delete(found, s.key)
	}
	for k := range found {
		c.report("the list of %s has session %s, which is not theirs or is over", user, k.id)
	}
}

// verifyCounts compares how many sessions the namespaces have.
func (w *world) verifyCounts() {
	for _, space := range []string{defaultSpace, otherSpace} {
		began := time.Now()
		a := w.clients[0].expect(http.StatusOK, http.MethodGet, "/api/sessions/count?namespace="+space, "")
		if a == nil {
			continue
		}
		least, most := 0, 0
		for _, c := range w.clients {
			for _, s := range c.live {
				if s.space != space {
					continue
				}
				if !s.over(began) {
					most++
				}
				if !s.over(a.got) {
					least++
				}
			}
		}
		var n struct {
			Count int `json:"count"`
		}
		if err := json.Unmarshal(a.body, &n); err != nil || n.Count < least || n.Count > most {
			w.report("namespace %s counts %s, not %d to %d", space, a.body, least, most)
		}
	}
}

// verifyFiles looks which files a cleanup would keep, and removes the others.
func (w *world) verifyFiles() {
	began := time.Now()
	a := w.clients[0].expect(http.StatusOK, http.MethodPost, "/api/cleanup?dryRun=true", "")
	if a == nil {
		return
	}
	sure, maybe := map[string]bool{}, map[string]bool{}
	for _, c := range w.clients {
		for _, s := range c.live {
			switch file := s.now().content().file; {
			case file == "", s.over(began):
			case s.over(a.got):
				maybe[file] = true
			default:
				sure[file] = true
			}
		}
	}
	var report struct {
		Kept    int `json:"kept"`
		Deleted int `json:"deleted"`
		Errors  int `json:"errors"`
		Entries []struct {
			Path string `json:"path"`
		} `json:"entries"`
	}
	if err := json.Unmarshal(a.body, &report); err != nil || report.Errors > 0 {
		w.report("the cleanup says %.200s", a.body)
		return
	}
	for _, entry := range report.Entries {
		if sure[entry.Path] {
			w.report("the cleanup would remove %s, which a session refers to", entry.Path)
		}
	}
	if report.Kept < len(sure) || report.Kept > len(sure)+len(maybe) {
		w.report("the cleanup would keep %d files, not %d", report.Kept, len(sure))
	}
	entries, err := os.ReadDir(w.files)
	if err != nil {
		w.report("reading the files: %v", err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return e.Name() == ".session-api-cleanup" }) // its own
	if n := report.Kept + report.Deleted; n != len(entries) {
		w.report("the cleanup has seen %d files, not %d", n, len(entries))
	}
	for _, entry := range entries {
		if !sure[entry.Name()] && !maybe[entry.Name()] {
			if err := os.Remove(filepath.Join(w.files, entry.Name())); err != nil {
				w.report("removing a file: %v", err)
			}
		}
	}
}
