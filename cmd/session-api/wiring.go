package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	contract "session-api"
	"session-api/internal/api"
	"session-api/internal/cleanup"
	"session-api/internal/config"
	"session-api/internal/httpserver"
	"session-api/internal/logging"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/tracing"
)

// newService makes everything that the settings ask for on top of the store,
// which it closes in the end, and puts it together.
func newService(c config.Config, kept store.Store, logger *slog.Logger) (*service, error) {
	c.EnsureSecret()
	rules := &schema.Rules{
		MaxBytes: c.MaxBytes, MaxFileRefs: c.MaxFileRefs, MaxTTL: c.MaxTTL, Sanitize: schema.Sanitize(c.Sanitize), ForbiddenKeys: c.ForbiddenKeys,
	}
	tracer, err := startTracing(c, logger)
	if err != nil {
		return nil, err
	}
	asked := kept
	if tracer != nil {
		asked = tracer.Store(kept)
	}
	life := store.Lifetimes{TTL: c.TTL, MaxTTL: c.MaxTTL, Absolute: c.AbsoluteTTL, Roles: c.RoleTTL, TouchInterval: c.TouchInterval}
	if c.AutoCreate {
		life.Unwritten = c.AutoCreateTTL
	}
	sessions := store.NewSessions(asked, rules, life, store.UserLimit{Max: c.MaxPerUser, Evict: c.PerUserPolicy == "evict-oldest"})
	files := c.CleanupOptions()
	files.Own = append(c.OwnFiles(), logFiles()...)
	files.Sweeper, files.References, files.Logger = sessions, sessions, logger
	files.StoreKind = kept.Name()
	if identified, ok := kept.(store.Identified); ok {
		files.Identity = identified.Identity
	}
	var swept cleanup.Sweeper = kept
	if locker, ok := kept.(cleanup.Locker); ok { // other instances use the store too
		files.Locker = locker
		swept = inTurn{kept, locker}
	}
	job, err := cleanup.New(files)
	if err != nil {
		return nil, fmt.Errorf("preparing the cleanup: %w", err)
	}
	every, _ := config.ParseAccessLog(c.AccessLog)
	server, err := api.New(api.Options{
		Sessions:        sessions,
		Rules:           rules,
		Cleaner:         cleaner{job},
		Logger:          logger,
		Contract:        contract.OpenAPI,
		Readme:          contract.Readme,
		Version:         buildVersion(),
		Secrets:         c.APISecrets(),
		Cookie:          c.APICookie(),
		TouchOnAccess:   c.TouchOnAccess,
		AutoCreate:      c.AutoCreate,
		RequireIfMatch:  c.RequireIfMatch,
		MaxGrace:        c.MaxGrace,
		VerifyTimeout:   c.VerifyTimeout,
		AllowedOrigins:  c.AllowedOrigins,
		Host:            c.Host,
		AllowedHosts:    c.APIHosts(),
		Development:     !c.Production(),
		AllowedHeaders:  c.AllowedHeaders,
		TrustedProxies:  c.APIProxies(),
		ClientIPHeader:  c.ClientIPHeader,
		IdleTimeout:     c.IdleTimeout,
		CreatePerMinute: c.CreateRatePerMinute, CreateBytesPerMinute: c.CreateBytes,
		MaxBodyMemory: c.MaxBodyMemory,
		Heartbeat:     c.Heartbeat,
		StoreIsShared: files.Locker != nil,
		AccessLog:     api.AccessLog{Every: every, Concise: c.LogFormat == "text", Lines: logging.JSONLines(logger)},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the API: %w", err)
	}
	s := &service{
		cfg: c, log: logger, api: server, tracing: tracer,
		loops:   []func(context.Context){sweepLoop(swept, c.SweepInterval, logger), cleanLoop(job), overLimitLoop(kept, c.EvictionPolicy, logger)},
		release: func() error { return errors.Join(job.Close(), closeSettled(server, kept)) },
	}
	var handler http.Handler = server
	if tracer != nil {
		handler = tracer.Handler(handler, server.FromTrustedProxy)
	}
	s.http = httpserver.New(httpserver.Options{
		Handler: handler, Logger: logger, Observer: server,
		MaxConnections: c.MaxConnections, TrustedPeers: c.TrustedProxies, MinBodyRate: c.MinBodyRate, HTTP2: c.HTTP2,
		ReadHeaderTimeout: c.ReadHeaderTimeout, ReadTimeout: c.ReadTimeout, WriteTimeout: c.WriteTimeout, IdleTimeout: c.IdleTimeout,
		ShutdownDelay: c.ShutdownDelay, ShutdownTimeout: c.ShutdownTimeout,
	})
	return s, nil
}

// closeSettled closes the store once nothing of the API's uses it any more. One
// that hangs does not hold the end: a store that is closed says that it is
// unavailable.
func closeSettled(server *api.Server, kept store.Store) error {
	ctx, cancel := context.WithTimeout(context.Background(), endGrace)
	defer cancel()
	server.Settle(ctx)
	return kept.Close()
}

// startTracing returns nil where no collector is configured.
func startTracing(c config.Config, logger *slog.Logger) (*tracing.Tracing, error) {
	if c.TraceEndpoint == "" {
		return nil, nil //nolint:nilnil // no collector, no tracing
	}
	headers, err := tracing.ParseHeaders(string(c.TraceHeaders))
	if err != nil {
		return nil, err
	}
	tracer, err := tracing.Start(context.Background(), c.TraceEndpoint, headers, buildVersion(), logger)
	if err == nil {
		tracer.SetSecrets(c.TracedSecrets()...)
	}
	return tracer, err
}

// cleaner is the job as the API knows it.
type cleaner struct{ *cleanup.Job }

// Run is the job's, with its errors in the API's words.
func (c cleaner) Run(ctx context.Context, dryRun bool) (schema.CleanupReport, error) {
	report, err := c.Job.Run(ctx, dryRun)
	for _, known := range []struct{ job, api error }{
		{cleanup.ErrBusy, api.ErrCleanupRunning},
		{cleanup.ErrOtherStore, api.ErrCleanupOtherStore},
		{cleanup.ErrDirectory, api.ErrCleanupUnavailable},
	} {
		if errors.Is(err, known.job) {
			err = fmt.Errorf("%w: %w", known.api, err)
		}
	}
	return report, err
}

// sweepLoop frees what has expired, again and again.
func sweepLoop(s cleanup.Sweeper, interval time.Duration, logger *slog.Logger) func(context.Context) {
	return func(ctx context.Context) {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				if _, err := s.Sweep(ctx, now); err != nil && ctx.Err() == nil {
					logger.ErrorContext(ctx, "sweeping expired sessions", "error", err)
				}
			}
		}
	}
}
