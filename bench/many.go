package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// few is the number of connections of rows whose requests are about a thousand
// sessions each.
const few = 8

// documents is a second instance of the row's service, asked for whole documents in
// place of summaries.
var documents = yardstick{name: "the same page of documents", start: startDocuments}

func startDocuments(ctx context.Context, l *harness, r *row, _ *serviceUnderTest) (contender, error) {
	same := *r
	same.path = listPath + "?limit=1000"
	return l.startRow(ctx, &same, "documents")
}

// endAllBody matches every session of the service, by an index.
const endAllBody = `{"filter":{"createdBefore":"2100-01-01T00:00:00Z"}}`

// ending ends all sessions of the service, again and again.
type ending struct {
	row     *row
	subject *serviceUnderTest
	ended   bool
}

func prepareEnd(_ context.Context, _ *harness, r *row, s *serviceUnderTest) (contender, error) {
	return &ending{row: r, subject: s}, nil
}

// stop implements contender. The row stops the service.
func (*ending) stop() {}

// measure implements contender. It is one request, which ends as many sessions as the
// row has.
func (e *ending) measure(ctx context.Context, l *harness, _ time.Duration, _ int) (t sample, requests int64, err error) {
	addr := e.subject.server.addr
	if e.ended {
		if _, err := l.seed(ctx, addr, e.row.sessions); err != nil {
			return sample{}, 0, err
		}
	}
	began := time.Now()
	answer, err := l.do(ctx, addr, http.MethodPost, endPath, endAllBody, http.StatusOK, append(headerLines(asJSON), e.subject.callers[0].header)...)
	t.elapsed = time.Since(began)
	if err != nil {
		return sample{}, 0, err
	}
	e.ended = true
	var report struct{ Count int }
	if err := json.Unmarshal(answer.Body, &report); err != nil || report.Count != e.row.sessions {
		return sample{}, 0, fmt.Errorf("ending %d sessions: %s", e.row.sessions, answer.Body)
	}
	return t, 1, nil
}
