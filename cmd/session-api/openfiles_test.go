package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// A service that may open few files raises the limit, or lowers the number of
// its connections and says so. In no case do idle clients leave it without a
// descriptor for the next one.
func TestFewDescriptors(t *testing.T) {
	path := servicetest.Binary(t)
	const files, clients = 200, 300
	limited := fmt.Sprintf("ulimit -n %d && exec %s", files, path)
	run := func(t *testing.T, shell ...string) *process {
		t.Helper()
		cmd := exec.Command(shell[0], shell[1:]...)
		cmd.Env = command(path, servicetest.Environment(t, "MAX_CONNECTIONS", "10000")).Env
		p := launchCommand(t, cmd)
		for range clients {
			conn, _ := dial(t, p.addr)
			_, err := io.WriteString(conn, "GET /heal")
			require.NoError(t, err)
		}
		for range 20 {
			assert.Equal(t, http.StatusOK, do(t, http.MethodGet, "http://"+p.addr+"/healthz", nil, "").status)
		}
		assert.NotContains(t, p.log.String(), "too many open files")
		return p
	}

	t.Run("as whoever runs the tests", func(t *testing.T) { run(t, "sh", "-c", limited) })
	t.Run("without the right to raise the limit", func(t *testing.T) {
		shell := []string{"sh", "-c", limited}
		if os.Geteuid() == 0 {
			shell = append([]string{"setpriv", "--bounding-set", "-sys_resource"}, shell...)
		}
		p := run(t, shell...)
		lowered := p.log.all("MAX_CONNECTIONS lowered: the limit on open files (RLIMIT_NOFILE, ulimit -n) allows no more")
		require.Len(t, lowered, 1, p.log)
		assert.InDelta(t, files-files/2, lowered[0]["to"], float64(files/2))
	})
	t.Run("where there is room for all", func(t *testing.T) {
		p := launch(t, path, servicetest.Environment(t, "MAX_CONNECTIONS", "100"))
		assert.NotContains(t, p.log.String(), "MAX_CONNECTIONS")
	})
}
