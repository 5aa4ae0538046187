package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"time"

	"session-api/internal/store/backend"

	"github.com/redis/rueidis"
)

// Options are the settings of a store. The zero value of each but Addresses is
// a usable one.
type Options struct {
	// Addresses are host:port: of the server, of some nodes of the Cluster, or
	// of the Sentinels.
	Addresses []string
	// Cluster says that the addresses are those of a Redis Cluster.
	Cluster bool
	// Primary is the name of the primary that the Sentinels at the addresses
	// watch; empty where there are no Sentinels.
	Primary string

	// Username is an ACL user; empty for the default user. Password may be
	// empty where the server asks for none.
	Username, Password string
	// SentinelUsername and SentinelPassword are those of the Sentinels.
	SentinelUsername, SentinelPassword string
	// Passwords, where set, is asked for Password and SentinelPassword whenever a
	// connection is made, in place of the two: for passwords that change.
	Passwords func() (password, sentinelPassword string)
	// DB is the database's number; always 0 in a Cluster.
	DB int
	// TLS is how to trust the servers, the Sentinels too; nil for no TLS.
	TLS *tls.Config

	// Prefix starts the name of every key; "session:" where it is empty. Stores
	// with different prefixes share nothing.
	Prefix string
	// TTL is the idle life of sessions that another program wrote, which name
	// none; a day where it is 0.
	TTL time.Duration
	// MaxDocument is the size in bytes above which what another program wrote is
	// not taken for a session; 64 MiB where it is 0.
	MaxDocument int
	// CompressOver is the size in bytes above which documents are compressed;
	// 0 for never. Stores on one server need not agree on it.
	CompressOver int
	// Tombstone is how long ended keys are remembered; 0 for not at all.
	Tombstone time.Duration
	// Reserve is how many percent of each server's memory are kept for sessions
	// with a user and for what services make: guests cannot take them. 0 for none.
	Reserve int
	// MaxMemory is what each server may take in bytes, where its maxmemory is not
	// set or more than that; 0 where maxmemory alone counts. Beyond it nobody but
	// guests is refused.
	MaxMemory int64
	// Events is about how many events are kept for followers, up to a few
	// hundred more; 1000 where it is 0. Stores on one server should agree on it.
	Events int

	// ClientCache lets Get answer from memory what the server has not said to
	// have changed.
	ClientCache bool
	// ClientCacheBytes is how much memory that may take for each connection, of
	// which there are up to four to a server; 64 MiB where it is 0.
	ClientCacheBytes int

	// DialTimeout is how long connecting may take; 1 s where it is 0.
	DialTimeout time.Duration
	// Timeout is how long an operation on one session may take, and how long a
	// connection may be silent; 2 s where it is 0, 30 s at most. What handles
	// many sessions may take that long for each batch.
	Timeout time.Duration

	// Logger is told what an operator should know; nil for nobody.
	Logger *slog.Logger
}

// DefaultPrefix is the Prefix of a store that names none.
const DefaultPrefix = "session:"

// The timeouts of a store that names none.
const (
	DefaultDialTimeout = time.Second
	DefaultTimeout     = 2 * time.Second
)

// What else a store has that names none.
const (
	defaultClientCacheBytes = 64 << 20
	defaultTTL              = 24 * time.Hour
	defaultMaxDocument      = 64 << 20
)

// pingInterval is how long a connection may be silent before it is looked
// after. With Timeout it bounds how long a dead one goes unnoticed.
const pingInterval = 500 * time.Millisecond

// prefixes are those that neither meet a Cluster's hash tags, nor are hard to
// type.
var prefixes = regexp.MustCompile(`^[A-Za-z0-9:._/-]{1,64}$`)

// ParseURL reads an address as redis-cli and other clients take it:
// redis://user:password@host:port/db, rediss:// for TLS. It returns what the
// address says, and nothing else. The error does not show the address, which
// may hold a password.
func ParseURL(url string) (Options, error) {
	opt, err := rueidis.ParseURL(url)
	if err != nil {
		return Options{}, errors.New("not a redis:// or rediss:// address")
	}
	if opt.DialCtxFn != nil {
		return Options{}, errors.New("unix:// addresses are not supported")
	}
	return Options{
		Addresses: opt.InitAddress,
		Primary:   opt.Sentinel.MasterSet,
		Username:  opt.Username,
		Password:  opt.Password,
		DB:        opt.SelectDB,
		TLS:       opt.TLSConfig,
	}, nil
}

// Validate returns everything that is wrong with the options.
func (o *Options) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(o.Addresses) == 0 {
		wrong("an address is needed")
	}
	for _, address := range o.Addresses {
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			wrong("%q is not host:port", address)
		}
	}
	switch {
	case o.Cluster && o.Primary != "":
		wrong("a Cluster is not watched by Sentinels")
	case o.Cluster && o.DB != 0:
		wrong("a Cluster has only database 0")
	case !o.Cluster && o.Primary == "" && len(o.Addresses) > 1:
		wrong("several addresses are those of a Cluster or of Sentinels: say which")
	}
	if o.DB < 0 {
		wrong("a database's number is not negative")
	}
	if o.Username != "" && o.Password == "" && o.Passwords == nil {
		wrong("a user needs a password")
	}
	if o.Prefix != "" && !prefixes.MatchString(o.Prefix) {
		wrong("a prefix is 1 to 64 characters of A-Z a-z 0-9 : . _ / -")
	}
	if o.Reserve < 0 || o.Reserve >= 100 {
		wrong("a reserve is 0 to 99 percent")
	}
	if o.CompressOver < 0 || o.MaxMemory < 0 || o.ClientCacheBytes < 0 || o.Events < 0 || o.Tombstone < 0 || o.TTL < 0 || o.MaxDocument < 0 || o.DialTimeout < 0 || o.Timeout < 0 {
		wrong("sizes and timeouts are not negative")
	}
	if o.Timeout > maxTimeout {
		wrong("a timeout is at most %v", maxTimeout)
	}
	return errors.Join(errs...)
}

// maxTimeout is far below settleTime, which is to outlast any operation.
const maxTimeout = 30 * time.Second

// withDefaults returns the options with what they leave out.
func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.ClientCacheBytes == 0 {
		o.ClientCacheBytes = defaultClientCacheBytes
	}
	if o.Events == 0 {
		o.Events = backend.DefaultEvents
	}
	if o.MaxDocument == 0 {
		o.MaxDocument = defaultMaxDocument
	}
	if o.TTL == 0 {
		o.TTL = defaultTTL
	}
	if o.DialTimeout == 0 {
		o.DialTimeout = DefaultDialTimeout
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// clientOption returns the options of the client library.
func (s *Store) clientOption() rueidis.ClientOption {
	o := &s.opts
	dialer := net.Dialer{Timeout: o.DialTimeout, KeepAlive: pingInterval}
	opt := rueidis.ClientOption{
		InitAddress:       o.Addresses,
		AuthCredentialsFn: s.credentials,
		DialCtxFn:         s.links.dial,
		SelectDB:          o.DB,
		TLSConfig:         o.TLS,
		Dialer:            dialer,
		ConnWriteTimeout:  o.Timeout,
		ClientName:        "session-api",
		ClientSetInfo:     rueidis.DisableClientSetInfo,
		DisableCache:      !o.ClientCache,
		// It makes room by evicting what was not used for long.
		CacheSizeEachConn: o.ClientCacheBytes,
		// Without it, a request that is given up closes the connection that
		// others are about to use.
		AlwaysPipelining: true,
		// Only what reads is repeated by the library.
		RetryDelay: func(try int, _ rueidis.Completed, err error) time.Duration {
			// Several keys of a slot that moves are had one by one, not later.
			if try > maxTries || answered(err, "TRYAGAIN ") {
				return -1
			}
			return 10 * time.Millisecond << min(try-1, 3)
		},
	}
	switch {
	case o.Primary != "":
		dialer.Resolver = new(net.Resolver) // by which links tells Sentinels
		opt.Sentinel = rueidis.SentinelOption{
			MasterSet: o.Primary,
			TLSConfig: o.TLS,
			Dialer:    dialer,
			// A primary that was demoted without being restarted is only found
			// out by asking.
			TopologyRefreshInterval: time.Second,
		}
	case o.Cluster:
		opt.ClusterOption = rueidis.ClusterOption{
			ShardsRefreshInterval: clusterRefresh,
			MaxMovedRedirections:  maxTries,
		}
	default:
		opt.ForceSingleClient = true
	}
	return opt
}

// clusterRefresh is how often the nodes of a Cluster are looked up, beside
// whenever one of them says that it is not responsible or does not answer.
const clusterRefresh = 10 * time.Second
