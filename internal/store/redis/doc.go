// Package redis is the store that keeps sessions in Redis or Valkey: a single
// server, one watched by Sentinels, or a Cluster. Any number of instances share
// it. It needs Redis 7 or any Valkey, and RESP3 for the client cache.
//
// # Files
//
// In reading order:
//
//	options.go         the settings
//	store.go           Open and Close, and how scripts are run
//	rights.go          what a server must allow, and Ping
//	deployments.go     whose a prefix is
//	create.go          Create, and one file for each other operation:
//	                   read.go, swap.go (and replace.go), touch.go, regenerate.go, delete.go,
//	                   clear.go, list.go, count.go, namespaces.go, files.go,
//	                   sweep.go, stats.go, identity.go, lock.go; several.go and
//	                   deleteall.go have those of many sessions
//	requests.go        requests with an Idempotency-Key, states.go states of the service
//	parts.go           reading the beginnings of large values
//	grace.go           where a regenerated key leads
//	tombstones.go      how long the keys of ended sessions are taken
//	lifelimit.go       the longest life of sessions
//	reserve.go         what is kept from guests
//	index.go           the entries in the indexes
//	ageindex.go        reading the indexes by age in their order
//	delayedremoval.go  why replaced entries stay for a while in a Cluster
//	publish.go         changes, and the events of these
//	eventqueue.go      events on their way to the stream in a Cluster
//	events.go          Follow
//	clientcache.go     reads from the client cache
//	valuecache.go      values that are decoded already
//	externaldocument.go        sessions that other programs wrote
//	damage.go          values that are no sessions
//	errors.go          what an error of the server means
//
// What is stored, as bytes, is in package format, the way to a server in package
// conn, the scripts in package lua. Below redistest are servers for tests.
//
// # Layout
//
// With the default prefix, for the default namespace and for one named shop:
//
//	session:<id>             the session: a string that holds its JSON, see package format
//	session:shop:<id>
//	{session:<id>}:to        where a regenerated id leads during its grace
//	{session:<id>}:end       the tombstone of an id: until when it is taken
//	session:#exp:<n>         index by deadline, of all sessions: 64 sorted sets
//	session:#ns:default:<n>  index by age, of a namespace: 64 sorted sets
//	session:#user:default:u  index by age, of the user u: one sorted set
//	session:#file:<n>        index by file, of all sessions: 64 sorted sets
//	session:#names:<n>       the names of namespaces but the default: 64 sorted sets
//	session:#lock:<name>     a lease
//	session:#state:<name>    a state of the service beside the sessions
//	session:#request:<hex>   a request with an Idempotency-Key: a hash, by a digest of both
//	session:#events          the stream of events, while it has followers
//
// The facts of a session are a member of its value, before the trailer, and their mark
// is a part of the value's end: so a change of them is a conflict for others, and no
// script reads them.
//
// The deadline of a session is that of its key (PEXPIREAT, in ms), so that a
// touch writes nothing else and Redis frees what has expired by itself. A
// session is absent from its deadline on by the caller's clock, and from the
// moment Redis frees it by the server's: clocks should agree to much less than
// the shortest TTL.
//
// # What is one step
//
// Swap, Touch and Delete are each one Lua call on the session's key. It does
// not parse the document: it compares the bytes of its head that hold createdAt
// and the revision, and the end of the value, which holds its life and the idle
// timeouts. So a change is a compare-and-swap, and nothing brings back what is gone. An id that was ended and taken again is
// another session, whatever its revision.
//
// The whole value is compared instead where this instance knows it, as a rule because it
// has just read or written it: see replace.go and valuecache.go. That costs Redis half
// as much. A touch of such a session compares the parts of the value by which its version
// is known, and leaves it to the other script where these are others: see touch.go. So
// the value is neither searched nor sent, and an idle life that another instance has
// changed meanwhile counts. Such a value also serves as the read that a change begins with (Recall): if it
// is out of date, the swap fails, and the change begins again with what is stored.
//
// Create is one call, too, with the session's entries: on a single server. In a Cluster
// the indexes are on other servers, so the entries are written before.
//
// Regenerate has to change two keys that a Cluster may keep on two servers. The
// successor is stored first, as pending: no reader takes that for a session.
// Ending the old key, again one call, decides; then the successor is activated.
//
// The tombstone of an ended id is set where the session is removed, in the same
// call, and looked at where one is created. It holds its end by the caller's
// clock, as the session's deadline is, and Redis frees it then. Ending a session
// works where memory is full, too, although it writes a tombstone.
//
// Redis frees what has expired without running a script. So a live session has its
// tombstone beforehand, which ends so long after its deadline: whatever moves
// the deadline sets it anew, in the same call. That costs no round trip, a SET
// with each touch that is written, and some 230 bytes of memory for a session.
// It counts from the moment that the session is gone, whatever took it. Sessions
// of an earlier version get theirs when their deadline is next moved.
//
// Reads have a client of their own, so that they do not queue behind writes that the
// server holds back. Get is one round trip of two cheap commands, not a script. Where a change
// falls between the two, their answers do not fit, and both are read again in one
// step.
//
// # Indexes
//
// An entry is written before its session is stored, or in the same step, and removed
// after that is gone: the indexes are a superset, and every reader looks at the session
// itself. What would make a superset less is removing an entry that another
// writes again at the same time. Therefore entries have versions: a change of
// the user or the files of a session writes new entries under a new index version,
// which only the session's new value has, and removes those of the old version. No
// entry is ever written twice. An entry whose version no session has is removed by
// the operation that finds it, but only once it is so old that no operation can be
// about to store its session.
//
// Sweep goes by the index by deadline. Its entries hold all that is needed to
// remove a session's other entries once Redis has freed it (up to 1 KiB of file
// names; of sessions with more, those entries go when Files comes across them).
// Where a session was touched since, its place is moved, and lost entries of it
// are written again.
//
// A change that leaves the user and the files as they are, and a touch, write
// to no index. One that changes the files writes an entry for each file anew.
//
// Count looks at the deadline and the index version of each session in an index of up to
// 10,000, some 200 bytes of each. It costs what it counts. The sizes of the indexes alone
// would be cheaper, and wrong: of larger ones Count takes the size, less the share
// that a sample finds to lead nowhere.
//
// # Events
//
// They are in a stream, not in pub/sub, because a follower that was away for a
// moment has to go on where it was: pub/sub keeps nothing, and drops slow
// subscribers without saying what they missed. The stream is trimmed to about
// Options.Events. A follower reads from the last entry that it has seen, which
// therefore must still be there; else events are lost to it. It waits on a
// connection of its own.
//
// On one server, the script that changes a session adds the event: no round trip,
// no change without its event, and one order over all instances. Without a follower
// for an hour there is no stream, and an event costs an EXISTS.
//
// In a Cluster the stream is one key, on one of the servers, and no script
// changes keys of two. There the script answers the event, and the instance adds
// it to the stream in the background: in order, many at a time, from a bounded
// queue. While the stream's server is away, the others go on;
// what the queue does not hold by then is replaced by a mark in the stream, at
// which followers get backend.ErrEventsLost. So is what was sent without an
// answer. A process that dies takes the events of its last milliseconds with it,
// without a mark; one that is closed sends them first. Changes that one instance
// makes to a session are published in their order; where two instances change one
// within milliseconds, their events may be reordered, and the revision shows it.
//
// Redis reports no expired sessions: Sweep publishes an event for each that it finds
// gone. For what Redis evicted it does so when its deadline comes.
//
// # The reserve
//
// Guests, which are sessions without a user that no service makes, cannot take
// Options.Reserve percent of a server's memory. The scripts that store a session
// for one ask the server they run on by INFO, which takes it some 15 µs: whatever
// other instances do at the same time, guests are over their share by one value at
// most. What they are refused by is memory in use, of whatever kind; ending a
// session is never refused.
//
// A goroutine asks every primary for the same. While none has room for what a
// guest wants, it is refused without asking again.
//
// # Failure
//
// Everything that the server does not answer in time, or answers with an error,
// is backend.ErrUnavailable; out of memory under the policy noeviction is
// backend.ErrFull. Reads are tried again a few times, and so is what the server
// says it did not do (LOADING, CLUSTERDOWN, READONLY and the like). A change
// whose answer is lost is not: it may have been made, and trying again would
// take it for another client's. It is ErrUnavailable, never a success and never
// a conflict.
//
//   - A process that dies between two round trips leaves at most entries that
//     lead nowhere, or a pending successor that goes after a few seconds. If that
//     was after its old id was ended, the session is lost, and the old id has no
//     event: the caller had no answer. But a read by the grace of the old id, in
//     time, activates the successor. Clear waits for pending sessions.
//   - A server that dies loses what its persistence loses: nothing acknowledged
//     with appendfsync always, up to a second with everysec, all without. Lost
//     sessions are ended sessions.
//   - A failover loses the writes that had not reached the replica: changes,
//     ends and touches of the last moment, and their events. With
//     Options.WaitReplicas, none of these but touches was acknowledged. A follower that has
//     seen one of those gets backend.ErrEventsLost. In a Cluster, where entries may be
//     on another server than their session, entries too. Until Sweep writes
//     them again, at the session's deadline as it was, such a session is not
//     listed and not ended by Clear, and its files are not protected.
//   - A server that evicts (any maxmemory-policy but noeviction) can lose
//     sessions, and whole shards of the indexes. Open warns of it.
//
// Commands are pinned (Completed.Pin): the library would otherwise take a
// command's memory for the next one while a connection that broke may still be
// writing it.
//
// # Replicas
//
// With Options.WaitReplicas, a script that changes a session is followed by WAIT on
// the same connection. That counts the replicas that have all writes of the server
// up to then, entries included where they are on that server. If there are too few,
// the change is ErrUnavailable although it was made, as if its answer were lost, and
// the entries of the old state and of the new one stay until they are swept. What a
// script refuses is answered as it is. Reads and touches do not wait: connections
// that do serve nothing else.
//
// Regenerate waits where the old key is ended and where the successor is activated;
// with WaitEndsOnly for the former alone. An end that is not confirmed is no reason
// not to activate the successor.
//
// # Client cache
//
// With ClientCache, Get answers from memory until the server says that the
// session changed. What this instance changed itself, it sees at once. What
// another instance changed, it sees when the invalidation arrives: a network's
// latency later. If the connection dies silently, it is found dead after twice
// pingInterval plus Timeout at most, and the cache goes with it. Absence is
// never answered from the cache. Peek, and with it every change, always asks
// the server.
package redis
