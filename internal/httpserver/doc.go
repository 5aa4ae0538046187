// Package httpserver is an HTTP server for the open internet: net/http's, with a
// bound on what any client can hold of it. It knows nothing of what it serves.
//
// net/http bounds a request: its headers, its time, its idle connection. It does
// not bound how many connections one client has, how slowly a body comes within
// its time, or how long silent connections hold up a shutdown, and it resets
// connections that the kernel has taken when it closes its listener. This package
// adds that.
//
// The files in reading order:
//
//   - server.go: Options and Server, the whole of the interface
//   - connections.go: the limit on open connections, by listener and hooks
//   - admission.go: who gets a connection when all are taken, and who loses one
//   - closereason.go: why one was closed
//   - deadline.go: the deadlines of a connection, with few calls of the runtime
//   - bodyrate.go: the least rate of bodies over HTTP/1.1
//   - http2.go: HTTP/2 without TLS, and its limits
//   - builtinerrors.go: counts the answers that net/http makes by itself
//   - inflight.go: counts running handlers
//   - shutdown.go: how all of it ends
//   - sockets_linux.go, sockets_other.go: what only the kernel can do
//   - openfiles.go and its variants: the limit on file descriptors
package httpserver
