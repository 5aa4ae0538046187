package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"session-api/internal/store/redis"
)

// redisChecks are the rules of Redis, for when sessions are kept there.
var redisChecks = ifRedis([]rule{
	{"SESSION_STORE", nil, func(c *Config) string {
		return messageIf(len(c.redisAddressSettings()) == 0,
			"redis needs an address: set one of REDIS_URL, REDIS_HOST, REDIS_SENTINELS and REDIS_CLUSTER")
	}},
	{"REDIS_URL", nil, func(c *Config) string { return checkRedisURL(string(c.Redis.URL)) }},
	{"REDIS_URL", nil, func(c *Config) string {
		others := strings.Join(c.redisAddressSettings(), " and ")
		return messageIf(c.Redis.URL != "" && len(c.redisAddressSettings()) > 1, "one of %s is enough", others)
	}},
	{"REDIS_URL", []string{"REDIS_USERNAME", "REDIS_PASSWORD_FILE", "REDIS_DB", "REDIS_TLS"}, checkRedisURLAlone},
	{"REDIS_HOST", nil, func(c *Config) string { return checkRedisHost(c.Redis.Host) }},
	{"REDIS_HOST", []string{"REDIS_URL"}, func(c *Config) string {
		return messageIf(c.Redis.Host != "" && c.Redis.URL == "" && len(c.redisAddressSettings()) > 1,
			"one of %s is enough", strings.Join(c.redisAddressSettings(), " and "))
	}},
	{"REDIS_USERNAME", []string{"REDIS_URL", "REDIS_PASSWORD_FILE"}, func(c *Config) string {
		o, err := c.RedisOptions()
		return messageIf(err == nil && c.Redis.Username != "" && o.Password == "", "a user needs a password: set REDIS_PASSWORD")
	}},
	{"REDIS_TLS_CA_FILE", []string{"REDIS_URL", "REDIS_TLS"}, func(c *Config) string {
		if c.Redis.TLSCAFile == "" {
			return ""
		}
		if !c.redisUsesTLS() {
			return noTLS
		}
		_, err := readAuthorities(c.Redis.TLSCAFile)
		return textOf(err)
	}},
	{"REDIS_TLS_CERT_FILE", []string{"REDIS_URL", "REDIS_TLS", "REDIS_TLS_KEY_FILE"}, func(c *Config) string {
		switch {
		case c.Redis.TLSCertFile == "":
			return messageIf(c.Redis.TLSKeyFile != "", "REDIS_TLS_KEY_FILE is set, and belongs to a certificate")
		case c.Redis.TLSKeyFile == "":
			return "its key is needed, too: set REDIS_TLS_KEY_FILE"
		case !c.redisUsesTLS():
			return noTLS
		}
		_, err := readCertificate(c.Redis.TLSCertFile, c.Redis.TLSKeyFile)
		return textOf(err)
	}},
	{"REDIS_TLS_SERVER_NAME", []string{"REDIS_URL", "REDIS_TLS"}, func(c *Config) string {
		switch name := c.Redis.TLSServerName; {
		case name == "":
			return ""
		case !c.redisUsesTLS():
			return noTLS
		default:
			_, err := netip.ParseAddr(name)
			return messageIf(err != nil && !hostName.MatchString(name), "%s is no host name", quoted(name))
		}
	}},
	{"REDIS_SENTINELS", nil, func(c *Config) string { return firstProblem(c.Redis.Sentinels, checkHostPort) }},
	{"REDIS_SENTINELS", []string{"REDIS_URL", "REDIS_HOST"}, func(c *Config) string {
		return messageIf(len(c.Redis.Sentinels) > 0 && len(c.Redis.Cluster) > 0, "REDIS_CLUSTER is set as well: a Cluster is not watched by Sentinels")
	}},
	{"REDIS_SENTINEL_MASTER", nil, func(c *Config) string {
		return messageIf(len(c.Redis.Sentinels) > 0 && c.Redis.SentinelMaster == "", "required: which of the servers that the Sentinels watch")
	}},
	{"REDIS_SENTINEL_MASTER", nil, func(c *Config) string {
		return messageIf(len(c.Redis.Sentinels) == 0 && c.Redis.SentinelMaster != "", "REDIS_SENTINELS has to say where the Sentinels are")
	}},
	{"REDIS_SENTINEL_USERNAME", []string{"REDIS_SENTINEL_PASSWORD_FILE"}, func(c *Config) string {
		return messageIf(c.Redis.SentinelUsername != "" && c.Redis.SentinelPassword == "", "a user needs a password: set REDIS_SENTINEL_PASSWORD")
	}},
	{"REDIS_CLUSTER", nil, func(c *Config) string { return firstProblem(c.Redis.Cluster, checkHostPort) }},
	{"REDIS_DB", nil, func(c *Config) string {
		return messageIf(len(c.Redis.Cluster) > 0 && c.Redis.DB != 0, "a Cluster has only database 0")
	}},
	{"REDIS_PREFIX", nil, func(c *Config) string {
		o := redis.Options{Prefix: c.Redis.Prefix}
		o.Addresses = []string{"any:1"}
		return textOf(o.Validate())
	}},
	{"REDIS_WAIT_FOR", []string{"REDIS_WAIT_REPLICAS"}, func(c *Config) string {
		return messageIf(c.Redis.WaitReplicas == 0 && c.Redis.WaitFor == "ends", "no replica is waited for: set REDIS_WAIT_REPLICAS")
	}},
	{"REDIS_WAIT_TIMEOUT_MS", []string{"REDIS_WAIT_REPLICAS", "REDIS_TIMEOUT_MS"}, func(c *Config) string {
		return messageIf(c.Redis.WaitReplicas > 0 && c.Redis.WaitTimeout > c.Redis.Timeout,
			"it cannot exceed REDIS_TIMEOUT_MS, %d", c.Redis.Timeout.Milliseconds())
	}},
})

// noTLS is the message for TLS settings without TLS.
const noTLS = "it is for TLS, which is off: set REDIS_TLS=true, or begin REDIS_URL with rediss://"

// redisUsesTLS reports whether connections to Redis use TLS.
func (c *Config) redisUsesTLS() bool {
	return c.Redis.TLS || strings.HasPrefix(string(c.Redis.URL), "rediss:")
}

// ifRedis skips the rules if sessions are kept elsewhere. If SESSION_STORE is invalid,
// they apply if an address of Redis is set.
func ifRedis(rules []rule) []rule {
	for i, one := range rules {
		rules[i].check = func(c *Config) string {
			if !c.OnRedis() && (!c.Store.isUnknown || len(c.redisAddressSettings()) == 0) {
				return ""
			}
			return one.check(c)
		}
	}
	return rules
}

const noIPv6 = "what stands in the place of the host is no IPv6 address in brackets, such as [2001:db8::1]:6379"

// checkRedisURL quotes nothing of the address, which may contain a password.
func checkRedisURL(address string) string {
	if address == "" {
		return ""
	}
	u, err := url.Parse(address)
	if _, host, ok := strings.Cut(address, "://"); ok && err != nil && strings.HasPrefix(host[strings.LastIndexByte(host, '@')+1:], "[") {
		return noIPv6
	}
	if err != nil || (u.Scheme != "redis" && u.Scheme != "rediss") || u.Opaque != "" {
		return "not of the form redis://user:password@host:port/database, or rediss:// for TLS; " +
			"special characters of a password are percent-encoded"
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(address, "#") {
		return "it ends with the database: there are settings for all else; ? and # in a password are written %3F and %23"
	}
	if u.Hostname() == "" {
		return "it names no host"
	}
	if text := checkRedisURLHost(u); text != "" {
		return text
	}
	if port, err := strconv.Atoi(u.Port()); u.Port() != "" && (err != nil || port < 1 || port > 65535) {
		return "its port is not between 1 and 65535"
	}
	if db := strings.TrimPrefix(u.Path, "/"); db != "" {
		if n, err := strconv.Atoi(db); err != nil || n < 0 {
			return "what follows the host is not the number of a database"
		}
	}
	_, err = redis.ParseURL(address)
	return textOf(err)
}

// checkRedisURLHost quotes nothing either: the host of a malformed URL may be the end of
// a password.
func checkRedisURLHost(u *url.URL) string {
	host := u.Hostname()
	switch addr, err := netip.ParseAddr(host); {
	case strings.HasPrefix(u.Host, "["):
		return messageIf(err != nil || !addr.Is6(), noIPv6)
	case slices.ContainsFunc([]byte(host), func(c byte) bool { return c >= 0x80 }):
		return "its host is not in ASCII: write an international name in its form that begins with xn--"
	default:
		return messageIf(!isHost(host), "what stands in the place of the host is neither a host name nor an IP address; "+
			"special characters of a password are percent-encoded")
	}
}

// checkRedisURLAlone refuses settings that repeat a part of the address.
func checkRedisURLAlone(c *Config) string {
	if c.Redis.URL == "" {
		return ""
	}
	u, err := url.Parse(string(c.Redis.URL))
	if err != nil {
		return ""
	}
	password, _ := u.User.Password()
	switch {
	case c.Redis.Username != "" && u.User.Username() != "":
		return "it names a user, and so does REDIS_USERNAME: set one of them"
	case c.Redis.Password != "" && password != "":
		return "it holds a password, and so does REDIS_PASSWORD: set one of them"
	case u.User.Username() != "" && password == "" && c.Redis.Password == "":
		return "it names a user, who needs a password: put it behind the name, or into REDIS_PASSWORD"
	case c.Redis.DB != 0 && strings.Trim(u.Path, "/") != "":
		return "it names a database, and so does REDIS_DB: set one of them"
	case c.Redis.TLS && u.Scheme != "rediss":
		return "REDIS_TLS is on: begin it with rediss://"
	}
	return ""
}

func checkRedisHost(host string) string {
	switch {
	case host == "":
		return ""
	case strings.Contains(host, "@"):
		return "it is a host alone: user and password go into REDIS_USERNAME and REDIS_PASSWORD"
	}
	return checkHost(host, "REDIS_PORT")
}

func checkHostPort(address string) string {
	if strings.Contains(address, "@") { // and perhaps a password
		return "each is a host and a port alone: user and password have settings of their own"
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return quoted(address) + " is not host:port"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return quoted(address) + ": its port is not between 1 and 65535"
	}
	return messageIf(!isHost(host), "%s names no host", quoted(address))
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
