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
	start func(ctx context.Context, l *harness, r *row, s *serviceUnderTest) (contender, error)
}

// netHTTP is net/http and nothing else, in a process of its own. It answers every
// request with a recorded response of the service.
var netHTTP = yardstick{name: "net/http", start: startNetHTTP}

// inMemory is a second instance of the service, with the sessions in memory.
var inMemory = yardstick{name: "the service in memory", start: startInMemory}

func startInMemory(ctx context.Context, l *harness, r *row, _ *serviceUnderTest) (contender, error) {
	same := *r
	// In memory, settings of the other stores do not count.
	same.env, same.onRedis, same.onDisk, same.rest = errorsOnly, false, false, 0
	return l.startRow(ctx, &same, "memory")
}

// withThousand is a second instance of the service, with fewer sessions.
var withThousand = yardstick{name: "the service with 1 thousand sessions", start: startWithThousand}

func startWithThousand(ctx context.Context, l *harness, r *row, _ *serviceUnderTest) (contender, error) {
	same := *r
	same.sessions = thousand
	return l.startRow(ctx, &same, "thousand")
}

// netHTTPCommand makes this program run the net/http server.
const netHTTPCommand = "bare-server"

// response is a recorded response of the service. As an http.Handler, it sends that for
// every request, once it has read the body.
type response struct {
	Status int
	Header http.Header
	Body   []byte
}

// ServeHTTP implements http.Handler.
func (a *response) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

func startNetHTTP(ctx context.Context, l *harness, r *row, s *serviceUnderTest) (contender, error) {
	server, err := l.startNetHTTPServer(ctx, &s.response)
	if err != nil {
		return nil, err
	}
	return &loadedServer{server: server, load: s.load, connections: r.connections}, nil
}

// startNetHTTPServer runs this program as the net/http server.
func (l *harness) startNetHTTPServer(ctx context.Context, a *response) (*process, error) {
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
	return start(ctx, l.path("bare.log"), nil, findAddr, self, netHTTPCommand, path)
}

// serveNetHTTP is the bare server: one answer, read from a file, to everything.
func serveNetHTTP(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New(netHTTPCommand + " takes a file")
	}
	recorded, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var a response
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
