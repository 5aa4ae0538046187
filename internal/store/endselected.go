package store

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// EndSelected ends the selected sessions and returns how many they were. One that is
// regenerated meanwhile does not escape. With expect, it ends no other sessions than
// so many that it has found first, and returns a *CountError, having ended nothing,
// if they are not as many. Returns an *UnsupportedError.
func (s *Sessions) EndSelected(ctx context.Context, now time.Time, sel Selection, expect *int) (int, error) {
	now = schema.Now(now)
	if err := admit(ctx); err != nil {
		return 0, err
	}
	n, err := s.endSelected(ctx, now, sel, expect)
	act := Act{Kind: ActEndedMany, Namespace: sel.Namespace, UserID: sel.UserID, Filter: &sel.Filter, Count: n}
	return n, recordMany(ctx, act, err)
}

// recordMany is record of an act that may be done in part when it fails.
func recordMany(ctx context.Context, act Act, err error) error {
	if err != nil && act.Count > 0 && !isUncertain(err) {
		_ = record(ctx, act, nil) // it fails with err
	}
	return record(ctx, act, err)
}

// Clear ends the sessions that f matches; see backend.Store.Clear.
func (s *Sessions) Clear(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	if err := admit(ctx); err != nil {
		return 0, err
	}
	n, err := s.backend.Clear(ctx, now, f)
	act := Act{
		Kind: ActEndedMany, Namespace: f.Namespace, UserID: f.UserID, Except: f.Except, Count: n,
		Filter: &schema.Filter{UserID: f.UserID},
	}
	return n, recordMany(ctx, act, err)
}

// endSelected is EndSelected.
func (s *Sessions) endSelected(ctx context.Context, now time.Time, sel Selection, expect *int) (int, error) {
	if expect == nil && sel.isIndexed() {
		return s.backend.Clear(ctx, now, sel.filter())
	}
	most := maxLooked
	if expect != nil {
		most = *expect
	}
	found, err := s.selected(ctx, now, sel, most)
	if err != nil {
		return 0, err
	}
	if expect != nil && len(found) != *expect {
		return 0, &CountError{Count: len(found), AtLeast: len(found) > *expect}
	}
	ended := 0
	for try := 0; len(found) > 0; try++ {
		missed, err := s.endThose(ctx, now, sel.Namespace, found)
		ended += len(found) - len(missed)
		if err != nil || len(missed) == 0 {
			return ended, err
		}
		// What is gone may have been regenerated: then it is as old as it was.
		if err := pause(ctx, try); err != nil {
			return ended, err
		}
		var again []selected
		if again, err = s.selected(ctx, now, sel, most+len(missed)); err != nil {
			return ended, err
		}
		found = successors(missed, again)
	}
	return ended, nil
}

// selected is a session that a selection has.
type selected struct {
	id      string
	created int64 // in ms
}

// successors returns those of the sessions that may be what the missed ones have
// become.
func successors(missed, among []selected) []selected {
	ages := make(map[int64]int, len(missed))
	for _, one := range missed {
		ages[one.created]++
	}
	var found []selected
	for _, one := range among {
		if ages[one.created] > 0 {
			ages[one.created]--
			found = append(found, one)
		}
	}
	return found
}

// selected returns the sessions that are selected, one more than most at most.
func (s *Sessions) selected(ctx context.Context, now time.Time, sel Selection, most int) (found []selected, err error) {
	add := func(sum *schema.Summary) bool {
		found = append(found, selected{sum.ID, sum.CreatedAt.UnixMilli()})
		return len(found) <= most
	}
	q := sel.query(NewestFirst, schema.MaxBatch)
	if sel.isIndexed() { // the query lists these and no others
		err = s.eachListed(ctx, now, q, math.MaxInt, add)
	} else {
		err = s.eachSelected(ctx, now, sel, q, add)
	}
	return found, err
}

// endThose ends sessions and returns those that it has not ended.
func (s *Sessions) endThose(ctx context.Context, now time.Time, namespace string, those []selected) (missed []selected, err error) {
	for some := range slices.Chunk(those, schema.MaxBatch) {
		ids := make([]string, len(some))
		for i, one := range some {
			ids[i] = one.id
		}
		var ended []bool
		if err == nil {
			ended, err = s.backend.DeleteAll(ctx, now, namespace, ids)
		} else {
			ended = make([]bool, len(ids))
		}
		for i, one := range ended {
			if !one {
				missed = append(missed, some[i])
			}
		}
	}
	return missed, err
}

// EndAll ends sessions as End does, all of one namespace, and reports of each
// id whether it has ended one: of an old id in its grace, the successor. Where there
// is an error, others may not have been ended.
func (s *Sessions) EndAll(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	now = schema.Now(now)
	if err := admit(ctx); err != nil {
		return make([]bool, len(ids)), err
	}
	ended, err := s.endNamed(ctx, now, namespace, ids)
	act := Act{Kind: ActEndedMany, Namespace: namespace}
	for i, one := range ended {
		if one {
			act.IDs = append(act.IDs, ids[i])
		}
	}
	act.Count = len(act.IDs)
	return ended, recordMany(ctx, act, err)
}

// endNamed is EndAll.
func (s *Sessions) endNamed(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	ended, err := s.backend.DeleteAll(ctx, now, namespace, ids)
	for try := 0; err == nil; try++ {
		var missed []string
		var places []int
		for i, id := range ids {
			if !ended[i] {
				missed, places = append(missed, id), append(places, i)
			}
		}
		if len(missed) == 0 {
			return ended, nil
		}
		// Gone can mean regenerated: the next look tells.
		var found []backend.Found[schema.Summary]
		if found, err = s.backend.Summarize(ctx, now, namespace, missed); err != nil {
			return ended, err
		}
		var live []string
		var of []int
		for n := range found {
			if found[n].Err == nil || errors.Is(found[n].Err, backend.ErrDamaged) {
				id := missed[n]
				if found[n].Err == nil {
					id = found[n].Value.ID
				}
				live, of = append(live, id), append(of, places[n])
			}
		}
		if len(live) == 0 {
			return ended, nil
		}
		if err := pause(ctx, try); err != nil {
			return ended, err
		}
		var again []bool
		again, err = s.backend.DeleteAll(ctx, now, namespace, live)
		for n, one := range again {
			ended[of[n]] = ended[of[n]] || one
		}
	}
	return ended, err
}
