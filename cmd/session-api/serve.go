package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"session-api/internal/api"
	"session-api/internal/audit"
	"session-api/internal/config"
	"session-api/internal/gctune"
	"session-api/internal/httpserver"
	"session-api/internal/logging"
	"session-api/internal/tracing"
)

// service is the program while it serves.
type service struct {
	cfg     config.Config
	log     *slog.Logger
	api     *api.Server
	handler http.Handler
	http    *httpserver.Server
	tracing *tracing.Tracing // nil for none
	audit   *audit.Log       // nil for none
	loops   []func(context.Context)
	release func() error

	// logBroken is closed when nobody reads the log any more.
	logBroken <-chan struct{}

	// hungUp reports whether the terminal that the service was started on is
	// gone: SIGHUP means that then, and to read secrets again otherwise.
	hungUp func() bool
}

// serve runs the service until a signal or ctx ends it.
func serve(ctx context.Context, environ map[string]string, stdout io.Writer) error {
	cfg, err := config.Load(environ)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	// A write to an output without a reader fails with EPIPE then, in place of
	// ending the process at once.
	signal.Ignore(syscall.SIGPIPE)

	listener, err := httpserver.Listen(ctx, cfg.Address())
	if err != nil {
		return fmt.Errorf("cannot listen on %s (HOST, PORT): %w", cfg.Address(), err)
	}
	defer func() { _ = listener.Close() }()

	lines := logging.NewLines(stdout)
	defer lines.Close()
	logger := newLogger(lines, &cfg)
	lines.OnLoss = func(n int) {
		logger.WarnContext(ctx, "log lines were dropped while the output was blocked", "lines", n)
	}
	raiseOpenFiles(ctx, &cfg, logger)
	unlimit := applyMemoryLimit(ctx, &cfg, environ, logger)
	defer unlimit()
	startup := api.NewStartup(buildVersion(), logger)
	options := cfg.HTTPServer()
	options.Handler, options.Logger, options.Observer = startup, logger, startup
	server := httpserver.New(options)
	failed := server.Start(listener)
	defer func() { _ = server.Close() }()
	opened := gctune.Relax(environ)
	kept, err := openStore(ctx, &cfg, logger)
	opened()
	if err != nil {
		return err
	}
	untune := gctune.Start(environ)
	defer untune()
	account, err := openAudit(&cfg, environ, lines, logger)
	if err != nil {
		return errors.Join(err, kept.Close())
	}
	s, err := newService(cfg, kept, logger, account)
	if err != nil {
		return errors.Join(err, kept.Close(), closeAudit(account))
	}
	s.http = server
	startup.Finish(s.handler, s.api)
	interactive := onTerminal(stdout)
	s.warn(ctx, environ)
	if interactive { // the address comes last, where a person looks for it
		_ = write(lines, banner(&cfg, listener.Addr()))
	} else {
		at := reachableURL(listener.Addr())
		logger.InfoContext(ctx, "listening", "addr", listener.Addr().String(), "version", buildVersion(), "store", cfg.Store.Kind, "env", cfg.Server.Env,
			"cookie", cfg.BrowserCookieName(), "docs", at+"/docs", "url", at)
	}
	s.hungUp = func() bool { return interactive && !onTerminal(stdout) }
	s.logBroken = lines.Broken()
	return s.run(ctx, failed, signals)
}

// warn says once what is fine for development only, and what looks like a slip.
func (s *service) warn(ctx context.Context, environ map[string]string) {
	var open []any
	if s.cfg.SecretIsRandom() {
		what := "not set: a random one, so tokens end with this process"
		if s.cfg.OnRedis() {
			what += ", and no other instance takes them"
		}
		open = append(open, "SESSION_SECRET", what)
	} else if s.cfg.WeakSecret() {
		open = append(open, "SESSION_SECRET", fmt.Sprintf("shorter than %d bytes", config.MinSecretBytes))
	}
	if len(s.cfg.ServiceTokens()) == 0 {
		open = append(open, "SERVICE_TOKENS", "not set: the service routes are open to everybody who can connect")
	}
	if len(open) > 0 {
		s.log.WarnContext(ctx, "for development only", open...)
	}
	if files := s.cfg.ReadableSecretFiles(); len(files) > 0 {
		s.log.InfoContext(ctx, "secret files that every user of this machine may read: chmod o-r", "settings", strings.Join(files, ", "))
	}
	var unknown []string
	for _, t := range config.Typos(environ) {
		unknown = append(unknown, t.Name+" (did you mean "+t.Meant+"?)")
	}
	if len(unknown) > 0 {
		s.log.WarnContext(ctx, "unknown variables that look like settings", "names", strings.Join(unknown, ", "))
	}
}

// run serves until a signal, ctx or a failure of the server ends it.
func (s *service) run(ctx context.Context, failed <-chan error, signals <-chan os.Signal) error {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var loops sync.WaitGroup
	for _, loop := range s.loops {
		loops.Go(func() { loop(background) })
	}
	err := s.untilEnd(ctx, signals, failed)
	stop()
	if err == nil {
		err = s.shutdown(context.WithoutCancel(ctx), signals)
	}
	s.await(ctx, &loops)
	s.sendLastTraces(ctx)
	if closeErr := s.release(); closeErr != nil {
		err = errors.Join(err, fmt.Errorf("closing the store: %w", closeErr))
	}
	if err == nil {
		s.log.InfoContext(ctx, "stopped")
	}
	return err
}

// traceGrace is how long the last spans may take to reach the collector.
const traceGrace = time.Second

func (s *service) sendLastTraces(ctx context.Context) {
	if s.tracing == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), traceGrace)
	defer cancel()
	if err := s.tracing.Close(ctx); err != nil {
		s.log.WarnContext(ctx, "traces were lost", "error", err)
	}
}

// untilEnd returns nil when it is time to shut down, or why serving failed.
func (s *service) untilEnd(ctx context.Context, signals <-chan os.Signal, failed <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			s.log.InfoContext(ctx, "shutting down", "cause", context.Cause(ctx).Error())
			return nil
		case err := <-failed:
			return fmt.Errorf("serving: %w", err)
		case <-s.logBroken:
			return nil
		case sig := <-signals:
			if sig == syscall.SIGHUP && !s.hungUp() {
				s.reload(ctx)
				continue
			}
			s.log.InfoContext(ctx, "shutting down", "cause", sig.String())
			return nil
		}
	}
}

// reload reads the files of secrets again. What is wrong with one leaves all
// secrets as they are.
func (s *service) reload(ctx context.Context) {
	s.reopenAudit(ctx)
	fresh, read, err := s.cfg.RereadSecrets()
	switch {
	case err != nil:
		s.log.ErrorContext(ctx, "secrets not reloaded, the previous ones remain in use", "error", err)
		s.auditReload(ctx, read, nil, err)
		return
	case len(read) == 0 && s.cfg.Audit.Log.Path != "": // then it was for the audit log
		return
	case len(read) == 0:
		s.log.WarnContext(ctx, "nothing to reload: no secret is in a file (SESSION_SECRET_FILE, SERVICE_TOKENS_FILE, JWT_KEYS_FILE, REDIS_PASSWORD_FILE)")
		return
	}
	if err := s.api.SetSecrets(fresh.APISecrets()); err != nil {
		s.log.ErrorContext(ctx, "secrets not reloaded, the previous ones remain in use", "error", err)
		s.auditReload(ctx, read, nil, err)
		return
	}
	if s.tracing != nil {
		s.tracing.SetSecrets(fresh.TracedSecrets()...)
	}
	s.auditReload(ctx, read, &fresh, nil)
	s.cfg = fresh
	s.log.InfoContext(ctx, "secrets reloaded", "from", strings.Join(read, ", "),
		"sessionSecrets", len(fresh.Secrets.Session), "serviceTokens", len(fresh.ServiceTokens()))
	s.api.ReportServiceTokens(ctx)
}
