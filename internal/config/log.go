package config

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// Log says what is logged, and how.
type Log struct {
	Access AccessLog  `env:"ACCESS_LOG" envDefault:"all" values:"all, errors or sample:N" doc:"Which requests are logged: all, only those that fail (status 400 and above), or those and one in N of the others."`
	Level  slog.Level `env:"LOG_LEVEL" envDefault:"info" oneof:"debug info warn error" doc:"Minimum level that is logged."`
	Format string     `env:"LOG_FORMAT" envDefault:"auto" oneof:"auto json text" doc:"Format of the log lines; auto is json in production and text in development."`
}

// JSON reports whether lines of the log are JSON.
func (l *Log) JSON() bool { return l.Format == "json" }

// AccessLog says which requests are logged. The zero value is those that fail.
type AccessLog struct {
	// Every logs one in so many of the requests that succeed: 1 is all of them,
	// 0 none.
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

// String returns the value as ACCESS_LOG takes it.
func (a AccessLog) String() string {
	switch a.Every {
	case 0:
		return "errors"
	case 1:
		return "all"
	}
	return "sample:" + strconv.Itoa(a.Every)
}

// parseLevel reads a word of LOG_LEVEL, whose tag lists those that there are.
func parseLevel(v string) (slog.Level, error) {
	var level slog.Level
	err := level.UnmarshalText([]byte(v))
	return level, err
}
