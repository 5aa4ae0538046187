package config

import (
	"reflect"
	"time"

	"session-api/internal/cleanup"
)

// imageDir is the directory of analysis files in the container image.
const imageDir = "/var/lib/session-api/analysis"

// dirIsOurs reports whether the directory is the service's by its name.
func (c *Config) dirIsOurs() bool { return c.dirIsDefault || c.AnalysisDir == imageDir }

// OwnFiles are the files and directories that settings name: all but the
// directory that is cleaned.
func (c *Config) OwnFiles() []cleanup.OwnFile {
	var own []cleanup.OwnFile
	v := reflect.ValueOf(c).Elem()
	for _, s := range ownSettings() {
		if path := v.FieldByName(s.field).String(); path != "" {
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
			path := reflect.ValueOf(c).Elem().FieldByName(s.field).String()
			if !cleanup.Holds(c.AnalysisDir, path) {
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
		Dir: c.AnalysisDir, Known: c.dirIsOurs(), Interval: c.FileCleanupInterval, Grace: c.FileGrace, TTL: c.FileTTL,
		Now: time.Now, Elapsed: func() time.Duration { return time.Since(began) },
	}
}
