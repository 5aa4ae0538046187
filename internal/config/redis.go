package config

import (
	"cmp"
	"net"
	"strconv"

	"session-api/internal/store/redis"
)

// OnRedis reports whether the settings of Redis count. Elsewhere REDIS_URL may
// be in the environment for somebody else.
func (c *Config) OnRedis() bool { return c.Store == "redis" }

// namesOfRedis are the variables that say where Redis is. It takes one.
func (c *Config) namesOfRedis() []string {
	var names []string
	for _, one := range []struct {
		name string
		set  bool
	}{
		{"REDIS_URL", c.RedisURL != ""},
		{"REDIS_HOST", c.RedisHost != ""},
		{"REDIS_SENTINELS", len(c.RedisSentinels) > 0},
		{"REDIS_CLUSTER", len(c.RedisCluster) > 0},
	} {
		if one.set {
			names = append(names, one.name)
		}
	}
	return names
}

// fillPasswords reads the passwords that are in files.
func (c *Config) fillPasswords() Problems {
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

// passwordSetting is a password that may be in a file.
type passwordSetting struct {
	name  string
	value *secret
	file  string
}

func (c *Config) passwordFiles() []passwordSetting {
	return []passwordSetting{
		{"REDIS_PASSWORD", &c.RedisPassword, c.RedisPasswordFile},
		{"REDIS_SENTINEL_PASSWORD", &c.RedisSentinelPassword, c.RedisSentinelPasswordFile},
	}
}

// rereadPasswords reads the passwords of Redis that are in files again, and
// returns the names of the variables that this is about. The store reads them by
// itself for each connection that it makes: this tells the operator whether it can.
func (c *Config) rereadPasswords() (read []string, found Problems) {
	if !c.OnRedis() {
		return nil, nil
	}
	for _, p := range c.passwordFiles() {
		if p.file != "" {
			*p.value, read = "", append(read, p.name+"_FILE")
		}
	}
	return read, c.fillPasswords()
}

// RedisOptions are the settings of the store on Redis, as it takes them.
func (c *Config) RedisOptions() (redis.Options, error) {
	var o redis.Options
	var err error
	switch {
	case c.RedisURL != "":
		if o, err = redis.ParseURL(string(c.RedisURL)); err != nil {
			return o, err
		}
	case len(c.RedisSentinels) > 0:
		o.Addresses, o.Primary = c.RedisSentinels, c.RedisSentinelMaster
		o.SentinelUsername, o.SentinelPassword = c.RedisSentinelUsername, string(c.RedisSentinelPassword)
	case len(c.RedisCluster) > 0:
		o.Addresses, o.Cluster = c.RedisCluster, true
	default:
		o.Addresses = []string{net.JoinHostPort(c.RedisHost, strconv.Itoa(c.RedisPort))}
	}
	o.Username = cmp.Or(c.RedisUsername, o.Username)
	o.Password = cmp.Or(string(c.RedisPassword), o.Password)
	o.DB = cmp.Or(c.RedisDB, o.DB)
	if c.RedisTLS || o.TLS != nil {
		if o.TLS, err = c.redisTLS(); err != nil {
			return o, err
		}
	}
	o.Passwords = c.redisPasswords(o.Password, o.SentinelPassword)
	o.Prefix, o.CompressOver, o.ClientCache = c.RedisPrefix, c.CompressOver, c.RedisClientCache
	o.TTL, o.MaxDocument = c.TTL, c.MaxBytes
	o.Tombstone, o.Events = c.Tombstone, c.EventsBuffer
	o.DialTimeout, o.Timeout = c.RedisDialTimeout, c.RedisTimeout
	return o, nil
}
