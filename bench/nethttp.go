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
	"os/exec"
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

// fastHTTP is fasthttp and nothing else, in a process of its own: the limit below
// net/http.
var fastHTTP = yardstick{name: "fasthttp", start: startFastHTTP}

// fastHTTPDir is a module of its own, so that the service's graph of modules stays
// without fasthttp.
const fastHTTPDir = peersDir + "/fasthttp"

func startFastHTTP(ctx context.Context, l *harness, r *row, s *serviceUnderTest) (contender, error) {
	binary := l.path("fasthttp")
	if _, err := os.Stat(binary); err != nil {
		l.logf("building %s", fastHTTPDir)
		if err := buildModule(ctx, fastHTTPDir, binary); err != nil {
			return nil, err
		}
	}
	path, err := l.recorded(&s.response)
	if err != nil {
		return nil, err
	}
	server, err := start(ctx, l.path("fasthttp.log"), nil, findAddr, binary, path)
	if err != nil {
		return nil, err
	}
	return &loadedServer{server: server, load: s.load, connections: r.connections}, nil
}

// buildModule builds the command of another module in the directory.
func buildModule(ctx context.Context, directory, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-C", directory, "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", directory, err, out)
	}
	return nil
}

// recorded writes the response to a file.
func (l *harness) recorded(a *response) (path string, err error) {
	content, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	return l.file("answer.json", content)
}

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
	path, err := l.recorded(a)
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
