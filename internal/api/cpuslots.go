package api

import (
	"context"

	"session-api/internal/schema"
)

// withCPU runs work that parses or changes the given number of bytes. It always admits
// small work, and leaves a processor to it unless there is only one. Changes with many
// file references have slots of their own in the stores: see store.Sessions. It returns
// errOverloaded if no slot became free in time.
func (s *Server) withCPU(ctx context.Context, bytes int, work func() error) error {
	if bytes <= smallBody {
		return work()
	}
	return overloaded(s.cpuSlots.Do(ctx, work))
}

// admittedChange is a change whose Apply waits for a CPU slot.
type admittedChange struct {
	schema.Change
	bytes int // of the body
	s     *Server
	ctx   context.Context //nolint:containedctx // the request's, which Apply is a part of
}

// Apply implements schema.Change. Its error may also be errOverloaded.
func (c *admittedChange) Apply(cur schema.Sections) (next schema.Sections, err error) {
	bytes := c.bytes + len(cur.Inputs) + len(cur.APIConfig) + len(cur.Results) + len(cur.Meta)
	if bytes <= smallBody {
		return c.Change.Apply(cur)
	}
	err = c.s.withCPU(c.ctx, bytes, func() (err error) {
		next, err = c.Change.Apply(cur)
		return err
	})
	return next, err
}
