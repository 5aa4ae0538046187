package backend

import "context"

// MaxState is how large a state can be, in bytes.
const MaxState = 1 << 20

// States is the part of a Store that keeps small states of the service beside the
// sessions, such as keys that sign: each has a name of lower-case letters, digits and '-', is the
// same for all instances that share the sessions, and lives as long as these. Nothing
// that ends sessions ends a state.
type States interface {
	// LoadState returns the state of that name; nil if there is none.
	LoadState(ctx context.Context, name string) ([]byte, error)

	// SwapState replaces the state old, which LoadState has returned, by next; nil
	// removes it. Returns ErrConflict if the state is another by now: of any number of
	// calls at the same time with one old state, exactly one succeeds.
	SwapState(ctx context.Context, name string, old, next []byte) error
}

// maxStateName is how long the name of a state can be.
const maxStateName = 64

// ValidStateName reports whether a state can have the name.
func ValidStateName(name string) bool {
	if name == "" || len(name) > maxStateName {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
