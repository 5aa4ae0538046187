package jwt

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const signedIn = `{"user":{"id":"u-1042","email":"ada@example.org","roles":["editor","größe"],
	"auth":{"time":"2026-11-21T17:00:00.500Z","methods":["pwd","otp"],"level":"aal2"}},
	"meta":{"plan":"pro","seats":12345678901234567890,"beta":true,"tags":["a","b"],"mixed":["a",1],"none":null,"deep":{"er":"x"}}}`

func TestIssue(t *testing.T) {
	mappings, err := ParseMappings(strings.Split("email=user.email,tenant=user.id,all=user.roles,plan=meta.plan,seats=meta.seats,beta=meta.beta,"+
		"tags=meta.tags,mixed=meta.mixed,none=meta.none,deep=meta.deep,deeper=meta.deep.er,missing=meta.missing,through=meta.plan.x", ","))
	require.NoError(t, err)
	for _, algorithm := range algorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			i := newTestIssuer(t, newStates(t), [][]byte{secret}, func(o *Options) { o.Algorithm, o.Mappings = algorithm, mappings })
			sess := newSession(t, began, signedIn)
			token, err := i.Issue(t.Context(), began, sess, "https://orders.example.com", time.Minute)
			require.NoError(t, err)
			assert.Equal(t, began.Add(time.Minute).Truncate(time.Second), token.ExpiresAt)

			header, claims, ok := verifyByHand(t, keySetOf(t, i, began), token.Text)
			require.True(t, ok)
			assert.Equal(t, "JWT", header["typ"])
			assert.Len(t, header, 3)
			id, _ := claims["jti"].(string)
			assert.Len(t, id, 26)
			assert.Equal(t, map[string]any{
				"iss": testIssuer, "aud": "https://orders.example.com", "sub": "u-1042", "sid": sess.ID, "jti": id,
				"iat": number(began), "exp": number(began.Add(time.Minute)), "auth_time": json.Number("1795280400"),
				"amr": []any{"pwd", "otp"}, "acr": "aal2", "roles": []any{"editor", "größe"},
				"email": "ada@example.org", "tenant": "u-1042", "all": []any{"editor", "größe"}, "plan": "pro",
				"seats": json.Number("12345678901234567890"), "beta": true, "tags": []any{"a", "b"}, "deeper": "x",
			}, claims)

			opened, err := i.Open(t.Context(), began, token.Text)
			require.NoError(t, err)
			assert.Equal(t, "u-1042", opened.Subject)
			assert.Equal(t, sess.ID, opened.SessionID)
			assert.True(t, opened.Stands(sess))
		})
	}
}

func number(t time.Time) json.Number { return json.Number(strconv.FormatInt(t.Unix(), 10)) }

// Without a user there is no sub, which consumers take for one.
func TestIssue_noUser(t *testing.T) {
	i := newTestIssuer(t, newStates(t), [][]byte{secret})
	sess := newSession(t, began, `{}`)
	_, claims, ok := verifyByHand(t, keySetOf(t, i, began), issueTo(t, i, began, sess).Text)
	require.True(t, ok)
	assert.Equal(t, map[string]any{
		"iss": testIssuer, "aud": testIssuer, "sid": sess.ID, "jti": claims["jti"],
		"iat": number(began), "exp": number(began.Add(5 * time.Minute)), "roles": []any{},
	}, claims)
}

// A token ends with its session, and within MaxTTL.
func TestIssue_deadline(t *testing.T) {
	i := newTestIssuer(t, newStates(t), [][]byte{secret})
	sess := newSession(t, began, `{}`)
	for _, tc := range []struct{ left, asked, want time.Duration }{
		{time.Hour, 0, 5 * time.Minute},
		{time.Hour, time.Minute, time.Minute},
		{time.Hour, time.Hour, MaxTTL},
		{90 * time.Second, 0, 90 * time.Second},
		{90*time.Second + 876*time.Millisecond, 0, 90 * time.Second}, // a whole second of the clock
		{90*time.Second + 877*time.Millisecond, 0, 91 * time.Second},
		{100 * time.Millisecond, 0, 0},
	} {
		sess.ExpiresAt = began.Add(tc.left)
		token, err := i.Issue(t.Context(), began, sess, "x", tc.asked)
		require.NoError(t, err)
		assert.Equal(t, began.Truncate(time.Second).Add(tc.want), token.ExpiresAt, "%+v", tc)
		assert.False(t, token.ExpiresAt.After(sess.ExpiresAt), "%+v", tc)
		_, err = i.Open(t.Context(), token.ExpiresAt.Add(-time.Millisecond), token.Text)
		require.NoError(t, err, "%+v", tc)
		_, err = i.Open(t.Context(), token.ExpiresAt, token.Text)
		require.ErrorIs(t, err, ErrInvalid, "%+v", tc)
	}
}

// Long roles and claims are left out whole.
func TestIssue_bounds(t *testing.T) {
	role := strings.Repeat("r", 100)
	roles := `["` + strings.Repeat(role+`","`, 25) + role + `"]`
	long := strings.Repeat("x", maxMappedValue-2)
	body := `{"user":{"id":"u","roles":` + roles + `},"meta":{"a":"` + long + `","b":"` + long + `x","c":"` + long + `","d":"y"}}`
	mappings, err := ParseMappings([]string{"a=meta.a", "b=meta.b", "c=meta.c", "d=meta.d"})
	require.NoError(t, err)
	i := newTestIssuer(t, newStates(t), [][]byte{secret}, func(o *Options) { o.Mappings = mappings })
	_, claims, ok := verifyByHand(t, keySetOf(t, i, began), issueTo(t, i, began, newSession(t, began, body)).Text)
	require.True(t, ok)
	assert.NotContains(t, claims, "roles")
	assert.Contains(t, claims, "a")
	assert.NotContains(t, claims, "b", "too long")
	assert.Contains(t, claims, "c")
	assert.NotContains(t, claims, "d", "no room left")
}

func TestAudience(t *testing.T) {
	unlisted := newTestIssuer(t, newStates(t), [][]byte{secret})
	listed := newTestIssuer(t, newStates(t), [][]byte{secret}, func(o *Options) { o.Audience = []string{"a", "b"} })
	for _, tc := range []struct {
		issuer       *Issuer
		asked, given string
		ok           bool
	}{
		{unlisted, "", testIssuer, true},
		{unlisted, "c", "c", true},
		{listed, "", "a", true},
		{listed, "b", "b", true},
		{listed, "c", "c", false},
		{listed, testIssuer, testIssuer, false},
	} {
		given, ok := tc.issuer.Audience(tc.asked)
		assert.Equal(t, tc.given, given)
		assert.Equal(t, tc.ok, ok, tc.asked)
	}
}

// One token serves several requests, but none that is of another state of the session, of
// another key, or about to expire.
func TestIssueCached(t *testing.T) {
	i := newTestIssuer(t, newStates(t), [][]byte{secret})
	now, sess := began, newSession(t, began, signedIn)
	issue := func() string {
		t.Helper()
		token, err := i.IssueCached(t.Context(), now, sess)
		require.NoError(t, err)
		opened, err := i.Open(t.Context(), now, token.Text)
		require.NoError(t, err)
		assert.True(t, opened.Stands(sess))
		assert.False(t, opened.ExpiresAt.After(sess.ExpiresAt))
		return token.Text
	}
	first := issue()
	assert.Equal(t, first, issue())
	now = now.Add(2 * time.Minute)
	sess.ExpiresAt = sess.ExpiresAt.Add(time.Minute) // a touch
	assert.Equal(t, first, issue())
	now = now.Add(time.Minute)
	second := issue()
	assert.NotEqual(t, first, second, "less than half of its life is left")

	sess.Revision++
	third := issue()
	assert.NotEqual(t, second, third, "a change")
	copied := *sess
	sess = &copied
	sess.Life[0]++
	fourth := issue()
	assert.NotEqual(t, third, fourth, "another session of the same id")

	sess.ExpiresAt = now.Add(time.Minute).Truncate(time.Second)
	fifth := issue()
	assert.NotEqual(t, fourth, fifth, "it would outlive the session")
	now = now.Add(55 * time.Second)
	assert.Equal(t, fifth, issue(), "no longer one is to be had")

	require.NoError(t, i.SetSecrets([][]byte{other}, nil))
	assert.NotEqual(t, fifth, issue(), "its key is gone")
}

func TestIssueCached_allocatesLittle(t *testing.T) {
	i := newTestIssuer(t, newStates(t), [][]byte{secret})
	sess := newSession(t, began, signedIn)
	_, err := i.IssueCached(t.Context(), began, sess)
	require.NoError(t, err)
	assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = i.IssueCached(t.Context(), began, sess) }))
}

func TestNew_refuses(t *testing.T) {
	good := Options{Issuer: testIssuer, Algorithm: ES256, TTL: time.Minute, Rotate: time.Hour}
	for name, change := range map[string]func(*Options){
		"no issuer":    func(o *Options) { o.Issuer = "" },
		"an algorithm": func(o *Options) { o.Algorithm = "HS256" },
		"a long life":  func(o *Options) { o.TTL = MaxTTL + 1 },
		"no life":      func(o *Options) { o.TTL = 0 },
		"fast keys":    func(o *Options) { o.Rotate = time.Minute },
	} {
		o := good
		change(&o)
		_, err := New(o, newStates(t), [][]byte{secret}, nil)
		require.Error(t, err, name)
	}
	_, err := New(good, newStates(t), nil, nil)
	require.Error(t, err, "no secret")
}

func BenchmarkIssue(b *testing.B) {
	i := newTestIssuer(b, newStates(b), [][]byte{secret})
	sess := newSession(b, began, signedIn)
	for name, issue := range map[string]func() (Token, error){
		"signed": func() (Token, error) { return i.Issue(b.Context(), began, sess, "x", 0) },
		"cached": func() (Token, error) { return i.IssueCached(b.Context(), began, sess) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := issue(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
