package schema

import "time"

// Rules are the settings that decide what a document may contain. They are safe for
// concurrent use as long as they are not modified.
type Rules struct {
	// MaxBytes is the size of the largest document; 0 for no limit.
	MaxBytes int
	// MaxFileRefs is the most files that a session may refer to; 0 for no limit.
	MaxFileRefs int
	// MaxTTL is the longest idle timeout that a body may ask for; 0 for no limit.
	MaxTTL time.Duration
	// Sanitize is what happens to the strings of inputs. The zero value is
	// SanitizeControls.
	Sanitize Sanitize
	// ForbiddenKeys are member names that no section may contain at any depth,
	// whatever their case or width: see foldName. The members that the schema itself
	// names, such as user.email, are not affected.
	ForbiddenKeys []string
	folded        foldedKeys
}

// The fixed limits of a document.
const (
	// maxDepth is how deep objects and arrays may nest, the root counting as 1.
	maxDepth = 64
	// maxFieldErrors bounds the field errors of one answer.
	maxFieldErrors = 50
	// maxPointer bounds a reported pointer, in bytes.
	maxPointer = 1024
	// maxOperations is how many operations a JSON Patch may have.
	maxOperations = 1000
)
