package config

import (
	"time"

	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
)

// Store are the settings of where sessions are kept, and the limits of the stores in
// memory.
type Store struct {
	Kind           string        `env:"SESSION_STORE" envDefault:"auto" oneof:"auto memory bolt redis" doc:"Where sessions are stored: memory; bolt, in memory and in a file as well; or redis. auto selects redis if REDIS_URL, REDIS_HOST, REDIS_SENTINELS or REDIS_CLUSTER is set, bolt if SESSION_DATA_DIR is set, and memory otherwise."`
	DataDir        string        `env:"SESSION_DATA_DIR" values:"path" doc:"bolt only: directory of the data file, an absolute path. The directory is created if it does not exist, but not its parents. Only one process at a time can use it."`
	DataRequire    string        `env:"SESSION_DATA_REQUIRE" envDefault:"any" oneof:"any existing" doc:"bolt only: whether a start may create a new data file. existing refuses to start without one, which is what an unmounted volume looks like: set it once the first start has created the file."`
	DataReadOnly   bool          `env:"SESSION_DATA_READONLY" envDefault:"false" doc:"bolt only: read the data file and write nothing, for a read-only disk or a snapshot. Reads succeed, changes get 503, and the cleanup deletes no files."`
	Sync           string        `env:"SESSION_SYNC" envDefault:"always" oneof:"always interval" doc:"bolt only: when a change is written to the disk: before it is acknowledged (always), or within SESSION_SYNC_INTERVAL_MS (interval). The end of a session and a new id are always on the disk before they are acknowledged."`
	SyncInterval   time.Duration `env:"SESSION_SYNC_INTERVAL_MS" envDefault:"1000" min:"1" max:"3600000" doc:"bolt only: with SESSION_SYNC=interval, the time span whose changes a crash can lose."`
	SyncTimeout    time.Duration `env:"SESSION_SYNC_TIMEOUT_MS" min:"50" max:"60000" doc:"bolt only: how long a write to the disk may take before the disk counts as stuck and writes get 503 at once. A disk whose usual latency exceeds a quarter of that is allowed four times its usual latency, up to 10 seconds; with SESSION_SYNC=interval, the limit is ten times this value."`
	DataUnready    time.Duration `env:"SESSION_DATA_UNREADY_MS" envDefault:"30000" min:"0" max:"86400000" doc:"bolt only: how long writing the data file may fail before /readyz returns 503; 0 for never. If another process has taken over the file, it does so at once."`
	BackupRate     int64         `env:"BACKUP_BYTES_PER_SECOND" envDefault:"33554432" min:"0" doc:"memory and bolt only: maximum bytes per second that GET /api/backup sends; 0 for no limit."`
	SweepInterval  time.Duration `env:"SESSION_SWEEP_INTERVAL_MS" envDefault:"60000" min:"1" doc:"How often expired sessions are removed from memory; on Redis, which removes them by itself, from the indexes. An expired session is absent from the moment it expires, before any sweep."`
	EvictionPolicy memory.Policy `env:"SESSION_EVICTION_POLICY" envDefault:"lru" oneof:"lru ttl none" doc:"memory and bolt only: which session is evicted when the store is full: the least recently used (lru), the one that expires soonest (ttl), or none, in which case new ones get 503. Sessions without a user are evicted before those with one, and with lru those that were used only once before those that were used again. Redis has its own maxmemory-policy, which should be noeviction."`
	MaxEntries     int           `env:"SESSION_MAX_ENTRIES" envDefault:"10000" min:"1" max:"1000000000" doc:"memory and bolt only: maximum number of sessions. Redis has no such limit."`
	MaxMemoryBytes int64         `env:"SESSION_MAX_MEMORY_BYTES" shown:"40 % of the process's memory limit, less IDEMPOTENCY_MAX_BYTES; no limit without one" min:"0" doc:"memory and bolt only: maximum memory that the sessions take, in bytes; 0 for no limit. The process's memory limit is the lower of GOMEMLIMIT and that of its control group, such as a container's; the limit found is logged at startup. Redis has its own maxmemory."`
	UserReserve    int           `env:"SESSION_USER_RESERVE_PERCENT" envDefault:"10" min:"0" max:"90" doc:"Percentage of SESSION_MAX_ENTRIES and SESSION_MAX_MEMORY_BYTES, or of each Redis server's maxmemory, that visitors' sessions cannot use: those without a user that no service creates or changes. Beyond their share they evict one another, or get 503 where nothing is evicted, as on Redis. 0 for no reserve; there is also none without SERVICE_TOKENS, when every caller has the rights of a service."`

	// isAmbiguous reports that the settings name two stores.
	isAmbiguous bool
	// isUnknown reports that SESSION_STORE is not valid.
	isUnknown bool
}

// Idempotency are the settings of requests with an Idempotency-Key.
type Idempotency struct {
	TTL        time.Duration `env:"IDEMPOTENCY_TTL_MS" envDefault:"86400000" min:"0" max:"2592000000" doc:"How long the answer to a request with an Idempotency-Key is kept, so that a repeat of the request gets it again and changes nothing; 0 to ignore the header."`
	MaxEntries int           `env:"IDEMPOTENCY_MAX_ENTRIES" min:"1" max:"1000000000" doc:"memory and bolt only: maximum number of requests with an Idempotency-Key that are kept. Beyond it the oldest answers are dropped, those to visitors without a session first; a repeat is a new request then. Redis has no such limit."`
	MaxBytes   int64         `env:"IDEMPOTENCY_MAX_BYTES" shown:"67108864, at most 5 % of the process's memory limit" min:"1024" doc:"memory and bolt only: maximum memory that these requests and their answers take, in bytes. A larger answer is not kept, and the request is one of unknown outcome then. Redis has its own maxmemory."`
}

// MemoryOptions returns the options of the store in memory.
func (c *Config) MemoryOptions() memory.Options {
	return memory.Options{
		Policy: c.Store.EvictionPolicy, MaxEntries: c.Store.MaxEntries, MaxBytes: c.Store.MaxMemoryBytes,
		Reserve:   c.reserve(),
		Tombstone: c.Sessions.Tombstone, Events: c.Events.Buffer,
		Requests: memory.RequestLimits{Entries: c.Idempotency.MaxEntries, Bytes: c.Idempotency.MaxBytes},
	}
}

// reserve returns the reserve in percent. It is 0 without service tokens: then every
// caller counts as a service.
func (c *Config) reserve() int {
	if len(c.ServiceTokens()) == 0 {
		return 0
	}
	return c.Store.UserReserve
}

// BoltOptions returns the options of the store with a data file.
func (c *Config) BoltOptions() bolt.Options {
	options := bolt.Options{
		Dir: c.Store.DataDir, Existing: c.Store.DataRequire == "existing", ReadOnly: c.Store.DataReadOnly, Memory: c.MemoryOptions(),
		CommitTimeout: c.Store.SyncTimeout, EndAttempts: true, UnreadyAfter: c.Store.DataUnready,
	}
	if c.Store.Sync == "interval" {
		options.Interval = c.Store.SyncInterval
	}
	return options
}
