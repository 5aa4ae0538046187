//go:build pprof

package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" //nolint:gosec // for binaries that are made to be profiled, on a loopback port of its own
	"os"
	"time"
)

// A binary that was built with the tag pprof answers /debug/pprof on a loopback
// port of its own, and says in its log on which. No other binary has any of it.
func init() {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		logger.Error("no profiles", "error", err)
		return
	}
	logger.Info("profiling", "addr", listener.Addr().String())
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second} // http.DefaultServeMux, where net/http/pprof is
	go func() {
		if err := server.Serve(listener); err != nil {
			logger.Error("no profiles", "error", err)
		}
	}()
}
