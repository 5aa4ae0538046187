package api

import (
	"context"
	"time"

	"session-api/internal/schema"
)

// inTurn runs what takes a processor and much memory for a while: the reading
// of a large body, the change of a large document. Only as many as there are
// processors do so at once.
func (s *Server) inTurn(ctx context.Context, bytes int, work func() error) error {
	if bytes <= smallBody {
		return work()
	}
	select {
	case s.turns <- struct{}{}:
	default:
		tooLong := time.NewTimer(budgetPatience)
		defer tooLong.Stop()
		select {
		case s.turns <- struct{}{}:
		case <-tooLong.C:
			return errOverloaded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-s.turns }()
	return work()
}

// turnTaker is a change whose Apply waits for its turn.
type turnTaker struct {
	schema.Change
	bytes int // of the body
	s     *Server
	ctx   context.Context //nolint:containedctx // the request's, which Apply is a part of
}

// Apply implements schema.Change. Its error may also be errOverloaded.
func (c *turnTaker) Apply(cur schema.Sections) (next schema.Sections, err error) {
	bytes := c.bytes + len(cur.Inputs) + len(cur.APIConfig) + len(cur.Results) + len(cur.Meta)
	if bytes <= smallBody {
		return c.Change.Apply(cur)
	}
	err = c.s.inTurn(c.ctx, bytes, func() (err error) {
		next, err = c.Change.Apply(cur)
		return err
	})
	return next, err
}
