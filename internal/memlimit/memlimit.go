package memlimit

import (
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// What Go's runtime is told to leave of a control group's memory: a tenth, because not
// all that counts there is the runtime's, and not less than headroom, because a busy
// processor lets the heap grow beyond the limit before garbage is collected; but a fifth
// at most.
const (
	headroom      = 12 << 20
	leastHeadroom = 10 // as a part of the limit
	mostHeadroom  = 5
)

// runtimeLimit returns what Go's runtime should stay within, in bytes.
func runtimeLimit(limit int64) int64 {
	return limit - max(limit/leastHeadroom, min(headroom, limit/mostHeadroom))
}

// Limit is what bounds the process's memory. The zero value is no limit.
type Limit struct {
	Bytes int64
	// From is GOMEMLIMIT or cgroup.
	From string
}

// Find returns the lower one of GOMEMLIMIT and the limit of the process's
// control groups. machine is the machine's file system, from its root.
func Find(environ map[string]string, machine fs.FS) Limit {
	return lower(environ["GOMEMLIMIT"], cgroupLimit(machine))
}

func lower(gomemlimit string, group int64) Limit {
	own := parseGoMemLimit(gomemlimit)
	switch {
	case own > 0 && (group == 0 || own <= group):
		return Limit{own, "GOMEMLIMIT"}
	case group > 0:
		return Limit{group, "cgroup"}
	}
	return Limit{}
}

// Apply tells Go's runtime to stay within the limit, unless there is none or
// the operator has set GOMEMLIMIT.
func (l Limit) Apply(environ map[string]string) (restore func()) {
	if l.Bytes == 0 || environ["GOMEMLIMIT"] != "" {
		return func() {}
	}
	before := debug.SetMemoryLimit(runtimeLimit(l.Bytes))
	return func() { debug.SetMemoryLimit(before) }
}

// parseGoMemLimit reads a value of GOMEMLIMIT as package runtime does; 0 for none.
func parseGoMemLimit(text string) int64 {
	units := []struct {
		suffix string
		shift  int
	}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}}
	shift := 0
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.suffix); ok {
			text, shift = number, u.shift
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64>>shift || n<<shift == math.MaxInt64 {
		return 0
	}
	return n << shift
}

// cgroupLimit returns the lowest memory limit of the control groups that the
// process is in, of version 2 or 1; 0 where there is none, or none can be read.
// The file system is that of the machine, from its root.
func cgroupLimit(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	mounts, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return 0
	}
	var lowest int64
	for line := range strings.Lines(string(groups)) {
		// number:controllers:path (cgroups(7)); version 2 names no controllers.
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		kind, file := "cgroup2", "memory.max"
		if fields[1] != "" {
			if !hasWord(fields[1], "memory") {
				continue
			}
			kind, file = "cgroup", "memory.limit_in_bytes"
		}
		for _, m := range cgroupMounts(string(mounts), kind) {
			if n := m.limit(root, fields[2], file); n > 0 && (lowest == 0 || n < lowest) {
				lowest = n
			}
		}
	}
	return lowest
}

// cgroupMount is where a hierarchy, or a part of it, is mounted.
type cgroupMount struct{ part, point string }

// cgroupMounts returns the mounts of a kind that may have limits of memory.
func cgroupMounts(mountinfo, kind string) []cgroupMount {
	var found []cgroupMount
	for line := range strings.Lines(mountinfo) {
		// id parent major:minor part point options… - type source options (proc(5))
		mount, fileSystem, ok := strings.Cut(strings.TrimSpace(line), " - ")
		if !ok {
			continue
		}
		left, right := strings.Fields(mount), strings.Fields(fileSystem)
		if len(left) < 5 || len(right) < 3 || right[0] != kind || kind == "cgroup" && !hasWord(right[2], "memory") {
			continue
		}
		found = append(found, cgroupMount{left[3], left[4]})
	}
	return found
}

// limit returns the lowest limit from the group up to the mount. In a container
// the group may be named from outside: then what is mounted is the group.
func (m cgroupMount) limit(root fs.FS, group, file string) (lowest int64) {
	inside := path.Clean("/" + group)
	if m.part != "/" {
		rest, ok := strings.CutPrefix(inside, m.part)
		if !ok || rest != "" && rest[0] != '/' {
			rest = ""
		}
		inside = path.Clean("/" + rest)
	}
	for {
		if n := readLimit(root, path.Join(m.point, inside, file)); n > 0 && (lowest == 0 || n < lowest) {
			lowest = n
		}
		if inside == "/" {
			return lowest
		}
		inside = path.Dir(inside)
	}
}

// readLimit reads a file that holds a limit; 0 for none: version 2 says max, and
// version 1 a number that no machine has.
func readLimit(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, strings.TrimPrefix(name, "/"))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n < 0 || n >= 1<<60 {
		return 0
	}
	return n
}

func hasWord(list, word string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one == word {
			return true
		}
	}
	return false
}
