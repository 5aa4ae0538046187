// Package conn connects the store on Redis: it turns settings into a client that
// works, finds the server again when that has moved, and says why there is none.
//
//	server.go     the settings, their defaults and their rules
//	conn.go       the first connection, which may take as long as it takes
//	client.go     the options of the client library
//	sockets.go    the open connections, and their credentials
//	inspect.go    what a server must be, and what it should be
//	handshake.go  why a first connection failed
//	errors.go     what an error says about the server
//	send.go       commands that are repeated where the server did nothing
//	confirm.go    commands that replicas have to confirm
package conn
