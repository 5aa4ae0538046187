//go:build !linux && !darwin

package httpserver

// raiseDescriptors assumes that there is room: no limit can be read here.
func raiseDescriptors(needed uint64) (limit uint64, err error) { return needed, nil }
