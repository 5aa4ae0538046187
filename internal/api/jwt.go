package api

import (
	"net/http"
	"strconv"
	"time"

	"session-api/internal/jwt"
	"session-api/internal/schema"
)

// JWT are the settings of the tokens that services verify by themselves.
type JWT struct {
	// Options are those of their issuer. Without an Issuer none are issued.
	jwt.Options
	// Verify sends one with each authorization request that is granted.
	Verify bool
}

// keySetPath is where the keys are that verify them (RFC 8615).
const keySetPath = "/.well-known/jwks.json"

// newIssuer returns the issuer of the settings, nil for none.
func (s *Server) newIssuer() (*jwt.Issuer, error) {
	if s.JWT.Issuer == "" {
		return nil, nil //nolint:nilnil // no issuer is what the settings ask for
	}
	o := s.JWT.Options
	o.Keys = s.Secrets.JWT
	return jwt.New(o, s.Sessions, s.Secrets.Session, s.Logger)
}

// jwtAnswer is the answer to a request for a token.
type jwtAnswer struct {
	Token     string `json:"token"`
	TokenType string `json:"tokenType"`
	ExpiresAt string `json:"expiresAt"`
}

// issueJWT answers a token that says to services whose the caller's session is. It is a
// use of the session, as reading it is.
func (s *Server) issueJWT(w http.ResponseWriter, r *http.Request) error {
	if s.jwt == nil {
		return errJWTDisabled
	}
	h := sessionHandlers{s, true}
	sub, err := h.mustFind(w, r)
	if err != nil {
		return err
	}
	asked, err := s.readTokenRequest(w, r)
	if err != nil {
		return err
	}
	audience, ok := s.jwt.Audience(asked.Audience)
	if !ok {
		return &schema.Error{
			Code: schema.CodeValidationFailed, Detail: "the body is not valid",
			Fields: []schema.FieldError{{Pointer: "/audience", Detail: "is none of JWT_AUDIENCE"}},
		}
	}
	sess, moved, err := s.fetch(r, sub.key, s.TouchOnAccess)
	if err != nil {
		return err
	}
	token, err := s.jwt.Issue(r.Context(), s.Now(), &sess, audience, asked.TTL)
	if err != nil {
		return err
	}
	h.finish(w, r, &sub, &sess, moved)
	return writeJSON(w, jwtAnswer{token.Text, "Bearer", token.ExpiresAt.Format(schema.TimeLayout)})
}

// readTokenRequest reads what token is asked for; an empty body asks for the usual one.
func (s *Server) readTokenRequest(w http.ResponseWriter, r *http.Request) (asked schema.TokenRequest, err error) {
	body, err := s.readBody(w, r, jsonTypes)
	if err != nil || len(body) == 0 {
		return asked, err
	}
	err = s.withCPU(r.Context(), len(body), func() (err error) {
		asked, err = schema.DecodeTokenRequest(body, jwt.MaxTTL)
		return err
	})
	return asked, err
}

// getKeySet answers the keys that verify tokens. It is the one answer that may be cached:
// no visitor's, and for no longer than a key is published before it signs.
func (s *Server) getKeySet(w http.ResponseWriter, r *http.Request) error {
	if s.jwt == nil {
		return errJWTDisabled
	}
	known, err := parseETags(r, "If-None-Match")
	if err != nil {
		return err
	}
	set, err := s.jwt.KeySet(r.Context(), s.Now())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(set.MaxAge/time.Second)))
	h["Etag"] = []string{set.ETag}
	if known.present && known.matchWeak(set.ETag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeBody(w, set.JSON)
	return nil
}
