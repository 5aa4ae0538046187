package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"session-api/internal/audit"
	"session-api/internal/config"
)

const auditUsage = `Usage: session-api audit verify [-last N] [-restarts] FILE...

verify checks audit logs, the files of AUDIT_LOG=file:PATH, oldest first: every line
holds the SHA-256 of the one before. It names the lines that were changed, removed,
inserted, moved or cut off. A last line that a crash has torn off is no finding.
For a file of -, it reads standard input.

  -last N     the number of the last entry, as the metric session_api_audit_sequence
              has shown it: fewer are a finding. Without it, nothing shows that the last
              lines are missing.
  -restarts   a new chain may begin in the middle, as with AUDIT_LOG=stdout when the
              service starts again. For its lines among others:
              grep '^{"chain":' LOG | session-api audit verify -restarts -

Exit status: 0 the lines are in order, 1 they are not, or failure, 2 wrong usage.
`

// verifyAudit is the command audit.
func verifyAudit(args []string, std streams) error {
	flags := flag.NewFlagSet("audit", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var v audit.Verifier
	last := flags.Uint64("last", 0, "")
	flags.BoolVar(&v.Restarts, "restarts", false, "")
	if len(args) > 0 && args[0] == "verify" {
		args = args[1:]
	} else if len(args) == 0 || args[0] != "-h" && args[0] != "-help" && args[0] != "--help" {
		return usageError("audit: say verify")
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return errors.Join(write(std.out, auditUsage), err)
	case err != nil:
		return usageError("audit verify: " + err.Error())
	case flags.NArg() == 0:
		return usageError("audit verify: name a file")
	}
	for _, name := range flags.Args() {
		if err := readAudit(&v, name, std.in); err != nil {
			return fmt.Errorf("audit verify: %w", err)
		}
	}
	return reportAudit(v.Report(), *last, std.out)
}

// readAudit checks a file.
func readAudit(v *audit.Verifier, name string, stdin io.Reader) error {
	if name == "-" {
		return v.Read("standard input", stdin)
	}
	f, err := os.Open(name) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return errors.Join(v.Read(name, f), f.Close())
}

// reportAudit prints what was found. The error says that something was.
func reportAudit(r audit.Report, last uint64, out io.Writer) error {
	for _, n := range r.Notes {
		if err := write(out, fmt.Sprintf("note: %v\n", n)); err != nil {
			return err
		}
	}
	for _, f := range r.Findings {
		if err := write(out, fmt.Sprintf("%v\n", f)); err != nil {
			return err
		}
	}
	found := len(r.Findings)
	if r.Last < last {
		found++
		if err := write(out, fmt.Sprintf("lines are missing at the end: the last one has the sequence number %d, and there was %d\n", r.Last, last)); err != nil {
			return err
		}
	}
	if r.Lines > 0 {
		if err := write(out, fmt.Sprintf("%s, sequence numbers %d to %d, SHA-256 of the last line %s\n", counted(int64(r.Lines), "line"), r.First, r.Last, r.Hash)); err != nil {
			return err
		}
	}
	switch {
	case r.Truncated:
		return errors.New("audit verify: the log is not in order, and more is wrong with it than is shown")
	case found > 0:
		return errors.New("audit verify: the log is not in order")
	case r.Lines == 0:
		return errors.New("audit verify: there is no line of an audit log")
	}
	return nil
}

// openAudit returns the audit log, nil for none, with its first entry.
func openAudit(c *config.Config, environ map[string]string, stdout io.Writer, logger *slog.Logger) (*audit.Log, error) {
	options := audit.Options{Sync: c.Audit.Required(), Logger: logger}
	var log *audit.Log
	switch to := c.Audit.Log; {
	case to.Stdout:
		log = audit.NewStream(stdout, options)
	case to.Path != "":
		var err error
		if log, err = audit.OpenFile(to.Path, options); err != nil {
			return nil, fmt.Errorf("AUDIT_LOG: %w", err)
		}
	default:
		return nil, nil //nolint:nilnil // nothing is recorded
	}
	err := log.Append(audit.Entry{
		Actor: audit.System, Act: audit.ConfigLoaded, Outcome: audit.Done,
		Details: map[string]any{"settings": config.NonDefault(environ), "version": buildVersion()},
	})
	if err != nil && c.Audit.Required() {
		return nil, errors.Join(fmt.Errorf("AUDIT_LOG: %w", err), log.Close())
	}
	return log, nil
}

// reopenAudit goes on in a new file where the audit log was renamed.
func (s *service) reopenAudit(ctx context.Context) {
	if s.audit == nil {
		return
	}
	if err := s.audit.Reopen(); err != nil {
		s.log.ErrorContext(ctx, "audit log not opened again, the previous file remains in use", "error", err)
	}
}

// auditReload records which secrets have changed, if any were read again.
func (s *service) auditReload(ctx context.Context, read []string, fresh *config.Config, failed error) {
	if s.audit == nil {
		return
	}
	e := audit.Entry{Actor: audit.System, Act: audit.ConfigReloaded, Outcome: audit.Done, Details: map[string]any{"read": read}}
	if failed != nil {
		e.Outcome = audit.Failed
	} else {
		change := s.cfg.ChangedSecrets(fresh)
		e.Details["changed"] = change.Settings
		for name, tokens := range map[string][]string{"tokensAdded": change.Added, "tokensRemoved": change.Removed, "tokensChanged": change.Changed} {
			if len(tokens) > 0 {
				e.Details[name] = tokens
			}
		}
	}
	if err := s.audit.Append(e); err != nil {
		s.log.ErrorContext(ctx, "the reload is not recorded in the audit log yet", "error", err)
	}
}
