package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	contract "session-api"
	"session-api/internal/api"
	"session-api/internal/audit"
	"session-api/internal/cleanup"
	"session-api/internal/config"
	"session-api/internal/logging"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/tracing"
)

// newService makes everything that the settings ask for on top of the store,
// which it closes in the end, and puts it together. The audit log is nil for none, and is
// closed in the end as well.
func newService(c config.Config, kept backend.Store, logger *slog.Logger, account *audit.Log) (*service, error) {
	c.EnsureSecret()
	rules := c.Rules()
	tracer, err := startTracing(c, logger)
	if err != nil {
		return nil, err
	}
	traced := kept
	if tracer != nil {
		traced = tracer.Store(kept)
	}
	sessions := store.NewSessions(traced, rules, c.Sessions.Lifetimes(), c.Sessions.UserLimit())
	files := c.CleanupOptions()
	files.OwnFiles = append(c.OwnFiles(), logFiles()...)
	files.Sweeper, files.References, files.Locker, files.Logger = sessions, sessions, sessions, logger
	files.StoreKind, files.Identity = sessions.Name(), sessions.Identity
	var server *api.Server
	files.AfterRun = func(report cleanup.Report, err error) { server.RecordCleanup(report, err) }
	job, err := cleanup.New(files)
	if err != nil {
		return nil, fmt.Errorf("preparing the cleanup: %w", err)
	}
	face := c.API()
	face.Sessions, face.Rules, face.Cleaner, face.Logger = sessions, rules, job, logger
	face.Contract, face.Readme, face.Version = contract.OpenAPI, contract.Readme, buildVersion()
	face.AccessLog.Lines = logging.JSONLines(logger)
	if account != nil {
		face.Audit = account
	}
	if server, err = api.New(face); err != nil {
		return nil, fmt.Errorf("preparing the API: %w", err)
	}
	s := &service{
		cfg: c, log: logger, api: server, tracing: tracer, audit: account,
		loops: []func(context.Context){
			func(ctx context.Context) { sessions.SweepLoop(ctx, c.Store.SweepInterval, logger) },
			func(ctx context.Context) { sessions.OverLimitLoop(ctx, string(c.Store.EvictionPolicy), logger) },
			sessions.ClockLoop,
			server.ServiceTokensLoop,
			server.AuditLoop,
			job.Loop,
		},
		release: func() error { return errors.Join(job.Close(), closeSettled(server, kept), closeAudit(account)) },
	}
	s.handler = server
	if tracer != nil {
		s.handler = tracer.Handler(s.handler, server.FromTrustedProxy)
	}
	return s, nil
}

// closeSettled closes the store once nothing of the API's uses it any more. One
// that hangs does not hold the end: a store that is closed says that it is
// unavailable.
func closeSettled(server *api.Server, kept backend.Store) error {
	ctx, cancel := context.WithTimeout(context.Background(), endGrace)
	defer cancel()
	server.Settle(ctx)
	return kept.Close()
}

// closeAudit closes the audit log once nothing happens any more.
func closeAudit(account *audit.Log) error {
	if account == nil {
		return nil
	}
	return account.Close()
}

// startTracing returns nil where no collector is configured.
func startTracing(c config.Config, logger *slog.Logger) (*tracing.Tracing, error) {
	if c.Tracing.Endpoint == "" {
		return nil, nil //nolint:nilnil // no collector, no tracing
	}
	tracer, err := tracing.Start(context.Background(), c.Tracing.Endpoint, c.Tracing.Headers.Values, buildVersion(), logger)
	if err == nil {
		tracer.SetSecrets(c.TracedSecrets()...)
	}
	return tracer, err
}
