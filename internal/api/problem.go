package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"session-api/internal/cleanup"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// The codes of errors that HTTP or the service itself gives rise to; those of
// documents are the schema's.
const (
	codeBadRequest             schema.Code = "bad_request"
	codeInvalidHeader          schema.Code = "invalid_header"
	codeInvalidQuery           schema.Code = "invalid_query"
	codeInvalidID              schema.Code = "invalid_id"
	codeUnsupportedFilter      schema.Code = "unsupported_filter"
	codeConflictingCredentials schema.Code = "conflicting_credentials"
	codeInvalidIdempotencyKey  schema.Code = "invalid_idempotency_key"
	codeKeyReused              schema.Code = "idempotency_key_reused"
	codeRequestInProgress      schema.Code = "request_in_progress"
	codeUnauthorized           schema.Code = "unauthorized"
	codeNoCredential           schema.Code = "no_credential" //nolint:gosec // the name of an error
	codeForbiddenOrigin        schema.Code = "forbidden_origin"
	codePreflightRefused       schema.Code = "preflight_refused"
	codeInsufficientScope      schema.Code = "insufficient_scope"
	codeUserForbidden          schema.Code = "user_forbidden"
	codeTransportForbidden     schema.Code = "transport_forbidden"
	codeMisdirectedRequest     schema.Code = "misdirected_request"
	codeNotCurrent             schema.Code = "not_current"
	codeRoleRequired           schema.Code = "role_required"
	codeInsufficientSignIn     schema.Code = "insufficient_user_authentication"
	codeNotFound               schema.Code = "not_found"
	codeSessionNotFound        schema.Code = "session_not_found"
	codeMethodNotAllowed       schema.Code = "method_not_allowed"
	codeRequestTimeout         schema.Code = "request_timeout"
	codeCleanupRunning         schema.Code = "cleanup_running"
	codeCleanupOtherStore      schema.Code = "cleanup_other_store"
	codeCleanupUnavailable     schema.Code = "cleanup_unavailable"
	codeBackupRunning          schema.Code = "backup_running"
	codeBackupUnsupported      schema.Code = "backup_unsupported"
	codeJWTDisabled            schema.Code = "jwt_disabled"
	codeUserLimit              schema.Code = "user_limit"
	codeCountChanged           schema.Code = "count_changed"
	codeResponseTooLarge       schema.Code = "response_too_large"
	codeSessionEnded           schema.Code = "session_ended"
	codePreconditionFailed     schema.Code = "precondition_failed"
	codePreconditionRequired   schema.Code = "precondition_required"
	codeUnsupportedMediaType   schema.Code = "unsupported_media_type"
	codeRateLimited            schema.Code = "rate_limited"
	codeStoreFull              schema.Code = "store_full"
	codeStoreUnavailable       schema.Code = "store_unavailable"
	codeTooManyStreams         schema.Code = "too_many_streams"
	codeOverloaded             schema.Code = "overloaded"
	codeInvalidRule            schema.Code = "invalid_rule"
	codeNotReady               schema.Code = "not_ready"
	codeDamagedSession         schema.Code = "damaged_session"
	codeAuditUnavailable       schema.Code = "audit_unavailable"
	codeInternal               schema.Code = "internal"
)

// problemTypes is the one table from code to status and title.
var problemTypes = map[schema.Code]struct {
	status int
	title  string
}{
	schema.CodeInvalidJSON:      {http.StatusBadRequest, "The body is not valid JSON"},
	schema.CodeValidationFailed: {http.StatusUnprocessableEntity, "The body does not describe a session"},
	schema.CodeTooLarge:         {http.StatusRequestEntityTooLarge, "The session is too large"},
	schema.CodePatchFailed:      {http.StatusUnprocessableEntity, "The patch cannot be applied"},
	schema.CodePatchTestFailed:  {http.StatusConflict, "A test operation failed"},

	codeBadRequest:             {http.StatusBadRequest, "The request cannot be read"},
	codeInvalidHeader:          {http.StatusBadRequest, "A header is malformed"},
	codeInvalidQuery:           {http.StatusBadRequest, "The query is malformed"},
	codeInvalidID:              {http.StatusBadRequest, "The session id is invalid"},
	codeUnsupportedFilter:      {http.StatusBadRequest, "No index answers the filter"},
	codeInvalidIdempotencyKey:  {http.StatusBadRequest, "The Idempotency-Key is invalid"},
	codeKeyReused:              {http.StatusUnprocessableEntity, "The Idempotency-Key belongs to another request"},
	codeRequestInProgress:      {http.StatusConflict, "The same request is in progress"},
	codeConflictingCredentials: {http.StatusBadRequest, "The credentials conflict"},
	codeUnauthorized:           {http.StatusUnauthorized, "No live session, or no valid credential"},
	codeNoCredential:           {http.StatusUnauthorized, "The request has no session credential"},
	codeForbiddenOrigin:        {http.StatusForbidden, "The request comes from another site"},
	codePreflightRefused:       {http.StatusForbidden, "The page may not send this request"},
	codeInsufficientScope:      {http.StatusForbidden, "The service token lacks a scope"},
	codeUserForbidden:          {http.StatusForbidden, "Only a service may write the user"},
	codeTransportForbidden:     {http.StatusForbidden, "The token is only available as a cookie"},
	codeMisdirectedRequest:     {http.StatusMisdirectedRequest, "The host name is not accepted"},
	codeNotCurrent:             {http.StatusConflict, "The session has a newer id"},
	codeRoleRequired:           {http.StatusForbidden, "The user lacks the role"},
	codeInsufficientSignIn:     {http.StatusUnauthorized, "The sign-in is not sufficient"},
	codeNotFound:               {http.StatusNotFound, "The path does not exist"},
	codeSessionNotFound:        {http.StatusNotFound, "There is no such session"},
	codeMethodNotAllowed:       {http.StatusMethodNotAllowed, "The method is not allowed here"},
	codeRequestTimeout:         {http.StatusRequestTimeout, "The body did not arrive in time"},
	codeCleanupRunning:         {http.StatusConflict, "Another cleanup is running"},
	codeCleanupOtherStore:      {http.StatusConflict, "The directory belongs to another store"},
	codeCleanupUnavailable:     {http.StatusServiceUnavailable, "The directory cannot be cleaned"},
	codeBackupRunning:          {http.StatusConflict, "Another backup is in progress"},
	codeBackupUnsupported:      {http.StatusNotImplemented, "The store does not support backups"},
	codeJWTDisabled:            {http.StatusNotImplemented, "The service issues no JWTs"},
	codeUserLimit:              {http.StatusConflict, "The user has too many sessions"},
	codeCountChanged:           {http.StatusConflict, "The filter matches another number of sessions"},
	codeResponseTooLarge:       {http.StatusRequestEntityTooLarge, "The response has no room for the session"},
	codeSessionEnded:           {http.StatusGone, "The session has ended"},
	codePreconditionFailed:     {http.StatusPreconditionFailed, "The precondition failed"},
	codePreconditionRequired:   {http.StatusPreconditionRequired, "If-Match is required"},
	codeUnsupportedMediaType:   {http.StatusUnsupportedMediaType, "The media type is not supported"},
	codeRateLimited:            {http.StatusTooManyRequests, "Too many new sessions"},
	codeStoreFull:              {http.StatusServiceUnavailable, "The store is full"},
	codeStoreUnavailable:       {http.StatusServiceUnavailable, "The store is unavailable"},
	codeTooManyStreams:         {http.StatusServiceUnavailable, "Too many streams are open"},
	codeOverloaded:             {http.StatusServiceUnavailable, "The service is overloaded"},
	codeInvalidRule:            {http.StatusServiceUnavailable, "The gateway's rule is invalid"},
	codeNotReady:               {http.StatusServiceUnavailable, "The instance is not ready"},
	codeDamagedSession:         {http.StatusInternalServerError, "The session is damaged"},
	codeAuditUnavailable:       {http.StatusServiceUnavailable, "The audit log cannot be written"},
	codeInternal:               {http.StatusInternalServerError, "The service failed"},
}

// expectedCodes are failures that mean nothing wrong: they are not logged as errors.
var expectedCodes = map[schema.Code]bool{
	codeNotReady: true, codeTooManyStreams: true, codeOverloaded: true, codeInvalidRule: true, codeDamagedSession: true,
	codeBackupUnsupported: true, codeJWTDisabled: true, codeAuditUnavailable: true,
}

// retryAfter is what a 503, and a request in progress, tells clients to wait, in seconds.
const retryAfter = "1"

// problem is an error that says itself what a client gets to see of it.
type problem struct {
	code   schema.Code
	detail string
}

func (p *problem) Error() string { return string(p.code) + ": " + p.detail }

var (
	errInternal               = &problem{codeInternal, "The request failed because of an error in the service. Its log has the cause, under the requestId."}
	errNoRoute                = &problem{codeNotFound, "No route has this path."}
	errMethodNotAllowed       = &problem{codeMethodNotAllowed, "The Allow header lists the methods of this path."}
	errUnauthorized           = &problem{codeUnauthorized, "Send the session cookie or a bearer token of a live session."}
	errNoService              = &problem{codeUnauthorized, "Send a service token as the bearer token."}
	errNoCredential           = &problem{codeNoCredential, "The request has neither a session cookie nor a bearer token. If a session was created before, the client did not store its cookie or does not send it."}
	errConflictingCredentials = &problem{codeConflictingCredentials, "Send one session token: the cookie opens another session than the bearer token."}
	errTwinCookies            = &problem{codeConflictingCredentials, "Two cookies of the same name open different sessions. This response expires both."}
	errRepeatedAuthorization  = &problem{codeInvalidHeader, "Send one Authorization header."}
	errForbiddenOrigin        = &problem{codeForbiddenOrigin, "Requests from pages of this origin are not allowed to change a session. See ALLOWED_ORIGINS."}
	errForbiddenPreflight     = &problem{codeForbiddenOrigin, "Pages of this origin are not allowed to use the service. See ALLOWED_ORIGINS."}
	errUserForbidden          = &problem{codeUserForbidden, "Changing the user requires a service token."}
	errTransportForbidden     = &problem{codeTransportForbidden, "The session's token is in a cookie that scripts cannot read, and is not returned in a body. End the session first, or omit transport."}
	errMisdirectedRequest     = &problem{codeMisdirectedRequest, "The service routes are open, because no service token is configured, so the service accepts only local names and addresses. Add this host to ALLOWED_HOSTS."}
	errUnlistedHost           = &problem{codeMisdirectedRequest, "Add this host to ALLOWED_HOSTS."}
	errPreconditionFailed     = &problem{codePreconditionFailed, "The session's ETag is not the one in If-Match. Read it again."}
	errSessionExists          = &problem{codePreconditionFailed, "A session with this id already exists, and If-None-Match requires that it does not."}
	errPreconditionRequired   = &problem{codePreconditionRequired, "Send If-Match with the ETag of the session that you read."}
	errInvalidID              = &problem{codeInvalidID, "A session id is 16 to 128 characters of A-Z, a-z, 0-9, - and _ (as a regular expression: ^[A-Za-z0-9_-]{16,128}$). The one in the path is invalid."}
	errSessionNotFound        = &problem{codeSessionNotFound, "No live session has this id in this namespace."}
	errAllNamespaces          = &problem{codeSessionNotFound, "This request is about all namespaces, and the service token is for some of them."}
	errRoleRequired           = &problem{codeRoleRequired, "The user has none of the required roles."}
	errInsufficientSignIn     = &problem{codeInsufficientSignIn, "The session is live, but its user has to sign in again: more recently, or by a stronger method. WWW-Authenticate says what is required."}
	errJWTDisabled            = &problem{codeJWTDisabled, "The service issues no JWTs, because JWT_ISSUER is not set."}
	errNoBody                 = &problem{codeBadRequest, "This route needs a body."}
	errInvalidBatchID         = &problem{codeInvalidID, "A session id is 16 to 128 characters of A-Z, a-z, 0-9, - and _ (as a regular expression: ^[A-Za-z0-9_-]{16,128}$)."}
	errEmptyFilter            = &problem{codeBadRequest, "The filter is empty and would end every session of the namespace. Send \"all\": true if that is meant."}
	errKeyReused              = &problem{codeKeyReused, "This Idempotency-Key came with another request: with another body, path, query or method. Send a new key for a new request."}
	errRequestInProgress      = &problem{codeRequestInProgress, "A request with this Idempotency-Key is being answered. Send it again after the time in Retry-After, and it gets the same answer."}
	errOverloaded             = &problem{codeOverloaded, "Too many large requests are in flight. Try again later."}
	errNotReady               = &problem{codeNotReady, "This instance does not accept new requests."}
	errStarting               = &problem{codeNotReady, "This instance is starting: it loads its sessions."}
	errRateLimited            = &problem{codeRateLimited, "This address has created too many sessions in the last minute."}
	errTooMuch                = &problem{codeRateLimited, "This address has stored too much in the last minute."}
)

// problemDetails is the body of every error (RFC 9457).
type problemDetails struct {
	Type      string              `json:"type"`
	Title     string              `json:"title"`
	Status    int                 `json:"status"`
	Detail    string              `json:"detail"`
	Code      schema.Code         `json:"code"`
	RequestID string              `json:"requestId"`
	Errors    []schema.FieldError `json:"errors,omitempty"`
}

// describe is the one place where an error becomes what a client sees. What is
// not known here is internal, and shows nothing of itself.
func describe(err error) (code schema.Code, detail string, fields []schema.FieldError) {
	var p *problem
	var invalid *schema.Error
	var tooLong *http.MaxBytesError
	var unready *backend.UnreadyError
	var unsupported *store.UnsupportedError
	var count *store.CountError
	var scope *insufficientScope
	switch {
	case errors.As(err, &p):
		return p.code, p.detail, nil
	case errors.As(err, &scope):
		return codeInsufficientScope, "This request needs a service token with the scope " + scope.missing.String() + ".", nil
	case errors.Is(err, backend.ErrDamaged): // before what is wrong with it, which nobody sent
		return codeDamagedSession, "The value stored under this id is not a session document. It can be ended, or replaced by PUT /api/sessions/{id}.", nil
	case errors.As(err, &invalid):
		return invalid.Code, invalid.Detail, invalid.Fields
	case errors.As(err, &tooLong):
		return schema.CodeTooLarge, "The body is over the size limit.", nil
	case errors.Is(err, backend.ErrNotFound):
		return codeUnauthorized, errUnauthorized.detail, nil
	case errors.Is(err, store.ErrUserLimit):
		return codeUserLimit, "The user has reached the maximum number of sessions. End one of them first.", nil
	case errors.As(err, &unsupported):
		return codeUnsupportedFilter, unsupported.Detail, nil
	case errors.As(err, &count):
		return codeCountChanged, countDetail(count), nil
	case errors.Is(err, backend.ErrOverBudget):
		return codeResponseTooLarge, fmt.Sprintf("A response has at most %d bytes of documents, which those before this one have used. Ask for it alone, or for its summary.", batchBytes), nil
	case errors.Is(err, backend.ErrEnded):
		return codeSessionEnded, "A session with this id recently ended or expired. Send revive=true to create a new one.", nil
	case errors.Is(err, store.ErrNotCurrent):
		return codeNotCurrent, "The id or token is an old one, in the grace period after a regenerate, and a newer one exists. Nothing was changed. To sign in, create a new session.", nil
	case errors.Is(err, backend.ErrBadCursor):
		return codeInvalidQuery, "The cursor does not belong to this list.", nil
	case errors.Is(err, cleanup.ErrBusy):
		return codeCleanupRunning, "Another instance is running the cleanup. Nothing was done here, which is harmless if both use the same directory.", nil
	case errors.Is(err, cleanup.ErrOtherStore):
		return codeCleanupOtherStore, "The files belong to the sessions of another store, so none was deleted; expired sessions were removed. See the log for details.", nil
	case errors.Is(err, cleanup.ErrDirectory):
		return codeCleanupUnavailable, "The directory of files is gone, was replaced, or must not be cleaned, so no file was deleted; expired sessions were removed. See the log for details.", nil
	case errors.Is(err, backend.ErrFull):
		return codeStoreFull, "No session can be added at the moment. Try again later.", nil
	case errors.As(err, &unready):
		return codeStoreUnavailable, unready.Reason, nil
	case errors.Is(err, backend.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return codeStoreUnavailable, "The session could not be read or written. Try again.", nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return codeRequestTimeout, "Send the whole body without pausing.", nil
	default:
		return errInternal.code, errInternal.detail, nil
	}
}

// countDetail says how many sessions a filter matches, and that none was ended.
func countDetail(e *store.CountError) string {
	if e.AtLeast {
		return fmt.Sprintf("The filter matches %d sessions or more, which is not the number in expect. None was ended.", e.Count)
	}
	return fmt.Sprintf("The filter matches %d sessions, which is not the number in expect. None was ended.", e.Count)
}

// problemOf returns what a client sees of an error.
func problemOf(err error, requestID string) problemDetails {
	code, detail, fields := describe(err)
	t, ok := problemTypes[code]
	if !ok {
		code, detail, t = codeInternal, errInternal.detail, problemTypes[codeInternal]
	}
	return problemDetails{
		Type: "urn:session-api:problem:" + string(code), Title: t.title, Status: t.status, Detail: detail,
		Code: code, RequestID: requestID, Errors: fields,
	}
}

// statusClientClosed stands in log and metrics for a request whose client left
// before its answer, as nginx has it: neither a success nor a failure of the
// service.
const statusClientClosed = 499

func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) && r.Context().Err() != nil {
		w.WriteHeader(statusClientClosed) // the client has gone
		return
	}
	seen := problemOf(err, w.Header().Get(headerRequestID))
	if c, ok := r.Context().Value(stateKey{}).(*requestState); ok { // an authorization request has none yet
		c.code = seen.Code
	}
	if seen.Status >= http.StatusInternalServerError && !expectedCodes[seen.Code] && r.Context().Err() == nil {
		s.Logger.ErrorContext(r.Context(), "request failed",
			"error", err, "code", seen.Code, "requestId", seen.RequestID)
	}
	body, marshalErr := json.Marshal(seen)
	if marshalErr != nil {
		panic(marshalErr) // strings and numbers always marshal
	}
	if body, ok := r.Body.(*requestBody); ok && (body.isUnread(r) || body.isAwaited(r)) {
		closeConnection(w, r)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	switch seen.Status {
	case http.StatusConflict:
		if seen.Code == codeRequestInProgress {
			h.Set("Retry-After", retryAfter)
		}
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", challenge(err))
	case http.StatusForbidden:
		if scope, ok := errors.AsType[*insufficientScope](err); ok {
			h.Set("WWW-Authenticate", scope.challenge())
		}
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter)
	case http.StatusRequestTimeout:
		closeConnection(w, r)
	}
	w.WriteHeader(seen.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that left gets nothing more
	}
}
