package memlimit

import (
	"math"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
)

func TestCgroupLimit(t *testing.T) {
	const (
		v1Mount = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
		v2Mount = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
		other   = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
		none    = "9223372036854771712\n"
	)
	for name, c := range map[string]struct {
		groups, mounts string
		files          map[string]string
		want           int64
	}{
		"nothing at all":  {},
		"version 2":       {"0::/app\n", v2Mount, map[string]string{"sys/fs/cgroup/app/memory.max": "134217728\n"}, 128 << 20},
		"no limit":        {"0::/app\n", v2Mount, map[string]string{"sys/fs/cgroup/app/memory.max": "max\n"}, 0},
		"what cannot be":  {"0::/app\n", v2Mount, map[string]string{"sys/fs/cgroup/app/memory.max": "-1\n"}, 0},
		"in a container":  {"0::/\n", v2Mount, map[string]string{"sys/fs/cgroup/memory.max": "67108864\n"}, 64 << 20},
		"no file to read": {"0::/app\n", v2Mount, nil, 0},
		"a group above has less": {"0::/pod/app\n", v2Mount, map[string]string{
			"sys/fs/cgroup/pod/app/memory.max": "max\n", "sys/fs/cgroup/pod/memory.max": "100\n", "sys/fs/cgroup/memory.max": "200\n",
		}, 100},
		"a group above has more": {"0::/pod/app\n", v2Mount, map[string]string{
			"sys/fs/cgroup/pod/app/memory.max": "50\n", "sys/fs/cgroup/pod/memory.max": "100\n",
		}, 50},
		"version 1": {"5:cpu:/x\n4:memory:/app\n0::/\n", other + v1Mount, map[string]string{
			"sys/fs/cgroup/memory/app/memory.limit_in_bytes": "77\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": none,
			"sys/fs/cgroup/cpu/x/memory.limit_in_bytes": "1\n",
		}, 77},
		"version 1 without a limit": {"4:memory:/app\n", v1Mount, map[string]string{"sys/fs/cgroup/memory/app/memory.limit_in_bytes": none}, 0},
		"version 1 beside others": {"4:hugetlb,memory:/app\n", "35 31 0:32 / /cg rw - cgroup cgroup rw,hugetlb,memory\n", map[string]string{
			"cg/app/memory.limit_in_bytes": "77\n",
		}, 77},
		"a container with the host's names": {
			"4:memory:/docker/abc\n", "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "88\n"},
			88,
		},
		"a group within such a container": {
			"4:memory:/docker/abc/in\n", "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "88\n", "sys/fs/cgroup/memory/in/memory.limit_in_bytes": "44\n"},
			44,
		},
		"another container's mount": {
			"4:memory:/docker/abcdef\n", "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			map[string]string{"sys/fs/cgroup/memory/memory.limit_in_bytes": "88\n", "sys/fs/cgroup/memory/def/memory.limit_in_bytes": "44\n"},
			88,
		},
		"names from outside the namespace": {"0::/../../app\n", v2Mount, map[string]string{"sys/fs/cgroup/memory.max": "99\n"}, 99},
		"both versions": {"4:memory:/a\n0::/a\n", v1Mount + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n", map[string]string{
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "77\n",
		}, 77},
		"lines of nothing": {"\n:\n0::\n", "\n - \n1 - cgroup2\n", nil, 0},
	} {
		root := fstest.MapFS{}
		if name != "nothing at all" {
			root["proc/self/cgroup"] = &fstest.MapFile{Data: []byte(c.groups)}
			root["proc/self/mountinfo"] = &fstest.MapFile{Data: []byte(c.mounts)}
		}
		for file, text := range c.files {
			root[file] = &fstest.MapFile{Data: []byte(text)}
		}
		assert.Equal(t, c.want, cgroupLimit(root), name)
	}
}

func TestParseGoMemLimit(t *testing.T) {
	for text, want := range map[string]int64{
		"": 0, "off": 0, "0": 0, "-1": 0, "1x": 0, "1.5GiB": 0, "100": 100, "100B": 100, "2KiB": 2048, "3MiB": 3 << 20, "4GiB": 4 << 30, "1TiB": 1 << 40,
		"99999999TiB": 0, strconv.Itoa(math.MaxInt64): 0,
	} {
		assert.Equal(t, want, parseGoMemLimit(text), text)
	}
}

func TestLower(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		gomemlimit string
		group      int64
		want       Limit
	}{
		"none":                 {"", 0, Limit{}},
		"the group's":          {"", 64 * mib, Limit{64 * mib, "cgroup"}},
		"the runtime's":        {"32MiB", 0, Limit{32 * mib, "GOMEMLIMIT"}},
		"the lower one":        {"32MiB", 64 * mib, Limit{32 * mib, "GOMEMLIMIT"}},
		"the lower one, too":   {"128MiB", 64 * mib, Limit{64 * mib, "cgroup"}},
		"the runtime has none": {"off", 64 * mib, Limit{64 * mib, "cgroup"}},
	} {
		assert.Equal(t, c.want, lower(c.gomemlimit, c.group), name)
	}
}

func TestRuntimeLimit(t *testing.T) {
	const mib = 1 << 20
	for limit, want := range map[int64]int64{
		1000 * mib: 900 * mib, 120 * mib: 108 * mib, 100 * mib: 88 * mib, 64 * mib: 52 * mib, 40 * mib: 32 * mib,
	} {
		assert.Equal(t, want, runtimeLimit(limit), limit/mib)
	}
}
