package config

import (
	"time"

	"session-api/internal/httpserver"
)

// HTTP are the limits of connections and requests.
type HTTP struct {
	HTTP2             bool          `env:"HTTP2" envDefault:"false" doc:"Whether HTTP/2 is spoken beside HTTP/1.1, without TLS and from the first byte on (h2c with prior knowledge), for gateways and services inside. A connection may have 100 requests at once then: lower MAX_CONNECTIONS accordingly."`
	MaxConnections    int           `env:"MAX_CONNECTIONS" envDefault:"10000" min:"1" max:"10000000" doc:"Most connections that are open at once. One more closes another: one whose body has stalled, then one of a client that has more than a quarter of all, then the one that has waited longest for a request. Where none can be closed, it waits. TRUSTED_PROXIES may have any number."`
	MaxBodyMemory     int64         `env:"MAX_BODY_MEMORY_BYTES" shown:"33554432, or an eighth of the process's memory limit where that is less" min:"65536" doc:"Most bytes of request bodies over 16 KiB that are in work at once, and of answers over 16 KiB likewise. One more waits for at most 5 seconds and gets 503 then; whoever keeps it waiting by sending or reading slowly is cut off after a second. One client's bodies have at most half of it; of TRUSTED_PROXIES that is whom they name."`
	MinBodyRate       int           `env:"MIN_BODY_BYTES_PER_SECOND" envDefault:"240" min:"0" max:"1000000000" doc:"Least bytes a second, on average, at which a body must come over HTTP/1.1 once it has taken 5 seconds; else the answer is 408. 0 for no minimum. Imports have until READ_TIMEOUT_MS for each part."`
	ReadHeaderTimeout time.Duration `env:"READ_HEADER_TIMEOUT_MS" envDefault:"5000" min:"1" doc:"Longest wait for the headers of a request."`
	ReadTimeout       time.Duration `env:"READ_TIMEOUT_MS" envDefault:"15000" min:"1" doc:"Longest wait for a whole request, body included."`
	WriteTimeout      time.Duration `env:"WRITE_TIMEOUT_MS" envDefault:"30000" min:"1" doc:"Longest time from the end of a request's headers to the end of its answer."`
	IdleTimeout       time.Duration `env:"IDLE_TIMEOUT_MS" envDefault:"120000" min:"1" doc:"How long a connection may rest between two requests."`
	VerifyTimeout     time.Duration `env:"VERIFY_TIMEOUT_MS" min:"1" max:"30000" doc:"Longest wait for a session that a gateway asks about (/api/session/verify); it gets 503 then. Envoy waits for 200 by itself."`
	ShutdownDelay     time.Duration `env:"SHUTDOWN_DELAY_MS" envDefault:"0" min:"0" doc:"How long the service goes on answering after SIGTERM while /readyz already fails, so that a load balancer can notice."`
	ShutdownTimeout   time.Duration `env:"SHUTDOWN_TIMEOUT_MS" envDefault:"20000" min:"1" doc:"How long requests in flight may take to finish after that. Both together are at most 29000."`
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
