package config

import (
	"cmp"
	"net"
	"strconv"
	"time"

	"session-api/internal/store/redis"
)

// Redis are the settings of the connections to Redis.
type Redis struct {
	URL                  secret        `env:"REDIS_URL" values:"redis:// or rediss:// address" doc:"A Redis or Valkey server: redis://user:password@host:port/database, with rediss for TLS. A value given in the URL must not be set separately as well. Exactly one of REDIS_URL, REDIS_HOST, REDIS_SENTINELS and REDIS_CLUSTER selects Redis."`
	Host                 string        `env:"REDIS_HOST" values:"address or host name" doc:"A Redis or Valkey server, instead of REDIS_URL."`
	Port                 int           `env:"REDIS_PORT" envDefault:"6379" min:"1" max:"65535" doc:"Port of REDIS_HOST. A value that begins with tcp:// is ignored: Kubernetes sets one for a service called redis."`
	Username             string        `env:"REDIS_USERNAME" shown:"the default user" values:"name" doc:"ACL user."`
	Password             secret        `env:"REDIS_PASSWORD" values:"password" doc:"Password, if the server requires one."`
	PasswordFile         string        `env:"REDIS_PASSWORD_FILE" values:"path" doc:"File with the value of REDIS_PASSWORD. It is read for each new connection, so a changed password takes effect without a restart; SIGHUP logs whether it can be read."`
	DB                   int           `env:"REDIS_DB" envDefault:"0" min:"0" max:"1000000" doc:"Number of the database. A Cluster has only 0."`
	TLS                  bool          `env:"REDIS_TLS" envDefault:"false" doc:"Whether to use TLS, also for Sentinels. With REDIS_URL, use rediss:// instead."`
	TLSCAFile            string        `env:"REDIS_TLS_CA_FILE" shown:"the system's authorities" values:"path" doc:"PEM file with the certificate authorities that may issue Redis's certificate. No others are trusted then."`
	TLSCertFile          string        `env:"REDIS_TLS_CERT_FILE" values:"path" doc:"PEM file with the client certificate, if Redis requires one. It is read for each new connection."`
	TLSKeyFile           string        `env:"REDIS_TLS_KEY_FILE" values:"path" doc:"PEM file with the private key of REDIS_TLS_CERT_FILE."`
	TLSServerName        string        `env:"REDIS_TLS_SERVER_NAME" shown:"the host of the address" values:"host name" doc:"Name that Redis's certificate must be valid for, if it differs from the host of the address: for servers of a Cluster or behind Sentinels, which are often known by their IP addresses, or for a tunnel."`
	Sentinels            []string      `env:"REDIS_SENTINELS" values:"list of host:port" doc:"The Sentinels that monitor Redis. They report which server is the primary."`
	SentinelMaster       string        `env:"REDIS_SENTINEL_MASTER" values:"name" doc:"Name of the primary in the Sentinels' configuration."`
	SentinelUsername     string        `env:"REDIS_SENTINEL_USERNAME" shown:"the default user" values:"name" doc:"ACL user of the Sentinels."`
	SentinelPassword     secret        `env:"REDIS_SENTINEL_PASSWORD" values:"password" doc:"Password of the Sentinels, if they require one."`
	SentinelPasswordFile string        `env:"REDIS_SENTINEL_PASSWORD_FILE" values:"path" doc:"File with the value of REDIS_SENTINEL_PASSWORD, read for each new connection like REDIS_PASSWORD_FILE."`
	Cluster              []string      `env:"REDIS_CLUSTER" values:"list of host:port" doc:"Some nodes of a Redis Cluster, from which the others are discovered."`
	Prefix               string        `env:"REDIS_PREFIX" values:"1 to 64 of A-Z a-z 0-9 : . _ / -" doc:"Prefix of all keys. Services with different prefixes share nothing."`
	MaxMemory            int64         `env:"REDIS_MAX_MEMORY_BYTES" shown:"the server's maxmemory" min:"0" doc:"Memory of each Redis server, in bytes, that SESSION_USER_RESERVE_PERCENT refers to: for servers without maxmemory, and for those shared with other applications. maxmemory applies if it is less. Only visitors are refused because of it."`
	AllowKeyEviction     bool          `env:"REDIS_ALLOW_KEY_EVICTION" envDefault:"false" doc:"Whether to use a Redis whose maxmemory-policy is allkeys-…. Such a server evicts parts of the indexes, and lists, counts and sign-outs everywhere then miss live sessions; without this setting it is refused. noeviction is recommended, and volatile-lru or volatile-ttl if eviction is wanted."`
	ClientCache          bool          `env:"REDIS_CLIENT_CACHE" envDefault:"false" doc:"Whether reads are served from memory until Redis reports that a session has changed (client-side caching)."`
	DialTimeout          time.Duration `env:"REDIS_DIAL_TIMEOUT_MS" min:"1" doc:"Maximum time to establish a connection."`
	Timeout              time.Duration `env:"REDIS_TIMEOUT_MS" min:"1" doc:"Maximum time to wait for a reply. Requests get 503 then."`
	WaitReplicas         int           `env:"REDIS_WAIT_REPLICAS" envDefault:"0" min:"0" max:"100" doc:"How many replicas have to confirm a change (WAIT) before it is acknowledged; 0 for none. Requests whose change is not confirmed within REDIS_WAIT_TIMEOUT_MS get 503, and its outcome is unknown. Reads do not wait."`
	WaitFor              string        `env:"REDIS_WAIT_FOR" envDefault:"writes" oneof:"writes ends" doc:"Which changes REDIS_WAIT_REPLICAS applies to: all but touches (writes), or only those that end a session or change its user (ends)."`
	WaitTimeout          time.Duration `env:"REDIS_WAIT_TIMEOUT_MS" min:"1" doc:"Maximum time to wait for the replicas of REDIS_WAIT_REPLICAS. It cannot exceed REDIS_TIMEOUT_MS."`
	CompressOver         int           `env:"SESSION_COMPRESS_OVER_BYTES" envDefault:"0" min:"0" max:"67108864" doc:"Redis only: size of a session's document above which it is stored compressed; 0 for never, so that redis-cli and other programs can read all documents. Compressed documents can be read with any value."`
}

// OnRedis reports whether the store is Redis. Otherwise REDIS_URL may be in the
// environment for another program.
func (c *Config) OnRedis() bool { return c.Store.Kind == "redis" }

// redisAddressSettings returns the names of the settings that hold an address of Redis.
func (c *Config) redisAddressSettings() []string {
	var names []string
	for _, one := range []struct {
		name string
		set  bool
	}{
		{"REDIS_URL", c.Redis.URL != ""},
		{"REDIS_HOST", c.Redis.Host != ""},
		{"REDIS_SENTINELS", len(c.Redis.Sentinels) > 0},
		{"REDIS_CLUSTER", len(c.Redis.Cluster) > 0},
	} {
		if one.set {
			names = append(names, one.name)
		}
	}
	return names
}

// readPasswordFiles reads the passwords that are in files.
func (c *Config) readPasswordFiles() Problems {
	if !c.OnRedis() {
		return nil
	}
	var found Problems
	for _, p := range c.passwordFiles() {
		switch {
		case p.file == "":
			continue
		case *p.value != "":
			found = append(found, Problem{p.name + "_FILE", "set either this or " + p.name + ", not both"})
			continue
		}
		password, err := readPassword(p.file)
		if err != nil {
			found = append(found, Problem{p.name + "_FILE", err.Error()})
			continue
		}
		*p.value = password
	}
	return found
}

// passwordSetting is a password setting and its file setting.
type passwordSetting struct {
	name  string
	value *secret
	file  string
}

func (c *Config) passwordFiles() []passwordSetting {
	return []passwordSetting{
		{"REDIS_PASSWORD", &c.Redis.Password, c.Redis.PasswordFile},
		{"REDIS_SENTINEL_PASSWORD", &c.Redis.SentinelPassword, c.Redis.SentinelPasswordFile},
	}
}

// reloadPasswords reads the password files again, and returns the names of their
// settings. The store reads them itself for each new connection: this only tells the
// operator whether they can be read.
func (c *Config) reloadPasswords() (read []string, found Problems) {
	if !c.OnRedis() {
		return nil, nil
	}
	for _, p := range c.passwordFiles() {
		if p.file != "" {
			*p.value, read = "", append(read, p.name+"_FILE")
		}
	}
	return read, c.readPasswordFiles()
}

// RedisOptions returns the options of the store on Redis.
func (c *Config) RedisOptions() (redis.Options, error) {
	var o redis.Options
	var err error
	switch {
	case c.Redis.URL != "":
		if o, err = redis.ParseURL(string(c.Redis.URL)); err != nil {
			return o, err
		}
	case len(c.Redis.Sentinels) > 0:
		o.Addresses, o.Primary = c.Redis.Sentinels, c.Redis.SentinelMaster
		o.SentinelUsername, o.SentinelPassword = c.Redis.SentinelUsername, string(c.Redis.SentinelPassword)
	case len(c.Redis.Cluster) > 0:
		o.Addresses, o.Cluster = c.Redis.Cluster, true
	default:
		o.Addresses = []string{net.JoinHostPort(c.Redis.Host, strconv.Itoa(c.Redis.Port))}
	}
	o.Username = cmp.Or(c.Redis.Username, o.Username)
	o.Password = cmp.Or(string(c.Redis.Password), o.Password)
	o.DB = cmp.Or(c.Redis.DB, o.DB)
	if c.Redis.TLS || o.TLS != nil {
		if o.TLS, err = c.redisTLS(); err != nil {
			return o, err
		}
	}
	o.Passwords = c.redisPasswords(o.Password, o.SentinelPassword)
	o.Prefix, o.CompressOver, o.ClientCache = c.Redis.Prefix, c.Redis.CompressOver, c.Redis.ClientCache
	o.TTL, o.MaxDocument = c.Sessions.TTL, c.Documents.MaxBytes
	o.AllowKeyEviction = c.Redis.AllowKeyEviction
	o.MaxMemory, o.Reserve = c.Redis.MaxMemory, c.reserve()
	o.Tombstone, o.Events = c.Sessions.Tombstone, c.Events.Buffer
	o.DialTimeout, o.Timeout = c.Redis.DialTimeout, c.Redis.Timeout
	if c.Redis.WaitReplicas > 0 {
		o.WaitReplicas, o.WaitEndsOnly, o.WaitTimeout = c.Redis.WaitReplicas, c.Redis.WaitFor == "ends", c.Redis.WaitTimeout
	}
	return o, nil
}
