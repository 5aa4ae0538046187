package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"session-api/internal/cleanup"
)

// Files are the settings of the cleanup of analysis files.
type Files struct {
	Dir             string        `env:"ANALYSIS_TMP_DIR" shown:"validator-analysis in the system's temporary directory" values:"path" doc:"Directory of the analysis files, an absolute path. It must exist and be empty at first, or be adopted with session-api cleanup adopt; the default one is created, and may contain files."`
	CleanupInterval time.Duration `env:"FILE_CLEANUP_INTERVAL_MS" envDefault:"1800000" min:"0" doc:"How often the directory is cleaned; 0 for only on request."`
	Grace           time.Duration `env:"FILE_GRACE_MS" envDefault:"600000" min:"0" doc:"Age below which a file is kept even if no session refers to it."`
	TTL             time.Duration `env:"FILE_TTL_MS" envDefault:"172800000" min:"1" doc:"Age above which a file is deleted even if a session refers to it."`

	// isDefault reports that Dir is the default, which the service may create.
	isDefault bool
}

// imageDir is the directory of analysis files in the container image.
const imageDir = "/var/lib/session-api/analysis"

// isDedicatedDir reports whether the directory's name shows that it is the service's.
func (c *Config) isDedicatedDir() bool { return c.Files.isDefault || c.Files.Dir == imageDir }

// OwnFiles returns the files and directories named by settings, except the directory
// that is cleaned.
func (c *Config) OwnFiles() []cleanup.OwnFile {
	var own []cleanup.OwnFile
	v := reflect.ValueOf(c).Elem()
	for _, s := range pathSettings() {
		if path := v.FieldByIndex(s.index).String(); path != "" {
			own = append(own, cleanup.OwnFile{Name: s.name, Path: path})
		}
	}
	if c.Audit.Log.Path != "" {
		own = append(own, cleanup.OwnFile{Name: "AUDIT_LOG", Path: c.Audit.Log.Path})
	}
	return own
}

// pathSettings returns the settings that name a file or directory of the service's own.
func pathSettings() []setting {
	var found []setting
	for _, s := range settings() {
		if s.values == "path" && s.name != "ANALYSIS_TMP_DIR" {
			found = append(found, s)
		}
	}
	return found
}

// ownFileChecks returns the rules that keep the service's own files out of the directory
// that it cleans. The rule for the data directory is among boltChecks.
func ownFileChecks() []rule {
	rules := []rule{{"AUDIT_LOG", []string{"ANALYSIS_TMP_DIR"}, checkAuditFile}}
	for _, s := range pathSettings() {
		if s.name == "SESSION_DATA_DIR" {
			continue
		}
		rules = append(rules, rule{s.name, []string{"ANALYSIS_TMP_DIR"}, func(c *Config) string {
			path := reflect.ValueOf(c).Elem().FieldByIndex(s.index).String()
			if !cleanup.Contains(c.Files.Dir, path) {
				return ""
			}
			return insideAnalysisDir(path)
		}})
	}
	return rules
}

// insideAnalysisDir returns the message for a path within ANALYSIS_TMP_DIR.
func insideAnalysisDir(path string) string {
	return quoted(path) + " is within ANALYSIS_TMP_DIR, where files are deleted: keep it elsewhere, or clean another directory"
}

// CleanupOptions returns the options of the cleanup, without its store.
func (c *Config) CleanupOptions() cleanup.Options {
	began := time.Now()
	return cleanup.Options{
		Dir: c.Files.Dir, AllowNonEmpty: c.isDedicatedDir(), Interval: c.Files.CleanupInterval, Grace: c.Files.Grace, TTL: c.Files.TTL,
		Now: time.Now, Elapsed: func() time.Duration { return time.Since(began) },
	}
}

// checkAnalysisDir checks the directory by the rules of package cleanup.
func checkAnalysisDir(c *Config) string {
	if _, err := os.Lstat(c.Files.Dir); errors.Is(err, fs.ErrNotExist) && filepath.IsAbs(c.Files.Dir) && !c.Files.isDefault {
		return quoted(c.Files.Dir) + " does not exist"
	}
	options := c.CleanupOptions()
	all, ok := options.Validate().(interface{ Unwrap() []error })
	if !ok {
		return ""
	}
	for _, err := range all.Unwrap() {
		if wrong, ok := errors.AsType[*cleanup.OptionError](err); ok && wrong.Option == "Dir" {
			return wrong.Err.Error()
		}
	}
	return ""
}
