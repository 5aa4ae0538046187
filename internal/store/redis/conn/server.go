package conn

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/rueidis"
)

// Server says which server to connect to, and how. The zero value of each field
// but Addresses is a usable one.
type Server struct {
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

	// ClientCache makes the client keep what the server has not said to have
	// changed.
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
}

// The timeouts of a server that names none.
const (
	DefaultDialTimeout = time.Second
	DefaultTimeout     = 2 * time.Second

	// MaxTimeout is the longest Timeout.
	MaxTimeout = 30 * time.Second
)

const defaultClientCacheBytes = 64 << 20

// ParseURL reads an address as redis-cli and other clients take it:
// redis://user:password@host:port/db, rediss:// for TLS. It returns what the
// address says, and nothing else. The error does not show the address, which
// may hold a password.
func ParseURL(url string) (Server, error) {
	opt, err := rueidis.ParseURL(url)
	if err != nil {
		return Server{}, errors.New("not a redis:// or rediss:// address")
	}
	if opt.DialCtxFn != nil {
		return Server{}, errors.New("unix:// addresses are not supported")
	}
	return Server{
		Addresses: opt.InitAddress,
		Primary:   opt.Sentinel.MasterSet,
		Username:  opt.Username,
		Password:  opt.Password,
		DB:        opt.SelectDB,
		TLS:       opt.TLSConfig,
	}, nil
}

// Validate returns everything that is wrong with the settings.
func (s *Server) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(s.Addresses) == 0 {
		wrong("an address is needed")
	}
	for _, address := range s.Addresses {
		if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
			wrong("%q is not host:port", address)
		}
	}
	switch {
	case s.Cluster && s.Primary != "":
		wrong("a Cluster is not watched by Sentinels")
	case s.Cluster && s.DB != 0:
		wrong("a Cluster has only database 0")
	case !s.Cluster && s.Primary == "" && len(s.Addresses) > 1:
		wrong("several addresses are those of a Cluster or of Sentinels: say which")
	}
	if s.DB < 0 {
		wrong("a database's number is not negative")
	}
	if s.Username != "" && s.Password == "" && s.Passwords == nil {
		wrong("a user needs a password")
	}
	if s.ClientCacheBytes < 0 || s.DialTimeout < 0 || s.Timeout < 0 {
		wrong("sizes and timeouts are not negative")
	}
	if s.Timeout > MaxTimeout {
		wrong("a timeout is at most %v", MaxTimeout)
	}
	return errors.Join(errs...)
}

// WithDefaults returns the settings with what they leave out.
func (s Server) WithDefaults() Server {
	s.ClientCacheBytes = cmp.Or(s.ClientCacheBytes, defaultClientCacheBytes)
	s.DialTimeout = cmp.Or(s.DialTimeout, DefaultDialTimeout)
	s.Timeout = cmp.Or(s.Timeout, DefaultTimeout)
	return s
}
