// Package memory is the store that keeps sessions in the process's memory.
//
// # Files
//
// In reading order:
//
//	store.go       the settings, New and Close
//	entry.go       sessions as the store keeps them
//	shard.go       a shard, and hashtable.go how it finds entries
//	create.go      Create, and one file for each other operation:
//	               read.go, swap.go, touch.go, regenerate.go, delete.go,
//	               clear.go, list.go, count.go, namespaces.go, files.go,
//	               sweep.go, stats.go, identity.go, snapshot.go; several.go
//	               has those of many sessions
//	change.go      what the operations have in common
//	grace.go       where a regenerated key leads
//	tombstones.go  the keys of sessions that are gone
//	requests.go    requests with an Idempotency-Key
//	states.go      states of the service
//	lifelimit.go   the longest life of sessions
//	index.go       the order of lists, and agerange.go a part of it
//	capacity.go    what is stored, and its limits
//	evict.go       evictions, and class.go which sessions go first
//	heap.go        the heaps by expiry and by last use, and bounds.go what
//	               the shards publish of them
//	events.go      Follow
//	restore.go     filling a store with what another one kept, and recency.go
//	               the order of uses for it
//
// # Reading without a global lock
//
// Sessions are spread over 256 shards by a seeded hash of their key. A read
// takes the read lock of one shard, finds the entry, writes the next tick of a
// logical clock into it, and takes the entry's record, which never changes:
// every write replaces it as a whole. Nothing is moved, nothing is allocated,
// and the only word that all readers share is the clock.
//
// # Exact LRU
//
// Which session was used least recently is worked out when one has to go, not when
// one is used. Each shard has heaps of its entries, ordered by
// the tick that the heap last saw of each. An entry's own tick only grows, so
// what the heap has seen is a lower bound of it. To find the shard's least
// recently used entry, the tick at the top is compared with the entry's own:
// where it is behind, it is set right and sinks; where the entry has ended, it
// goes; otherwise no other entry can have a smaller one, and the top is the one.
// Each shard publishes the tick at each top, a lower bound for all in that heap, and
// groups of shards have bounds of their own, so that finding the smallest one takes a look
// at a few of them.
// Deadlines are kept in the same way.
//
// An eviction takes the shard with the smallest bound, locks it, settles its
// top, and evicts it if no other shard's bound is smaller at that moment;
// otherwise it looks again. While the shard is locked the victim is not used.
// Every entry elsewhere has a tick at or above its shard's bound; and adding
// an entry lowers the bound, and its group's, where need be before it takes the entry's tick,
// so an entry that the bounds do not show yet gets a later tick than the
// victim's. So the victim is the least recently used session of the store, for
// any number of goroutines. Evictions take turns; readers never wait for one
// longer than for a writer of the same shard.
//
// A session without a request for it (schema.Session.Disposable) has its ticks from
// a clock of its own, which stays below all others, until it is written to. So
// such sessions go first, by the same rules.
//
// # Classes
//
// There is a heap for each class of sessions: for visitors' that were not used
// since they were created, for visitors' that were used again, for those without a
// user that services made, and for those with one. Namespaces make no difference.
// A class goes before the next one, so that a flood of new sessions pushes out
// itself. Only where less than a sixteenth of the visitors'
// sessions are new, one that was used again goes: in a store that is full of
// visitors who have left, a new one would otherwise hardly live until its second
// request.
//
// A read that is its session's second use takes its shard's lock for writing, and
// moves it; no later read does. An item in a heap whose entry has become another
// class's is stale there. Moving an entry lowers the bound of the heap that it comes
// to, and takes its tick after that, as for a new entry.
//
// Under the policy TTL the same is done with deadlines in the place of ticks, and
// visitors' sessions are one class, since uses are not known.
//
// # The reserve
//
// Guests, which are sessions without a user, have a limit of their own, below that
// of all: the rest is for sessions with a user and for what services make, which
// counts among the guests all the same. A guest that is over it pushes out guests
// only, visitors' first. One that is not, in a store that is full, may push
// out a user's once there is no guest left, since the users' take more than the
// reserve then.
//
// The price is that an eviction has to set right what was used since the last
// one, as far as it comes to the top. Sweep does that as well, a few entries at
// a time, so that an eviction after a long time without any is not slow.
//
// # Locks
//
// In this order, each optional: Store.evicting; then one shard, or two in the order
// of their numbers; then one of the leaves: a namespace, the namespaces, the
// file index, the capacity, a shard's graces, the log of events. No lock is held
// while another package is called, but for Options.OnEvent, nor for longer than
// one batch.
//
// # Events
//
// Events are published while the session's shard is still locked, so that those of
// one session are in the order of its changes. They go
// into a backend.EventLog, from which followers copy them: a slow one loses
// events, and delays no change.
//
// # Tombstones
//
// A key whose session was ended, expired or was evicted stays in its shard as a
// hash and a time, so that Create can tell. There are only so many of those that
// were ended, and as many of the others; of more, the first are forgotten.
package memory
