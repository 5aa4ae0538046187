package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"session-api/internal/config"
	"session-api/internal/logging"
)

func newLogger(w io.Writer, c *config.Config) *slog.Logger {
	return logging.New(w, c.Log.JSON(), c.Log.Level)
}

// onTerminal reports whether a person reads what is written to w.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// banner greets who started the service by hand: where it is, and what to try.
func banner(c *config.Config, addr net.Addr) string {
	at := reachableURL(addr)
	cleaned := "cleaned on request"
	if c.Files.CleanupInterval > 0 {
		cleaned = "cleaned every " + shortly(c.Files.CleanupInterval)
	}
	kept := fmt.Sprintf("in memory, at most %d", c.Store.MaxEntries)
	if c.OnBolt() {
		kept += ", and in " + c.Store.DataDir
	}
	if c.OnRedis() {
		kept = "in Redis"
		if options, err := c.RedisOptions(); err == nil {
			kept += " at " + strings.Join(options.Addresses, ", ")
		}
	}
	return fmt.Sprintf(`session-api %s (%s)

  sessions   %s
  files      %s, %s
  cookie     %[7]s
  try        curl -i -X POST %[6]s/api/session
  docs       %[6]s/docs

Listening on %[6]s
`, buildVersion(), c.Server.Env, kept, c.Files.Dir, cleaned, at, c.BrowserCookieName())
}

// reachableURL is where a client on this machine finds the service.
func reachableURL(addr net.Addr) string {
	address := addr.String()
	if host, port, err := net.SplitHostPort(address); err == nil {
		address = net.JoinHostPort(reachable(host), port)
	}
	return "http://" + address
}

// shortly writes 30m0s as 30m.
func shortly(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
