package config

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// Log are the settings of the log.
type Log struct {
	Access AccessLog  `env:"ACCESS_LOG" envDefault:"all" values:"all, errors or sample:N" doc:"Which requests are logged: all, only those that fail (status 400 and above), or those and one in N of the others."`
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info" oneof:"debug info warn error" doc:"Minimum level that is logged."`
	Format string     `env:"LOG_FORMAT" envDefault:"auto" oneof:"auto json text" doc:"Format of the log lines; auto is json in production and text in development."`
}

// JSON reports whether lines of the log are JSON.
func (l *Log) JSON() bool { return l.Format == "json" }

// AccessLog selects the requests that are logged. The zero value selects failures.
type AccessLog struct {
	// Every logs one of so many successful requests: 1 logs all of them, 0 none.
	Every int
}

func parseAccessLog(v string) (AccessLog, error) {
	switch v {
	case "all":
		return AccessLog{1}, nil
	case "errors":
		return AccessLog{}, nil
	}
	n, ok := strings.CutPrefix(v, "sample:")
	every, err := strconv.Atoi(n)
	if !ok || err != nil || every <= 0 {
		return AccessLog{}, fmt.Errorf("%s is not all, errors or sample:N with a whole N above 0", quoted(v))
	}
	return AccessLog{every}, nil
}

// String returns the value in the form of ACCESS_LOG.
func (a AccessLog) String() string {
	switch a.Every {
	case 0:
		return "errors"
	case 1:
		return "all"
	}
	return "sample:" + strconv.Itoa(a.Every)
}

// parseLevel parses a value of LOG_LEVEL, which are listed in its tag.
func parseLevel(v string) (slog.Level, error) {
	var level slog.Level
	err := level.UnmarshalText([]byte(v))
	return level, err
}
