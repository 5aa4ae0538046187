package redistest_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/store/redis/redistest"
)

// patience is how long a test waits for what should take no time.
const patience = time.Minute

// onEach runs a test on each server that is installed.
func onEach(t *testing.T, test func(t *testing.T, binary redistest.Option)) {
	t.Helper()
	for _, binary := range redistest.Binaries(t) {
		t.Run(filepath.Base(binary), func(t *testing.T) { test(t, redistest.Binary(binary)) })
	}
}

// connect returns a client that ends with the test.
func connect(t *testing.T, opt rueidis.ClientOption) rueidis.Client {
	t.Helper()
	client, err := rueidis.NewClient(opt)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// ask sends a command, for at most patience.
func ask(t *testing.T, client rueidis.Client, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return client.Do(ctx, client.B().Arbitrary(args...).Build()).ToString()
}

// refused tells whether nobody listens.
func refused(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func TestServerAnswers(t *testing.T) {
	onEach(t, func(t *testing.T, binary redistest.Option) {
		server := redistest.Start(t, binary)
		assert.Equal(t, "PONG", server.CLI("PING"))
		assert.Equal(t, "OK", server.CLI("SET", "key", "a value"))
		assert.Equal(t, "a value", server.CLI("GET", "key"))
		assert.Empty(t, server.CLI("GET", "nothing"))
		assert.Equal(t, "2", server.CLI("RPUSH", "list", "one", "two"))
		assert.Equal(t, "one\ntwo", server.CLI("LRANGE", "list", "0", "-1"))
		assert.Contains(t, server.CLI("INCR", "list"), "WRONGTYPE")

		value, err := ask(t, connect(t, server.ClientOption()), "GET", "key")
		require.NoError(t, err)
		assert.Equal(t, "a value", value)
	})
}

func TestServersAreApart(t *testing.T) {
	one, other := redistest.Start(t), redistest.Start(t)
	require.NotEqual(t, one.Addr(), other.Addr())
	one.CLI("SET", "key", "value")
	assert.Equal(t, "0", other.CLI("EXISTS", "key"))
}

func TestRestart(t *testing.T) {
	ends := map[string]func(*redistest.Server){
		"killed":             (*redistest.Server).Kill,
		"killed when paused": func(s *redistest.Server) { s.Pause(); s.Kill() },
		"stopped":            (*redistest.Server).Stop,
		"restarted at once":  func(*redistest.Server) {},
	}
	onEach(t, func(t *testing.T, binary redistest.Option) {
		for name, end := range ends {
			t.Run(name, func(t *testing.T) {
				server := redistest.Start(t, binary, redistest.AppendOnly("always"))
				addr := server.Addr()
				server.CLI("SET", "key", "value")
				end(server)
				server.Restart()
				assert.Equal(t, addr, server.Addr())
				assert.Equal(t, "value", server.CLI("GET", "key"))
			})
		}
		t.Run("without a file the data is gone", func(t *testing.T) {
			server := redistest.Start(t, binary)
			server.CLI("SET", "key", "value")
			server.Kill()
			assert.False(t, server.Up())
			assert.True(t, refused(server.Addr()))
			server.Restart()
			assert.True(t, server.Up())
			assert.Equal(t, "0", server.CLI("DBSIZE"))
		})
	})
}

func TestPause(t *testing.T) {
	server := redistest.Start(t)
	conn := dial(t, server.Addr())
	send(t, conn, "PING\r\n")
	requireBack(t, conn, "+PONG\r\n")

	server.Pause()
	assert.False(t, server.Up())
	assert.False(t, refused(server.Addr()), "the kernel still takes connections")
	send(t, conn, "PING\r\n")
	requireSilence(t, conn)

	server.Resume()
	assert.True(t, server.Up())
	requireBack(t, conn, "+PONG\r\n")
}

func TestSettings(t *testing.T) {
	server := redistest.Start(t,
		redistest.AppendOnly("everysec"),
		redistest.MaxMemory("50mb", "allkeys-lru"),
		redistest.Set("databases", "3"),
		redistest.Set("proc-title-template", `a "quoted" \ {title}`),
	)
	for directive, want := range map[string]string{
		"appendonly":          "yes",
		"appendfsync":         "everysec",
		"maxmemory":           strconv.Itoa(50 << 20),
		"maxmemory-policy":    "allkeys-lru",
		"databases":           "3",
		"save":                "",
		"proc-title-template": `a "quoted" \ {title}`,
	} {
		assert.Equal(t, directive+"\n"+want, server.CLI("CONFIG", "GET", directive))
	}
}

func TestAccessControl(t *testing.T) {
	for _, user := range []string{"default", "service"} {
		t.Run(user, func(t *testing.T) {
			onEach(t, func(t *testing.T, binary redistest.Option) {
				server := redistest.Start(t, binary, redistest.TLS(), redistest.Password(user, `p"ss \word`))
				assert.Equal(t, user, server.CLI("ACL", "WHOAMI"))

				opt := server.ClientOption()
				answer, err := ask(t, connect(t, opt), "PING")
				require.NoError(t, err)
				assert.Equal(t, "PONG", answer)

				stranger := opt
				stranger.Username, stranger.Password = "", ""
				_, err = rueidis.NewClient(stranger)
				require.ErrorContains(t, err, "NOAUTH")

				liar := opt
				liar.Password = "guessed"
				_, err = rueidis.NewClient(liar)
				require.ErrorContains(t, err, "WRONGPASS")

				plain := opt
				plain.TLSConfig = nil
				_, err = rueidis.NewClient(plain)
				require.Error(t, err, "without TLS")

				careful := opt
				careful.TLSConfig = redistest.Start(t, binary, redistest.TLS()).TLS()
				_, err = rueidis.NewClient(careful)
				require.ErrorContains(t, err, "certificate", "of an authority that it does not trust")
			})
		})
	}
}

func TestURL(t *testing.T) {
	server := redistest.Start(t, redistest.TLS(), redistest.Password("service", "p:/?#[]@"))
	opt, err := rueidis.ParseURL(server.URL())
	require.NoError(t, err)
	assert.Equal(t, []string{server.Addr()}, opt.InitAddress)
	require.NotNil(t, opt.TLSConfig)
	opt.TLSConfig.RootCAs = server.TLS().RootCAs
	_, err = ask(t, connect(t, opt), "PING")
	require.NoError(t, err)
	assert.FileExists(t, server.CAFile())

	plain := redistest.Start(t)
	assert.Equal(t, "redis://"+plain.Addr(), plain.URL())
	assert.Nil(t, plain.TLS())
	assert.Empty(t, plain.CAFile())
}
