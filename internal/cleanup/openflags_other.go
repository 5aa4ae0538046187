//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd

package cleanup

const openFlags = 0
