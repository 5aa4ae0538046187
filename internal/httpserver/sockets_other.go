//go:build !linux

package httpserver

import (
	"errors"
	"net"
)

// refuse is not supported here: connections that the kernel has taken when the
// listener is closed are reset.
func refuse(net.Listener) error { return errors.ErrUnsupported }

func backlog(net.Listener) (int, error) { return 0, errors.ErrUnsupported }

func unread(net.Conn) bool { return false }
