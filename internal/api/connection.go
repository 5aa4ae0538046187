package api

import (
	"net/http"
	"strconv"
	"time"
)

// isMultiplexed reports whether the request shares its connection with others,
// perhaps of other clients of a gateway, as those of HTTP/2 do. Each is a stream
// of its own: what is left of one stands in no other's way.
func isMultiplexed(r *http.Request) bool { return r.ProtoMajor > 1 }

// closeConnection closes the connection after the answer, where the rest of the request
// would come before the next one.
func closeConnection(w http.ResponseWriter, r *http.Request) {
	if !isMultiplexed(r) {
		w.Header().Set("Connection", "close")
		w.Header().Del(headerKeepAlive)
	}
}

// headerKeepAlive tells clients how long their connection may rest. Node's fetch
// and others then send no request on one that is about to be closed.
const headerKeepAlive = "Keep-Alive"

// keepAliveHint returns the header's value, or nothing where connections rest
// for as long as they like. Clients take less than a second for none.
func keepAliveHint(idle time.Duration) []string {
	if idle <= 0 {
		return nil
	}
	return []string{"timeout=" + strconv.FormatInt(int64(idle/time.Second), 10)}
}

// keepsAlive reports whether the connection is kept after the answer, as far as
// the client has a say in it. In HTTP/2 the header is forbidden (RFC 9113
// section 8.2.2).
func keepsAlive(r *http.Request) bool { return r.ProtoMajor == 1 && r.ProtoMinor == 1 && !r.Close }

// drainTimeout bounds how long a body that no route reads may take to arrive.
const drainTimeout = 500 * time.Millisecond
