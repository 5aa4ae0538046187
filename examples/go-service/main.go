// Command go-service is a web service whose visitors sign in: it makes their
// sessions with a service token, hands out the cookie, and reads the session of
// whoever comes back with it.
package main

import (
	"context"
	"errors"
	"html/template"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	sessionapi "session-api/clients/go"
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
	sessions, err := sessionapi.NewClientWithResponses(
		env("SESSION_API", "http://127.0.0.1:8080"),
		sessionapi.WithHTTPClient(&http.Client{Timeout: 5 * time.Second}),
		sessionapi.WithRetries(sessionapi.Retries{}), // a lost answer is asked for again, and nothing is done twice
	)
	if err != nil {
		return err
	}
	app := &app{sessions: sessions, service: sessionapi.Bearer(env("SERVICE_TOKEN", ""))}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", env("ADDR", "127.0.0.1:3001"))
	if err != nil {
		return err
	}
	log.Printf("listening on http://%s", listener.Addr())
	server := &http.Server{
		// A page of another site must not sign anybody in or out.
		Handler:           http.NewCrossOriginProtection().Handler(app.routes()),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
	}
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

type app struct {
	sessions *sessionapi.ClientWithResponses
	service  sessionapi.RequestEditorFn
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("POST /sign-in", a.signIn)
	mux.HandleFunc("POST /sign-out", a.signOut)
	return mux
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<title>go-service</title>
{{with .}}<p>Hello {{.ID}} ({{range .Roles}}{{.}} {{end}})</p>
<form method="post" action="/sign-out"><button>Sign out</button></form>
{{else}}<form method="post" action="/sign-in"><input name="name" required><button>Sign in</button></form>
{{end}}`))

// home greets whoever has a session.
func (a *app) home(w http.ResponseWriter, r *http.Request) {
	read, err := a.sessions.GetSessionWithResponse(r.Context(), nil, cookiesOf(r))
	if err != nil {
		fail(w, err)
		return
	}
	var user *sessionapi.User
	switch {
	case read.JSON200 != nil:
		user = read.JSON200.User
	case read.StatusCode() != http.StatusUnauthorized: // who that is cannot be said now
		fail(w, sessionapi.ProblemOf(read))
		return
	}
	passCookies(w, read.HTTPResponse)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := page.Execute(w, user); err != nil {
		log.Print(err)
	}
}

// signIn is for a visitor who has shown who it is: here stands what your application
// asks for that. The session that the visitor has becomes the user's, and gets a new
// id, in one request: whoever knew the old one is not signed in.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	user := sessionapi.UserInput{ID: r.FormValue("name"), Roles: sessionapi.Value([]string{"editor"})}
	signed, err := a.sessions.RegenerateSessionWithResponse(r.Context(), nil,
		sessionapi.RegenerateInput{User: sessionapi.Value(user)}, cookiesOf(r), a.service)
	if err != nil {
		fail(w, err)
		return
	}
	switch signed.StatusCode() {
	case http.StatusOK:
		passCookies(w, signed.HTTPResponse)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	case http.StatusUnauthorized, http.StatusConflict: // there is none, or somebody else may have its token
		a.signInAnew(w, r, user)
	default:
		fail(w, sessionapi.ProblemOf(signed))
	}
}

// signInAnew makes a session for a visitor.
func (a *app) signInAnew(w http.ResponseWriter, r *http.Request, user sessionapi.UserInput) {
	created, err := a.sessions.CreateSessionForWithResponse(r.Context(), nil, sessionapi.NewSessionFor{User: sessionapi.Value(user)}, a.service)
	if err == nil {
		err = sessionapi.ProblemOf(created)
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Set-Cookie", *created.JSON201.SetCookie)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	ended, err := a.sessions.DeleteSessionWithResponse(r.Context(), nil, cookiesOf(r))
	if err == nil {
		err = sessionapi.ProblemOf(ended)
	}
	if err != nil {
		fail(w, err)
		return
	}
	passCookies(w, ended.HTTPResponse)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// cookiesOf lets a request to session-api speak for the visitor.
func cookiesOf(r *http.Request) sessionapi.RequestEditorFn {
	return func(_ context.Context, req *http.Request) error {
		req.Header["Cookie"] = r.Header["Cookie"]
		return nil
	}
}

// passCookies hands on what session-api says about the cookie: its new age, or
// its end.
func passCookies(w http.ResponseWriter, answer *http.Response) {
	w.Header()["Set-Cookie"] = answer.Header["Set-Cookie"]
}

// fail tells the visitor that it did not work, and the log what went wrong.
func fail(w http.ResponseWriter, err error) {
	log.Print(err)
	var problem *sessionapi.Problem
	if errors.As(err, &problem) && problem.Status < http.StatusInternalServerError {
		http.Error(w, problem.Detail, problem.Status)
		return
	}
	http.Error(w, "Please try again later.", http.StatusBadGateway)
}
