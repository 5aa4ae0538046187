package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/soaktest"
)

// unreadRequests are requests that are answered before their body is read.
var unreadRequests = map[string]struct {
	method, path string
	header       []string
	status       int
	code         string
}{
	"413":             {"POST", "/api/session", []string{"Content-Type: application/json"}, 413, "too_large"},
	"413 by id":       {"PUT", "/api/sessions/0123456789abcdef", []string{"Content-Type: application/json", "Authorization: Bearer " + servicetest.Token}, 413, "too_large"},
	"415":             {"POST", "/api/session", []string{"Content-Type: text/plain"}, 415, "unsupported_media_type"},
	"401":             {"PUT", "/api/session", []string{"Content-Type: application/json"}, 401, ""},
	"401 service":     {"POST", "/api/import", []string{"Content-Type: application/x-ndjson"}, 401, "unauthorized"},
	"403":             {"POST", "/api/session", []string{"Content-Type: application/json", "Origin: https://stranger.example"}, 403, "forbidden_origin"},
	"400":             {"POST", "/api/session?limt=1", []string{"Content-Type: application/json"}, 400, "invalid_query"},
	"400 id":          {"PUT", "/api/sessions/short", []string{"Content-Type: application/json", "Authorization: Bearer " + servicetest.Token}, 400, "invalid_id"},
	"404":             {"POST", "/nowhere", []string{"Content-Type: application/json"}, 404, "not_found"},
	"405":             {"POST", "/healthz", []string{"Content-Type: application/json"}, 405, "method_not_allowed"},
	"413 of a record": {"POST", "/api/import", []string{"Content-Type: application/x-ndjson", "Authorization: Bearer " + servicetest.Token}, 413, "too_large"},
	"verify":          {"POST", "/api/session/verify", nil, 401, ""},
	"body of DELETE":  {"DELETE", "/api/session", nil, 204, ""},
}

// large is what clients send: far more than sockets hold.
func large(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "body.json")
	require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte{' '}, 4<<20), 0o600))
	return file
}

func startLingering(t *testing.T, pairs ...string) *running {
	t.Helper()
	return start(t, servicetest.Environment(t, append([]string{"SERVICE_TOKENS", servicetest.Token}, pairs...)...))
}

// Clients of all kinds, those that write all of a body before they read
// anything among them, see the answer and not a reset.
func TestAnswersBeforeTheBodyAreSeen(t *testing.T) {
	s := startLingering(t, "HTTP2", "true")
	file := large(t)
	for client, command := range map[string]func(method, url string, header []string) []string{
		"curl": func(method, url string, header []string) []string {
			args := []string{"curl", "-sS", "-o", "-", "-w", "\n%{http_code}", "-X", method, "-H", "Expect:", "--data-binary", "@" + file}
			return append(withHeaders(args, "-H", header), url)
		},
		"curl, chunked": func(method, url string, header []string) []string {
			args := []string{"curl", "-sS", "-o", "-", "-w", "\n%{http_code}", "-X", method, "-H", "Expect:", "-H", "Transfer-Encoding: chunked", "--data-binary", "@" + file}
			return append(withHeaders(args, "-H", header), url)
		},
		"curl, 100-continue": func(method, url string, header []string) []string {
			args := []string{"curl", "-sS", "-o", "-", "-w", "\n%{http_code}", "-X", method, "-H", "Expect: 100-continue", "--data-binary", "@" + file}
			return append(withHeaders(args, "-H", header), url)
		},
		"curl, HTTP/2": func(method, url string, header []string) []string {
			args := []string{"curl", "-sS", "--http2-prior-knowledge", "-o", "-", "-w", "\n%{http_code}", "-X", method, "--data-binary", "@" + file}
			return append(withHeaders(args, "-H", header), url)
		},
		"node, HTTP/2": func(method, url string, header []string) []string {
			return append([]string{"node", "-e", nodeHTTP2Client, method, url, file}, header...)
		},
		"wget": func(method, url string, header []string) []string {
			args := []string{
				"sh", "-c", `wget "$@" || test $? -eq 8`, "wget", // 8 is an answer of 4xx
				"-q", "-t", "1", "--content-on-error", "--save-headers", "-O", "-", "--method", method, "--body-file", file,
			}
			return append(withHeaders(args, "--header", header), url)
		},
		"node": func(method, url string, header []string) []string {
			return append([]string{"node", "-e", nodeClient, method, url, file}, header...)
		},
		"python": func(method, url string, header []string) []string {
			return append([]string{"python3", "-c", pythonClient, method, url, file}, header...)
		},
	} {
		for name, r := range unreadRequests {
			if client == "wget" && (r.status == 401 || r.status == 204) {
				continue // of which it shows nothing
			}
			slow := strings.HasPrefix(client, "node") || client == "python" && !soaktest.Long()
			if slow && !strings.HasPrefix(name, "41") && name != "401" {
				continue // it takes long to start
			}
			t.Run(client+" "+name, func(t *testing.T) {
				t.Parallel()
				args := command(r.method, s.url(r.path), r.header)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				tries := 1
				if strings.HasSuffix(client, "HTTP/2") {
					// The service goes on when such a client is silent for 200 ms, which on a
					// busy machine they are now and then.
					tries = soaktest.Times(4, 1)
				}
				var out, errOut bytes.Buffer
				err := errors.New("not tried")
				for ; err != nil && tries > 0; tries-- {
					out.Reset()
					errOut.Reset()
					cmd := exec.CommandContext(ctx, args[0], args[1:]...)
					cmd.Stdout, cmd.Stderr = &out, &errOut
					err = cmd.Run()
				}
				require.NoError(t, err, "%s%s", &out, &errOut)
				body, status := out.String(), ""
				if head, rest, ok := strings.Cut(body, "\r\n\r\n"); ok {
					body, status = rest, strings.Fields(head)[1]
				} else if at := strings.LastIndexByte(body, '\n'); assert.GreaterOrEqual(t, at, 0, "%s%s", &out, &errOut) {
					body, status = body[:at], body[at+1:]
				}
				assert.Equal(t, fmt.Sprint(r.status), status, "%s", body)
				checkProblem(t, body, r.code)
			})
		}
	}
}

func withHeaders(args []string, flag string, header []string) []string {
	for _, line := range header {
		args = append(args, flag, line)
	}
	return args
}

func checkProblem(t *testing.T, body, code string) {
	t.Helper()
	if code == "" {
		return
	}
	var problem struct{ Code string }
	require.NoError(t, json.Unmarshal([]byte(body), &problem), "%s", body)
	assert.Equal(t, code, problem.Code)
}

const nodeClient = `
const [method, url, file, ...header] = process.argv.slice(1)
const headers = header.map(line => line.split(': '))
const response = await fetch(url, { method, headers, body: (await import('node:fs')).readFileSync(file) })
process.stdout.write(await response.text() + '\n' + response.status)
`

const nodeHTTP2Client = `
const [method, url, file, ...header] = process.argv.slice(1)
const at = new URL(url)
const session = (await import('node:http2')).connect(at.origin)
const headers = Object.fromEntries(header.map(line => line.split(': ')))
const stream = session.request({ ...headers, ':method': method, ':path': at.pathname + at.search }, { endStream: false })
let status, text = ''
stream.setEncoding('utf8')
stream.on('response', got => { status = got[':status'] })
stream.on('data', chunk => { text += chunk })
stream.on('error', error => { console.error(error); process.exitCode = 1 })
stream.on('close', () => { session.close(); process.stdout.write(text + '\n' + status) })
stream.end((await import('node:fs')).readFileSync(file))
`

const pythonClient = `
import http.client, sys, urllib.parse
method, url, file, *header = sys.argv[1:]
at = urllib.parse.urlsplit(url)
connection = http.client.HTTPConnection(at.netloc)
connection.request(method, url, open(file, 'rb').read(), dict(line.split(': ', 1) for line in header))
answer = connection.getresponse()
sys.stdout.write(answer.read().decode() + '\n' + str(answer.status))
`

func TestAnswersBeforeTheBodyAreSeen_go(t *testing.T) {
	for name, environ := range map[string][]string{"HTTP/1.1": nil, "HTTP/2": {"HTTP2", "true"}} {
		s := startLingering(t, environ...)
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(environ == nil)
		transport.Protocols.SetUnencryptedHTTP2(environ != nil)
		t.Cleanup(transport.CloseIdleConnections)
		for kind, body := range map[string]func() io.Reader{
			"announced": func() io.Reader { return bytes.NewReader(bytes.Repeat([]byte{' '}, 4<<20)) },
			"streamed":  func() io.Reader { return io.LimitReader(endlessSpace{}, 4<<20) },
		} {
			for refusal, r := range unreadRequests {
				t.Run(name+" "+kind+" "+refusal, func(t *testing.T) {
					t.Parallel()
					req, err := http.NewRequestWithContext(t.Context(), r.method, s.url(r.path), body())
					require.NoError(t, err)
					for _, line := range r.header {
						key, value, _ := strings.Cut(line, ": ")
						req.Header.Set(key, value)
					}
					resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
					require.NoError(t, err)
					got := read(t, resp)
					assert.Equal(t, r.status, got.status, "%s", got.body)
					checkProblem(t, got.body, r.code)
				})
			}
		}
	}
}

// endlessSpace is a body that does not say how long it is.
type endlessSpace struct{}

func (endlessSpace) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

// A client that writes everything first, byte by byte what the kernel takes,
// gets the whole answer and a clean end.
func TestAnswerIsFollowedByAnEndAndNotAReset(t *testing.T) {
	s := startLingering(t)
	conn, r := dial(t, s.addr)
	_, err := fmt.Fprintf(conn, "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", 8<<20)
	require.NoError(t, err)
	_, err = io.CopyN(conn, endlessSpace{}, 8<<20)
	require.NoError(t, err)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	assert.Equal(t, 413, read(t, resp).status)
	assert.True(t, resp.Close)
	_, err = r.ReadByte()
	assert.ErrorIs(t, err, io.EOF)
}

// With Expect: 100-continue nothing is asked for, and nothing is waited for.
func TestNoBodyIsAskedForThatIsRefused(t *testing.T) {
	s := startLingering(t, "READ_TIMEOUT_MS", "600000")
	conn, r := dial(t, s.addr) // which has a deadline
	_, err := io.WriteString(conn, "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	assert.Equal(t, 413, read(t, resp).status)
	assert.True(t, resp.Close)
	_, err = r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

// Dropping ends by itself: a client that goes on for ever, or does not go on at
// all, is cut off.
func TestDroppingABodyIsBounded(t *testing.T) {
	s := startLingering(t, "READ_TIMEOUT_MS", "400")
	for name, send := range map[string]func(io.Writer){
		"silence": func(io.Writer) {},
		"no end":  func(w io.Writer) { _, _ = io.Copy(w, endlessSpace{}) },
		"drops": func(w io.Writer) {
			for tick := time.NewTicker(50 * time.Millisecond); ; <-tick.C {
				if _, err := w.Write([]byte{' '}); err != nil {
					tick.Stop()
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn, r := dial(t, s.addr)
			_, err := io.WriteString(conn, "POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n")
			require.NoError(t, err)
			done := make(chan struct{})
			go func() { defer close(done); send(conn) }()
			began := time.Now()
			status := statusOf(t, r)
			assert.Equal(t, 413, status)
			_, _ = io.Copy(io.Discard, r)
			<-done
			assert.Less(t, time.Since(began), patience, "it is the service that ends it")
		})
	}
	assert.Equal(t, 0, s.end(t))
}

func statusOf(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	return read(t, resp).status
}
