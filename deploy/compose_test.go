package deploy_test

import (
	"crypto/rand"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const service = "session-api"

// requiredByCompose are the variables that docker-compose.yml does not start
// without.
var requiredByCompose = map[string]string{
	"SESSION_SECRET_FILE": "secrets/session_secret",
	"SERVICE_TOKENS_FILE": "secrets/service_tokens",
}

// compose loads docker-compose.yml as `docker compose` does, from a directory
// that holds nothing else than the given .env.
func compose(t *testing.T, dotEnv map[string]string, profiles ...string) (*types.Project, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "docker-compose.yml")
	require.NoError(t, os.WriteFile(file, []byte(read(t, "docker-compose.yml")), 0o600))
	var env strings.Builder
	for name, value := range dotEnv {
		env.WriteString(name + "=" + value + "\n")
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".env"), []byte(env.String()), 0o600))

	options, err := cli.NewProjectOptions([]string{file},
		cli.WithWorkingDirectory(dir), cli.WithEnvFiles(), cli.WithDotEnv, cli.WithProfiles(profiles))
	require.NoError(t, err)
	return options.LoadProject(t.Context())
}

// composed returns the project and one of its services.
func composed(t *testing.T, name string, profiles ...string) (*types.Project, types.ServiceConfig) {
	t.Helper()
	project, err := compose(t, requiredByCompose, profiles...)
	require.NoError(t, err)
	found, err := project.GetService(name)
	require.NoError(t, err)
	return project, found
}

// settingsOf are the variables that a service is given.
func settingsOf(t *testing.T, s types.ServiceConfig) map[string]string {
	t.Helper()
	set := make(map[string]string)
	for name, value := range s.Environment {
		require.NotNil(t, value, "%s has no value", name)
		set[name] = *value
	}
	return set
}

func TestComposeNeedsTheSecrets(t *testing.T) {
	for name := range requiredByCompose {
		t.Run(name, func(t *testing.T) {
			without := maps.Clone(requiredByCompose)
			delete(without, name)
			_, err := compose(t, without)
			require.ErrorContains(t, err, name)
			require.ErrorContains(t, err, "name the file that holds")
		})
	}
}

func TestComposeHandsSecretsOverAsFiles(t *testing.T) {
	project, s := composed(t, service)
	set := settingsOf(t, s)
	assert.NotContains(t, set, "SESSION_SECRET")
	assert.NotContains(t, set, "SERVICE_TOKENS")

	var mounted []string
	for _, secret := range s.Secrets {
		mounted = append(mounted, "/run/secrets/"+secret.Source)
		defined, ok := project.Secrets[secret.Source]
		require.True(t, ok)
		assert.Equal(t, filepath.Join(project.WorkingDir, "secrets", secret.Source), defined.File)
	}
	assert.ElementsMatch(t, []string{set["SESSION_SECRET_FILE"], set["SERVICE_TOKENS_FILE"]}, mounted)
}

func TestComposeSettingsAreKnown(t *testing.T) {
	_, s := composed(t, service)
	known := exampleSettings(t)
	for name := range s.Environment {
		assert.Contains(t, known, name)
	}
}

func TestComposeSettingsAreAccepted(t *testing.T) {
	_, s := composed(t, service)
	set, secrets := settingsOf(t, s), t.TempDir()
	// What the container has and this machine has not.
	require.Equal(t, image(t).environment(t)["ANALYSIS_TMP_DIR"], set["ANALYSIS_TMP_DIR"])
	set["ANALYSIS_TMP_DIR"] = t.TempDir()
	for _, name := range []string{"SESSION_SECRET_FILE", "SERVICE_TOKENS_FILE"} {
		set[name] = filepath.Join(secrets, name)
		require.NoError(t, os.WriteFile(set[name], []byte(rand.Text()+rand.Text()+"\n"), 0o600))
	}
	output, err := session(t, set, "config")
	require.NoError(t, err, output)
	assert.Contains(t, output, "APP_ENV=production\n")
}

// What .env says reaches the service, but does not undo what makes it safe.
func TestComposePassesDotEnvOn(t *testing.T) {
	dotEnv := maps.Clone(requiredByCompose)
	maps.Copy(dotEnv, map[string]string{
		"ALLOWED_ORIGINS": "https://app.example.com", "APP_ENV": "development", "HOST": "127.0.0.1", "PORT": "9000",
	})
	project, err := compose(t, dotEnv)
	require.NoError(t, err)
	s := project.Services[service]
	set := settingsOf(t, s)
	assert.Equal(t, "https://app.example.com", set["ALLOWED_ORIGINS"])
	assert.Equal(t, "production", set["APP_ENV"])
	assert.Equal(t, "0.0.0.0", set["HOST"])
	assert.Equal(t, "8080", set["PORT"])
	assert.Equal(t, "9000", project.Services["proxy"].Ports[0].Published, "PORT is the port of this machine")
	assert.Equal(t, "/run/secrets/session_secret", set["SESSION_SECRET_FILE"])
}

// Only the proxy is reached from outside, and only from this machine.
func TestComposePublishesOnLoopbackOnly(t *testing.T) {
	project, s := composed(t, "proxy", "worker")
	require.Len(t, s.Ports, 1)
	host, err := netip.ParseAddr(s.Ports[0].HostIP)
	require.NoError(t, err)
	assert.True(t, host.IsLoopback())
	for name, other := range project.Services {
		assert.True(t, name == "proxy" || len(other.Ports) == 0, "%s is published", name)
	}
}

// Only the proxy is believed where a request comes from: not what else is in its
// network, which gets other addresses.
func TestComposeTrustsTheProxyAlone(t *testing.T) {
	project, s := composed(t, service)
	trusted, err := netip.ParseAddr(settingsOf(t, s)["TRUSTED_PROXIES"])
	require.NoError(t, err, "one address")
	assert.Equal(t, project.Services["proxy"].Networks["front"].Ipv4Address, trusted.String())

	require.Len(t, project.Networks["front"].Ipam.Config, 1)
	pool := project.Networks["front"].Ipam.Config[0]
	subnet, err := netip.ParsePrefix(pool.Subnet)
	require.NoError(t, err)
	others, err := netip.ParsePrefix(pool.IPRange)
	require.NoError(t, err)
	assert.True(t, subnet.Contains(trusted))
	assert.True(t, subnet.Contains(others.Addr()))
	assert.Less(t, subnet.Bits(), others.Bits())
	assert.False(t, others.Contains(trusted), "Docker could give it to another container")
	assert.NotEqual(t, subnet.Addr().Next(), trusted, "Docker's own")
	for name, other := range project.Services {
		for network, in := range other.Networks {
			assert.True(t, name == "proxy" || in == nil || in.Ipv4Address == "", "%s in %s", name, network)
		}
	}

	dotEnv := maps.Clone(requiredByCompose)
	dotEnv["TRUSTED_PROXIES"], dotEnv["PROXY_ADDRESS"] = "10.1.0.2,10.1.0.1", "10.1.0.2"
	dotEnv["FRONT_SUBNET"], dotEnv["FRONT_RANGE"] = "10.1.0.0/24", "10.1.0.128/25"
	project, err = compose(t, dotEnv)
	require.NoError(t, err)
	assert.Equal(t, "10.1.0.2,10.1.0.1", settingsOf(t, project.Services[service])["TRUSTED_PROXIES"])
	assert.Equal(t, "10.1.0.2", project.Services["proxy"].Networks["front"].Ipv4Address)
	assert.Equal(t, "10.1.0.0/24", project.Networks["front"].Ipam.Config[0].Subnet)
}

func TestComposeChecksHealthThroughTheBinary(t *testing.T) {
	_, s := composed(t, service)
	require.NotNil(t, s.HealthCheck)
	binary := execForm(t, image(t).one(t, "ENTRYPOINT"))[0]
	assert.Equal(t, types.HealthCheckTest{"CMD", binary, "healthcheck"}, s.HealthCheck.Test)
}

func TestComposeGivesTimeToShutDown(t *testing.T) {
	_, s := composed(t, service)
	set := settingsOf(t, s)
	var needed time.Duration
	for _, name := range []string{"SHUTDOWN_DELAY_MS", "SHUTDOWN_TIMEOUT_MS"} {
		ms, err := strconv.Atoi(set[name])
		require.NoError(t, err, name)
		require.Positive(t, ms, name)
		needed += time.Duration(ms) * time.Millisecond
	}
	require.NotNil(t, s.StopGracePeriod)
	assert.Greater(t, time.Duration(*s.StopGracePeriod), needed)
}

func TestComposeLocksContainersDown(t *testing.T) {
	users := map[string]string{
		service: image(t).one(t, "USER"), "worker": image(t).one(t, "USER"),
		"proxy": "101:101", "redis": "999:1000", // as their images have it
	}
	project, _ := composed(t, service, "worker")
	require.ElementsMatch(t, slices.Collect(maps.Keys(users)), project.ServiceNames())
	for name, user := range users {
		t.Run(name, func(t *testing.T) {
			s := project.Services[name]
			assert.Equal(t, user, s.User)
			assert.True(t, s.ReadOnly)
			assert.False(t, s.Privileged)
			assert.Equal(t, []string{"ALL"}, s.CapDrop)
			assert.Empty(t, s.CapAdd)
			assert.Contains(t, s.SecurityOpt, "no-new-privileges:true")
			require.NotNil(t, s.Deploy)
			require.NotNil(t, s.Deploy.Resources.Limits)
			assert.Positive(t, s.Deploy.Resources.Limits.MemoryBytes)
			assert.Positive(t, s.Deploy.Resources.Limits.Pids)
		})
	}
}

// The worker writes the files that the service cleans up: both see one volume,
// as one user.
func TestComposeSharesTheAnalysisFiles(t *testing.T) {
	project, s := composed(t, service, "worker")
	worker, err := project.GetService("worker")
	require.NoError(t, err)
	require.Len(t, s.Volumes, 1)
	require.Len(t, worker.Volumes, 1)

	assert.Equal(t, settingsOf(t, s)["ANALYSIS_TMP_DIR"], s.Volumes[0].Target)
	assert.Equal(t, s.Volumes[0].Source, worker.Volumes[0].Source)
	assert.Contains(t, project.Volumes, s.Volumes[0].Source)
	for _, volume := range slices.Concat(s.Volumes, worker.Volumes) {
		assert.Equal(t, types.VolumeTypeVolume, volume.Type)
		assert.False(t, volume.ReadOnly)
	}
	assert.Equal(t, s.User, worker.User)
}

func TestComposeStartsTheWorkerOnlyWhenAsked(t *testing.T) {
	project, _ := composed(t, service)
	assert.ElementsMatch(t, []string{"proxy", "redis", service}, project.ServiceNames())
}
