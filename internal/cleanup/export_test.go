package cleanup

// What black-box tests cannot reach without a file system that allows it.
var (
	Escape     = escape
	ModifiedAt = modifiedAt
)

const MaxDepth = maxDepth

// Relative is the path that a reference names within a directory with the
// given absolute spellings.
func Relative(spellings []string, ref string) (string, bool) { return bases(spellings).relative(ref) }
