package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/klauspost/compress/zstd"

	"session-api/internal/schema"
)

// heldAnswer is the http.ResponseWriter of a request whose answer is stored before it is
// sent: it keeps the status and the body. The header is the one that will be sent.
type heldAnswer struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
	issued issued
}

// Unwrap lets a http.ResponseController find the writer beneath.
func (h *heldAnswer) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (h *heldAnswer) WriteHeader(status int) {
	if h.status == 0 && status >= http.StatusOK {
		h.status = status
	}
}

// Write implements http.ResponseWriter.
func (h *heldAnswer) Write(b []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(b)
}

// issued says which credentials an answer has, and of which session. They are never
// stored, but made anew.
type issued struct {
	session *schema.Session // nil where the answer has none
	cookie  issuedCookie
	members issuedMembers
	// at is where the members begin in the body.
	at int
}

// issuedCookie says which cookie an answer sets.
type issuedCookie string

const (
	keptCookie issuedCookie = "kept" // the caller's own, for longer
	newCookie  issuedCookie = "new"
)

// issuedMembers are what follows a document in a body.
type issuedMembers string

const (
	tokenMember   issuedMembers = "token"  // for a caller without a cookie
	issuedToOther issuedMembers = "issued" // for a service, which hands it on
)

// issuedOf returns where to note the credentials in the answer that w writes; nil where
// it is not stored.
func issuedOf(w http.ResponseWriter) *issued {
	if rw, ok := w.(*responseWriter); ok && rw.held != nil {
		return &rw.held.issued
	}
	return nil
}

// noteCookie notes a cookie in the answer.
func (i *issued) noteCookie(kind issuedCookie, sess *schema.Session) {
	if i != nil && i.cookie != newCookie {
		kept := *sess
		i.session, i.cookie = &kept, kind
	}
}

// noteMembers notes members that begin at a byte of the body.
func (i *issued) noteMembers(kind issuedMembers, sess *schema.Session, at int) {
	if i != nil {
		kept := *sess
		i.session, i.members, i.at = &kept, kind, at
	}
}

// storedAnswer is an answer as a store keeps it: this as JSON, a line feed, and the body
// up to its credentials.
type storedAnswer struct {
	Status      int    `json:"status"`
	ContentType string `json:"contentType,omitempty"`
	ETag        string `json:"etag,omitempty"`
	Location    string `json:"location,omitempty"`
	// Session is the id of the session that the answer is about, for the log.
	Session string `json:"session,omitempty"`
	// Asked is a digest of the request's body where that was not known before the
	// request began.
	Asked  []byte        `json:"asked,omitempty"`
	Issued *storedIssued `json:"issued,omitempty"`
	// Compressed: the body is, by zstd (RFC 8878).
	Compressed bool `json:"compressed,omitempty"`

	body []byte
}

// storedIssued is what credentials are made of anew.
type storedIssued struct {
	Namespace string        `json:"namespace"`
	ID        string        `json:"id"`
	ExpiresAt int64         `json:"expiresAt"` // in ms
	Remember  *bool         `json:"remember,omitempty"`
	Cookie    issuedCookie  `json:"cookie,omitempty"`
	Members   issuedMembers `json:"members,omitempty"`
}

// encode returns the answer as it is stored. asked is the digest of a body that was
// not known before the request began. The body is compressed where pack returns fewer
// bytes.
func (h *heldAnswer) encode(session string, asked []byte, pack func(body []byte) []byte) ([]byte, error) {
	header := h.Header()
	stored := storedAnswer{
		Status: h.status, ContentType: first(header["Content-Type"]), ETag: first(header["Etag"]),
		Location: first(header["Location"]), Session: session, Asked: asked,
	}
	body := h.body.Bytes()
	if of := h.issued.session; of != nil {
		stored.Issued = &storedIssued{
			Namespace: of.Namespace, ID: of.ID, ExpiresAt: of.ExpiresAt.UnixMilli(), Cookie: h.issued.cookie, Members: h.issued.members,
		}
		if remember, said := of.Facts.Remember(); said {
			stored.Issued.Remember = &remember
		}
		if h.issued.members != "" {
			body = body[:h.issued.at]
		}
	}
	if packed := pack(body); len(packed) > 0 {
		body, stored.Compressed = packed, true
	}
	head, err := json.Marshal(stored)
	if err != nil {
		return nil, err
	}
	encoded := make([]byte, 0, len(head)+1+len(body))
	return append(append(append(encoded, head...), '\n'), body...), nil
}

var errForeignAnswer = errors.New("the store holds an answer in another form")

// decodeAnswer reads what encode has made.
func decodeAnswer(encoded []byte) (a storedAnswer, err error) {
	head, body, ok := bytes.Cut(encoded, []byte("\n"))
	if !ok {
		return a, errForeignAnswer
	}
	if err := json.Unmarshal(head, &a); err != nil {
		return a, fmt.Errorf("%w: %w", errForeignAnswer, err)
	}
	if a.Status < http.StatusOK || a.Status >= http.StatusMultipleChoices {
		return a, errForeignAnswer
	}
	a.body = body
	if a.Compressed {
		if a.body, err = answerDecoder.DecodeAll(body, nil); err != nil {
			return a, fmt.Errorf("%w: %w", errForeignAnswer, err)
		}
	}
	return a, nil
}

const (
	// packedOver is the size of a body in bytes above which it is stored compressed: most
	// of a document is text that repeats itself.
	packedOver = 4 << 10
	// packWindow is how far back the compressor looks.
	packWindow = 256 << 10
	// maxUnpacked is the most that a compressed body may come to.
	maxUnpacked = 256 << 20
)

var (
	answerEncoder, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(packWindow)) // the options are valid
	answerDecoder, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxUnpacked))                                    // as above
)

// packBody returns the body compressed, or nothing where that takes more bytes, or where
// there is too much else to do.
func (s *Server) packBody(ctx context.Context, body []byte) (packed []byte) {
	if len(body) < packedOver {
		return nil
	}
	_ = s.withCPU(ctx, len(body), func() error {
		if packed = answerEncoder.EncodeAll(body, make([]byte, 0, len(body)/2)); len(packed) >= len(body) {
			packed = nil
		}
		return nil
	})
	return packed
}

// session is what credentials are made of anew where the session has ended.
func (i *storedIssued) session() schema.Session {
	sess := schema.Session{Namespace: i.Namespace, ID: i.ID, ExpiresAt: time.UnixMilli(i.ExpiresAt).UTC()}
	if i.Remember != nil {
		sess.Facts = sess.Facts.WithRemember(*i.Remember)
	}
	return sess
}
