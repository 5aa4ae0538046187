package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"session-api/internal/cleanup"
)

// Audit are the settings of the audit log.
type Audit struct {
	Log       AuditLog `env:"AUDIT_LOG" envDefault:"off" values:"off, stdout or file:PATH" doc:"Where security-relevant acts are recorded, as lines of JSON that chain: who has created, signed in, regenerated or ended sessions, refused service tokens, exports and more (see security.md, Audit). A file has the mode 0600, belongs to one process, and is opened anew on SIGHUP if it was renamed."`
	OnFailure string   `env:"AUDIT_ON_FAILURE" envDefault:"continue" oneof:"continue refuse" doc:"What happens while the audit log cannot be written: continue does what is asked, and records it later if that becomes possible; refuse answers 503, and waits for the disk with each entry. The log and the metric session_api_audit_failures_total say so in either case."`
}

// AuditLog says where the audit log is. The zero value is nowhere.
type AuditLog struct {
	Stdout bool
	// Path is that of a file; empty for none.
	Path string
}

func parseAuditLog(v string) (AuditLog, error) {
	switch path, isFile := strings.CutPrefix(v, "file:"); {
	case v == "off":
		return AuditLog{}, nil
	case v == "stdout":
		return AuditLog{Stdout: true}, nil
	case isFile && path != "":
		return AuditLog{Path: path}, nil
	}
	return AuditLog{}, fmt.Errorf("%s is not off, stdout or file: with a path", quoted(v))
}

// String returns the value in the form of AUDIT_LOG.
func (a AuditLog) String() string {
	switch {
	case a.Stdout:
		return "stdout"
	case a.Path != "":
		return "file:" + a.Path
	}
	return "off"
}

// Required reports whether nothing is done that cannot be recorded.
func (a *Audit) Required() bool { return a.OnFailure == "refuse" }

// checkAuditFile keeps the file out of the directory that is cleaned.
func checkAuditFile(c *Config) string {
	if c.Audit.Log.Path == "" || !cleanup.Contains(c.Files.Dir, c.Audit.Log.Path) {
		return ""
	}
	return insideAnalysisDir(c.Audit.Log.Path)
}

// NonDefault returns the names of the settings that an environment sets to another value
// than the default.
func NonDefault(environ map[string]string) (names []string) {
	given, _ := parse(environ)
	usual, _ := parse(nil)
	a, b := reflect.ValueOf(&given).Elem(), reflect.ValueOf(&usual).Elem()
	for _, s := range settings() {
		if strings.TrimSpace(environ[s.name]) != "" && !reflect.DeepEqual(a.FieldByIndex(s.index).Interface(), b.FieldByIndex(s.index).Interface()) {
			names = append(names, s.name)
		}
	}
	return names
}

// SecretsChange says what is different in settings that were read again, without values.
type SecretsChange struct {
	// Settings are the names of those whose secrets are others.
	Settings []string
	// Added and Removed are names of service tokens. Changed ones have the name of one
	// before, and allow something else or have another secret.
	Added, Removed, Changed []string
}

// ChangedSecrets compares the secrets with those that were read again.
func (c *Config) ChangedSecrets(fresh *Config) (change SecretsChange) {
	if !slices.Equal(c.Secrets.Session, fresh.Secrets.Session) {
		change.Settings = append(change.Settings, "SESSION_SECRET_FILE")
	}
	before, after := c.ServiceTokens(), fresh.ServiceTokens()
	names := func(tokens int, name func(int) string) map[string]int {
		at := make(map[string]int, tokens)
		for i := range tokens {
			at[name(i)] = i
		}
		return at
	}
	was := names(len(before), func(i int) string { return before[i].Name })
	is := names(len(after), func(i int) string { return after[i].Name })
	for i := range after {
		if old, known := was[after[i].Name]; !known {
			change.Added = append(change.Added, after[i].Name)
		} else if !reflect.DeepEqual(before[old], after[i]) {
			change.Changed = append(change.Changed, after[i].Name)
		}
	}
	for i := range before {
		if _, kept := is[before[i].Name]; !kept {
			change.Removed = append(change.Removed, before[i].Name)
		}
	}
	if len(change.Added)+len(change.Removed)+len(change.Changed) > 0 {
		change.Settings = append(change.Settings, "SERVICE_TOKENS_FILE")
	}
	return change
}
