package config

import (
	"os"
	"path/filepath"
	"strings"

	"session-api/internal/cleanup"
)

// OnBolt reports whether the store has a data file.
func (c *Config) OnBolt() bool { return c.Store.Kind == "bolt" }

// boltChecks are the rules of the data file, and of the choice of the store.
var boltChecks = []rule{
	{"SESSION_STORE", nil, func(c *Config) string {
		return messageIf(c.Store.isAmbiguous, "SESSION_DATA_DIR and %s are both set: say bolt or redis", strings.Join(c.redisAddressSettings(), ", "))
	}},
	{"SESSION_DATA_DIR", []string{"ANALYSIS_TMP_DIR"}, func(c *Config) string {
		if !c.OnBolt() && (!c.Store.isUnknown || c.Store.DataDir == "") {
			return ""
		}
		return c.checkDataDir()
	}},
}

func (c *Config) checkDataDir() string {
	switch {
	case c.Store.DataDir == "":
		return "bolt needs a directory for its data file"
	case !filepath.IsAbs(c.Store.DataDir):
		return quoted(c.Store.DataDir) + " is not an absolute path"
	case cleanup.Contains(c.Files.Dir, c.Store.DataDir):
		return insideAnalysisDir(c.Store.DataDir)
	}
	info, err := os.Stat(c.Store.DataDir)
	return messageIf(err == nil && !info.IsDir(), "%s is not a directory", quoted(c.Store.DataDir))
}
