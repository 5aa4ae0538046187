package api

import (
	"context"
	"errors"
	"net/http"

	"session-api/internal/audit"
	"session-api/internal/cleanup"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/token"
)

// AuditLog is where security-relevant acts are recorded.
type AuditLog interface {
	// Append records an act, before it returns if that is possible in bounded time.
	Append(e audit.Entry) error
	// Ready returns an error if nothing can be recorded at present.
	Ready() error
	// Failures counts the entries that Append could not write, and Losses those of them
	// that are not written later either.
	Failures() int64
	Losses() int64
	// Sequence is the number of the last entry.
	Sequence() uint64
}

var (
	errNotAudited = &problem{codeAuditUnavailable, "Nothing was done, because the audit log cannot be written at present and the service is configured to do nothing without it. Try again later."}
	errUnrecorded = &problem{codeAuditUnavailable, "What was asked was done, but could not be recorded in the audit log, which the service is configured to require. Look at the present state before you repeat the request."}
)

// maxAuditedSessions is how many sessions of an act have their hashes in its entry.
const maxAuditedSessions = 100

// requestRecorder is the store.Recorder of a request. The one place in which sessions are
// changed, store.Sessions, tells it what the request does.
type requestRecorder requestState

// recorder returns the request's store.Recorder; nil where nothing is recorded.
func (c *requestState) recorder() any {
	if s := c.response.s; s == nil || s.Audit == nil {
		return nil
	}
	return (*requestRecorder)(c)
}

// Admit implements store.Recorder.
func (c *requestRecorder) Admit(context.Context) error { return c.response.s.admitAct() }

// Record implements store.Recorder.
func (c *requestRecorder) Record(_ context.Context, act *store.Act, known bool) error {
	s, r := c.response.s, c.response.r
	e := s.auditEntry(r, audit.Done)
	if !known {
		e.Outcome = audit.Unknown
	}
	describeAct(&e, act)
	return s.recordEntry(e)
}

// auditedActs are the acts of the store as the audit log calls them.
var auditedActs = map[store.ActKind]audit.Act{
	store.ActCreated: audit.SessionCreated, store.ActUserChanged: audit.SessionUserChanged, store.ActSignedIn: audit.SessionSignedIn,
	store.ActRegenerated: audit.SessionRegenerated, store.ActEnded: audit.SessionEnded, store.ActEndedMany: audit.SessionsEnded,
}

// describeAct completes an entry with what was done. Of a filter it has the names of the
// members, and no values but the user's id.
func describeAct(e *audit.Entry, act *store.Act) {
	e.Act, e.Namespace, e.UserID, e.Reason = auditedActs[act.Kind], act.Namespace, act.UserID, string(act.Reason)
	details := map[string]any{}
	if act.ID != "" {
		e.Session = idHash(act.ID)
	}
	if act.Previous != "" {
		details["previous"] = idHash(act.Previous)
	}
	if act.PreviousUserID != act.UserID && (act.Kind == store.ActUserChanged || act.Kind == store.ActSignedIn) {
		details["previousUserId"] = token.Redact(act.PreviousUserID)
	}
	if act.Grace > 0 {
		details["graceMs"] = act.Grace.Milliseconds()
	}
	if act.Repeated {
		details["repeated"] = true
	}
	if act.Kind == store.ActEndedMany {
		details["count"] = act.Count
		if act.Filter != nil {
			details["filter"] = filterMembers(act.Filter)
		} else {
			sessions := make([]string, 0, min(len(act.IDs), maxAuditedSessions))
			for _, id := range act.IDs[:cap(sessions)] {
				sessions = append(sessions, idHash(id))
			}
			details["sessions"] = sessions
		}
		if act.Except != "" {
			details["except"] = idHash(act.Except)
		}
	}
	if len(details) > 0 {
		e.Details = details
	}
}

// filterMembers names what a filter says, and "all" for one that says nothing.
func filterMembers(f *schema.Filter) []string {
	if f.IsZero() {
		return []string{"all"}
	}
	var names []string
	for _, one := range []struct {
		name string
		said bool
	}{
		{"userId", f.UserID != ""},
		{"role", f.Role != ""},
		{"createdAfter", !f.CreatedAfter.IsZero()},
		{"createdBefore", !f.CreatedBefore.IsZero()},
		{"seenBefore", !f.SeenBefore.IsZero()},
		{"idleForMs", f.IdleFor != 0},
		{"activeWithinMs", f.ActiveWithin != 0},
		{"clientLabel", f.ClientLabel != ""},
		{"anonymous", f.Anonymous != nil},
	} {
		if one.said {
			names = append(names, one.name)
		}
	}
	return names
}

// auditEntry begins the entry of what a request does.
func (s *Server) auditEntry(r *http.Request, outcome audit.Outcome) audit.Entry {
	e := audit.Entry{Time: s.Now(), Actor: audit.Visitor, Outcome: outcome, Route: r.Method}
	if c, ok := r.Context().Value(stateKey{}).(*requestState); ok {
		e.RequestID = c.requestID[0]
		path := unmatched
		if c.endpoint != nil && c.endpoint.metrics.route != "" {
			path = c.endpoint.metrics.route
		} else if c.route != nil && c.route.RoutePattern() != "" {
			path = c.route.RoutePattern()
		}
		e.Route += " " + path
		switch {
		case c.caller != nil:
			e.Actor = audit.Token(c.caller.Name)
		case c.endpoint != nil && c.endpoint.isForServices():
			e.Actor = audit.Open
		}
	} else {
		e.Route += " " + verifyPath
	}
	if known := s.agents.get(r.Header); known != nil {
		e.Client = known.client.Label
	}
	e.ClientIP, _ = schema.CutIP(s.proxies.Client(r))
	return e
}

// admitAct returns an error if nothing is to be done without a record, and nothing can be
// recorded.
func (s *Server) admitAct() error {
	if s.Audit != nil && s.AuditRequired && s.Audit.Ready() != nil {
		return errNotAudited
	}
	return nil
}

// recordEntry records what was done. The error is for a caller who is to know that there
// is no record of it.
func (s *Server) recordEntry(e audit.Entry) error {
	if s.Audit == nil {
		return nil
	}
	e.UserID, e.Client = s.redactSecrets(token.Redact(e.UserID)), s.redactSecrets(e.Client)
	if err := s.Audit.Append(e); err != nil && s.AuditRequired { // the log itself says so in any case
		return errUnrecorded
	}
	return nil
}

// recordAct records what a request does that is not about certain sessions.
func (s *Server) recordAct(r *http.Request, act audit.Act, outcome audit.Outcome, details map[string]any) error {
	if s.Audit == nil {
		return nil
	}
	e := s.auditEntry(r, outcome)
	e.Act, e.Details = act, details
	if space, ok := details["namespace"].(string); ok {
		e.Namespace = space
		delete(details, "namespace")
	}
	return s.recordEntry(e)
}

// outcomeOf is the outcome of an act that has ended with an error, or nil.
func outcomeOf(err error) audit.Outcome {
	if err != nil {
		return audit.Failed
	}
	return audit.Done
}

// RecordCleanup records a run of the cleanup that nobody has asked for, if it has deleted
// anything.
func (s *Server) RecordCleanup(report cleanup.Report, err error) {
	if s.Audit == nil || report.Deleted == 0 && report.DirsRemoved == 0 {
		return
	}
	_ = s.recordEntry(audit.Entry{ // it was done
		Time: s.Now(), Actor: audit.System, Act: audit.Cleanup, Outcome: outcomeOf(err), Details: cleanupDetails(&report),
	})
}

// cleanupDetails are what an entry says of a run: no names of files, which sessions have.
func cleanupDetails(report *cleanup.Report) map[string]any {
	reasons := map[cleanup.Reason]int{}
	for i := range report.Entries {
		if report.Entries[i].Action == cleanup.ActionDeleted {
			reasons[report.Entries[i].Reason]++
		}
	}
	details := map[string]any{
		"deleted": report.Deleted, "directoriesRemoved": report.DirsRemoved, "bytesFreed": report.BytesFreed,
		"sessionsExpired": report.SessionsExpired, "errors": report.Errors,
	}
	if len(reasons) > 0 && !report.Truncated {
		details["reasons"] = reasons
	}
	return details
}

// Why a service token is refused, beside what invalidity says.
const (
	refusedUnknown   = "unknown"
	refusedScope     = "scope"
	refusedNamespace = "namespace"
)

// recordRefusal records that a service token was refused; name is the token's, empty for
// one that is not known.
func (s *Server) recordRefusal(r *http.Request, reason, name string) {
	if s.Audit == nil {
		return
	}
	if !s.refusals.allow(reason, s.Now()) {
		return
	}
	e := s.auditEntry(r, audit.Refused)
	e.Act, e.Reason = audit.CredentialRefused, reason
	if name != "" {
		e.Actor = audit.Token(name)
	}
	_ = s.recordEntry(e) // it was refused
}

// recordForbidden records that a service token does not allow what a request asks.
func (s *Server) recordForbidden(r *http.Request, t *token.Service, err error) {
	if s.Audit == nil || t == nil {
		return
	}
	var scope *insufficientScope
	switch {
	case errors.As(err, &scope):
		s.recordRefusal(r, refusedScope, t.Name)
	case errors.Is(err, errAllNamespaces), errors.Is(err, errSessionNotFound):
		s.recordRefusal(r, refusedNamespace, t.Name)
	}
}

// overEvents are the events of sessions that nobody has ended.
var overEvents = map[backend.EventType]struct {
	act    audit.Act
	reason string
}{
	backend.EventExpired: {audit.SessionExpired, "timeout"},
	backend.EventEvicted: {audit.SessionEvicted, "store_full"},
}

// recordOver records that a session has expired or was evicted. Those of visitors have
// entries of their own as far as there are not too many of them.
func (s *Server) recordOver(ev *backend.Event) {
	over, ok := overEvents[ev.Type]
	if !ok || ev.UserID == "" && !s.lapses.allow(string(over.act), s.Now()) {
		return
	}
	e := audit.Entry{
		Time: ev.At, Actor: audit.System, Act: over.act, Outcome: audit.Done, Namespace: ev.Session.Namespace,
		Session: idHash(ev.Session.ID), UserID: ev.UserID, Reason: over.reason,
	}
	if s.Sessions.Shared() { // each instance has its log: this tells what is in several
		e.Details = map[string]any{"event": ev.ID}
	}
	_ = s.recordEntry(e) // it has happened
}

// RecordAuditSummaries records how many acts had no entry of their own.
func (s *Server) RecordAuditSummaries(all bool) {
	now := s.Now()
	for _, one := range []struct {
		limiter *entryLimiter
		act     audit.Act
		outcome audit.Outcome
	}{{s.refusals, audit.CredentialsRefused, audit.Refused}, {s.lapses, audit.SessionsOver, audit.Done}} {
		for _, sum := range one.limiter.take(now, all) {
			_ = s.recordEntry(audit.Entry{ // as for each of them
				Time: now, Actor: audit.System, Act: one.act, Outcome: one.outcome, Reason: sum.of,
				Details: map[string]any{"count": sum.n, "since": sum.since.UTC()},
			})
		}
	}
}
