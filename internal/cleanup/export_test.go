package cleanup

import "io/fs"

// Exported for tests: what cannot be reached without a file system that allows it.
var (
	Escape     = escapeName
	ModifiedAt = modifiedAt
)

const MaxDepth = maxDepth

// AgeByModTime makes a job use modification times, which tests can set, for ages.
func (o *Options) AgeByModTime() { o.changed = fs.FileInfo.ModTime }

// AgeByFileSystem undoes AgeByModTime.
func (o *Options) AgeByFileSystem() { o.changed = nil }

// MarkerName is the name of the marker.
const MarkerName = markerName

// Spellings returns the references that the last check of a file asks for.
func Spellings(spellings []string, rel string) []string { return rootPaths(spellings).spellings(rel) }

// Relative returns the path of a reference within a directory with the given absolute
// paths.
func Relative(spellings []string, ref string) (string, bool) {
	return rootPaths(spellings).relative(ref)
}
