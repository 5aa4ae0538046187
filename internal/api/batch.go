package api

import (
	"encoding/json"
	"errors"
	"net/http"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

const (
	// batchBytes is how much of documents the answer to a batch holds, if that is more
	// than one.
	batchBytes = 16 << 20
	// batchBody is how large a body that names sessions may be in any case: as many
	// ids as it may have, of the longest kind, and as much again.
	batchBody = 2 * schema.MaxBatch * 136
	// previewed is how many summaries a dry run answers.
	previewed = 100
)

// getSessions answers several sessions, in the order in which the body names them.
func (s *Server) getSessions(w http.ResponseWriter, r *http.Request) error {
	space, err := requestedNamespace(r)
	if err != nil {
		return err
	}
	var asked schema.BatchGet
	err = s.readBatch(w, r, func(body []byte) (err error) {
		asked, err = schema.DecodeBatchGet(body)
		return err
	})
	if err != nil {
		return err
	}
	items, err := s.batchItems(r, space, &asked)
	if err != nil {
		return err
	}
	now, requestID := s.Now(), w.Header().Get(headerRequestID)
	writeList(w, "items", "", len(items), func(dst []byte, i int) []byte {
		return items[i].appendJSON(dst, now, requestID)
	})
	return nil
}

// batchItem is one of several sessions that were asked for: a document, a summary, or
// why there is neither.
type batchItem struct {
	id      string
	session *schema.Session
	summary *schema.Summary
	err     error
}

// batchItems returns an item for each id.
func (s *Server) batchItems(r *http.Request, space string, asked *schema.BatchGet) ([]batchItem, error) {
	items := make([]batchItem, len(asked.IDs))
	var ids []string
	var places []int
	for i, id := range asked.IDs {
		items[i].id = id
		if !schema.ValidForeignID(id) {
			items[i].err = errInvalidBatchID
			continue
		}
		ids, places = append(ids, id), append(places, i)
	}
	if asked.Summaries {
		found, err := s.Sessions.Summarize(r.Context(), s.Now(), space, ids)
		for n := range found {
			items[places[n]].summary, items[places[n]].err = &found[n].Value, notFoundByID(found[n].Err)
		}
		return items, err
	}
	found, err := s.Sessions.GetAll(r.Context(), s.Now(), backend.Batch{Namespace: space, IDs: ids, Budget: batchBytes})
	for n := range found {
		items[places[n]].session, items[places[n]].err = &found[n].Value, notFoundByID(found[n].Err)
	}
	return items, err
}

// endResult is the answer to a request that ends several sessions.
type endResult struct {
	DryRun  bool     `json:"dryRun"`
	Count   int      `json:"count"`
	Missing []string `json:"missing,omitempty"`
	// Sessions are the first of those that a dry run would end.
	Sessions json.RawMessage `json:"sessions,omitempty"`
}

// endSessions ends several sessions, or tells which they would be. It goes on if its
// caller does not wait for it.
func (s *Server) endSessions(w http.ResponseWriter, r *http.Request) error {
	space, err := requestedNamespace(r)
	if err != nil {
		return err
	}
	dryRun, err := boolParameter(r, "dryRun", false)
	if err != nil {
		return err
	}
	var asked schema.BatchEnd
	err = s.readBatch(w, r, func(body []byte) (err error) {
		asked, err = schema.DecodeBatchEnd(body)
		return err
	})
	if err != nil {
		return err
	}
	sel := store.Selection{Namespace: space, Filter: asked.Filter}
	if asked.IDs == nil && sel.IsZero() && !asked.All {
		return errEmptyFilter
	}
	result := endResult{DryRun: dryRun}
	switch {
	case asked.IDs != nil:
		err = s.endNamed(w, r, space, asked.IDs, &result)
	case dryRun:
		err = s.previewSelected(r, sel, asked.Expect, &result)
	default:
		ctx, cancel := clearing(w, r)
		defer cancel()
		result.Count, err = s.Sessions.EndSelected(ctx, s.Now(), sel, asked.Expect)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, result)
}

// previewSelected answers what a request that ends the selected sessions would end.
func (s *Server) previewSelected(r *http.Request, sel store.Selection, expect *int, result *endResult) error {
	n, first, err := s.Sessions.FirstSelected(r.Context(), s.Now(), sel, previewed)
	if err != nil {
		return err
	}
	if expect != nil && n != *expect {
		return &store.CountError{Count: n}
	}
	result.Count = n
	result.Sessions = s.appendSummaries(nil, first)
	return nil
}

// endNamed ends the sessions of the ids, or answers which of them are live.
func (s *Server) endNamed(w http.ResponseWriter, r *http.Request, space string, ids []string, result *endResult) error {
	ids = unique(ids)
	if !result.DryRun {
		ctx, cancel := clearing(w, r)
		defer cancel()
		ended, err := s.Sessions.EndAll(ctx, s.Now(), space, ids)
		if err != nil {
			return err
		}
		for i, id := range ids {
			if ended[i] {
				result.Count++
			} else {
				result.Missing = append(result.Missing, id)
			}
		}
		return nil
	}
	found, err := s.Sessions.Summarize(r.Context(), s.Now(), space, ids)
	if err != nil {
		return err
	}
	var first []schema.Summary
	live := map[string]bool{}
	for i, id := range ids {
		switch err := found[i].Err; {
		case errors.Is(err, backend.ErrDamaged): // it can be ended, but says nothing
			result.Count++
		case err != nil || live[found[i].Value.ID]: // gone, or the successor of another
			result.Missing = append(result.Missing, id)
		default:
			live[found[i].Value.ID] = true
			result.Count++
			if len(first) < previewed {
				first = append(first, found[i].Value)
			}
		}
	}
	result.Sessions = s.appendSummaries(nil, first)
	return nil
}

// unique returns the ids, each once, in their order.
func unique(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	once := make([]string, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			once = append(once, id)
		}
	}
	return once
}

// readBatch reads and decodes a body that names sessions.
func (s *Server) readBatch(w http.ResponseWriter, r *http.Request, decode func([]byte) error) error {
	body, err := s.readBodyUpTo(w, r, jsonTypes, s.maxBody())
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return errNoBody
	}
	return s.withCPU(r.Context(), len(body), func() error { return decode(body) })
}
