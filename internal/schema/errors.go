package schema

import "strings"

// Code is a stable machine-readable name of an error. Codes are part of the public
// contract.
type Code string

// The codes of errors in a document or in a change to it.
const (
	// CodeInvalidJSON: the body is not one well-formed JSON value of the kind
	// that the route takes (RFC 8259, I-JSON of RFC 7493).
	CodeInvalidJSON Code = "invalid_json"
	// CodeValidationFailed: the body is JSON, but not a session.
	CodeValidationFailed Code = "validation_failed"
	// CodeTooLarge: the body, or the document that it would make, is over the
	// size limit.
	CodeTooLarge Code = "too_large"
	// CodePatchFailed: a JSON Patch operation cannot be applied (RFC 6902
	// section 5).
	CodePatchFailed Code = "patch_failed"
	// CodePatchTestFailed: a JSON Patch test operation did not hold.
	CodePatchTestFailed Code = "patch_test_failed"
)

// Error describes what is wrong with a request. It never quotes the values that were
// sent, only names and locations.
type Error struct {
	Code   Code
	Detail string
	Fields []FieldError

	// tolerant is the change that the body asks for, if the stored document may
	// contain the same violations: see IfStored.
	tolerant *tolerantChange
}

// FieldError is one error and its location.
type FieldError struct {
	// Pointer is a JSON Pointer (RFC 6901) into the request body.
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Code))
	b.WriteString(": ")
	b.WriteString(e.Detail)
	for _, f := range e.Fields {
		b.WriteString("; ")
		b.WriteString(f.Pointer)
		b.WriteString(": ")
		b.WriteString(f.Detail)
	}
	return b.String()
}
