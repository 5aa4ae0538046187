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
	URL                  secret        `env:"REDIS_URL" values:"redis:// or rediss:// address" doc:"A Redis or Valkey server: redis://user:password@host:port/database, with rediss for TLS. What is set here is not set below. One of REDIS_URL, REDIS_HOST, REDIS_SENTINELS and REDIS_CLUSTER says where Redis is."`
	Host                 string        `env:"REDIS_HOST" values:"address or host name" doc:"A Redis or Valkey server, in place of REDIS_URL."`
	Port                 int           `env:"REDIS_PORT" envDefault:"6379" min:"1" max:"65535" doc:"Port of REDIS_HOST. A value that begins with tcp:// counts as not set: Kubernetes makes one up for a service that is called redis."`
	Username             string        `env:"REDIS_USERNAME" shown:"the default user" values:"name" doc:"ACL user."`
	Password             secret        `env:"REDIS_PASSWORD" values:"password" doc:"Password, where the server asks for one."`
	PasswordFile         string        `env:"REDIS_PASSWORD_FILE" values:"path" doc:"File that holds REDIS_PASSWORD. It is read again for each new connection, so a password that Redis changes is followed; SIGHUP says whether it can be read."`
	DB                   int           `env:"REDIS_DB" envDefault:"0" min:"0" max:"1000000" doc:"Number of the database. A Cluster has only 0."`
	TLS                  bool          `env:"REDIS_TLS" envDefault:"false" doc:"Whether to speak TLS, with Sentinels too. With REDIS_URL, rediss:// says so."`
	TLSCAFile            string        `env:"REDIS_TLS_CA_FILE" shown:"the system's authorities" values:"path" doc:"File of certificates, in PEM, of the authorities that Redis's certificate may come from. No others are trusted then."`
	TLSCertFile          string        `env:"REDIS_TLS_CERT_FILE" values:"path" doc:"File of the certificate, in PEM, that the service shows to Redis, where that asks for one. It is read again for each new connection."`
	TLSKeyFile           string        `env:"REDIS_TLS_KEY_FILE" values:"path" doc:"File of the key, in PEM, of REDIS_TLS_CERT_FILE."`
	TLSServerName        string        `env:"REDIS_TLS_SERVER_NAME" shown:"the host of the address" values:"host name" doc:"Name that Redis's certificate must be for, where the address is another: one of a Cluster or of Sentinels, which are often known by their IP addresses, or of a tunnel."`
	Sentinels            []string      `env:"REDIS_SENTINELS" values:"list of host:port" doc:"The Sentinels, where they watch over Redis. They say which server is the primary."`
	SentinelMaster       string        `env:"REDIS_SENTINEL_MASTER" values:"name" doc:"Name under which the Sentinels know the primary."`
	SentinelUsername     string        `env:"REDIS_SENTINEL_USERNAME" shown:"the default user" values:"name" doc:"ACL user of the Sentinels."`
	SentinelPassword     secret        `env:"REDIS_SENTINEL_PASSWORD" values:"password" doc:"Password of the Sentinels, where they ask for one."`
	SentinelPasswordFile string        `env:"REDIS_SENTINEL_PASSWORD_FILE" values:"path" doc:"File that holds REDIS_SENTINEL_PASSWORD, read again as REDIS_PASSWORD_FILE is."`
	Cluster              []string      `env:"REDIS_CLUSTER" values:"list of host:port" doc:"Some nodes of a Redis Cluster. They say where the others are."`
	Prefix               string        `env:"REDIS_PREFIX" values:"1 to 64 of A-Z a-z 0-9 : . _ / -" doc:"What the names of all keys begin with. Services with different prefixes share nothing."`
	MaxMemory            int64         `env:"REDIS_MAX_MEMORY_BYTES" shown:"the server's maxmemory" min:"0" doc:"Memory of each Redis server, in bytes, of which SESSION_USER_RESERVE_PERCENT are kept: for servers without maxmemory, and for those that are shared with others. maxmemory counts where it is less. Nobody but visitors is refused for it."`
	ClientCache          bool          `env:"REDIS_CLIENT_CACHE" envDefault:"false" doc:"Whether reads are answered from memory until Redis says that a session has changed."`
	DialTimeout          time.Duration `env:"REDIS_DIAL_TIMEOUT_MS" min:"1" doc:"Longest wait for a connection."`
	Timeout              time.Duration `env:"REDIS_TIMEOUT_MS" min:"1" doc:"Longest wait for an answer. Requests get 503 then."`
	CompressOver         int           `env:"SESSION_COMPRESS_OVER_BYTES" envDefault:"0" min:"0" max:"67108864" doc:"Redis only: size of a session's document above which it is stored compressed; 0 for never, so that redis-cli and other programs can read all of them. What is stored compressed can be read with any value."`
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
	o.MaxMemory, o.Reserve = c.Redis.MaxMemory, c.reserve()
	o.Tombstone, o.Events = c.Sessions.Tombstone, c.Events.Buffer
	o.DialTimeout, o.Timeout = c.Redis.DialTimeout, c.Redis.Timeout
	return o, nil
}
