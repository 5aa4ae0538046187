// Package jsonpatch changes JSON text: by JSON Patch (RFC 6902), a Document and its
// operations with JSON Pointers (RFC 6901), and by JSON Merge Patch (RFC 7396),
// AppendMerged. Both work on the text itself and take to pieces only what a patch
// leads into, so that a small change of a large document costs little; what copies
// and tests may cost has a limit.
//
// All text must be compact and normalised: checked before, without white space, and
// with each name spelt as [session-api/internal/jsonscan.AppendQuoted] does.
//
// The package knows nothing of sessions. In reading order: pointer.go, patch.go,
// tree.go, equal.go, limit.go for the one, merge.go, members.go for the other.
package jsonpatch
