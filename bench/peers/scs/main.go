// Command scs is what one would write in Go with scs: a document in the session
// of a cookie, a key for each section, read whole, and changed by one key.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/alexedwards/scs/v2"
)

// sections are the keys of a session.
var sections = []string{"user", "inputs", "apiConfig", "results", "meta"}

type app struct{ sessions *scs.SessionManager }

func main() {
	a := &app{sessions: scs.New()} // in memory
	a.sessions.IdleTimeout = 24 * time.Hour
	mux := http.NewServeMux()
	mux.HandleFunc("POST /session", a.create)
	mux.HandleFunc("GET /session", a.read)
	mux.HandleFunc("PATCH /session", a.change)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(os.Stdout, nil)).Info("listening", "addr", listener.Addr().String())
	server := &http.Server{Handler: a.sessions.LoadAndSave(mux), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

func (a *app) create(w http.ResponseWriter, r *http.Request) {
	var document map[string]json.RawMessage
	if err := decode(w, r, &document); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, name := range sections {
		a.sessions.Put(r.Context(), name, []byte(document[name]))
	}
	a.write(w, r, http.StatusCreated)
}

func (a *app) read(w http.ResponseWriter, r *http.Request) {
	if !a.sessions.Exists(r.Context(), "inputs") {
		http.Error(w, "no session", http.StatusUnauthorized)
		return
	}
	a.write(w, r, http.StatusOK)
}

func (a *app) change(w http.ResponseWriter, r *http.Request) {
	if !a.sessions.Exists(r.Context(), "inputs") {
		http.Error(w, "no session", http.StatusUnauthorized)
		return
	}
	inputs := map[string]json.RawMessage{}
	var change struct {
		Inputs map[string]json.RawMessage `json:"inputs"`
	}
	if err := decode(w, r, &change); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := json.Unmarshal(a.sessions.GetBytes(r.Context(), "inputs"), &inputs); err != nil {
		http.Error(w, "not readable", http.StatusInternalServerError)
		return
	}
	for key, value := range change.Inputs {
		inputs[key] = value
	}
	changed, err := json.Marshal(inputs)
	if err != nil {
		http.Error(w, "not writable", http.StatusInternalServerError)
		return
	}
	a.sessions.Put(r.Context(), "inputs", changed)
	a.write(w, r, http.StatusOK)
}

// write answers the whole document.
func (a *app) write(w http.ResponseWriter, r *http.Request, status int) {
	var b bytes.Buffer
	for i, name := range sections {
		_, _ = fmt.Fprintf(&b, "%c%q:", "{,"[min(i, 1)], name)
		b.Write(a.sessions.GetBytes(r.Context(), name))
	}
	b.WriteByte('}')
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that left gets nothing more
}

func decode(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
