// Command jwt-service is a service behind the pages of others: it learns from a JWT of
// session-api whose request it is, and verifies that by itself, with keys that it reads
// every ten minutes.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

func main() {
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	sessionAPI := env("SESSION_API", "http://127.0.0.1:8080")
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{sessionAPI + "/.well-known/jwks.json"}, keyfunc.Override{
		Client:          &http.Client{Timeout: 5 * time.Second},
		RefreshInterval: 10 * time.Minute,
		// A key that is not known is looked for, but nobody makes this service ask all the
		// time, or wait, with keys that there are not.
		RefreshUnknownKID: rate.NewLimiter(rate.Every(10*time.Second), 1),
		RateLimitWaitMax:  time.Second,
	})
	if err != nil {
		return err
	}
	issuer := env("JWT_ISSUER", sessionAPI)
	verifier := &verifier{keys: keys, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256", "EdDSA"}),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(env("JWT_AUDIENCE", issuer)),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(5*time.Second), // of clocks
	)}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", env("ADDR", "127.0.0.1:3002"))
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s", listener.Addr())
	server := &http.Server{Handler: routes(verifier), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() }) //nolint:errcheck // the process ends
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func routes(v *verifier) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", v.signedIn("", orders))
	mux.HandleFunc("GET /admin/orders", v.signedIn("admin", orders))
	return mux
}

// orders shows the orders of whoever asks.
func orders(w http.ResponseWriter, _ *http.Request, who *visitor) {
	_, _ = fmt.Fprintf(w, "the orders of %s\n", who.Subject) // a client that left gets nothing more
}

// visitor is what a JWT says of the visitor.
type visitor struct {
	jwt.RegisteredClaims
	SessionID string   `json:"sid"`
	Roles     []string `json:"roles"`
}

// verifier verifies the JWTs of session-api.
type verifier struct {
	keys   keyfunc.Keyfunc
	parser *jwt.Parser
}

// signedIn lets only requests with the JWT of a user pass, who has the role if one is
// named.
func (v *verifier) signedIn(role string, serve func(http.ResponseWriter, *http.Request, *visitor)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var who visitor
		_, err := v.parser.ParseWithClaims(tokenOf(r), &who, v.keys.KeyfuncCtx(r.Context()))
		switch {
		case err != nil || who.Subject == "": // a session without a user has no subject
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, "Sign in first.", http.StatusUnauthorized)
		case role != "" && !slices.Contains(who.Roles, role):
			http.Error(w, "This is not for you.", http.StatusForbidden)
		default:
			serve(w, r, &who)
		}
	}
}

// tokenOf returns the JWT of a request: a gateway puts it into X-Session-Jwt, and a page
// or another service into Authorization.
func tokenOf(r *http.Request) string {
	if token := r.Header.Get("X-Session-Jwt"); token != "" {
		return token
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}
