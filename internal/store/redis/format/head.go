package format

import (
	"strings"

	"session-api/internal/schema"
)

// LastMax is how much of the end of a value DecodeHead wants at most: the facts and the
// trailer.
const LastMax = len(factsStart) + schema.MaxFacts + TrailerMax

// DecodeHead reads a value of that length of which only the first and the last part
// are known, as far as they go: the session's Doc ends with the first part, and
// it has no Files. document is the length of the whole document. ok is false where the
// value has to be read as a whole: it is not one of this store's, or compressed.
func DecodeHead(key schema.Key, first, last string, length int64) (v *Value, document int64, ok bool) {
	if document = DocumentLen(length, last); document == 0 {
		return nil, 0, false
	}
	if strings.HasPrefix(first, MarkPending) {
		return &Value{Pending: true}, document, true
	}
	head, ok := schema.ParseHead(key.ID, first)
	if !ok {
		return nil, document, false
	}
	v = new(Value)
	if v.Trailer, _, ok = ParseTrailer(last); !ok {
		return nil, document, false
	}
	before, _, _ := cutTrailer(last)
	if _, v.Session.Facts, ok = v.facts.cutFacts(before); !ok {
		return nil, document, false
	}
	v.Session.Namespace, v.Session.ID, v.Session.Life = key.Namespace, key.ID, v.Life
	v.Session.CreatedAt, v.Session.UpdatedAt, v.Session.Revision = head.CreatedAt, head.UpdatedAt, head.Revision
	v.Session.TTL, v.Session.OwnTTL = v.TTL, v.OwnTTL
	v.Written = head.ExpiresAt.UnixMilli()
	v.Session.Doc = []byte(first)
	var err error
	if v.Session.UserID, err = userID(&v.Session, head.Len); err != nil {
		return nil, document, false
	}
	return v, document, true
}
