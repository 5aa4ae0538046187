package config

import (
	"time"

	"session-api/internal/httpserver"
)

// HTTP are the limits of connections and requests.
type HTTP struct {
	HTTP2             bool          `env:"HTTP2" envDefault:"false" doc:"Whether to accept HTTP/2 in addition to HTTP/1.1, without TLS (h2c with prior knowledge), for gateways and internal services. A connection may then carry 100 concurrent requests: lower MAX_CONNECTIONS accordingly."`
	MaxConnections    int           `env:"MAX_CONNECTIONS" envDefault:"10000" min:"1" max:"10000000" doc:"Maximum number of open connections. A further connection closes another: one whose body has stalled, then one of a client that has more than a quarter of all, then the one that has waited longest for a request. If none can be closed, the new one waits. TRUSTED_PROXIES may have any number."`
	MaxBodyMemory     int64         `env:"MAX_BODY_MEMORY_BYTES" shown:"33554432, or an eighth of the process's memory limit if that is less" min:"65536" doc:"Maximum total bytes of request bodies over 16 KiB in flight, and separately of responses over 16 KiB. Further ones wait for at most 5 seconds and then get 503; while any wait, a client that sends or reads slowly is cut off after a second. The bodies of one client take at most half of it; behind TRUSTED_PROXIES, the client is the one that they report."`
	MinBodyRate       int           `env:"MIN_BODY_BYTES_PER_SECOND" envDefault:"240" min:"0" max:"1000000000" doc:"Minimum average rate, in bytes per second, of a request body over HTTP/1.1 after its first 5 seconds; below it, the request gets 408. 0 for no minimum. Imports have READ_TIMEOUT_MS for each part instead."`
	ReadHeaderTimeout time.Duration `env:"READ_HEADER_TIMEOUT_MS" envDefault:"5000" min:"1" doc:"Maximum time to read the headers of a request."`
	ReadTimeout       time.Duration `env:"READ_TIMEOUT_MS" envDefault:"15000" min:"1" doc:"Maximum time to read a whole request, including its body."`
	WriteTimeout      time.Duration `env:"WRITE_TIMEOUT_MS" envDefault:"30000" min:"1" doc:"Maximum time from the end of a request's headers to the end of its response."`
	IdleTimeout       time.Duration `env:"IDLE_TIMEOUT_MS" envDefault:"120000" min:"1" doc:"How long a connection may be idle between two requests."`
	VerifyTimeout     time.Duration `env:"VERIFY_TIMEOUT_MS" min:"1" max:"30000" doc:"Maximum time to read the session for a gateway's authorization request (/api/session/verify); after it, the response is 503. Envoy's own default is 200."`
	ShutdownDelay     time.Duration `env:"SHUTDOWN_DELAY_MS" envDefault:"0" min:"0" doc:"How long the service keeps serving requests after SIGTERM while /readyz already fails, so that a load balancer can react."`
	ShutdownTimeout   time.Duration `env:"SHUTDOWN_TIMEOUT_MS" envDefault:"20000" min:"1" doc:"How long requests in flight may take to finish after that delay. The sum of both is at most 29000."`
}

// HTTPServer returns the options of the HTTP server.
func (c *Config) HTTPServer() httpserver.Options {
	h := &c.HTTP
	return httpserver.Options{
		MaxConnections: h.MaxConnections, TrustedPeers: c.Clients.TrustedProxies, MinBodyRate: h.MinBodyRate, HTTP2: h.HTTP2,
		ReadHeaderTimeout: h.ReadHeaderTimeout, ReadTimeout: h.ReadTimeout, WriteTimeout: h.WriteTimeout, IdleTimeout: h.IdleTimeout,
		ShutdownDelay: h.ShutdownDelay, ShutdownTimeout: h.ShutdownTimeout,
	}
}
