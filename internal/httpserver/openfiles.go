package httpserver

// reservedDescriptors are the file descriptors that a service needs besides one
// a connection: the connections that wait for admission, the listener, the log,
// files and directories, and connections to other servers.
const reservedDescriptors = 128

// RaiseOpenFiles raises the limit on open files (RLIMIT_NOFILE) to what so many
// connections need, as far as the process may. It returns how many connections
// fit, at most as many as were asked for, and the limit in force. A process
// without descriptors accepts no connection, while one at its limit of
// connections still serves those that are open.
func RaiseOpenFiles(connections int) (fit int, limit uint64, err error) {
	limit, err = raiseDescriptors(uint64(connections) + reservedDescriptors) //nolint:gosec // it is positive
	if err != nil {
		return connections, 0, err
	}
	return min(connections, connectionsWithin(limit)), limit, nil
}

// connectionsWithin returns how many connections fit into a limit on open
// files: all but the reserve, or half of a limit that is not much larger.
func connectionsWithin(limit uint64) int {
	const plenty = 1 << 31
	limit = min(limit, plenty)
	return int(max(1, limit-min(limit/2, reservedDescriptors)))
}
