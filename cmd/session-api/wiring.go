package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	contract "session-api"
	"session-api/internal/api"
	"session-api/internal/cleanup"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/tracing"
)

// newService makes everything that the settings ask for on top of the store,
// which it closes in the end, and puts it together.
func newService(c config, kept store.Store, logger *slog.Logger) (*service, error) {
	if len(c.SessionSecret) == 0 { // which only development allows
		c.SessionSecret, c.secretIsRandom = secrets{rand.Text() + rand.Text()}, true
	}
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
	files := c.cleanup()
	files.Own = append(c.ownFiles(), logFiles()...)
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
	every, _ := parseAccessLog(c.AccessLog)
	var dataFile func() store.FileStats
	if filed, ok := kept.(store.Filed); ok {
		dataFile = filed.File
	}
	server, err := api.New(api.Options{
		DataFile: dataFile,
		Sessions: sessions,
		Rules:    rules,
		Cleaner:  cleaner{job},
		Logger:   logger,
		Contract: contract.OpenAPI,
		Readme:   contract.Readme,
		Version:  buildVersion(),
		Secrets:  c.apiSecrets(),
		Cookie: api.Cookie{
			Name: c.cookieName(), Domain: c.CookieDomain, Secure: c.secure(),
			SameSite: sameSite[c.CookieSameSite], Partitioned: c.CookiePartitioned,
		},
		TouchOnAccess:   c.TouchOnAccess,
		AutoCreate:      c.AutoCreate,
		RequireIfMatch:  c.RequireIfMatch,
		MaxGrace:        c.MaxGrace,
		VerifyTimeout:   c.VerifyTimeout,
		AllowedOrigins:  c.AllowedOrigins,
		Host:            c.Host,
		AllowedHosts:    c.allowedHosts(),
		Development:     !c.production(),
		AllowedHeaders:  c.AllowedHeaders,
		TrustedProxies:  c.trustedProxies(),
		ClientIPHeader:  c.ClientIPHeader,
		IdleTimeout:     c.IdleTimeout,
		CreatePerMinute: c.CreateRatePerMinute, CreateBytesPerMinute: c.CreateBytes,
		Kept: kept, BackupRate: c.BackupRate,
		MaxBodyMemory: c.MaxBodyMemory,
		Heartbeat:     c.Heartbeat,
		StoreIsShared: files.Locker != nil,
		AccessLog:     api.AccessLog{Every: every, Concise: c.LogFormat == "text", Lines: linesOf(logger)},
	})
	if err != nil {
		return nil, fmt.Errorf("preparing the API: %w", err)
	}
	s := &service{
		cfg: c, log: logger, api: server, tracing: tracer,
		conns: newConnections(c.MaxConnections, c.TrustedProxies, c.MinBodyRate, server), running: newHandlers(),
		loops:   []func(context.Context){sweepLoop(swept, c.SweepInterval, logger), cleanLoop(job), overLimitLoop(kept, c.EvictionPolicy, logger), clockLoop(kept)},
		release: func() error { return errors.Join(job.Close(), closeSettled(server, kept)) },
	}
	s.http = s.newHTTP()
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
func startTracing(c config, logger *slog.Logger) (*tracing.Tracing, error) {
	if c.TraceEndpoint == "" {
		return nil, nil //nolint:nilnil // no collector, no tracing
	}
	headers, err := tracing.ParseHeaders(string(c.TraceHeaders))
	if err != nil {
		return nil, err
	}
	tracer, err := tracing.Start(context.Background(), c.TraceEndpoint, headers, buildVersion(), logger)
	if err == nil {
		tracer.SetSecrets(c.tracedSecrets()...)
	}
	return tracer, err
}

// tracedSecrets are what no span may hold.
func (c *config) tracedSecrets() [][][]byte {
	return [][][]byte{bytesOf(c.SessionSecret), bytesOf(c.ServiceTokens)}
}

var sameSite = map[string]http.SameSite{
	"lax":    http.SameSiteLaxMode,
	"strict": http.SameSiteStrictMode,
	"none":   http.SameSiteNoneMode,
}

// cleanup are the job's settings, without what it works on.
func (c *config) cleanup() cleanup.Options {
	began := time.Now()
	return cleanup.Options{
		Dir: c.AnalysisDir, Known: c.dirIsOurs(), Interval: c.FileCleanupInterval, Grace: c.FileGrace, TTL: c.FileTTL,
		Now: time.Now, Elapsed: func() time.Duration { return time.Since(began) },
	}
}

func (c *config) apiSecrets() api.Secrets {
	return api.Secrets{Session: bytesOf(c.SessionSecret), Service: bytesOf(c.ServiceTokens)}
}

func bytesOf(values secrets) [][]byte {
	list := make([][]byte, len(values))
	for i, v := range values {
		list[i] = []byte(v)
	}
	return list
}

func (c *config) allowedHosts() []string {
	list := make([]string, len(c.AllowedHosts))
	for i, host := range c.AllowedHosts {
		list[i] = unbracketed(host)
	}
	return list
}

func (c *config) trustedProxies() []string {
	list := make([]string, len(c.TrustedProxies))
	for i, p := range c.TrustedProxies {
		list[i] = p.String()
	}
	return list
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
