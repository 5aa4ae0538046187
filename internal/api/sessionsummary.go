package api

import (
	"encoding/json"
	"net/http"
	"time"

	"session-api/internal/jsonscan"
	"session-api/internal/schema"
)

// writeList answers an object whose member name is an array of n elements, which
// appendOne appends, and which has the cursor of the next page, if there is one.
func writeList(w http.ResponseWriter, name, next string, n int, appendOne func(dst []byte, i int) []byte) {
	withBuffer(func(b []byte) []byte {
		b = append(b, '{', '"')
		b = append(b, name...)
		b = append(b, '"', ':')
		b = append(appendNext(appendArray(b, n, appendOne), next), '}')
		writeBody(w, b)
		return b
	})
}

// appendArray appends an array of n elements, which appendOne appends.
func appendArray(dst []byte, n int, appendOne func(dst []byte, i int) []byte) []byte {
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendOne(dst, i)
	}
	return append(dst, ']')
}

// appendNext appends the member with the cursor of the next page, if there is one.
func appendNext(dst []byte, next string) []byte {
	if next == "" {
		return dst
	}
	dst = append(dst, `,"nextCursor":"`...)
	dst = append(dst, next...) // base64url: nothing in it needs escaping
	return append(dst, '"')
}

// appendSummaries appends an array of summaries.
func (s *Server) appendSummaries(dst []byte, summaries []schema.Summary) []byte {
	now := s.Now()
	return appendArray(dst, len(summaries), func(dst []byte, i int) []byte { return summaries[i].AppendJSON(dst, now, false) })
}

// appendJSON appends the item of a batch: its id as it was asked for, and one of
// session, summary and problem.
func (b *batchItem) appendJSON(dst []byte, now time.Time, requestID string) []byte {
	dst = jsonscan.AppendQuoted(append(dst, `{"id":`...), b.id)
	switch {
	case b.err != nil:
		body, _ := json.Marshal(problemOf(b.err, requestID)) // strings and numbers always marshal
		dst = append(append(dst, `,"problem":`...), body...)
	case b.summary != nil:
		dst = b.summary.AppendJSON(append(dst, `,"summary":`...), now, false)
	default:
		dst = b.session.AppendJSON(append(dst, `,"session":`...))
	}
	return append(dst, '}')
}
