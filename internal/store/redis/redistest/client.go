package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// ClientOption is what a client needs to reach the server.
func (s *Server) ClientOption() rueidis.ClientOption {
	return rueidis.ClientOption{
		InitAddress: []string{s.Addr()},
		Username:    s.account.user,
		Password:    s.account.password,
		TLSConfig:   s.TLS(),
	}
}

// CLI sends the server a command, and returns the answer as redis-cli prints it
// to a file: the elements of an array line by line, an absent value as "", an
// error as its message. The connection is not one that can subscribe.
func (s *Server) CLI(args ...string) string {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.tb.Context()), patience)
	defer cancel()
	answer, err := s.do(ctx, args...)
	if refusal, ok := errors.AsType[*rueidis.RedisError](err); ok {
		return refusal.Error()
	}
	if err != nil {
		s.tb.Fatalf("%s of the %s: %v", strings.Join(args, " "), s.name, err)
	}
	return answer
}

// do is CLI for those who can go on after an error.
func (s *Server) do(ctx context.Context, args ...string) (string, error) {
	client, err := s.connect()
	if err != nil {
		return "", err
	}
	answer, err := client.Do(ctx, client.B().Arbitrary(args...).Build()).ToAny()
	if err != nil && !rueidis.IsRedisNil(err) {
		return "", err
	}
	return text(answer), nil
}

// connect returns the client of this run of the server.
func (s *Server) connect() (rueidis.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.run == nil:
		return nil, errors.New("it was ended")
	case s.frozen:
		return nil, errors.New("it is paused")
	case s.client != nil:
		return s.client, nil
	}
	opt := s.ClientOption()
	// One small connection to this very server, that tries once, and sends
	// nothing on its own.
	opt.ForceSingleClient = true
	opt.AlwaysRESP2 = true
	opt.DisableCache = true
	opt.DisableRetry = true
	opt.ClientSetInfo = rueidis.DisableClientSetInfo
	opt.PipelineMultiplex = -1
	opt.RingScaleEachConn = 4
	opt.ReadBufferEachConn, opt.WriteBufferEachConn = 4<<10, 4<<10
	opt.Dialer = net.Dialer{Timeout: patience, KeepAlive: time.Hour}
	opt.ConnWriteTimeout = patience
	client, err := rueidis.NewClient(opt)
	if err != nil {
		return nil, err
	}
	s.client = client
	return client, nil
}

// text is an answer as redis-cli prints it.
func text(answer any) string {
	switch answer := answer.(type) {
	case nil:
		return ""
	case []any:
		lines := make([]string, len(answer))
		for i, element := range answer {
			lines[i] = text(element)
		}
		return strings.Join(lines, "\n")
	default:
		return fmt.Sprint(answer)
	}
}
