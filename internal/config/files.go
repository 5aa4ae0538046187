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

	// isDefault is set if Dir is the default, which may be made.
	isDefault bool
}

// imageDir is the directory of analysis files in the container image.
const imageDir = "/var/lib/session-api/analysis"

// dirIsOurs reports whether the directory is the service's by its name.
func (c *Config) dirIsOurs() bool { return c.Files.isDefault || c.Files.Dir == imageDir }

// OwnFiles are the files and directories that settings name: all but the
// directory that is cleaned.
func (c *Config) OwnFiles() []cleanup.OwnFile {
	var own []cleanup.OwnFile
	v := reflect.ValueOf(c).Elem()
	for _, s := range ownSettings() {
		if path := v.FieldByIndex(s.index).String(); path != "" {
			own = append(own, cleanup.OwnFile{Name: s.name, Path: path})
		}
	}
	return own
}

// ownSettings are the settings that name a file or directory which the service
// needs.
func ownSettings() []setting {
	var found []setting
	for _, s := range settings() {
		if s.values == "path" && s.name != "ANALYSIS_TMP_DIR" {
			found = append(found, s)
		}
	}
	return found
}

// ownFileChecks are the rules that keep what the service needs out of the
// directory that it cleans. That of the data directory is among its own.
func ownFileChecks() []rule {
	var rules []rule
	for _, s := range ownSettings() {
		if s.name == "SESSION_DATA_DIR" {
			continue
		}
		rules = append(rules, rule{s.name, []string{"ANALYSIS_TMP_DIR"}, func(c *Config) string {
			path := reflect.ValueOf(c).Elem().FieldByIndex(s.index).String()
			if !cleanup.Holds(c.Files.Dir, path) {
				return ""
			}
			return insideAnalysisDir(path)
		}})
	}
	return rules
}

// insideAnalysisDir says that a file is where files are deleted.
func insideAnalysisDir(path string) string {
	return quoted(path) + " is within ANALYSIS_TMP_DIR, where files are deleted: keep it elsewhere, or clean another directory"
}

// CleanupOptions are the job's settings, without what it works on.
func (c *Config) CleanupOptions() cleanup.Options {
	began := time.Now()
	return cleanup.Options{
		Dir: c.Files.Dir, Known: c.dirIsOurs(), Interval: c.Files.CleanupInterval, Grace: c.Files.Grace, TTL: c.Files.TTL,
		Now: time.Now, Elapsed: func() time.Duration { return time.Since(began) },
	}
}

// checkAnalysisDir asks the cleanup, which knows where it must not delete.
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
