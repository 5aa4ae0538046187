package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"session-api/internal/cleanup"
)

// OnBolt reports whether the settings of the data file count.
func (c *Config) OnBolt() bool { return c.Store == "bolt" }

// storeIsUnknown reports whether SESSION_STORE names a store that there is not.
// What else is set still says which store is meant.
func (c *Config) storeIsUnknown() bool {
	return !slices.Contains([]string{"memory", "bolt", "redis"}, c.Store)
}

// boltChecks are the rules of the data file, and of which store it is.
var boltChecks = []rule{
	{"SESSION_STORE", nil, func(c *Config) string {
		return where(c.storeIsOpen, "SESSION_DATA_DIR and %s are both set: say bolt or redis", strings.Join(c.namesOfRedis(), ", "))
	}},
	{"SESSION_DATA_DIR", []string{"ANALYSIS_TMP_DIR"}, func(c *Config) string {
		if !c.OnBolt() && (!c.storeIsUnknown() || c.DataDir == "") {
			return ""
		}
		return c.checkDataDir()
	}},
}

func (c *Config) checkDataDir() string {
	switch {
	case c.DataDir == "":
		return "bolt needs a directory for its data file"
	case !filepath.IsAbs(c.DataDir):
		return quoted(c.DataDir) + " is not an absolute path"
	case cleanup.Holds(c.AnalysisDir, c.DataDir):
		return insideAnalysisDir(c.DataDir)
	}
	info, err := os.Stat(c.DataDir)
	return where(err == nil && !info.IsDir(), "%s is not a directory", quoted(c.DataDir))
}
