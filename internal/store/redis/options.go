package redis

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
)

// Options are the settings of a store. The zero value of each but Addresses is
// a usable one.
type Options struct {
	// Server is the server to connect to. With its ClientCache, Get answers from
	// memory.
	conn.Server

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
	// set or more than that; 0 where maxmemory alone counts. Beyond it only guests
	// are refused.
	MaxMemory int64
	// AllowKeyEviction accepts a server that may evict any key, and with it the indexes.
	AllowKeyEviction bool
	// Events is about how many events are kept for followers, up to a few
	// hundred more; 1000 where it is 0. Stores on one server should agree on it.
	Events int

	// WaitReplicas is how many replicas have to confirm a change before it is
	// acknowledged; 0 for none. Touches are not waited for: they only extend a
	// session, and most belong to reads.
	WaitReplicas int
	// WaitEndsOnly limits that to what ends a session or takes it from a user:
	// Delete, Clear, Regenerate, and a Swap that changes the user.
	WaitEndsOnly bool
	// WaitTimeout is how long replicas may take to confirm; a second where it is 0, or
	// Timeout if that is shorter. It cannot be longer than Timeout.
	WaitTimeout time.Duration

	// Logger gets what an operator should know; nil discards it.
	Logger *slog.Logger
}

// DefaultPrefix is the Prefix of a store that names none.
const DefaultPrefix = "session:"

// The timeouts of a store that names none.
const (
	DefaultDialTimeout = conn.DefaultDialTimeout
	DefaultTimeout     = conn.DefaultTimeout
	DefaultWaitTimeout = time.Second
)

// What else a store has that names none.
const (
	defaultTTL         = 24 * time.Hour
	defaultMaxDocument = 64 << 20
)

// prefixes are those that neither meet a Cluster's hash tags, nor are hard to
// type.
var prefixes = regexp.MustCompile(`^[A-Za-z0-9:._/-]{1,64}$`)

// ParseURL reads an address as conn.ParseURL does.
func ParseURL(url string) (Options, error) {
	server, err := conn.ParseURL(url)
	return Options{Server: server}, err
}

// Validate returns everything that is wrong with the options.
func (o *Options) Validate() error {
	errs := []error{o.Server.Validate()}
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Prefix != "" && !prefixes.MatchString(o.Prefix) {
		wrong("a prefix is 1 to 64 characters of A-Z a-z 0-9 : . _ / -")
	}
	if o.Reserve < 0 || o.Reserve >= 100 {
		wrong("a reserve is 0 to 99 percent")
	}
	if o.WaitReplicas < 0 {
		wrong("a number of replicas is not negative")
	}
	if o.WaitReplicas > 0 && o.WaitTimeout > cmp.Or(o.Timeout, conn.DefaultTimeout) {
		wrong("replicas cannot be waited for longer than the timeout")
	}
	if o.WaitTimeout < 0 || o.CompressOver < 0 || o.MaxMemory < 0 || o.Events < 0 || o.Tombstone < 0 || o.TTL < 0 || o.MaxDocument < 0 {
		wrong("sizes and timeouts are not negative")
	}
	return errors.Join(errs...)
}

// withDefaults returns the options with what they leave out.
func (o Options) withDefaults() Options {
	o.Server = o.Server.WithDefaults()
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.WaitTimeout == 0 {
		o.WaitTimeout = min(DefaultWaitTimeout, o.Timeout)
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
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
