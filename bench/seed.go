package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// session is one of those that the requests of a row are about.
type session struct{ user, cookie string }

// perUser is how many sessions a user has.
const perUser = 10

const (
	// modelUser is the user in session.json.
	modelUser = "u-10482"
	// perMilli is how many sessions were created in a millisecond.
	perMilli = 100
)

// seed makes sessions and returns some of them, evenly spread. One is created
// as by anybody; the others are records of it that are imported, each with an
// id, a user, a time and a file of its own.
func (l *lab) seed(ctx context.Context, addr string, count int) ([]session, error) {
	model, err := l.model(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("making a session: %w", err)
	}
	every := max(1, count/maxCallers)
	made := make([]session, 0, count/every+1)
	records, out := io.Pipe()
	written := make(chan struct{})
	go func() {
		defer close(written)
		buffered := bufio.NewWriterSize(out, 1<<20)
		var line []byte
		for i := range count {
			var s session
			line, s = model.record(line[:0], i)
			if i%every == 0 {
				made = append(made, s)
			}
			if _, err := buffered.Write(line); err != nil {
				return // the service has answered already
			}
		}
		_ = out.CloseWithError(buffered.Flush())
	}()
	err = l.importRecords(ctx, addr, records, count)
	_ = records.Close() // which ends the writer
	<-written
	if err != nil {
		return nil, fmt.Errorf("making %d sessions: %w", count, err)
	}
	return made, nil
}

// importRecords expects that all of them are stored.
func (l *lab) importRecords(ctx context.Context, addr string, records io.Reader, count int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/api/import", records)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := l.patient().Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var report struct{ Imported int }
	if err := json.Unmarshal(content, &report); err != nil || report.Imported != count {
		return fmt.Errorf("import: %s: %s", resp.Status, content)
	}
	return nil
}

// patient is the client without its time limit.
func (l *lab) patient() *http.Client { return &http.Client{Transport: l.client.Transport} }

// model is a session that was created, as the pieces of its record: an id, a
// time, a user and a number go between them.
type model struct {
	secret, cookieName string
	pieces             [5][]byte
	created            time.Time
	id                 *rand.ChaCha8
}

// model creates a session, looks at its record, and ends it.
func (l *lab) model(ctx context.Context, addr string) (*model, error) {
	token := serviceToken(l, nil)[0].header
	a, err := l.ask(ctx, addr, http.MethodPost, sessionPath, step(sessionBody, 0), http.StatusCreated,
		append(lines(asJSON), token)...)
	if err != nil {
		return nil, err
	}
	var made struct {
		ID        string
		CreatedAt string
	}
	if err := json.Unmarshal(a.Body, &made); err != nil {
		return nil, err
	}
	records, err := l.ask(ctx, addr, http.MethodGet, "/api/export", "", http.StatusOK, token)
	if err != nil {
		return nil, err
	}
	if _, err := l.ask(ctx, addr, http.MethodDelete, listPath+"/"+made.ID, "", http.StatusNoContent, token); err != nil {
		return nil, err
	}
	cookie, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	name, _, _ := strings.Cut(cookie, "=")
	m := &model{secret: l.secret, cookieName: name, id: rand.NewChaCha8(sha256.Sum256([]byte(made.ID)))}
	if m.cookie(made.ID) != cookie {
		return nil, fmt.Errorf("the service signs otherwise: %q", cookie)
	}
	for record := range bytes.Lines(records.Body) {
		if bytes.Contains(record, []byte(made.ID)) {
			err = m.cut(record, made.ID, made.CreatedAt)
			return m, err
		}
	}
	return nil, errors.New("it is not among those that are exported")
}

// cut cuts the record where something else goes in each session.
func (m *model) cut(record []byte, id, created string) (err error) {
	if m.created, err = time.Parse(time.RFC3339, created); err != nil {
		return err
	}
	rest := record
	for i, mark := range []string{`"` + id + `"`, `"` + created + `"`, `"` + modelUser + `"`, step(stepMark, 0) + ".csv"} {
		before, after, found := bytes.Cut(rest, []byte(mark))
		if !found {
			return fmt.Errorf("no %s in the record of a session: %s", mark, record)
		}
		m.pieces[i], rest = before, after
	}
	m.pieces[4] = rest
	return nil
}

// record appends the n-th record, with a line break.
func (m *model) record(dst []byte, n int) ([]byte, session) {
	var raw [32]byte
	_, _ = m.id.Read(raw[:]) // it never fails
	id := hex.EncodeToString(raw[:])
	s := session{user: fmt.Sprintf("u-%05d", n/perUser), cookie: m.cookie(id)}
	created := m.created.Add(-time.Duration(n/perMilli) * time.Millisecond).UTC()
	for i, text := range []string{`"` + id + `"`, created.Format(`"2006-01-02T15:04:05.000Z"`), `"` + s.user + `"`, step(stepMark, n) + ".csv"} {
		dst = append(append(dst, m.pieces[i]...), text...)
	}
	dst = append(dst, m.pieces[4]...)
	if dst[len(dst)-1] != '\n' {
		dst = append(dst, '\n')
	}
	return dst, s
}

// cookie is the cookie of the id: its signature is an HMAC-SHA256 in base64
// without padding.
func (m *model) cookie(id string) string {
	mac := hmac.New(sha256.New, []byte(m.secret))
	_, _ = mac.Write([]byte(id)) // it never fails
	return m.cookieName + "=" + url.QueryEscape("s:"+id+"."+base64.RawStdEncoding.EncodeToString(mac.Sum(nil)))
}
