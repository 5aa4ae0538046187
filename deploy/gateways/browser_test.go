package gateways_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/websocket"
)

// dial opens a WebSocket through the gateway.
func (g *gateway) dial(target, cookie string) (*websocket.Conn, error) {
	g.t.Helper()
	config, err := websocket.NewConfig("ws"+strings.TrimPrefix(g.url, "http")+target, pageOrigin)
	require.NoError(g.t, err)
	if cookie != "" {
		config.Header = http.Header{"Cookie": {cookie}, "X-User-Id": {"root"}}
	}
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	return config.DialContext(ctx)
}

func TestWebSocketsPass(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		cookie := g.sessions.signIn(t, editor)
		ws, err := g.dial("/live?a=b", cookie)
		require.NoError(t, err)
		require.NoError(t, ws.SetDeadline(time.Now().Add(patience)))
		for i := range 3 {
			sent, got := fmt.Sprintf("message %d", i), ""
			require.NoError(t, websocket.Message.Send(ws, sent))
			require.NoError(t, websocket.Message.Receive(ws, &got))
			assert.Equal(t, sent, got)
		}
		require.NoError(t, ws.Close())
		seen := g.app.take()
		require.Len(t, seen, 1)
		assert.Equal(t, "/live?a=b", seen[0].target)
		assert.Equal(t, []string{"u-1"}, identity(seen[0].header)["x_user_id"])

		for name, refused := range map[string]struct{ target, cookie string }{
			"nobody": {"/live", ""}, "without the role": {"/admin/live", cookie}, "to sign in": {"/pages/live", ""},
		} {
			_, err = g.dial(refused.target, refused.cookie)
			require.Error(t, err, name)
		}
		assert.Empty(t, g.app.take())
	})
}

// Only to WebSockets: a connection that has become one of HTTP/2 would pass
// requests that nobody was asked about.
func TestOtherUpgradesEnd(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		cookie := g.sessions.signIn(t, editor)
		for _, upgrade := range []string{"h2c", "websocket, h2c", "TLS/1.0", "xwebsocket"} {
			a := g.do("GET", "/", http.NoBody, "Cookie", cookie, "Connection", "Upgrade, HTTP2-Settings", "Upgrade", upgrade, "HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")
			assert.Equal(t, http.StatusOK, a.status)
			seen := g.app.take()
			require.Len(t, seen, 1)
			assert.NotContains(t, seen[0].header, "Upgrade", upgrade)
		}
	})
}

func TestPreflightsPass(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		cookie := g.sessions.signIn(t, editor)
		preflight := []string{
			"Origin", pageOrigin, "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "content-type",
		}
		for _, target := range []string{"/orders/7?page=2", "/admin/x", "/pages/x", "/public/x", "/"} {
			a := g.do("OPTIONS", target, http.NoBody, preflight...)
			require.Equal(t, http.StatusOK, a.status, target)
			assert.Equal(t, pageOrigin, a.header.Get("Access-Control-Allow-Origin"))
			seen := g.app.take()
			require.Len(t, seen, 1)
			assert.Equal(t, "OPTIONS", seen[0].method)
			assert.Equal(t, target, seen[0].target)
			assert.Equal(t, "PUT", seen[0].header.Get("Access-Control-Request-Method"))
			assert.Equal(t, "content-type", seen[0].header.Get("Access-Control-Request-Headers"))
		}

		// With all that a client can add, it is nobody's and does nothing.
		g.do("OPTIONS", "/orders", http.NoBody, append(preflight, "Cookie", cookie, "Authorization", "Bearer x", "X-User-Id", "root", "X_User_Id", "root",
			"X-HTTP-Method-Override", "DELETE", "X-Method-Override", "DELETE")...)
		for _, seen := range g.app.take() {
			assert.Empty(t, identity(seen.header))
			for _, name := range []string{"Cookie", "Authorization", "X-Http-Method-Override", "X-Method-Override"} {
				assert.NotContains(t, seen.header, name)
			}
		}

		// What only looks like one is asked about.
		for name, headers := range map[string][]string{
			"no origin": {"Access-Control-Request-Method", "PUT"}, "no method": {"Origin", pageOrigin}, "neither": {},
		} {
			assert.Equal(t, http.StatusUnauthorized, g.do("OPTIONS", "/orders", http.NoBody, headers...).status, name)
		}
		for _, method := range []string{"GET", "POST", "HEAD", "DELETE", "options"} {
			assert.Contains(t, []int{http.StatusUnauthorized, http.StatusMethodNotAllowed, http.StatusBadRequest}, g.do(method, "/orders", http.NoBody, preflight...).status, method)
		}
		assert.Empty(t, g.app.take())

		// That of session-api's own routes is answered there.
		asked := g.sessions.asked.Load()
		a := g.do("OPTIONS", "/api/session", http.NoBody, preflight...)
		assert.Less(t, a.status, 300)
		assert.Equal(t, pageOrigin, a.header.Get("Access-Control-Allow-Origin"))
		assert.Equal(t, asked+1, g.sessions.asked.Load())
		g.do("OPTIONS", "/api/sessions", http.NoBody, preflight...)
		assert.Equal(t, asked+1, g.sessions.asked.Load(), "the service routes stay inside")
	})
}

// What a client's query holds changes nothing about what session-api is asked.
func TestQueriesOfClientsAreNotAsked(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		plain := g.sessions.signIn(t, editor)
		admin := g.sessions.signIn(t, `{"user":{"id":"u-3","roles":["admin"]}}`)
		for _, query := range []string{
			"q=100%", "a;b", "%zz", "role=admin", "role=editor", "role=nobody", "ROLE=x", "roles=x", "role", "role=", "role=a/b", "a=b?c=d", "&&&", "=",
			"role=%ff", "x=" + strings.Repeat("y", 3000),
		} {
			for _, path := range []string{"/orders", "/pages/x", "/api/session/verify", "/a;role=admin"} {
				assert.Equal(t, http.StatusOK, g.get(path+"?"+query, plain).status, "%s?%s", path, query)
			}
			for _, path := range []string{"/admin", "/admin/x"} {
				assert.Equal(t, http.StatusForbidden, g.get(path+"?"+query, plain).status, "%s?%s", path, query)
				assert.Equal(t, http.StatusOK, g.get(path+"?"+query, admin).status, "%s?%s", path, query)
			}
			assert.Equal(t, http.StatusUnauthorized, g.do("GET", "/orders?"+query, http.NoBody).status, query)
		}
		for _, seen := range g.app.take() {
			assert.Contains(t, seen.target, "?", "and the application has it all the same")
		}
	})
}

// Who has many roles gets in as others do.
func TestManyRoles(t *testing.T) {
	through(t, func(t *testing.T, g *gateway) {
		list := func(size int) string { // 64 roles of so many bytes
			names := make([]string, 64)
			for i := range names {
				names[i] = fmt.Sprintf("%02d", i) + strings.Repeat("x", size-2)
			}
			names[63] = "admin"
			return strings.Join(names, ",")
		}
		for name, is := range map[string]struct {
			roles string
			fit   bool
		}{"that fit": {list(30), true}, "that do not": {list(128), false}} {
			cookie := g.sessions.signIn(t, `{"user":{"id":"`+strings.Repeat("ü", 128)+`","email":"`+strings.Repeat("e", 320)+`","roles":["`+strings.ReplaceAll(is.roles, ",", `","`)+`"]}}`)
			g.sessions.ahead.Add(int64(time.Hour)) // with a cookie as well
			for _, target := range []string{"/", "/admin/x", "/pages/x"} {
				require.Equal(t, http.StatusOK, g.do("GET", target, http.NoBody, "Cookie", cookie, "X-User-Incomplete", "forged", "X-User-Roles", "forged").status, name)
				seen := g.app.take()
				require.Len(t, seen, 1)
				who := identity(seen[0].header)
				if is.fit {
					assert.Equal(t, []string{is.roles}, who["x_user_roles"])
					assert.NotContains(t, who, "x_user_incomplete")
				} else {
					assert.NotContains(t, who, "x_user_roles")
					assert.Equal(t, []string{"roles"}, who["x_user_incomplete"])
				}
			}
		}
	})
}

// Over TLS every answer says that there has to be some. Without, none does.
func TestHSTS(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS=%t", secure), func(t *testing.T) {
			throughEach(t, secure, func(t *testing.T, g *gateway) {
				cookie := g.sessions.signIn(t, editor)
				g.sessions.ahead.Store(int64(time.Hour))
				for target, status := range map[string]int{
					"/": 200, "/public/x": 200, "/admin": 403, "/missing": 404, "/api/session": 200, "/pages/x": 200,
				} {
					a := g.get(target, cookie)
					assert.Equal(t, status, a.status, target)
					if secure {
						assert.Equal(t, []string{"max-age=31536000"}, a.header["Strict-Transport-Security"], target)
					} else {
						assert.NotContains(t, a.header, "Strict-Transport-Security", target)
					}
				}
				a := g.get("/", "")
				assert.Equal(t, http.StatusUnauthorized, a.status)
				assert.Equal(t, secure, a.header.Get("Strict-Transport-Security") != "")
			})
		})
	}
}
