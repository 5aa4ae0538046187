package main

import (
	"math"
	"strconv"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		gomemlimit string
		group      int64
		want       memoryLimit
	}{
		"none":                 {"", 0, memoryLimit{}},
		"the group's":          {"", 64 * mib, memoryLimit{64 * mib, "cgroup"}},
		"the runtime's":        {"32MiB", 0, memoryLimit{32 * mib, "GOMEMLIMIT"}},
		"the lower one":        {"32MiB", 64 * mib, memoryLimit{32 * mib, "GOMEMLIMIT"}},
		"the lower one, too":   {"128MiB", 64 * mib, memoryLimit{64 * mib, "cgroup"}},
		"the runtime has none": {"off", 64 * mib, memoryLimit{64 * mib, "cgroup"}},
	} {
		assert.Equal(t, c.want, findMemoryLimit(map[string]string{"GOMEMLIMIT": c.gomemlimit}, c.group), name)
	}
	assert.Zero(t, memoryLimit{}.sessionBytes(mib))
	assert.EqualValues(t, 100*mib/100*40, memoryLimit{100 * mib, ""}.sessionBytes(mib))
	assert.EqualValues(t, 2*mib, memoryLimit{mib, ""}.sessionBytes(mib), "the largest session fits")
}

// The default is a share of what there is, unless somebody says otherwise, and it
// is what config prints.
func TestMaxMemoryBytes(t *testing.T) {
	for name, c := range map[string]struct {
		environ map[string]string
		want    int64
	}{
		"a share":         {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024"}, 1024 * 40},
		"what is set":     {map[string]string{"GOMEMLIMIT": "10MiB", "SESSION_MAX_MEMORY_BYTES": "5000000"}, 5000000},
		"off":             {map[string]string{"GOMEMLIMIT": "10MiB", "SESSION_MAX_MEMORY_BYTES": "0"}, 0},
		"empty is unset":  {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024", "SESSION_MAX_MEMORY_BYTES": " "}, 1024 * 40},
		"nothing at all":  {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024", "REDIS_URL": "redis://localhost"}, 0},
		"bolt has it too": {map[string]string{"GOMEMLIMIT": "100KiB", "SESSION_MAX_BYTES": "1024", "SESSION_DATA_DIR": t.TempDir()}, 1024 * 40},
	} {
		cfg, err := load(c.environ)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, cfg.MaxMemoryBytes, name)
		assert.Contains(t, cfg.print(), "SESSION_MAX_MEMORY_BYTES="+strconv.FormatInt(c.want, 10)+"\n", name)
	}
}

func TestMaxBodyMemory(t *testing.T) {
	for name, c := range map[string]struct {
		environ map[string]string
		want    int64
	}{
		"little memory":    {map[string]string{"GOMEMLIMIT": "80MiB"}, 10 << 20},
		"very little":      {map[string]string{"GOMEMLIMIT": "1MiB"}, 2 << 20},
		"what is set":      {map[string]string{"GOMEMLIMIT": "80MiB", "MAX_BODY_MEMORY_BYTES": "33554432"}, 32 << 20},
		"and Redis has it": {map[string]string{"GOMEMLIMIT": "80MiB", "REDIS_URL": "redis://localhost"}, 10 << 20},
	} {
		cfg, err := load(c.environ)
		require.NoError(t, err, name)
		assert.Equal(t, c.want, cfg.MaxBodyMemory, name)
	}
}

func TestReserveNeedsServiceTokens(t *testing.T) {
	cfg, err := load(map[string]string{"SESSION_USER_RESERVE_PERCENT": "20"})
	require.NoError(t, err)
	assert.Zero(t, cfg.memory().Reserve)
	cfg, err = load(map[string]string{"SESSION_USER_RESERVE_PERCENT": "20", "SERVICE_TOKENS": "one"})
	require.NoError(t, err)
	assert.Equal(t, 20, cfg.memory().Reserve)
}
