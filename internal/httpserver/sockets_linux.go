package httpserver

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// refuse makes the kernel drop SYN segments, while connections that have begun
// are still accepted. Closing the listener instead would reset those, and with
// them requests that a proxy may not repeat. A client sends its SYN again after a
// second, and finds the listener closed.
//
// The filter sees a segment from its TCP header on: byte 13 has the flags.
func refuse(listener net.Listener) error {
	const flags, syn, synOrAck, everything = 13, 0x02, 0x12, 1<<32 - 1
	program := [...]unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: synOrAck},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: everything},
	}
	return withSocket(listener, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
}

// backlog returns how many connections wait to be accepted. For a listening
// socket the kernel reports that in tcpi_unacked.
func backlog(listener net.Listener) (waiting int, err error) {
	err = withSocket(listener, func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			waiting = int(info.Unacked)
		}
		return err
	})
	return waiting, err
}

// unread reports whether the socket has received bytes that are not read yet.
func unread(conn net.Conn) bool {
	pending := 0
	err := withSocket(conn, func(fd int) (err error) {
		pending, err = unix.IoctlGetInt(fd, unix.TIOCINQ)
		return err
	})
	return err == nil && pending > 0
}

// withSocket calls f with the descriptor of a listener or connection.
func withSocket(of any, f func(fd int) error) error {
	conn, ok := of.(syscall.Conn)
	if !ok {
		return syscall.EOPNOTSUPP
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}
