package jsonpatch

// limit is what operations may still cost, counted in names that are looked at. A
// thousand operations on a document of a hundred thousand members could otherwise
// keep a processor busy for seconds.
type limit struct{ left int }

const (
	// maxWork is a few tenths of a second, at most.
	maxWork = 1 << 25
	// perName is how many bytes are compared, or elements moved, while a name
	// is looked at.
	perName = 8
)

func (l *limit) exceeded() bool { return l.left < 0 }
func (l *limit) names(n int)    { l.left -= n }
func (l *limit) moved(n int)    { l.left -= n / perName }
func (l *limit) compared(n int) { l.left -= n / perName }
