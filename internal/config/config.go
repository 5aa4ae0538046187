package config

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"session-api/internal/api"
	"session-api/internal/memlimit"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/redis"
)

// Config is every setting, one struct a feature. Durations are milliseconds in
// the environment. An empty variable counts as one that is not set.
//
// The tags of a setting hold all that is known of it. Beside env's own, doc is
// its line in the documentation; shown and values replace what that says of the
// default and of the values. oneof lists the words that it takes, min and max
// bound a number. A tag group, on a struct, begins a table of the documentation.
type Config struct {
	Server       Server `group:"Server"`
	Clients      Clients
	HTTP         HTTP
	Secrets      Secrets  `group:"Secrets"`
	Sessions     Sessions `group:"Sessions"`
	ClientRecord ClientRecord
	Events       Events
	Documents    Documents
	JWT          JWT   `group:"JWTs"`
	Store        Store `group:"Store"`
	Idempotency  Idempotency
	Redis        Redis   `group:"Redis"`
	Cookie       Cookie  `group:"Cookie"`
	Files        Files   `group:"Files"`
	Log          Log     `group:"Logging"`
	Audit        Audit   `group:"Audit"`
	Tracing      Tracing `group:"Tracing"`

	// memoryLimit is the memory limit that defaults are computed from.
	memoryLimit memlimit.Limit
	// productionByNodeEnv reports that NODE_ENV alone selected production.
	productionByNodeEnv bool
}

// Production reports whether the service runs in production mode.
func (c *Config) Production() bool { return c.Server.Env == "production" }

// Address returns the address to listen on.
func (c *Config) Address() string {
	return net.JoinHostPort(c.Server.Host, strconv.Itoa(c.Server.Port))
}

// Problem is an error in one setting. Text says what would be valid, and quotes no
// secret.
type Problem struct{ Name, Text string }

// Problems is the error of an environment: all invalid settings.
type Problems []Problem

func (p Problems) Error() string {
	var b strings.Builder
	b.WriteString("the configuration is not valid:")
	for _, one := range p {
		fmt.Fprintf(&b, "\n  %s: %s", one.Name, quotedLogin.ReplaceAllString(one.Text, `"$1***@`))
	}
	return b.String()
}

// quotedLogin is the user and the password of an address that a problem quotes, in
// a setting that takes none as well.
var quotedLogin = regexp.MustCompile(`"((?:[a-zA-Z][a-zA-Z0-9+.-]*://)?)[^"]*:[^"]*@`)

// defaults returns the defaults that other packages define for their options. All other
// defaults are in the tags of their settings.
func defaults() Config {
	return Config{
		HTTP:        HTTP{MaxBodyMemory: api.DefaultBodyMemory, VerifyTimeout: api.DefaultVerifyTimeout},
		Store:       Store{SyncTimeout: bolt.DefaultCommitTimeout},
		Idempotency: Idempotency{MaxEntries: backend.DefaultRequests, MaxBytes: backend.DefaultRequestBytes},
		Events:      Events{Buffer: backend.DefaultEvents, Heartbeat: api.DefaultHeartbeat},
		Redis:       Redis{Prefix: redis.DefaultPrefix, DialTimeout: redis.DefaultDialTimeout, Timeout: redis.DefaultTimeout, WaitTimeout: redis.DefaultWaitTimeout},
	}
}

// MemoryLimit returns the process's memory limit.
func (c *Config) MemoryLimit() memlimit.Limit { return c.memoryLimit }

// SecretIsRandom reports whether EnsureSecret generated the session secret.
func (c *Config) SecretIsRandom() bool { return c.Secrets.isRandom }

// EnsureSecret generates a session secret if there is none, which only development
// allows.
func (c *Config) EnsureSecret() {
	if len(c.Secrets.Session) == 0 {
		c.Secrets.Session, c.Secrets.isRandom = secrets{rand.Text() + rand.Text()}, true
	}
}

// has reports whether one of the settings has a problem.
func (p Problems) has(names ...string) bool {
	return slices.ContainsFunc(p, func(one Problem) bool { return slices.Contains(names, one.Name) })
}

// Load reads the settings from an environment. The error is Problems: all invalid
// settings, in order.
func Load(environ map[string]string) (Config, error) {
	c, found := parse(environ)
	c.defaultCreateBytes(environ)
	c.applyMemoryDefaults(environ, memlimit.Find(environ, os.DirFS("/")))
	found = append(found, c.readSecretFiles()...)
	found = append(found, c.readPasswordFiles()...)
	found = append(found, c.readJWTKeys()...)
	found = append(found, c.check(found)...)
	if len(found) == 0 {
		return c, nil
	}
	order := make(map[string]int)
	for i, s := range settings() {
		order[s.name] = i
	}
	slices.SortStableFunc(found, func(a, b Problem) int { return cmp.Compare(order[a.Name], order[b.Name]) })
	if c.productionByNodeEnv {
		found = append(found, Problem{"NODE_ENV", "production counts as APP_ENV=production, because APP_ENV is not set"})
	}
	for _, t := range Typos(environ) {
		found = append(found, Problem{t.Name, "is no setting; did you mean " + t.Meant + "?"})
	}
	return c, found
}

// bytesPerCreation is the size of a new session in the default of
// CREATE_BYTES_PER_MINUTE.
const bytesPerCreation = 64 << 10

// defaultCreateBytes sets the default of CREATE_BYTES_PER_MINUTE.
func (c *Config) defaultCreateBytes(environ map[string]string) {
	if strings.TrimSpace(environ["CREATE_BYTES_PER_MINUTE"]) == "" && c.Clients.CreateRatePerMinute > 0 {
		c.Clients.CreateBytes = max(bytesPerCreation*c.Clients.CreateRatePerMinute, 2*c.Documents.MaxBytes)
	}
}

// parse parses the settings, sets the defaults that depend on other settings, and checks
// each setting against its tags. It reads no files.
func parse(environ map[string]string) (Config, Problems) {
	var found Problems
	given := make(map[string]string)
	for _, s := range settings() {
		v := strings.TrimSpace(environ[s.name])
		if len(s.oneof) > 0 {
			v = strings.ToLower(v)
		}
		if s.name == "REDIS_PORT" && strings.HasPrefix(v, "tcp://") {
			v = "" // Kubernetes means its own variable of that name
		}
		if v == "" {
			continue
		}
		if text := s.checkOneOf(v); text != "" {
			found = append(found, Problem{s.name, text})
			continue
		}
		given[s.name] = v
	}
	c := defaults()
	c.productionByNodeEnv = strings.TrimSpace(environ["APP_ENV"]) == "" && strings.EqualFold(strings.TrimSpace(environ["NODE_ENV"]), "production")
	if c.productionByNodeEnv {
		given["APP_ENV"] = "production"
	}
	v := reflect.ValueOf(&c).Elem()
	for feature := range features() {
		err := env.ParseWithOptions(v.FieldByIndex(feature.Index).Addr().Interface(), env.Options{Environment: given, FuncMap: parsers})
		found = append(found, problemsOf(err, feature)...)
	}
	for _, s := range settings() {
		if found.has(s.name) {
			continue
		}
		if text := s.checkRange(v.FieldByIndex(s.index)); text != "" {
			found = append(found, Problem{s.name, text})
		}
	}
	if found.has("SESSION_STORE") {
		c.Store.Kind, c.Store.isUnknown = "", true
	}
	c.applyDefaults()
	if c.Production() && given["SESSION_ABSOLUTE_TTL_MS"] == "" {
		c.Sessions.AbsoluteTTL = productionAbsoluteTTL
	}
	return c, found
}

// productionAbsoluteTTL is the default of SESSION_ABSOLUTE_TTL_MS in production, where
// no limit has to be set explicitly, as 0.
const productionAbsoluteTTL = 30 * 24 * time.Hour

// applyDefaults sets the defaults that depend on other settings.
func (c *Config) applyDefaults() {
	byEnv := func(inProduction, inDevelopment string) string {
		if c.Production() {
			return inProduction
		}
		return inDevelopment
	}
	if c.Server.Host == "" {
		c.Server.Host = byEnv("0.0.0.0", "127.0.0.1")
	}
	if host, ok := strings.CutPrefix(c.Server.Host, "["); ok { // as a URL spells IPv6
		c.Server.Host = strings.TrimSuffix(host, "]")
	}
	if c.JWT.Issuer == "" {
		c.JWT.Issuer = byEnv("", c.developmentIssuer())
	}
	if c.Cookie.Secure == "auto" {
		c.Cookie.Secure = byEnv("true", "false")
	}
	if c.Cookie.Prefix == "auto" {
		c.Cookie.Prefix = c.autoPrefix()
	}
	if c.Log.Format == "auto" {
		c.Log.Format = byEnv("json", "text")
	}
	if c.Store.Kind == "auto" {
		c.Store.Kind = "memory"
		switch inRedis := len(c.redisAddressSettings()) > 0; {
		case inRedis:
			c.Store.Kind = "redis"
			c.Store.isAmbiguous = c.Store.DataDir != ""
		case c.Store.DataDir != "":
			c.Store.Kind = "bolt"
		}
	}
	c.Redis.Host = strings.TrimSuffix(strings.TrimPrefix(c.Redis.Host, "["), "]")
	usual := filepath.Join(os.TempDir(), "validator-analysis")
	c.Files.Dir = cmp.Or(c.Files.Dir, usual)
	c.Files.isDefault = c.Files.Dir == usual
}

// problemsOf converts env's errors, which name struct fields, to Problems, which name
// variables.
func problemsOf(err error, feature reflect.StructField) Problems {
	if err == nil {
		return nil
	}
	all, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return Problems{{"environment", err.Error()}}
	}
	var found Problems
	for _, one := range all.Errors {
		name, text := "environment", one.Error()
		if parse, ok := errors.AsType[env.ParseError](one); ok {
			if f, ok := feature.Type.FieldByName(parse.Name); ok {
				name, text = f.Tag.Get("env"), parse.Err.Error()
			}
		}
		found = append(found, Problem{name, text})
	}
	return found
}

// LoadStore is Load for commands that use only the store. It ignores problems with other
// settings.
func LoadStore(environ map[string]string) (Config, error) {
	c, err := Load(environ)
	if found, ok := errors.AsType[Problems](err); ok {
		err = found.forStore()
	}
	return c, err
}

// LoadBackup is Load for a command that needs the location of the data file or of the
// service. It ignores problems with other settings.
func LoadBackup(environ map[string]string) (Config, error) {
	c, err := Load(environ)
	if found, ok := errors.AsType[Problems](err); ok {
		if err = nil; found.has("APP_ENV", "HOST", "PORT", "SESSION_DATA_DIR", "SESSION_STORE", "SERVICE_TOKENS_FILE", "SESSION_MAX_BYTES") {
			err = found
		}
	}
	return c, err
}

// Listen returns the address on which the service of an environment listens. It ignores
// problems with other settings: the running service was started with valid ones.
func Listen(environ map[string]string) (host string, port int, err error) {
	c, found := parse(environ)
	if found.has("APP_ENV", "HOST", "PORT") {
		return "", 0, found
	}
	return c.Server.Host, c.Server.Port, nil
}

// forStore returns the Problems with settings of the store.
func (p Problems) forStore() error {
	var known, counting []string
	for _, s := range settings() {
		known = append(known, s.name)
		if s.group == "Store" || s.group == "Redis" || s.name == "SESSION_MAX_BYTES" {
			counting = append(counting, s.name)
		}
	}
	if !p.has(counting...) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p), func(one Problem) bool {
		return slices.Contains(known, one.Name) && !slices.Contains(counting, one.Name) // typos stay
	})
}
