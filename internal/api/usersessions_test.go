package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/backend"
)

// summary is a session as lists show it.
type summary struct {
	ID, Namespace, UserID, Email                string
	Roles                                       []string
	CreatedAt, UpdatedAt, LastSeenAt, ExpiresAt time.Time
	Revision, Bytes                             int
	Current                                     *bool
}

// userPage is a page of a user's sessions.
type userPage struct {
	Sessions   []summary
	NextCursor string
}

const mine = "/api/user/sessions"

// mySessions lists the sessions of the user of the client's session, page by page.
func (c *client) mySessions(query string) (all []summary) {
	c.s.t.Helper()
	q, err := url.ParseQuery(query)
	require.NoError(c.s.t, err)
	for {
		var page userPage
		a := c.do("GET", mine+"?"+q.Encode(), "").expect(200)
		require.NoError(c.s.t, json.Unmarshal(a.body, &page), "%s", a.body)
		all = append(all, page.Sessions...)
		if page.NextCursor == "" {
			return all
		}
		q.Set("cursor", page.NextCursor)
	}
}

// signIn returns a visitor with a session of the user, and the session's id.
func (s *service) signIn(user string) (*client, string) {
	s.t.Helper()
	c := s.client()
	id := c.create("").ID
	out := s.backend().do("POST", "/api/sessions/"+id+"/regenerate", fmt.Sprintf(`{"user":{"id":%q,"email":"a@example.org","roles":["editor"]}}`, user)).expect(200).handedOver()
	u, err := url.Parse(s.url)
	require.NoError(s.t, err)
	cookie, err := http.ParseSetCookie(out.SetCookie)
	require.NoError(s.t, err)
	c.http.Jar.SetCookies(u, []*http.Cookie{cookie})
	return c, out.Session.ID
}

func idsOf(all []summary) []string {
	ids := []string{}
	for _, one := range all {
		ids = append(ids, one.ID)
	}
	return ids
}

func TestAUserSeesTheirSessions(t *testing.T) {
	s := start(t, withServiceTokens)
	phone, phoneID := s.signIn("ada")
	s.clock.advance(time.Second)
	laptop, laptopID := s.signIn("ada")
	s.clock.advance(time.Second)
	_, _ = s.signIn("bob")
	elsewhere := s.backend().create("?namespace=shop", `{"user":{"id":"ada"}}`).Session.ID

	for c, own := range map[*client]string{phone: phoneID, laptop: laptopID} {
		for _, query := range []string{"", "limit=1"} {
			all := c.mySessions(query)
			assert.Equal(t, []string{laptopID, phoneID}, idsOf(all))
			assert.NotContains(t, idsOf(all), elsewhere)
			for _, one := range all {
				assert.Equal(t, "ada", one.UserID)
				assert.Equal(t, "a@example.org", one.Email)
				assert.Equal(t, []string{"editor"}, one.Roles)
				assert.Equal(t, "default", one.Namespace)
				if one.ID == own {
					require.NotNil(t, one.Current)
					assert.True(t, *one.Current)
				} else {
					assert.Nil(t, one.Current)
				}
			}
		}
	}
	doc := laptop.do("GET", "/api/session", "").expect(200)
	assert.Equal(t, len(doc.body), laptop.mySessions("")[0].Bytes)
	bearer := []string{"Authorization", "Bearer " + laptop.token()}
	assert.Contains(t, string(s.client().do("GET", mine, "", bearer...).expect(200).body), phoneID)

	// Another identity of the same session takes it from the first user's list.
	b := s.backend()
	b.do("PATCH", "/api/sessions/"+phoneID, `{"user":{"id":"eve"}}`).expect(200)
	assert.Equal(t, []string{laptopID}, idsOf(laptop.mySessions("")))
	assert.Equal(t, []string{phoneID}, idsOf(phone.mySessions("")))
}

func TestListingOnesSessionsIsAUse(t *testing.T) {
	s := start(t, withServiceTokens)
	c, id := s.signIn("ada")
	other, otherID := s.signIn("ada")
	start := s.clock.Now()
	s.clock.advance(time.Hour)
	seen := func(query string) map[string]time.Time {
		out := map[string]time.Time{}
		for _, one := range c.mySessions(query) {
			out[one.ID] = one.LastSeenAt
		}
		return out
	}
	assert.Equal(t, map[string]time.Time{id: start, otherID: start}, seen("touch=false"))
	c.do("HEAD", mine, "").expect(200)
	c.do("GET", mine, "", "Sec-Purpose", "prefetch").expect(200)
	assert.Equal(t, map[string]time.Time{id: start, otherID: start}, seen("touch=false"))
	a := c.do("GET", mine, "").expect(200)
	assert.Contains(t, a.Header.Get("Set-Cookie"), cookieName, "the cookie lives as long as the session")
	assert.Equal(t, map[string]time.Time{id: s.clock.Now(), otherID: start}, seen("touch=false"))
	// Within the interval a use is coalesced, and is seen no later than it was.
	before := s.clock.Now()
	s.clock.advance(59 * time.Second)
	other.do("GET", "/api/session", "").expect(200)
	c.do("GET", "/api/session", "").expect(200)
	assert.Equal(t, map[string]time.Time{id: before, otherID: s.clock.Now()}, seen("touch=false"))
	// A change is a use.
	c.do("PATCH", "/api/session?", `{"meta":{"n":1}}`).expect(200)
	assert.Equal(t, s.clock.Now(), seen("touch=false")[id])
}

func TestASessionWithoutAUserSeesItself(t *testing.T) {
	s := start(t, withServiceTokens)
	c, other := s.client(), s.client()
	id, otherID := c.create("").ID, other.create("").ID
	all := c.mySessions("")
	require.Len(t, all, 1)
	assert.Equal(t, id, all[0].ID)
	assert.Empty(t, all[0].UserID)
	assert.Empty(t, all[0].Email)
	assert.Empty(t, all[0].Roles)
	assert.True(t, *all[0].Current)
	c.do("GET", mine+"?cursor=AAAA", "").problem(400, "invalid_query")

	c.do("DELETE", mine+"/"+otherID, "").problem(404, "session_not_found")
	assert.JSONEq(t, `{"deleted":0}`, string(c.do("DELETE", mine+"?except=current", "").expect(200).body))
	c.do("GET", "/api/session", "").expect(200)
	a := c.do("DELETE", mine, "").expect(200)
	assert.JSONEq(t, `{"deleted":1}`, string(a.body))
	assert.Empty(t, c.token())
	c.do("GET", mine, "").problem(401, "no_credential")
	other.do("GET", "/api/session", "").expect(200)
	c.create("")
	c.do("DELETE", mine+"/"+c.do("GET", "/api/session", "").document().ID, "").expect(204)
	assert.Empty(t, c.token())
}

// Ids are no secret: what matters is that another's are worth nothing.
func TestNobodyEndsTheSessionOfAnother(t *testing.T) {
	s := start(t, withServiceTokens)
	b := s.backend()
	ada, adaID := s.signIn("ada")
	bob, bobID := s.signIn("bob")
	guest := s.client()
	guestID := guest.create("").ID
	elsewhere := b.create("?namespace=shop", `{"user":{"id":"ada"}}`).Session.ID
	b.do("PUT", "/api/sessions/"+adaID+"?namespace=shop", `{"user":{"id":"bob"}}`).expect(201) // the same id
	ended, endedID := s.signIn("ada")
	ended.do("DELETE", "/api/session", "").expect(204)

	unknown := ada.do("DELETE", mine+"/"+strings.Repeat("0", 64), "").problem(404, "session_not_found")
	for _, c := range []*client{ada, guest} {
		for _, id := range []string{bobID, guestID, elsewhere, endedID, adaID} {
			if c == ada && id == adaID || c == guest && id == guestID {
				continue
			}
			p := c.do("DELETE", mine+"/"+id, "").problem(404, "session_not_found")
			assert.Equal(t, unknown.Detail, p.Detail, "not to be told from one that does not exist")
			assert.Equal(t, unknown.Title, p.Title)
		}
	}
	bob.do("DELETE", mine+"/"+adaID, "").problem(404, "session_not_found")
	bob.do("DELETE", mine+"/"+adaID+"?namespace=shop", "").problem(400, "invalid_query")
	bob.do("GET", mine+"?userId=ada", "").expect(200)
	assert.Equal(t, []string{bobID}, idsOf(bob.mySessions("userId=ada&namespace=shop")), "the query chooses nobody else")
	bob.do("DELETE", mine+"?userId=ada", "").problem(400, "invalid_query")
	for _, bad := range []string{"short", "%00", "..%2f..", strings.Repeat("x", 129), "a%20session%20with%20spaces"} {
		ada.do("DELETE", mine+"/"+bad, "").problem(400, "invalid_id")
	}
	s.client().do("DELETE", mine+"/"+adaID, "").problem(401, "no_credential")
	s.client().do("DELETE", mine+"/"+adaID, "", "Authorization", "Bearer "+sign(adaID, strings.Repeat("x", 32))).problem(401, "unauthorized")
	s.client().do("DELETE", mine, "", "Authorization", "Bearer "+sign(elsewhere, secret)).problem(401, "unauthorized")
	for _, c := range []*client{ada, bob, guest} {
		c.do("GET", "/api/session", "").expect(200)
	}
	b.do("GET", "/api/sessions/"+elsewhere+"?namespace=shop", "").expect(200)
	b.do("GET", "/api/sessions/"+adaID+"?namespace=shop", "").expect(200)
	// A service token is no session.
	b.do("GET", mine, "").problem(401, "no_credential")
	b.do("DELETE", mine, "").problem(401, "no_credential")
}

func TestAUserEndsTheirSessions(t *testing.T) {
	s := start(t, withServiceTokens)
	here, hereID := s.signIn("ada")
	phone, phoneID := s.signIn("ada")
	bob, _ := s.signIn("bob")
	a := here.do("DELETE", mine+"/"+phoneID, "").expect(204)
	assert.Empty(t, a.Header["Set-Cookie"])
	phone.do("GET", "/api/session", "").problem(401, "unauthorized")
	here.do("DELETE", mine+"/"+phoneID, "").problem(404, "session_not_found")
	_, tabletID := s.signIn("ada")
	here.do("DELETE", fmt.Sprintf("%s/%%%02X%s", mine, tabletID[0], tabletID[1:]), "").expect(204) // escaped, it is the same path
	here.do("DELETE", mine+"/"+tabletID, "").problem(404, "session_not_found")
	assert.Equal(t, []string{hereID}, idsOf(here.mySessions("")))

	phone, _ = s.signIn("ada")
	tablet, _ := s.signIn("ada")
	a = here.do("DELETE", mine+"?except=current", "").expect(200)
	assert.JSONEq(t, `{"deleted":2}`, string(a.body))
	assert.Empty(t, a.Header["Set-Cookie"])
	phone.do("GET", "/api/session", "").problem(401, "unauthorized")
	tablet.do("GET", "/api/session", "").problem(401, "unauthorized")

	// The session of the request goes with its cookie.
	here.do("DELETE", mine+"/"+hereID, "").expect(204)
	assert.Empty(t, here.token())
	here, _ = s.signIn("ada")
	phone, _ = s.signIn("ada")
	assert.JSONEq(t, `{"deleted":2}`, string(here.do("DELETE", mine, "").expect(200).body))
	assert.Empty(t, here.token())
	phone.do("GET", "/api/session", "").problem(401, "unauthorized")
	bob.do("GET", "/api/session", "").expect(200)

	for _, query := range []string{"?except=", "?except=all", "?except=current&except=current", "?excpt=current", "?all=true"} {
		bob.do("DELETE", mine+query, "").problem(400, "invalid_query")
	}
	bob.do("DELETE", mine, "", "Origin", "https://evil.example").problem(403, "forbidden_origin")
	bob.do("DELETE", mine+"/"+strings.Repeat("0", 64), "", "Origin", "https://evil.example").problem(403, "forbidden_origin")
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "cursor=", "cursor=x", "touch=maybe"} {
		bob.do("GET", mine+"?"+query, "").problem(400, "invalid_query")
	}
	bob.do("GET", mine+"?other=1", "").expect(200)
	assert.Equal(t, "DELETE, GET, HEAD", allowOf(bob.do("PUT", mine, "{}").expect(405)))
	assert.Equal(t, "DELETE", allowOf(bob.do("POST", mine+"/"+strings.Repeat("0", 64), "").expect(405)))
}

func allowOf(a *answer) string {
	return strings.Join(slices.Sorted(slices.Values(a.Header.Values("Allow"))), ", ")
}

// An old token in its grace does what the new one does.
func TestTheOldTokenListsAndEnds(t *testing.T) {
	s := start(t, withServiceTokens)
	c, id := s.signIn("ada")
	other, otherID := s.signIn("ada")
	old := []string{"Cookie", cookieName + "=" + c.token()}
	next := c.do("POST", "/api/session/regenerate", `{"graceMs":5000}`).expect(200).document().ID
	a := s.client().do("GET", mine, "", old...).expect(200)
	assert.Empty(t, a.Header["Set-Cookie"])
	var page userPage
	require.NoError(t, json.Unmarshal(a.body, &page))
	assert.ElementsMatch(t, []string{next, otherID}, idsOf(page.Sessions))
	for _, one := range page.Sessions {
		assert.Equal(t, one.ID == next, one.Current != nil)
	}
	s.client().do("DELETE", mine+"?except=current", "", old...).expect(200)
	other.do("GET", "/api/session", "").problem(401, "unauthorized")
	c.do("GET", "/api/session", "").expect(200)
	// Both ids are that of the session of the request.
	a = s.client().do("DELETE", mine+"/"+id, "", old...).expect(204)
	assert.NotEmpty(t, a.Header["Set-Cookie"])
	c.do("GET", "/api/session", "").problem(401, "unauthorized")
}

func TestUserSessionsOnAStoreThatIsDown(t *testing.T) {
	faulty := newFaulty()
	s := start(t, func(s *settings) { withServiceTokens(s); s.store = faulty })
	c, id := s.signIn("ada")
	faulty.fail(fmt.Errorf("%w: dialling 10.1.2.3:6379", backend.ErrUnavailable))
	for _, r := range [][2]string{{"GET", mine}, {"DELETE", mine}, {"DELETE", mine + "?except=current"}, {"DELETE", mine + "/" + id}} {
		c.do(r[0], r[1], "").problem(503, "store_unavailable")
	}
	faulty.fail(nil)
	c.do("GET", mine, "").expect(200)
}

// Neither the settings for reads nor the absence of a session make one.
func TestUserSessionsCreateNothing(t *testing.T) {
	s := start(t, func(s *settings) { s.AutoCreate = true })
	s.client().do("GET", mine, "").problem(401, "no_credential")
	assert.Zero(t, s.backend().count(""))
	s = start(t, withServiceTokens, func(s *settings) { s.TouchOnAccess = false })
	c, _ := s.signIn("ada")
	seen := c.mySessions("")[0].LastSeenAt
	s.clock.advance(time.Hour)
	assert.Equal(t, seen, c.mySessions("")[0].LastSeenAt)
	assert.Equal(t, s.clock.Now(), c.mySessions("touch=true")[0].LastSeenAt)
}

func TestUserSessionsOfAPageElsewhere(t *testing.T) {
	const origin = "https://app.example"
	s := start(t, withServiceTokens, func(s *settings) { s.AllowedOrigins = []string{origin} })
	c, _ := s.signIn("ada")
	a := c.do("GET", mine, "", "Origin", origin).expect(200)
	assert.Equal(t, origin, a.Header.Get("Access-Control-Allow-Origin"))
	a = c.do("OPTIONS", mine+"/"+strings.Repeat("0", 64), "", "Origin", origin, "Access-Control-Request-Method", "DELETE").expect(204)
	assert.Equal(t, "DELETE", a.Header.Get("Access-Control-Allow-Methods"))
	c.do("DELETE", mine, "", "Origin", origin).expect(200)
}
