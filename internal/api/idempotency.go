package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// headerReplayed tells that an answer was given before.
const headerReplayed = "Idempotency-Replayed"

// keyUse says what an Idempotency-Key does on a route.
type keyUse uint8

const (
	noKey       keyUse = iota // nothing: the route changes nothing, or does no harm twice
	keyOfOne                  // the route changes one session that there is
	keyOfNew                  // it may create one, also for a caller without a credential
	keyOfMany                 // it may take long
	keyOfStream               // its body is read while it works
)

// lease is how long an attempt counts as in progress if nothing is heard of it any more.
// It is longer than an attempt takes, but for an import: two of these at once do no
// harm, since each finds what the other has stored.
func (k keyUse) lease() time.Duration {
	switch k {
	case keyOfMany:
		return clearTimeout + bookkeepingTimeout
	case keyOfStream:
		return 10 * time.Minute
	default:
		return 30 * time.Second
	}
}

// bookkeepingTimeout is how long it may take to store what became of an attempt, on which
// a later one relies.
const bookkeepingTimeout = 5 * time.Second

// lostTimeout is how long a store that has failed is asked to forget an attempt.
const lostTimeout = time.Second

// attempt is one attempt at a request with an Idempotency-Key.
type attempt struct {
	s     *Server
	w     *responseWriter
	r     *http.Request
	use   keyUse
	by    requester
	key   string // the caller's, a secret
	named backend.RequestKey
	asked backend.Fingerprint
	lease time.Time
	// asking hashes the body of a keyOfStream while it is read.
	asking hash.Hash
}

// takesKey reports whether an Idempotency-Key came that counts.
func (e *Endpoint) takesKey(r *http.Request) bool {
	return e.key != noKey && len(r.Header[headerIdempotencyKey]) > 0 && e.s.IdempotencyTTL > 0
}

// serveKeyed answers a request with an Idempotency-Key: it is done once, and each repeat
// gets the answer that the first attempt was given.
//
// An attempt that ends without a certain outcome leaves behind what it has chosen at random
// (backend.Request.Plan), and perhaps its mark in a session's facts. By these the next
// one finds what was done (store.WithAttempt), so that it does not matter at which
// moment the service, the store or the connection between them fails.
func (e *Endpoint) serveKeyed(w *responseWriter, r *http.Request) error {
	s := e.s
	a, err := e.readAttempt(w, r)
	if err != nil {
		return err
	}
	if a == nil { // nobody's
		return e.serve(w, r)
	}
	now := s.Now()
	a.lease = now.Add(a.use.lease())
	wanted := backend.Request{
		Fingerprint: a.asked, Plan: schema.NewID(), Lease: a.lease, ExpiresAt: now.Add(s.IdempotencyTTL), Guest: a.by.isAnonymous(),
	}
	stored, begun, err := a.begin(now, wanted)
	switch {
	case err == nil:
	case a.use == keyOfMany && (errors.Is(err, backend.ErrReadOnly) || errors.Is(err, backend.ErrFull)):
		return e.serve(w, r) // sessions can be ended where nothing else can be stored
	default:
		a.forgetLost(err)
		return err
	}
	switch {
	case begun:
		return a.run(e.serve, stored, stored.Plan == wanted.Plan)
	case stored.Fingerprint != a.asked:
		s.metrics.keyed(keyReused)
		return errKeyReused
	case !stored.Answered():
		s.metrics.keyed(keyInProgress)
		return errRequestInProgress
	}
	return a.replay(stored.Answer)
}

// readAttempt reads what the request is and whose, its body included. It returns nil for
// one that opens no session and that the route can do nothing for.
func (e *Endpoint) readAttempt(w *responseWriter, r *http.Request) (*attempt, error) {
	s := e.s
	key, err := parseIdempotencyKey(r.Header[headerIdempotencyKey])
	if err != nil {
		return nil, err
	}
	by, err := s.requesterOf(r, e.isForServices())
	if err != nil {
		return nil, err
	}
	if by.isAnonymous() {
		if !e.isForServices() && (e.key != keyOfNew || r.Method != http.MethodPost && !s.AutoCreate) {
			return nil, nil //nolint:nilnil // said above
		}
		if len(key) < minAnonymousKey {
			return nil, invalidKey("Without a session or a service token, an Idempotency-Key has %d characters or more, such as a UUID.", minAnonymousKey)
		}
	}
	a := &attempt{s: s, w: w, r: r, use: e.key, by: by, key: key, named: by.request(key)}
	var body []byte
	if e.key == keyOfStream {
		a.asking = sha256.New()
		if c := stateOf(r); c.body.ReadCloser != nil {
			c.body.ReadCloser = &hashedBody{c.body.ReadCloser, a.asking}
		}
	} else if body, err = s.receiveWhole(w, r); err != nil {
		return nil, err
	}
	q, err := query(r)
	if err != nil {
		return nil, err
	}
	bodySum := sha256.Sum256(body)
	a.asked = digest("asked", r.Method, r.URL.Path, q.Encode(), string(bodySum[:]))
	return a, nil
}

// hashedBody is a body that is hashed while it is read.
type hashedBody struct {
	io.ReadCloser
	into hash.Hash
}

// Read implements io.Reader.
func (b *hashedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	b.into.Write(into[:n])
	return n, err
}

// begin begins the attempt, unless the request has an answer or is in progress.
func (a *attempt) begin(now time.Time, wanted backend.Request) (stored backend.Request, begun bool, err error) {
	ctx, cancel := outliving(a.r, bookkeepingTimeout)
	defer cancel()
	return a.s.Sessions.BeginRequest(ctx, now, a.named, wanted)
}

// forgetLost ends the attempt where it may have begun although that failed with err: its
// client would have to wait for the lease to end.
func (a *attempt) forgetLost(err error) {
	if !errors.Is(err, backend.ErrUnavailable) || errors.Is(err, backend.ErrReadOnly) {
		return
	}
	ctx, cancel := outliving(a.r, lostTimeout)
	defer cancel()
	_ = a.s.Sessions.AbandonRequest(ctx, a.s.Now(), a.named, a.lease, true)
}

// run lets the route answer the request, and sends the answer once it is stored. fresh
// says that no attempt came before.
func (a *attempt) run(serve handler, stored backend.Request, fresh bool) error {
	w, outcome := a.w, keyFirst
	if !fresh {
		outcome = keyResumed
	}
	a.s.metrics.keyed(outcome)
	before := maps.Clone(w.Header())
	held := w.hold()
	settled := false
	defer func() {
		w.unhold()
		if !settled { // the route has panicked, or its answer could not be stored
			restoreHeader(w.Header(), before)
			a.abandon(false)
		}
	}()
	ctx := a.r.Context()
	if a.use != keyOfStream { // which makes sessions of many ids
		ctx = store.WithAttempt(ctx, store.Attempt{NewID: stored.Plan, Mark: a.by.mark(a.key, a.asked)})
	}
	if err := serve(w, a.r.WithContext(ctx)); err != nil {
		a.s.writeProblem(w, a.r, err)
	}
	w.unhold()
	held.WriteHeader(http.StatusOK) // as net/http has it
	switch {
	case held.status < http.StatusMultipleChoices:
		// What was done without its answer being stored is not told to anybody: the
		// client repeats the request after a 503, and the next attempt finds it. If
		// the answer went out, a browser could repeat with its new cookie, as another
		// caller, and nothing would tell that from a new request. Where there is no
		// room for the answer it goes out: then there is none for a repeat's either.
		switch err := a.answer(held, stored); {
		case errors.Is(err, backend.ErrFull):
			a.abandon(false)
		case err != nil:
			return err
		}
	case held.status < http.StatusInternalServerError && held.status != statusClientClosed:
		// Nothing was changed: the corrected request may have the key. That is sure
		// of this attempt alone.
		a.abandon(fresh)
	default:
		a.abandon(false)
	}
	settled = true
	w.send(held)
	return nil
}

// restoreHeader undoes what was done to a header since it was as before.
func restoreHeader(h, before http.Header) {
	clear(h)
	maps.Copy(h, before)
}

// answer stores the answer.
func (a *attempt) answer(held *heldAnswer, stored backend.Request) error {
	ctx, cancel := outliving(a.r, bookkeepingTimeout)
	defer cancel()
	var asked []byte
	if a.asking != nil {
		asked = a.asking.Sum(nil)
	}
	pack := func(body []byte) []byte { return a.s.packBody(ctx, body) }
	var err error
	if stored.Answer, err = held.encode(stateOf(a.r).session, asked, pack); err != nil {
		return err
	}
	now := a.s.Now()
	if of := held.issued.session; of != nil && held.issued.cookie == newCookie {
		// A browser that gets the cookie but not the body repeats with the cookie.
		next := a.by.withCookie(of.ID)
		if err := a.s.Sessions.AnswerRequest(ctx, now, next.request(a.key), stored); err != nil {
			return err
		}
	}
	return a.s.Sessions.AnswerRequest(ctx, now, a.named, stored)
}

// abandon ends the attempt. If that fails, its lease ends it.
func (a *attempt) abandon(forget bool) {
	ctx, cancel := outliving(a.r, bookkeepingTimeout)
	defer cancel()
	_ = a.s.Sessions.AbandonRequest(ctx, a.s.Now(), a.named, a.lease, forget)
}

// replay answers as the first attempt was answered, with credentials that are made anew.
func (a *attempt) replay(encoded []byte) error {
	answer, err := decodeAnswer(encoded)
	if err != nil {
		return err
	}
	if a.asking != nil {
		if err := a.readStream(); err != nil {
			return err
		}
		if subtle.ConstantTimeCompare(a.asking.Sum(nil), answer.Asked) == 0 {
			a.s.metrics.keyed(keyReused)
			return errKeyReused
		}
	}
	body := answer.body
	if answer.Issued != nil {
		if body, err = a.issueAnew(&answer); err != nil {
			return err
		}
	}
	a.s.metrics.keyed(keyReplayed)
	if answer.Session != "" {
		setLogSession(a.r, answer.Session)
	}
	h := a.w.Header()
	h[headerReplayed] = yes
	for name, value := range map[string]string{"Content-Type": answer.ContentType, "Etag": answer.ETag, "Location": answer.Location} {
		if value != "" {
			h[name] = []string{value}
		}
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	a.w.WriteHeader(answer.Status)
	_, _ = a.w.Write(body) // a client that left gets nothing more
	return nil
}

// readStream reads a body for its digest.
func (a *attempt) readStream() error {
	limits := newDeadlines(a.w, a.r)
	defer limits.beforeWrite()
	_, err := io.Copy(io.Discard, limits.body(a.r))
	return err
}

// issueAnew sets the cookie of an answer that is given again, and returns the body with
// its credentials. While the session lives, they are as it is now. Of one that is over
// there is no cookie: it would open nothing, and could replace a later one.
func (a *attempt) issueAnew(answer *storedAnswer) ([]byte, error) {
	s, stored := a.s, answer.Issued
	sess := stored.session()
	live, err := s.Sessions.Peek(a.r.Context(), s.Now(), sess.Key())
	lives := err == nil && live.ID == sess.ID
	if lives {
		sess = live
	} else if err != nil && !errors.Is(err, backend.ErrNotFound) && !errors.Is(err, backend.ErrDamaged) {
		return nil, err
	}
	switch {
	case !lives:
	case stored.Cookie == newCookie:
		s.issueCookie(a.w, &credential{cookies: a.by.cookies}, s.Now(), &sess)
	case stored.Cookie != "":
		s.setCookie(a.w, s.Now(), &sess)
	}
	body := append([]byte(nil), answer.body...)
	switch stored.Members {
	case tokenMember:
		return s.appendTokenMember(body, &sess), nil
	case issuedToOther:
		return appendIssued(body, s.newIssuedToken(&sess))
	}
	return body, nil
}
