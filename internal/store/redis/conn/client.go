package conn

import (
	"net"
	"time"

	"github.com/redis/rueidis"
)

// pingInterval is how long a connection may be silent before it is looked
// after. With Timeout it bounds how long a dead one goes unnoticed.
const pingInterval = 500 * time.Millisecond

// clientOption returns the options of the client library. Only the reader has a cache.
func (c *Conn) clientOption(reader bool) rueidis.ClientOption {
	s := &c.server
	dialer := net.Dialer{Timeout: s.DialTimeout, KeepAlive: pingInterval}
	opt := rueidis.ClientOption{
		InitAddress:       s.Addresses,
		AuthCredentialsFn: c.credentials,
		DialCtxFn:         c.sockets.dial,
		SelectDB:          s.DB,
		TLSConfig:         s.TLS,
		Dialer:            dialer,
		ConnWriteTimeout:  s.Timeout,
		ClientName:        "session-api",
		ClientSetInfo:     rueidis.DisableClientSetInfo,
		DisableCache:      !s.ClientCache || !reader,
		// It makes room by evicting what was not used for long.
		CacheSizeEachConn: s.ClientCacheBytes,
		// Without it, a request that is given up closes the connection that
		// others are about to use.
		AlwaysPipelining: true,
		// Only what reads is repeated by the library.
		RetryDelay: func(try int, _ rueidis.Completed, err error) time.Duration {
			// Several keys of a slot that moves are had one by one, not later.
			if try > MaxTries || Answered(err, "TRYAGAIN ") {
				return -1
			}
			return 10 * time.Millisecond << min(try-1, 3)
		},
	}
	switch {
	case s.Primary != "":
		dialer.Resolver = new(net.Resolver) // by which dial knows Sentinels
		opt.Sentinel = rueidis.SentinelOption{
			MasterSet: s.Primary,
			TLSConfig: s.TLS,
			Dialer:    dialer,
			// A primary that was demoted without being restarted is only found
			// out by asking.
			TopologyRefreshInterval: time.Second,
		}
	case s.Cluster:
		opt.ClusterOption = rueidis.ClusterOption{
			ShardsRefreshInterval: clusterRefresh,
			MaxMovedRedirections:  MaxTries,
		}
	default:
		opt.ForceSingleClient = true
	}
	return opt
}

// clusterRefresh is how often the nodes of a Cluster are looked up, beside
// whenever one of them says that it is not responsible or does not answer.
const clusterRefresh = 10 * time.Second
