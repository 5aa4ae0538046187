package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

// stores open one of each kind. Redis comes with its server.
var stores = map[string]func(testing.TB) (backend.Store, *redistest.Server){
	"memory": func(testing.TB) (backend.Store, *redistest.Server) {
		return memory.New(memory.Options{Policy: memory.LRU, MaxEntries: 10_000, Tombstone: 5 * time.Minute}), nil
	},
	"bolt": func(t testing.TB) (backend.Store, *redistest.Server) {
		s, err := bolt.Open(time.Now(), bolt.Options{
			Dir: t.TempDir(), Interval: 100 * time.Millisecond, CommitTimeout: enough,
			Memory: memory.Options{Policy: memory.LRU, MaxEntries: 10_000, Tombstone: 5 * time.Minute},
		})
		require.NoError(t, err)
		return s, nil
	},
	"redis": func(t testing.TB) (backend.Store, *redistest.Server) {
		server := redistest.Start(t)
		s, err := redis.Open(t.Context(), redis.Options{Server: conn.Server{Addresses: []string{server.Addr()}, Timeout: 30 * time.Second}})
		require.NoError(t, err)
		return s, server
	},
}

// startOn is start with production's limit of references and the clock of the
// machine, which is that of Redis, too. A question of a gateway has time enough
// for a machine that is busy with other tests: what fails is what is refused.
func startOn(t *testing.T, kept backend.Store) *service {
	t.Helper()
	return start(t, func(set *settings) {
		set.store, set.Now, set.rules.MaxFileRefs = kept, time.Now, 1000
		set.VerifyTimeout = 29 * time.Second
	})
}

// raw sends a request without the checks of client, which take longer than the
// service does. It returns the status, and the session's cookie where there is
// one.
func raw(ctx context.Context, s *service, method, path, cookie, contentType, body string) (status int, set string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if body != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	for _, c := range resp.Cookies() {
		set = c.Name + "=" + c.Value
	}
	return resp.StatusCode, set, err
}

const (
	asDocument = "application/json"
	asMerge    = "application/merge-patch+json"
)

// long returns the results that refer to n files with names of that length.
func long(prefix string, n, length int) string {
	return named(fmt.Sprintf("%s%s/%s", prefix, strings.Repeat("d/", 20), strings.Repeat("x", max(0, length-50))), n)
}

// One client gives its session one set of files after the other, and the same
// with more of them than may be: the others' questions are answered meanwhile,
// and nothing but the last set is left.
func TestFileSetsInTurnLeaveOthersAlone(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			kept, _ := open(t)
			s := startOn(t, kept)
			other := s.client()
			other.create(ada)
			sets := []string{named("a", 1000), long("b", 1000, 700)}
			tooMany := soaktest.Times(20_000, 60_000)
			many := []string{named("c", tooMany), named("d", tooMany)}
			status, cookie, err := raw(t.Context(), s, http.MethodPost, "/api/session", "", asDocument, sets[0])
			require.NoError(t, err)
			require.Equal(t, http.StatusCreated, status)

			done := make(chan error, 1)
			go func() {
				defer close(done)
				for i := range soaktest.Times(3, 30) {
					for _, try := range []struct {
						body string
						want int
					}{{sets[i%2], http.StatusOK}, {many[i%2], http.StatusUnprocessableEntity}} {
						got, _, err := raw(t.Context(), s, http.MethodPatch, "/api/session", cookie, asMerge, try.body)
						if err == nil && got != try.want {
							err = fmt.Errorf("%d for %.40s", got, try.body)
						}
						if err != nil {
							done <- err
							return
						}
					}
				}
			}()
			for asked := 0; ; asked++ {
				select {
				case err := <-done:
					require.NoError(t, err)
					assert.Positive(t, asked)
					left := 0
					require.NoError(t, kept.Files(t.Context(), schema.Now(time.Now()), func(string) error { left++; return nil }))
					assert.Equal(t, 1000, left)
					return
				default:
				}
				other.do("GET", verify, "").expect(200)
			}
		})
	}
}

// What an anonymous megabyte of short names costs is an answer.
func TestManyShortNamesAreRefused(t *testing.T) {
	names := make([]string, soaktest.Times(30_000, 145_000))
	for i := range names {
		names[i] = `"` + strconv.FormatInt(int64(i), 36) + `"`
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			kept, _ := open(t)
			s := startOn(t, kept)
			c := s.client()
			body := `{"results":{"analysis":{"files":[` + strings.Join(names, ",") + `]}}}`
			problem := c.do("POST", "/api/session", body).problem(422, "validation_failed")
			assert.Equal(t, "/results/analysis/files/1000", problem.Errors[0].Pointer)
			st, err := kept.Stats(t.Context(), time.Now())
			require.NoError(t, err)
			assert.Zero(t, st.Entries)
		})
	}
}
