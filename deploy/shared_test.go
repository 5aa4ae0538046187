package deploy_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/redis/redistest"
)

func TestComposeRunsTwoInstances(t *testing.T) {
	project, s := composed(t, service)
	assert.Equal(t, 2, s.GetScale())
	assert.Empty(t, s.ContainerName, "there could be one only")

	address, err := url.Parse(settingsOf(t, s)["REDIS_URL"])
	require.NoError(t, err)
	redis, err := project.GetService(address.Hostname())
	require.NoError(t, err)
	assert.NotEmpty(t, networksInCommon(s, redis))

	// Redis has no password: nobody else reaches it, and README says so.
	assert.Regexp(t, "(?s)Redis has no password.*`back`", read(t, "README.md"))
	for name, other := range project.Services {
		assert.True(t, name == service || name == redis.Name || len(networksInCommon(redis, other)) == 0, "%s reaches Redis", name)
	}
	for network := range redis.Networks {
		assert.True(t, project.Networks[network].Internal)
	}
}

func networksInCommon(a, b types.ServiceConfig) []string {
	var common []string
	for name := range a.Networks {
		if _, ok := b.Networks[name]; ok {
			common = append(common, name)
		}
	}
	return common
}

// What the command line says, as Redis itself understands it.
func TestComposeRedisKeepsSessions(t *testing.T) {
	_, s := composed(t, "redis")
	require.Equal(t, "redis-server", s.Command[0])
	var options []redistest.Option
	for _, line := range strings.Split(strings.Join(s.Command[1:], " "), "--")[1:] {
		directive, value, _ := strings.Cut(strings.TrimRight(line, " "), " ")
		options = append(options, redistest.Set(directive, value))
	}
	server := redistest.Start(t, options...)
	for directive, want := range map[string]string{
		"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction",
	} {
		assert.Equal(t, directive+"\n"+want, server.CLI("CONFIG", "GET", directive))
	}
	limit, err := strconv.ParseInt(strings.TrimPrefix(server.CLI("CONFIG", "GET", "maxmemory"), "maxmemory\n"), 10, 64)
	require.NoError(t, err)
	require.Positive(t, limit)
	assert.LessOrEqual(t, limit, int64(s.Deploy.Resources.Limits.MemoryBytes)/2)

	require.Len(t, s.Volumes, 1)
	assert.Equal(t, types.VolumeTypeVolume, s.Volumes[0].Type)
	assert.Equal(t, "/data", s.Volumes[0].Target, "where the image's server keeps its files")
}

// The proxy leads to the instances.
func TestComposeProxy(t *testing.T) {
	project, proxy := composed(t, "proxy")
	s := project.Services[service]
	assert.NotEmpty(t, networksInCommon(proxy, s))
	require.Len(t, proxy.Volumes, 1)
	assert.Equal(t, filepath.Join(project.WorkingDir, "deploy", "nginx.conf"), proxy.Volumes[0].Source)
	assert.Equal(t, "/etc/nginx/nginx.conf", proxy.Volumes[0].Target)
	assert.True(t, proxy.Volumes[0].ReadOnly)

	conf := read(t, "deploy", "nginx.conf")
	assert.Contains(t, conf, "set $instances "+service+":"+settingsOf(t, s)["PORT"]+";")
	assert.Regexp(t, `(?m)^\s*listen 8080;$`, conf)
	assert.EqualValues(t, 8080, proxy.Ports[0].Target)
	for _, path := range regexp.MustCompile(`(?m)_path (\S+);|^pid (\S+);`).FindAllStringSubmatch(conf, -1) {
		assert.True(t, strings.HasPrefix(path[1]+path[2], "/tmp/"), "%v: only /tmp can be written", path)
	}
	assert.True(t, slices.ContainsFunc(proxy.Tmpfs, func(mount string) bool { return strings.HasPrefix(mount, "/tmp") }))
}

// nginx reads its configuration as it is, but for what only Docker has.
func TestProxyConfigurationIsValid(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(conf, []byte(strings.ReplaceAll(read(t, "deploy", "nginx.conf"), "/tmp/", dir+"/")), 0o600))
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx" // where Debian keeps it, out of the way of most users
	}
	output, err := exec.CommandContext(t.Context(), nginx, "-t", "-e", "stderr", "-p", dir, "-c", conf).CombinedOutput()
	require.NoError(t, err, string(output))
	assert.NotContains(t, string(output), "[warn]")
}
