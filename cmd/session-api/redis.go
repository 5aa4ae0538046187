package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"session-api/internal/store/redis"
)

// onRedis reports whether the settings of Redis count. Elsewhere REDIS_URL may
// be in the environment for somebody else.
func (c *config) onRedis() bool { return c.Store == "redis" }

// namesOfRedis are the variables that say where Redis is. It takes one.
func (c *config) namesOfRedis() []string {
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
func (c *config) fillPasswords() problems {
	if !c.onRedis() {
		return nil
	}
	var found problems
	for _, p := range []struct {
		name  string
		value *secret
		file  string
	}{
		{"REDIS_PASSWORD", &c.RedisPassword, c.RedisPasswordFile},
		{"REDIS_SENTINEL_PASSWORD", &c.RedisSentinelPassword, c.RedisSentinelPasswordFile},
	} {
		switch {
		case p.file == "":
			continue
		case *p.value != "":
			found = append(found, problem{p.name + "_FILE", "set either this or " + p.name + ", not both"})
			continue
		}
		password, err := readPassword(p.file)
		if err != nil {
			found = append(found, problem{p.name + "_FILE", err.Error()})
			continue
		}
		*p.value = password
	}
	return found
}

// redis are the settings of the store on Redis, as it takes them.
func (c *config) redis() (redis.Options, error) {
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
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12} // the name in the certificate is the address's
		if c.RedisTLSCAFile != "" {
			if o.TLS.RootCAs, err = readAuthorities(c.RedisTLSCAFile); err != nil {
				return o, fmt.Errorf("REDIS_TLS_CA_FILE: %w", err)
			}
		}
	}
	o.Prefix, o.CompressOver, o.ClientCache = c.RedisPrefix, c.CompressOver, c.RedisClientCache
	o.DialTimeout, o.Timeout = c.RedisDialTimeout, c.RedisTimeout
	return o, nil
}

// readAuthorities reads certificates in PEM.
func readAuthorities(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("the file cannot be read: %w", withoutPath(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, errors.New("the file holds no certificate in PEM")
	}
	return pool, nil
}
