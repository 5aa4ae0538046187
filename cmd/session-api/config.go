package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// config is every setting. Durations are milliseconds in the environment. An
// empty variable counts as one that is not set.
//
// Beside env's tags: group starts a table of the documentation, doc is the
// setting's line in it, shown and values are what it says in place of the
// default and of what the type takes. oneof lists the words that a setting
// takes, min and max bound a number; load checks them.
type config struct {
	Env  string `env:"APP_ENV" envDefault:"development" oneof:"development production" group:"Server" doc:"What the service is run for. Production insists on secrets, marks cookies Secure and listens on all addresses; development works with nothing set. Where it is not set, NODE_ENV=production counts as production."`
	Host string `env:"HOST" shown:"127.0.0.1 in development, 0.0.0.0 in production" values:"address or host name" doc:"Address or host name to listen on."`
	Port int    `env:"PORT" envDefault:"8080" min:"0" max:"65535" doc:"TCP port to listen on; 0 takes any free one, which is printed at start."`

	AllowedOrigins      []string       `env:"ALLOWED_ORIGINS" values:"list of origins" doc:"Web origins whose pages may call the service with credentials, written as a browser sends them: https://app.example.com, or capacitor://localhost, tauri://localhost and chrome-extension://<id> for applications and extensions. It is the one list for CORS and for the check of cross-site requests. The log names origins that are refused."`
	AllowedHosts        []string       `env:"ALLOWED_HOSTS" values:"list of host names" doc:"Names and addresses, without ports, that clients and gateways may give in the Host header; *.example.com stands for all names below example.com. Others get 421. Names of this machine (localhost, 127.0.0.0/8, ::1) always count; without the setting they and HOST are the only ones while SERVICE_TOKENS is not set, so that no page on the web gets at the service by a name that it has point here (DNS rebinding), and all are answered where tokens are set. Recommended in production. /healthz, /readyz, /metrics and verify answer for any name."`
	AllowedHeaders      []string       `env:"CORS_ALLOWED_HEADERS" values:"list of header names" doc:"Request headers that pages of ALLOWED_ORIGINS may send, beside those that frontends usually do: content types and conditions, Authorization, X-Requested-With, Cache-Control, X-Request-Id, Idempotency-Key, and the headers of tracers such as traceparent, baggage and sentry-trace."`
	TrustedProxies      []netip.Prefix `env:"TRUSTED_PROXIES" values:"list of addresses and networks" doc:"Addresses or networks (CIDR) of the gateways in front. Who their client is they are believed, and nobody else."`
	ClientIPHeader      string         `env:"CLIENT_IP_HEADER" envDefault:"auto" oneof:"auto x-forwarded-for forwarded" doc:"Where those gateways name their client: X-Forwarded-For, or Forwarded (RFC 7239). auto takes the one that comes; where both come and disagree, one may be the client's own, and the gateway's address counts."`
	CreateRatePerMinute int            `env:"CREATE_RATE_PER_MINUTE" envDefault:"300" min:"0" max:"1000000000" doc:"New sessions that one client address may create in a minute; 0 for no limit. One address is a /64 of IPv6; a whole /48 may create four times as many."`
	CreateBytes         int            `env:"CREATE_BYTES_PER_MINUTE" shown:"65536 for each of CREATE_RATE_PER_MINUTE, at least twice SESSION_MAX_BYTES" min:"0" max:"1000000000000" doc:"Bytes that one client address may add in a minute to sessions without a user, by creating and by changing them; 0 for no limit. A /48 of IPv6 may add four times as many."`

	HTTP2             bool          `env:"HTTP2" envDefault:"false" doc:"Whether HTTP/2 is spoken beside HTTP/1.1, without TLS and from the first byte on (h2c with prior knowledge), for gateways and services inside. A connection may have 100 requests at once then: lower MAX_CONNECTIONS accordingly."`
	MaxConnections    int           `env:"MAX_CONNECTIONS" envDefault:"10000" min:"1" max:"10000000" doc:"Most connections that are open at once. One more closes another: one whose body has stalled, then one of a client that has more than a quarter of all, then the one that has waited longest for a request. Where none can be closed, it waits. TRUSTED_PROXIES may have any number."`
	MaxBodyMemory     int64         `env:"MAX_BODY_MEMORY_BYTES" envDefault:"33554432" shown:"33554432, or an eighth of the process's memory limit where that is less" min:"65536" doc:"Most bytes of request bodies over 16 KiB that are in work at once, and of answers over 16 KiB likewise. One more waits for at most 5 seconds and gets 503 then; whoever keeps it waiting by sending or reading slowly is cut off after a second. One client's bodies have at most half of it; of TRUSTED_PROXIES that is whom they name."`
	MinBodyRate       int           `env:"MIN_BODY_BYTES_PER_SECOND" envDefault:"240" min:"0" max:"1000000000" doc:"Least bytes a second, on average, at which a body must come over HTTP/1.1 once it has taken 5 seconds; else the answer is 408. 0 for no minimum. Imports have until READ_TIMEOUT_MS for each part."`
	ReadHeaderTimeout time.Duration `env:"READ_HEADER_TIMEOUT_MS" envDefault:"5000" min:"1" doc:"Longest wait for the headers of a request."`
	ReadTimeout       time.Duration `env:"READ_TIMEOUT_MS" envDefault:"15000" min:"1" doc:"Longest wait for a whole request, body included."`
	WriteTimeout      time.Duration `env:"WRITE_TIMEOUT_MS" envDefault:"30000" min:"1" doc:"Longest time from the end of a request's headers to the end of its answer."`
	IdleTimeout       time.Duration `env:"IDLE_TIMEOUT_MS" envDefault:"120000" min:"1" doc:"How long a connection may rest between two requests."`
	VerifyTimeout     time.Duration `env:"VERIFY_TIMEOUT_MS" envDefault:"150" min:"1" max:"30000" doc:"Longest wait for a session that a gateway asks about (/api/session/verify); it gets 503 then. Envoy waits for 200 by itself."`
	ShutdownDelay     time.Duration `env:"SHUTDOWN_DELAY_MS" envDefault:"0" min:"0" doc:"How long the service goes on answering after SIGTERM while /readyz already fails, so that a load balancer can notice."`
	ShutdownTimeout   time.Duration `env:"SHUTDOWN_TIMEOUT_MS" envDefault:"20000" min:"1" doc:"How long requests in flight may take to finish after that. Both together are at most 29000."`

	SessionSecret     secrets `env:"SESSION_SECRET" group:"Secrets" shown:"random in development, required in production" values:"list" doc:"Signs the session tokens. Of several, the first signs and all verify. In production each is at least 32 bytes long."`
	SessionSecretFile string  `env:"SESSION_SECRET_FILE" values:"path" doc:"File that holds SESSION_SECRET, one secret a line or separated by commas. Read again on SIGHUP."`
	ServiceTokens     secrets `env:"SERVICE_TOKENS" shown:"none in development, required in production" values:"list" doc:"Tokens of trusted callers. In production each is at least 32 bytes long. Without any, which only development allows, the service routes are open to everybody."`
	ServiceTokensFile string  `env:"SERVICE_TOKENS_FILE" values:"path" doc:"File that holds SERVICE_TOKENS, one token a line or separated by commas. Read again on SIGHUP."`

	TTL            time.Duration            `env:"SESSION_TTL_MS" envDefault:"86400000" min:"1" group:"Sessions" doc:"Idle life of a session: how long it lives without being used."`
	MaxTTL         time.Duration            `env:"SESSION_MAX_TTL_MS" envDefault:"2592000000" min:"1" doc:"Longest idle life that a request may ask for with ttlMs. A visitor may only ask for a shorter one than the session has; a longer one takes a service token."`
	RoleTTL        map[string]time.Duration `env:"SESSION_ROLE_TTL_MS" values:"list of role:milliseconds" doc:"Idle lives by role of the user, such as admin:900000,guest:3600000. The shortest of a user's roles counts, and is the most that such a session may ask for."`
	AbsoluteTTL    time.Duration            `env:"SESSION_ABSOLUTE_TTL_MS" shown:"2592000000 (30 days) in production, 0 in development" min:"0" doc:"Longest life of a session however much it is used; 0 for no limit."`
	TouchOnAccess  bool                     `env:"SESSION_TOUCH_ON_ACCESS" envDefault:"true" doc:"Whether reading or changing a session extends its life."`
	TouchInterval  time.Duration            `env:"SESSION_TOUCH_INTERVAL_MS" envDefault:"60000" min:"0" doc:"How far the deadline must move before an access writes it again; a twentieth of the session's idle life where that is shorter."`
	AutoCreate     bool                     `env:"SESSION_AUTO_CREATE" envDefault:"false" doc:"Whether GET, PUT and PATCH without a live session start one in place of answering 401. Prefetches do not, nor do requests of other sites' pages and of what cannot read the answer, such as an img."`
	AutoCreateTTL  time.Duration            `env:"SESSION_AUTO_CREATE_TTL_MS" envDefault:"300000" min:"1" doc:"Idle life of a session that a GET has started by itself, until something is written to it; SESSION_TTL_MS where that is shorter. Such sessions are the first to be evicted: a page whose first visit sends several requests at once leaves some of them behind."`
	RequireIfMatch bool                     `env:"SESSION_REQUIRE_IF_MATCH" envDefault:"false" doc:"Whether PUT, PATCH and DELETE must carry If-Match (428 without)."`
	MaxGrace       time.Duration            `env:"SESSION_MAX_GRACE_MS" envDefault:"60000" min:"0" doc:"Longest time that the old token of a regenerated session may go on opening the new one."`
	Tombstone      time.Duration            `env:"SESSION_TOMBSTONE_MS" envDefault:"300000" min:"0" max:"86400000" doc:"How long the id of a session that was ended, expired or was evicted stays taken, so that a late write by a service (PUT /api/sessions/{id}) gets 410 and does not bring the session back."`
	MaxPerUser     int                      `env:"SESSION_MAX_PER_USER" envDefault:"0" min:"0" max:"10000" doc:"Most live sessions of one user in one namespace; 0 for no limit."`
	PerUserPolicy  string                   `env:"SESSION_MAX_PER_USER_POLICY" envDefault:"evict-oldest" oneof:"evict-oldest reject" doc:"What happens to one session more: the user's session that was used longest ago ends, as far as uses have moved deadlines (SESSION_TOUCH_INTERVAL_MS), or the new one gets 409."`
	EventsBuffer   int                      `env:"SESSION_EVENTS_BUFFER" envDefault:"10000" min:"1" max:"10000000" doc:"How many events are kept for readers of /api/events that come back or fall behind."`
	Heartbeat      time.Duration            `env:"SESSION_EVENTS_HEARTBEAT_MS" envDefault:"8000" min:"100" doc:"How long a stream of /api/events is silent at most: a comment is sent then. Shorter than what the proxies in front wait for a silent answer, which is 10 seconds with HAProxy's usual settings and a minute with nginx's."`
	MaxBytes       int                      `env:"SESSION_MAX_BYTES" envDefault:"1048576" min:"1024" max:"67108864" doc:"Largest session document, in bytes."`
	MaxFileRefs    int                      `env:"SESSION_MAX_FILE_REFS" envDefault:"1000" min:"1" max:"1000000" doc:"Most files that the results of one session may refer to."`
	Sanitize       string                   `env:"SANITIZE_INPUTS" envDefault:"controls" oneof:"controls html off" doc:"What is taken out of strings in inputs: control characters, markup as well, or nothing."`
	ForbiddenKeys  []string                 `env:"SESSION_FORBIDDEN_KEYS" values:"list of names" doc:"Member names that are refused anywhere in a session, whatever their case, width and the white space around them; for instance apiKey,password."`

	Store          string        `env:"SESSION_STORE" envDefault:"auto" oneof:"auto memory bolt redis" group:"Store" doc:"Where sessions are kept: in memory; bolt, in memory and in a file as well; or in Redis. auto is redis where REDIS_URL, REDIS_HOST, REDIS_SENTINELS or REDIS_CLUSTER is set, bolt where SESSION_DATA_DIR is, and memory otherwise."`
	DataDir        string        `env:"SESSION_DATA_DIR" values:"path" doc:"bolt only: directory of the data file, an absolute path. It is made where there is none, but not its parents, and belongs to one process at a time."`
	DataRequire    string        `env:"SESSION_DATA_REQUIRE" envDefault:"any" oneof:"any existing" doc:"bolt only: whether a start may make a new data file. existing refuses where there is none, which is what a volume looks like that is not mounted: set it once the first start has made the file."`
	DataReadOnly   bool          `env:"SESSION_DATA_READONLY" envDefault:"false" doc:"bolt only: read the data file and write nothing, for a disk that takes no writes or a snapshot. Reads are served, changes get 503, and files are not cleaned."`
	Sync           string        `env:"SESSION_SYNC" envDefault:"always" oneof:"always interval" doc:"bolt only: when a change is on the disk: before it is answered, or within SESSION_SYNC_INTERVAL_MS. Ending a session and giving it a new id are on the disk before they are answered in any case."`
	SyncInterval   time.Duration `env:"SESSION_SYNC_INTERVAL_MS" envDefault:"1000" min:"1" max:"3600000" doc:"bolt only: with SESSION_SYNC=interval, the changes of how long a crash can take away."`
	BackupRate     int64         `env:"BACKUP_BYTES_PER_SECOND" envDefault:"33554432" min:"0" doc:"memory and bolt only: most bytes a second that GET /api/backup sends; 0 for no limit."`
	SyncTimeout    time.Duration `env:"SESSION_SYNC_TIMEOUT_MS" envDefault:"800" min:"50" max:"60000" doc:"bolt only: how long the disk may take for what must be on it until it is taken for stuck, and writes get 503 at once. A disk that usually takes longer than a quarter of that gets four times what it usually takes, up to 10 seconds; with SESSION_SYNC=interval it gets ten times this."`
	DataUnready    time.Duration `env:"SESSION_DATA_UNREADY_MS" envDefault:"30000" min:"0" max:"86400000" doc:"bolt only: for how long the data file may be impossible to write until /readyz answers 503; 0: for ever. Once another process has taken the file, it does so at once."`
	SweepInterval  time.Duration `env:"SESSION_SWEEP_INTERVAL_MS" envDefault:"60000" min:"1" doc:"How often the memory of expired sessions is freed; on Redis, which frees it by itself, their places in the indexes. They are absent from the moment they expire, swept or not."`
	EvictionPolicy string        `env:"SESSION_EVICTION_POLICY" envDefault:"lru" oneof:"lru ttl none" doc:"memory and bolt only: what makes room when the store is full: the session that was used longest ago goes, the one that expires soonest goes, or none goes and new ones get 503. Sessions without a user go before those with one, and with lru those that were used only once before those that were used again. Redis has its own maxmemory-policy, which should be noeviction."`
	MaxEntries     int           `env:"SESSION_MAX_ENTRIES" envDefault:"10000" min:"1" max:"1000000000" doc:"memory and bolt only: most sessions that are held. Redis has no such limit."`
	MaxMemoryBytes int64         `env:"SESSION_MAX_MEMORY_BYTES" shown:"40 % of the process's memory limit, no limit without one" min:"0" doc:"memory and bolt only: most bytes of memory that the sessions take; 0 for no limit. The process's limit is the lower one of GOMEMLIMIT and that of its control group, as a container has one; the start says what is found. Redis has its own maxmemory."`
	UserReserve    int           `env:"SESSION_USER_RESERVE_PERCENT" envDefault:"10" min:"0" max:"90" doc:"memory and bolt only: how many percent of SESSION_MAX_ENTRIES and SESSION_MAX_MEMORY_BYTES visitors' sessions cannot take: those without a user that no service makes. Over their share they push out one another, or get 503 where none is evicted. 0 for no reserve; there is none without SERVICE_TOKENS, where everybody may what a service may."`

	RedisURL                  secret        `env:"REDIS_URL" group:"Redis" values:"redis:// or rediss:// address" doc:"A Redis or Valkey server: redis://user:password@host:port/database, with rediss for TLS. What is set here is not set below. One of REDIS_URL, REDIS_HOST, REDIS_SENTINELS and REDIS_CLUSTER says where Redis is."`
	RedisHost                 string        `env:"REDIS_HOST" values:"address or host name" doc:"A Redis or Valkey server, in place of REDIS_URL."`
	RedisPort                 int           `env:"REDIS_PORT" envDefault:"6379" min:"1" max:"65535" doc:"Port of REDIS_HOST. A value that begins with tcp:// counts as not set: Kubernetes makes one up for a service that is called redis."`
	RedisUsername             string        `env:"REDIS_USERNAME" shown:"the default user" values:"name" doc:"ACL user."`
	RedisPassword             secret        `env:"REDIS_PASSWORD" values:"password" doc:"Password, where the server asks for one."`
	RedisPasswordFile         string        `env:"REDIS_PASSWORD_FILE" values:"path" doc:"File that holds REDIS_PASSWORD. It is read again for each new connection, so a password that Redis changes is followed; SIGHUP says whether it can be read."`
	RedisDB                   int           `env:"REDIS_DB" envDefault:"0" min:"0" max:"1000000" doc:"Number of the database. A Cluster has only 0."`
	RedisTLS                  bool          `env:"REDIS_TLS" envDefault:"false" doc:"Whether to speak TLS, with Sentinels too. With REDIS_URL, rediss:// says so."`
	RedisTLSCAFile            string        `env:"REDIS_TLS_CA_FILE" shown:"the system's authorities" values:"path" doc:"File of certificates, in PEM, of the authorities that Redis's certificate may come from. No others are trusted then."`
	RedisTLSCertFile          string        `env:"REDIS_TLS_CERT_FILE" values:"path" doc:"File of the certificate, in PEM, that the service shows to Redis, where that asks for one. It is read again for each new connection."`
	RedisTLSKeyFile           string        `env:"REDIS_TLS_KEY_FILE" values:"path" doc:"File of the key, in PEM, of REDIS_TLS_CERT_FILE."`
	RedisTLSServerName        string        `env:"REDIS_TLS_SERVER_NAME" shown:"the host of the address" values:"host name" doc:"Name that Redis's certificate must be for, where the address is another: one of a Cluster or of Sentinels, which are often known by their IP addresses, or of a tunnel."`
	RedisSentinels            []string      `env:"REDIS_SENTINELS" values:"list of host:port" doc:"The Sentinels, where they watch over Redis. They say which server is the primary."`
	RedisSentinelMaster       string        `env:"REDIS_SENTINEL_MASTER" values:"name" doc:"Name under which the Sentinels know the primary."`
	RedisSentinelUsername     string        `env:"REDIS_SENTINEL_USERNAME" shown:"the default user" values:"name" doc:"ACL user of the Sentinels."`
	RedisSentinelPassword     secret        `env:"REDIS_SENTINEL_PASSWORD" values:"password" doc:"Password of the Sentinels, where they ask for one."`
	RedisSentinelPasswordFile string        `env:"REDIS_SENTINEL_PASSWORD_FILE" values:"path" doc:"File that holds REDIS_SENTINEL_PASSWORD, read again as REDIS_PASSWORD_FILE is."`
	RedisCluster              []string      `env:"REDIS_CLUSTER" values:"list of host:port" doc:"Some nodes of a Redis Cluster. They say where the others are."`
	RedisPrefix               string        `env:"REDIS_PREFIX" envDefault:"session:" values:"1 to 64 of A-Z a-z 0-9 : . _ / -" doc:"What the names of all keys begin with. Services with different prefixes share nothing."`
	RedisClientCache          bool          `env:"REDIS_CLIENT_CACHE" envDefault:"false" doc:"Whether reads are answered from memory until Redis says that a session has changed."`
	RedisDialTimeout          time.Duration `env:"REDIS_DIAL_TIMEOUT_MS" envDefault:"1000" min:"1" doc:"Longest wait for a connection."`
	RedisTimeout              time.Duration `env:"REDIS_TIMEOUT_MS" envDefault:"2000" min:"1" doc:"Longest wait for an answer. Requests get 503 then."`
	CompressOver              int           `env:"SESSION_COMPRESS_OVER_BYTES" envDefault:"0" min:"0" max:"67108864" doc:"Redis only: size of a session's document above which it is stored compressed; 0 for never, so that redis-cli and other programs can read all of them. What is stored compressed can be read with any value."`

	CookieName        string `env:"COOKIE_NAME" envDefault:"validator_session_id" group:"Cookie" values:"name" doc:"Name of the session cookie. The prefixes __Host- and __Secure- are held to their rules."`
	CookiePrefix      string `env:"COOKIE_PREFIX" envDefault:"auto" oneof:"auto host secure none" doc:"What the cookie's name begins with in browsers: __Host-, which no other host and no page without TLS can set or overwrite, __Secure-, or nothing but COOKIE_NAME. auto is host in production, secure there with COOKIE_DOMAIN, and none in development and where COOKIE_NAME has a prefix. Another name ends the sessions of browsers that have the cookie under the former one: none keeps them."`
	CookieDomain      string `env:"COOKIE_DOMAIN" shown:"the host that set it" values:"domain" doc:"Domain that the cookie is sent to, its subdomains included."`
	CookieSameSite    string `env:"COOKIE_SAMESITE" envDefault:"lax" oneof:"lax strict none" doc:"SameSite attribute. none needs a Secure cookie."`
	CookieSecure      string `env:"COOKIE_SECURE" envDefault:"auto" oneof:"auto true false" doc:"Secure attribute; auto is true in production and false in development. Production refuses false."`
	CookiePartitioned bool   `env:"COOKIE_PARTITIONED" envDefault:"false" doc:"Partitioned attribute (CHIPS). Needs a Secure cookie."`

	AnalysisDir         string        `env:"ANALYSIS_TMP_DIR" shown:"validator-analysis in the system's temporary directory" group:"Files" values:"path" doc:"Directory of the analysis files, an absolute path. It must exist and be empty at first, or be adopted by session-api cleanup adopt; the default one is made, and may hold files."`
	FileCleanupInterval time.Duration `env:"FILE_CLEANUP_INTERVAL_MS" envDefault:"1800000" min:"0" doc:"How often the directory is cleaned; 0 for only on request."`
	FileGrace           time.Duration `env:"FILE_GRACE_MS" envDefault:"600000" min:"0" doc:"Age up to which a file stays although no session refers to it."`
	FileTTL             time.Duration `env:"FILE_TTL_MS" envDefault:"172800000" min:"1" doc:"Age from which a file goes although a session refers to it."`

	AccessLog string `env:"ACCESS_LOG" envDefault:"all" values:"all, errors or sample:N" group:"Logging" doc:"Which requests are logged: all of them, those that fail (status 400 and above), or those and one in N of the others."`
	LogLevel  string `env:"LOG_LEVEL" envDefault:"info" oneof:"debug info warn error" doc:"Least level that is logged."`
	LogFormat string `env:"LOG_FORMAT" envDefault:"auto" oneof:"auto json text" doc:"Form of the log lines; auto is json in production and text in development."`

	TraceEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" group:"Tracing" values:"http:// or https:// address" doc:"OpenTelemetry collector that spans are sent to, by OTLP over HTTP: http://collector:4318. Without it nothing is traced. The variables of OpenTelemetry's SDK count as it defines them, such as OTEL_TRACES_SAMPLER and OTEL_SERVICE_NAME."`
	TraceHeaders  secret `env:"OTEL_EXPORTER_OTLP_HEADERS" values:"list of name=value" doc:"Headers that go with them, such as a key of the collector."`

	// dirIsDefault: AnalysisDir is what it is by default, so it may be made.
	dirIsDefault bool
	// storeIsOpen: the settings name two stores, and leave open which it is.
	storeIsOpen bool
	// memoryLimit is what MaxMemoryBytes is a share of where nothing else is set.
	memoryLimit memoryLimit
	// byNodeEnv: NODE_ENV says that this is production, because APP_ENV says
	// nothing.
	byNodeEnv bool
	// secretIsRandom: nobody chose SessionSecret; it ends with the process.
	secretIsRandom bool
}

func (c *config) production() bool { return c.Env == "production" }

// address is where to listen.
func (c *config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// problem is one thing that is wrong with a variable. The text says what would
// be right, and quotes no secret.
type problem struct{ name, text string }

// problems are all that is wrong with an environment.
type problems []problem

func (p problems) Error() string {
	var b strings.Builder
	b.WriteString("the configuration is not valid:")
	for _, one := range p {
		fmt.Fprintf(&b, "\n  %s: %s", one.name, one.text)
	}
	return b.String()
}

// of reports whether one of the variables already has a problem.
func (p problems) of(names ...string) bool {
	return slices.ContainsFunc(p, func(one problem) bool { return slices.Contains(names, one.name) })
}

// load reads the settings from an environment. The error is problems: all that
// are wrong, in the order of the settings.
func load(environ map[string]string) (config, error) {
	c, found := parse(environ)
	c.boundGrowth(environ)
	c.fitMemory(environ, findMemoryLimit(environ, cgroupLimit(os.DirFS("/"))))
	found = append(found, c.fillSecrets()...)
	found = append(found, c.fillPasswords()...)
	found = append(found, c.check(found)...)
	if len(found) == 0 {
		return c, nil
	}
	order := make(map[string]int)
	for i, s := range settings() {
		order[s.name] = i
	}
	slices.SortStableFunc(found, func(a, b problem) int { return cmp.Compare(order[a.name], order[b.name]) })
	if c.byNodeEnv {
		found = append(found, problem{"NODE_ENV", "production counts as APP_ENV=production, because APP_ENV is not set"})
	}
	for _, t := range typos(environ) {
		found = append(found, problem{t.name, "is no setting; did you mean " + t.meant + "?"})
	}
	return c, found
}

// bytesPerCreation is how much each new session counts for in the default of
// CREATE_BYTES_PER_MINUTE.
const bytesPerCreation = 64 << 10

// boundGrowth makes the default of CREATE_BYTES_PER_MINUTE fit other settings.
func (c *config) boundGrowth(environ map[string]string) {
	if strings.TrimSpace(environ["CREATE_BYTES_PER_MINUTE"]) == "" && c.CreateRatePerMinute > 0 {
		c.CreateBytes = max(bytesPerCreation*c.CreateRatePerMinute, 2*c.MaxBytes)
	}
}

// parse fills the struct, the defaults that depend on other settings included,
// and checks what the tags say of each variable by itself. It reads no files.
func parse(environ map[string]string) (config, problems) {
	given := make(map[string]string)
	for _, s := range settings() {
		v := strings.TrimSpace(environ[s.name])
		if len(s.oneof) > 0 {
			v = strings.ToLower(v)
		}
		if s.name == "REDIS_PORT" && strings.HasPrefix(v, "tcp://") {
			v = "" // Kubernetes means its own variable of that name
		}
		if v != "" {
			given[s.name] = v
		}
	}
	byNodeEnv := given["APP_ENV"] == "" && strings.EqualFold(strings.TrimSpace(environ["NODE_ENV"]), "production")
	if byNodeEnv {
		given["APP_ENV"] = "production"
	}

	c := config{byNodeEnv: byNodeEnv}
	err := env.ParseWithOptions(&c, env.Options{Environment: given, FuncMap: parsers})
	found := problemsOf(err)

	v := reflect.ValueOf(c)
	for _, s := range settings() {
		if !found.of(s.name) {
			if text := s.check(v.FieldByName(s.field)); text != "" {
				found = append(found, problem{s.name, text})
			}
		}
	}
	c.complete()
	if c.production() && given["SESSION_ABSOLUTE_TTL_MS"] == "" {
		c.AbsoluteTTL = productionAbsoluteTTL
	}
	return c, found
}

// productionAbsoluteTTL is the default of SESSION_ABSOLUTE_TTL_MS in production,
// where 0 for no limit has to be said.
const productionAbsoluteTTL = 30 * 24 * time.Hour

// complete puts in the defaults that depend on something else.
func (c *config) complete() {
	byEnv := func(inProduction, inDevelopment string) string {
		if c.production() {
			return inProduction
		}
		return inDevelopment
	}
	if c.Host == "" {
		c.Host = byEnv("0.0.0.0", "127.0.0.1")
	}
	if host, ok := strings.CutPrefix(c.Host, "["); ok { // as a URL spells IPv6
		c.Host = strings.TrimSuffix(host, "]")
	}
	if c.CookieSecure == "auto" {
		c.CookieSecure = byEnv("true", "false")
	}
	if c.CookiePrefix == "auto" {
		c.CookiePrefix = c.usualPrefix()
	}
	if c.LogFormat == "auto" {
		c.LogFormat = byEnv("json", "text")
	}
	if c.Store == "auto" {
		c.Store = "memory"
		switch inRedis := len(c.namesOfRedis()) > 0; {
		case inRedis:
			c.Store = "redis"
			c.storeIsOpen = c.DataDir != ""
		case c.DataDir != "":
			c.Store = "bolt"
		}
	}
	c.RedisHost = strings.TrimSuffix(strings.TrimPrefix(c.RedisHost, "["), "]")
	usual := filepath.Join(os.TempDir(), "validator-analysis")
	c.AnalysisDir = cmp.Or(c.AnalysisDir, usual)
	c.dirIsDefault = c.AnalysisDir == usual
}

// problemsOf turns env's errors, which name fields, into ours, which name
// variables.
func problemsOf(err error) problems {
	if err == nil {
		return nil
	}
	all, ok := errors.AsType[env.AggregateError](err)
	if !ok {
		return problems{{"environment", err.Error()}}
	}
	names := make(map[string]string)
	for _, s := range settings() {
		names[s.field] = s.name
	}
	var found problems
	for _, one := range all.Errors {
		if parse, ok := errors.AsType[env.ParseError](one); ok {
			found = append(found, problem{names[parse.Name], parse.Err.Error()})
		} else {
			found = append(found, problem{"environment", one.Error()})
		}
	}
	return found
}
