package config

import (
	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
)

// MemoryOptions are the settings of the store in memory.
func (c *Config) MemoryOptions() memory.Options {
	return memory.Options{
		Policy: memory.Policy(c.EvictionPolicy), MaxEntries: c.MaxEntries, MaxBytes: c.MaxMemoryBytes,
		Reserve:   c.reserve(),
		Tombstone: c.Tombstone, Events: c.EventsBuffer,
	}
}

// reserve is how many percent visitors cannot take. Without service tokens there
// is nobody to keep anything for: everybody may what a service may.
func (c *Config) reserve() int {
	if len(c.ServiceTokens) == 0 {
		return 0
	}
	return c.UserReserve
}

// BoltOptions are the settings of the store with a data file, as it takes them.
func (c *Config) BoltOptions() bolt.Options {
	options := bolt.Options{Dir: c.DataDir, Memory: c.MemoryOptions()}
	if c.Sync == "interval" {
		options.Interval = c.SyncInterval
	}
	return options
}
