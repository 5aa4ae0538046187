package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
)

// yardstick is what the service is compared with.
type yardstick struct {
	name string
	// start runs it next to the service that the row is about.
	start func(ctx context.Context, l *lab, r *row, s *subject) (side, error)
}

// bare is net/http and nothing else, in a process of its own. It answers every
// request as the service answered one.
var bare = yardstick{name: "net/http", start: startBare}

// inMemory is the service once more, with as many sessions in its memory.
var inMemory = yardstick{name: "the service in memory", start: startInMemory}

func startInMemory(ctx context.Context, l *lab, r *row, _ *subject) (side, error) {
	same := *r
	// In memory, settings of the other stores do not count.
	same.env, same.onRedis, same.onDisk, same.rest = errorsOnly, false, false, 0
	return l.open(ctx, &same, "memory")
}

// withThousand is the service once more, with fewer sessions.
var withThousand = yardstick{name: "the service with 1 thousand sessions", start: startWithThousand}

func startWithThousand(ctx context.Context, l *lab, r *row, _ *subject) (side, error) {
	same := *r
	same.sessions = thousand
	return l.open(ctx, &same, "thousand")
}

// bareCommand makes this program the bare server.
const bareCommand = "bare-server"

// answer is a response of the service. As a handler it gives that to every
// request, once it has read it.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// ServeHTTP implements http.Handler.
func (a *answer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	maps.Copy(w.Header(), a.Header)
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // a client that left gets nothing more
}

func startBare(ctx context.Context, l *lab, r *row, s *subject) (side, error) {
	server, err := l.startBareServer(ctx, &s.answer)
	if err != nil {
		return nil, err
	}
	return &served{server: server, load: s.load, connections: r.connections}, nil
}

// startBareServer runs this program as the bare server.
func (l *lab) startBareServer(ctx context.Context, a *answer) (*process, error) {
	recorded, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	path, err := l.file("answer.json", recorded)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(ctx, l.path("bare.log"), nil, findAddr, self, bareCommand, path)
}

// serveBare is the bare server: one answer, read from a file, to everything.
func serveBare(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New(bareCommand + " takes a file")
	}
	recorded, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(recorded, &a); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	slog.New(slog.NewJSONHandler(stdout, nil)).InfoContext(ctx, listening, "addr", listener.Addr().String())
	server := &http.Server{Handler: &a}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
