package config

import (
	"time"

	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
)

// Store are the settings of where sessions are kept, and the limits of the stores in
// memory.
type Store struct {
	Kind           string        `env:"SESSION_STORE" envDefault:"auto" oneof:"auto memory bolt redis" doc:"Where sessions are kept: in memory; bolt, in memory and in a file as well; or in Redis. auto is redis where REDIS_URL, REDIS_HOST, REDIS_SENTINELS or REDIS_CLUSTER is set, bolt where SESSION_DATA_DIR is, and memory otherwise."`
	DataDir        string        `env:"SESSION_DATA_DIR" values:"path" doc:"bolt only: directory of the data file, an absolute path. It is made where there is none, but not its parents, and belongs to one process at a time."`
	DataRequire    string        `env:"SESSION_DATA_REQUIRE" envDefault:"any" oneof:"any existing" doc:"bolt only: whether a start may make a new data file. existing refuses where there is none, which is what a volume looks like that is not mounted: set it once the first start has made the file."`
	DataReadOnly   bool          `env:"SESSION_DATA_READONLY" envDefault:"false" doc:"bolt only: read the data file and write nothing, for a disk that takes no writes or a snapshot. Reads are served, changes get 503, and files are not cleaned."`
	Sync           string        `env:"SESSION_SYNC" envDefault:"always" oneof:"always interval" doc:"bolt only: when a change is on the disk: before it is answered, or within SESSION_SYNC_INTERVAL_MS. Ending a session and giving it a new id are on the disk before they are answered in any case."`
	SyncInterval   time.Duration `env:"SESSION_SYNC_INTERVAL_MS" envDefault:"1000" min:"1" max:"3600000" doc:"bolt only: with SESSION_SYNC=interval, the changes of how long a crash can take away."`
	SyncTimeout    time.Duration `env:"SESSION_SYNC_TIMEOUT_MS" min:"50" max:"60000" doc:"bolt only: how long the disk may take for what must be on it until it is taken for stuck, and writes get 503 at once. A disk that usually takes longer than a quarter of that gets four times what it usually takes, up to 10 seconds; with SESSION_SYNC=interval it gets ten times this."`
	DataUnready    time.Duration `env:"SESSION_DATA_UNREADY_MS" envDefault:"30000" min:"0" max:"86400000" doc:"bolt only: for how long the data file may be impossible to write until /readyz answers 503; 0: for ever. Once another process has taken the file, it does so at once."`
	BackupRate     int64         `env:"BACKUP_BYTES_PER_SECOND" envDefault:"33554432" min:"0" doc:"memory and bolt only: most bytes a second that GET /api/backup sends; 0 for no limit."`
	SweepInterval  time.Duration `env:"SESSION_SWEEP_INTERVAL_MS" envDefault:"60000" min:"1" doc:"How often the memory of expired sessions is freed; on Redis, which frees it by itself, their places in the indexes. They are absent from the moment they expire, swept or not."`
	EvictionPolicy memory.Policy `env:"SESSION_EVICTION_POLICY" envDefault:"lru" oneof:"lru ttl none" doc:"memory and bolt only: what makes room when the store is full: the session that was used longest ago goes, the one that expires soonest goes, or none goes and new ones get 503. Sessions without a user go before those with one, and with lru those that were used only once before those that were used again. Redis has its own maxmemory-policy, which should be noeviction."`
	MaxEntries     int           `env:"SESSION_MAX_ENTRIES" envDefault:"10000" min:"1" max:"1000000000" doc:"memory and bolt only: most sessions that are held. Redis has no such limit."`
	MaxMemoryBytes int64         `env:"SESSION_MAX_MEMORY_BYTES" shown:"40 % of the process's memory limit, no limit without one" min:"0" doc:"memory and bolt only: most bytes of memory that the sessions take; 0 for no limit. The process's limit is the lower one of GOMEMLIMIT and that of its control group, as a container has one; the start says what is found. Redis has its own maxmemory."`
	UserReserve    int           `env:"SESSION_USER_RESERVE_PERCENT" envDefault:"10" min:"0" max:"90" doc:"How many percent of SESSION_MAX_ENTRIES and SESSION_MAX_MEMORY_BYTES, or of each Redis server's maxmemory, visitors' sessions cannot take: those without a user, where no service creates or changes them. Over their share they push out one another, or get 503 where none is evicted, as on Redis. 0 for no reserve; there is none without SERVICE_TOKENS, where everybody may what a service may."`

	// isAmbiguous reports that the settings name two stores.
	isAmbiguous bool
	// isUnknown reports that SESSION_STORE is not valid.
	isUnknown bool
}

// MemoryOptions returns the options of the store in memory.
func (c *Config) MemoryOptions() memory.Options {
	return memory.Options{
		Policy: c.Store.EvictionPolicy, MaxEntries: c.Store.MaxEntries, MaxBytes: c.Store.MaxMemoryBytes,
		Reserve:   c.reserve(),
		Tombstone: c.Sessions.Tombstone, Events: c.Events.Buffer,
	}
}

// reserve returns the reserve in percent. It is 0 without service tokens: then every
// caller counts as a service.
func (c *Config) reserve() int {
	if len(c.Secrets.ServiceTokens) == 0 {
		return 0
	}
	return c.Store.UserReserve
}

// BoltOptions returns the options of the store with a data file.
func (c *Config) BoltOptions() bolt.Options {
	options := bolt.Options{
		Dir: c.Store.DataDir, Existing: c.Store.DataRequire == "existing", ReadOnly: c.Store.DataReadOnly, Memory: c.MemoryOptions(),
		Patience: c.Store.SyncTimeout, UnreadyAfter: c.Store.DataUnready,
	}
	if c.Store.Sync == "interval" {
		options.Interval = c.Store.SyncInterval
	}
	return options
}
