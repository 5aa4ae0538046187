package schema

// effort is what operations may still cost, counted in names that are looked
// at. A thousand operations on a document of a hundred thousand members could
// otherwise keep a processor busy for seconds.
type effort struct{ left int }

const (
	// maxEffort is a few tenths of a second, at most.
	maxEffort = 1 << 25
	// perName is how many bytes are compared, or elements moved, while a name
	// is looked at.
	perName = 8
)

var errTooMuchWork = &failure{
	code: CodePatchFailed, member: "op", detail: "the operations up to this one take more work than a patch may",
}

func (e *effort) spent() bool { return e.left < 0 }
func (e *effort) names(n int) { e.left -= n }
func (e *effort) move(n int)  { e.left -= n / perName }
func (e *effort) look(n int)  { e.left -= n / perName }
