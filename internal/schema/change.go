package schema

import "time"

// Change is what a request body does to the sections: Input replaces them,
// MergePatch merges into them, Operations edits them.
type Change interface {
	// Apply returns the sections after the change; cur stays as it is. The
	// error is an *Error.
	Apply(cur Sections) (Sections, error)
	// TTL returns the idle timeout that the body asks for with ttlMs, and false if
	// it asks for none.
	TTL() (time.Duration, bool)
}
