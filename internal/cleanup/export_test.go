package cleanup

import "io/fs"

// What black-box tests cannot reach without a file system that allows it.
var (
	Escape     = escape
	ModifiedAt = modifiedAt
)

const MaxDepth = maxDepth

// AgeByModTime lets a job of the options take a file for as old as its
// modification time says, which tests can set: they cannot set any of the others.
func (o *Options) AgeByModTime() { o.changed = fs.FileInfo.ModTime }

// AgeByFileSystem undoes that.
func (o *Options) AgeByFileSystem() { o.changed = nil }

// MarkerName is the name of the marker.
const MarkerName = markerName

// Spellings are the references that are looked for in the last look at a file.
func Spellings(spellings []string, rel string) []string { return bases(spellings).spellings(rel) }

// Relative is the path that a reference names within a directory with the
// given absolute spellings.
func Relative(spellings []string, ref string) (string, bool) { return bases(spellings).relative(ref) }
