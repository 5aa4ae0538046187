package schema

import (
	"strconv"
	"time"

	"session-api/internal/jsonscan"
)

// Summary is what a list shows of a session without its document: what the head
// and the user say, and how long the document is.
type Summary struct {
	Namespace, ID string

	CreatedAt, UpdatedAt, ExpiresAt time.Time
	Revision                        int64
	TTL                             time.Duration
	// UserID is user.id, or empty.
	UserID string
	// Facts are beside the document; a summary shows the client.
	Facts Facts
	// Bytes is the length of the document.
	Bytes int

	// user is the user as the document has it, or null.
	user []byte
}

// Key returns the key that names the session.
func (s *Summary) Key() Key { return Key{Namespace: s.Namespace, ID: s.ID} }

// Summary returns the summary of s. The error says that the document's layout is
// not that of Build.
func (s *Session) Summary() (Summary, error) { return s.SummaryWithin(len(s.Doc)) }

// SummaryWithin is Summary of a session of which Doc has the beginning, up to the end
// of the user at least, and whose whole document has that many bytes.
func (s *Session) SummaryWithin(bytes int) (Summary, error) {
	user, end, err := s.userValue()
	if err != nil || end >= len(s.Doc) { // what ends with the text may go on
		return Summary{}, errDocument
	}
	return Summary{
		Namespace: s.Namespace, ID: s.ID,
		CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, ExpiresAt: s.ExpiresAt,
		Revision: s.Revision, TTL: s.TTL, UserID: s.UserID, Facts: s.Facts, Bytes: bytes, user: user,
	}, nil
}

// LastSeenAt returns when the session was used last, as far as that moved its
// deadline, or when a section was changed, if that was later. See seenAt.
func (s *Session) LastSeenAt(now time.Time) time.Time {
	return seenAt(now, s.UpdatedAt, s.ExpiresAt, s.TTL)
}

// LastSeenAt is that of the session.
func (s *Summary) LastSeenAt(now time.Time) time.Time {
	return seenAt(now, s.UpdatedAt, s.ExpiresAt, s.TTL)
}

// seenSkew is how far ahead the clock may be of an instance that moved a deadline.
const seenSkew = time.Minute

// seenAt returns when a session was used last, from what a use leaves behind: it
// moves the deadline to its own time plus the idle timeout. That is never later
// than the use, and as a rule earlier by less than the interval in which small
// moves of a deadline are coalesced. A deadline that an absolute timeout holds does
// not move any more: the use may then have been up to an idle timeout later. A
// deadline that is further away than the idle timeout was not set by a use (another
// program or an import set it) and tells nothing.
func seenAt(now, updated, expires time.Time, idle time.Duration) time.Time {
	seen := expires.Add(-idle)
	if seen.After(now.Add(seenSkew)) {
		seen = updated
	}
	if seen.Before(updated) {
		seen = updated
	}
	if seen.After(now) {
		seen = Now(now)
	}
	return seen
}

// HasRole reports whether the user has the role.
func (s *Summary) HasRole(role string) bool {
	_, _, roles := s.userMembers()
	for start, end, ok := jsonscan.NextElement(roles, 1); ok; start, end, ok = jsonscan.NextElement(roles, end) {
		if string(jsonscan.Unquote(roles[start:end])) == role {
			return true
		}
	}
	return false
}

// What a summary has of a session without a user, or of a user without that member.
var (
	noText  = []byte(`""`)
	noRoles = []byte(`[]`)
)

// userMembers returns the values of the user's members as the document has them.
func (s *Summary) userMembers() (id, email, roles []byte) {
	id, email, roles = noText, noText, noRoles
	if len(s.user) == 0 || s.user[0] != '{' {
		return id, email, roles
	}
	for m, ok := jsonscan.NextMember(s.user, 1); ok; m, ok = jsonscan.NextMember(s.user, m.End) {
		switch string(m.Name(s.user)) {
		case `"id"`:
			id = m.Value(s.user)
		case `"email"`:
			email = m.Value(s.user)
		case `"roles"`:
			roles = m.Value(s.user)
		}
	}
	return id, email, roles
}

// AppendJSON appends the summary as a client gets it. Where the session has no user,
// userId and email are empty, and roles is an empty array; client is null where nothing
// is known of it. current marks the
// session of the caller.
func (s *Summary) AppendJSON(dst []byte, now time.Time, current bool) []byte {
	id, email, roles := s.userMembers()
	dst = append(dst, headID...)
	dst = append(dst, s.ID...)
	dst = append(dst, `","namespace":"`...)
	dst = append(dst, s.Namespace...)
	dst = append(dst, `","userId":`...)
	dst = append(dst, id...)
	dst = append(dst, `,"email":`...)
	dst = append(dst, email...)
	dst = append(dst, `,"roles":`...)
	dst = append(dst, roles...)
	dst = append(dst, `,"createdAt":"`...)
	dst = appendTime(dst, s.CreatedAt)
	dst = append(dst, headUpdatedAt...)
	dst = appendTime(dst, s.UpdatedAt)
	dst = append(dst, `","lastSeenAt":"`...)
	dst = appendTime(dst, s.LastSeenAt(now))
	dst = append(dst, headExpiresAt...)
	dst = appendTime(dst, s.ExpiresAt)
	dst = append(dst, `","revision":`...)
	dst = strconv.AppendInt(dst, s.Revision, 10)
	dst = append(dst, `,"bytes":`...)
	dst = strconv.AppendInt(dst, int64(s.Bytes), 10)
	dst = append(dst, `,"client":`...)
	dst = s.Facts.AppendClient(dst)
	if current {
		dst = append(dst, `,"current":true`...)
	}
	return append(dst, '}')
}
