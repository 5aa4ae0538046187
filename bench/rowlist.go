package main

import "time"

// rows returns all rows that measure the service under load.
func rows() []row {
	return []row{
		get(row{
			name: "GET", doc: "`GET /api/session` with a cookie, a document of 1 KB, 1 thousand live sessions",
			env: errorsOnly, sessions: thousand, against: []yardstick{netHTTP, fastHTTP},
			metrics: []metric{requests.atLeast(0.9), cpuPerRequest.atMost(1.15)},
		}),
		get(row{
			name: "GET, logged", doc: "the same with `ACCESS_LOG=all`: a line in a file for each request",
			env: everything, sessions: thousand, logged: true, against: []yardstick{netHTTP},
			metrics: []metric{requests.atLeast(0.7), cpuPerRequest},
		}),
		verify(row{
			name: "verify", doc: "`GET /api/session/verify` with a cookie, as a gateway asks: the answer has no body",
			env: errorsOnly, sessions: thousand, against: []yardstick{netHTTP, fastHTTP},
			metrics: []metric{requests.atLeast(0.95), cpuPerRequest, p50Latency, p99Latency, p999Latency},
		}, ""),
		verify(row{
			name: "verify, role", doc: "the same with `?role=editor`, which the user has",
			env: errorsOnly, sessions: thousand, against: []yardstick{netHTTP},
			metrics: []metric{requests.atLeast(0.95), cpuPerRequest},
		}, "?role=editor"),
		patch(row{
			name: "PATCH", doc: "`PATCH /api/session` changes one key of a document of 1 KB, another value each time",
			env: errorsOnly, sessions: thousand, against: []yardstick{netHTTP, fastHTTP},
			metrics: []metric{requests.atLeast(0.75), cpuPerRequest},
		}),
		post(row{
			name: "POST", doc: "`POST /api/session` with a service token makes a session of 1 KB with a user",
			env: errorsOnly, sessions: thousand, against: []yardstick{netHTTP, fastHTTP},
			metrics: []metric{requests.atLeast(0.7), cpuPerRequest.atMost(1.7)},
		}),
		patch(row{
			name: "PATCH, followed", doc: "PATCH while one client reads `/api/events`, and gets an event for each",
			env: followed, sessions: thousand, prepare: prepareFollowed, against: []yardstick{unfollowed},
			metrics: []metric{requests, cpuPerRequest},
		}),
		get(row{
			name: "events", doc: "one client reads what has gathered for it on `/api/events`, as fast as it comes",
			env: followed, sessions: thousand, prepare: prepareBacklog, against: []yardstick{netHTTPStream},
			metrics: []metric{eventsRead, perEvent},
		}),
		patch(row{
			name: "PATCH, bolt, 1 writer", doc: "PATCH with `SESSION_DATA_DIR` and `SESSION_SYNC=always`, one request at a time",
			env: always, onDisk: true, sessions: thousand, connections: 1, against: []yardstick{fsync},
			metrics: []metric{writesPerFsync, writesPerFlush},
		}),
		patch(row{
			name: "PATCH, bolt, 64 writers", doc: "the same, 64 requests at a time",
			env: always, onDisk: true, sessions: thousand, connections: 64, against: []yardstick{fsync},
			metrics: []metric{writesPerFsync.atLeast(20), writesPerFlush.atLeast(20)},
		}),
		patch(row{
			name: "PATCH, bolt, interval", doc: "PATCH with `SESSION_SYNC=interval`",
			env: interval, onDisk: true, sessions: thousand, against: []yardstick{inMemory},
			metrics: []metric{requests.atLeast(0.8), cpuPerRequest},
		}),
		patch(row{
			name: "PATCH, backup", doc: "PATCH with `SESSION_SYNC=always` and 50 thousand sessions, while one backup after the other is read",
			env: always, onDisk: true, sessions: 50 * thousand, prepare: prepareBackup, against: []yardstick{noBackup},
			metrics: []metric{p99Latency.atMost(2), requests},
		}),
		get(row{
			name: "sign-in, flood",
			doc: "a service signs a visitor in (`POST /api/sessions/{id}/regenerate` with a `user`) while strangers make " +
				"1,000 sessions a second in a store of 20,000 that is full",
			env: atCap, sessions: thousand, prepare: prepareFlood, act: signIn, against: []yardstick{noFlood},
			metrics: []metric{p50Latency.atMost(2), p99Latency.atMost(3)},
		}),
		get(row{
			name: "read, flood", doc: "a visitor who is signed in reads the session, in the same flood",
			env: atCap, sessions: thousand, prepare: prepareFlood, act: readOwn, against: []yardstick{noFlood},
			metrics: []metric{p50Latency.atMost(2), p99Latency.atMost(3)},
		}),
		get(row{
			name: "end, flood", doc: "a visitor who is signed in ends the session, in the same flood",
			env: atCap, sessions: thousand, prepare: prepareFlood, act: endOwn, against: []yardstick{noFlood},
			metrics: []metric{p50Latency.atMost(2), p99Latency.atMost(3)},
		}),
		get(row{
			name: "GET, held", doc: "GET with 200 thousand live sessions, while 2,000 more are made a second",
			env: errorsOnly, sessions: held, prepare: prepareGrowth, against: []yardstick{growingThousand},
			metrics: []metric{requests.atLeast(0.95), cpuPerRequest},
		}),
		verify(row{
			name: "verify, held", doc: "verify with as many, and as many more",
			env: errorsOnly, sessions: held, prepare: prepareGrowth, against: []yardstick{growingThousand},
			metrics: []metric{requests.atLeast(0.95), cpuPerRequest},
		}, ""),
		get(row{
			name: "GET, Redis", doc: "GET from a Redis on the same machine, one round trip each",
			env: errorsOnly, onRedis: true, sessions: thousand, against: []yardstick{inMemory, redisGet},
			metrics: []metric{requests.atLeast(0.5), cpuPerRequest},
		}),
		get(row{
			name: "GET, Redis, cached", doc: "the same with `REDIS_CLIENT_CACHE=true`",
			env: cached, onRedis: true, sessions: thousand, rest: ownWrites, against: []yardstick{inMemory, redisGet},
			metrics: []metric{requests.atLeast(0.8), cpuPerRequest},
		}),
		patch(row{
			name: "PATCH, Redis", doc: "PATCH on a Redis that writes nothing to disk",
			env: errorsOnly, onRedis: true, sessions: thousand, against: []yardstick{inMemory, redisSet},
			metrics: []metric{requests, cpuPerRequest},
		}),
		post(row{
			name: "POST, Redis", doc: "POST on a Redis that writes nothing to disk",
			env: errorsOnly, onRedis: true, sessions: thousand, against: []yardstick{inMemory, redisSet},
			metrics: []metric{requests, cpuPerRequest},
		}),
		{
			name: "summaries", doc: "`GET /api/sessions?view=summary&limit=1000`: the summaries of 1 thousand sessions of 1 KB",
			env: errorsOnly, sessions: thousand, connections: few, method: "GET", path: listPath + "?view=summary&limit=1000",
			callers: serviceToken, status: 200, against: []yardstick{netHTTP, documents},
			metrics: []metric{requests, cpuPerRequest},
		},
		{
			name: "summaries, Redis", doc: "the same from a Redis on the same machine",
			env: errorsOnly, onRedis: true, sessions: thousand, connections: few, method: "GET", path: listPath + "?view=summary&limit=1000",
			callers: serviceToken, status: 200, against: []yardstick{inMemory, documents},
			metrics: []metric{requests, cpuPerRequest},
		},
		batch(row{
			name: "batch get", doc: "`POST /api/sessions/get` with the ids of 1 thousand sessions of 1 KB, whose documents it returns",
			env: errorsOnly, sessions: thousand, connections: few, against: []yardstick{netHTTP},
			metrics: []metric{requests, cpuPerRequest},
		}),
		batch(row{
			name: "batch get, Redis", doc: "the same from a Redis on the same machine",
			env: errorsOnly, onRedis: true, sessions: thousand, connections: few, against: []yardstick{inMemory},
			metrics: []metric{requests, cpuPerRequest},
		}),
		end(row{
			name: "end by filter", doc: "`POST /api/sessions/end` ends 10 thousand sessions of 1 KB by when they were created",
			env: errorsOnly, sessions: 10 * thousand, metrics: []metric{seconds.atMost(2)},
		}),
		end(row{
			name: "end by filter, Redis", doc: "the same on a Redis on the same machine",
			env: errorsOnly, onRedis: true, sessions: 10 * thousand, metrics: []metric{seconds.atMost(10)},
		}),
		get(row{
			name: "GET, 1 million", doc: "GET with 1 million live sessions of 1 KB",
			env: errorsOnly, long: true, sessions: million, against: []yardstick{withThousand},
			metrics: []metric{p99Latency.atMost(1.3), requests, cpuPerRequest}, rests: true, single: residentFigures,
		}),
		list(row{
			name: "list, 1 million", doc: "`GET /api/sessions?userId=`: the 10 sessions of a user, with 1 million live ones",
			env: errorsOnly, long: true, sessions: million, against: []yardstick{withThousand},
			metrics: []metric{requests.atLeast(0.8), cpuPerRequest},
		}),
		get(row{
			name: "start, 1 million", doc: "from the start of the process to its first answer, with 1 million sessions of 1 KB in its file",
			env: interval, long: true, onDisk: true, sessions: million, prepare: prepareRestart,
			metrics: []metric{seconds.atMost(5)}, single: fileFigures,
		}),
		{
			name: "cleanup", doc: "a dry run over 1 million files, of which the sessions refer to 100 thousand",
			env: withTree, long: true, sessions: referenced, method: "POST", path: cleanupPath,
			callers: serviceToken, status: 200, prepare: prepareCleanup, against: []yardstick{find},
			metrics: []metric{seconds.atMostRatio(3), memoryGrowth.atMost(100)},
		},
		get(row{
			name: "GET, cleanup", doc: "GET while such runs follow each other",
			env: withTree, long: true, sessions: referenced, prepare: prepareBusy, against: []yardstick{noCleanup},
			metrics: []metric{p99Latency.atMost(2), requests},
		}),
	}
}

// followed makes the service keep all events for clients that reconnect.
var followed = map[string]string{"ACCESS_LOG": "errors", "SESSION_EVENTS_BUFFER": "1000000"}

// withTree makes all files of the tree old enough to be deleted, and leaves the cleanup
// to the row. environ puts the directory in.
var withTree = map[string]string{
	"ACCESS_LOG": "errors", "FILE_GRACE_MS": "0", "FILE_CLEANUP_INTERVAL_MS": "0", "WRITE_TIMEOUT_MS": "600000",
	"ANALYSIS_TMP_DIR": treeMark,
}

// restPoll is the interval for polling a state.
const restPoll = 20 * time.Millisecond
