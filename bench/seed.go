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

// session is a session that requests of a row use.
type session struct{ id, user, cookie string }

// perUser is the number of sessions of a user.
const perUser = 10

const (
	// modelUser is the user in session.json.
	modelUser = "u-10482"
	// perMilli is the number of sessions created in a millisecond.
	perMilli = 100
)

// seed creates sessions and returns some of them, evenly spread. One is created by a
// request; the others are imported copies of its record, each with an id, a user, a time
// and a file of its own.
func (l *harness) seed(ctx context.Context, addr string, count int) ([]session, error) {
	model, err := l.recordTemplate(ctx, addr)
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

// importRecords imports records, and fails unless all are stored.
func (l *harness) importRecords(ctx context.Context, addr string, records io.Reader, count int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/api/import", records)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := l.clientWithoutTimeout().Do(req)
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

// clientWithoutTimeout returns the client without its time limit.
func (l *harness) clientWithoutTimeout() *http.Client {
	return &http.Client{Transport: l.client.Transport}
}

// sendAsService sends a request without a body and with a service token, and waits for
// its response however long that takes.
func (l *harness) sendAsService(ctx context.Context, method, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+l.token)
	return l.clientWithoutTimeout().Do(req)
}

// recordTemplate is the record of a session in pieces, with an id, a time, a user and a
// number to go between them.
type recordTemplate struct {
	secret, cookieName string
	pieces             [5][]byte
	created            time.Time
	id                 *rand.ChaCha8
}

// recordTemplate creates a session, takes its record as a template, and ends it.
func (l *harness) recordTemplate(ctx context.Context, addr string) (*recordTemplate, error) {
	token := serviceToken(l, nil)[0].header
	a, err := l.do(ctx, addr, http.MethodPost, sessionPath, numberedBody(sessionBody, 0), http.StatusCreated,
		append(headerLines(asJSON), token)...)
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
	records, err := l.do(ctx, addr, http.MethodGet, "/api/export", "", http.StatusOK, token)
	if err != nil {
		return nil, err
	}
	if _, err := l.do(ctx, addr, http.MethodDelete, listPath+"/"+made.ID, "", http.StatusNoContent, token); err != nil {
		return nil, err
	}
	cookie, _, _ := strings.Cut(a.Header.Get("Set-Cookie"), ";")
	name, _, _ := strings.Cut(cookie, "=")
	m := &recordTemplate{secret: l.secret, cookieName: name, id: rand.NewChaCha8(sha256.Sum256([]byte(made.ID)))}
	if m.cookie(made.ID) != cookie {
		return nil, fmt.Errorf("the service signs otherwise: %q", cookie)
	}
	for record := range bytes.Lines(records.Body) {
		if bytes.Contains(record, []byte(made.ID)) {
			err = m.split(record, made.ID, made.CreatedAt)
			return m, err
		}
	}
	return nil, errors.New("it is not among those that are exported")
}

// split splits the record where each session differs.
func (m *recordTemplate) split(record []byte, id, created string) (err error) {
	if m.created, err = time.Parse(time.RFC3339, created); err != nil {
		return err
	}
	rest := record
	for i, mark := range []string{`"` + id + `"`, `"` + created + `"`, `"` + modelUser + `"`, numberedBody(numberMark, 0) + ".csv"} {
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
func (m *recordTemplate) record(dst []byte, n int) ([]byte, session) {
	var raw [32]byte
	_, _ = m.id.Read(raw[:]) // it never fails
	id := hex.EncodeToString(raw[:])
	s := session{id: id, user: fmt.Sprintf("u-%05d", n/perUser), cookie: m.cookie(id)}
	created := m.created.Add(-time.Duration(n/perMilli) * time.Millisecond).UTC()
	for i, text := range []string{`"` + id + `"`, created.Format(`"2006-01-02T15:04:05.000Z"`), `"` + s.user + `"`, numberedBody(numberMark, n) + ".csv"} {
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
func (m *recordTemplate) cookie(id string) string {
	mac := hmac.New(sha256.New, []byte(m.secret))
	_, _ = mac.Write([]byte(id)) // it never fails
	return m.cookieName + "=" + url.QueryEscape("s:"+id+"."+base64.RawStdEncoding.EncodeToString(mac.Sum(nil)))
}
