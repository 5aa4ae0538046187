package api

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inBubble tests a budget by a clock of its own, to the end of its watch.
func inBubble(t *testing.T, test func(t *testing.T, b *budget)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, newBudget(100))
		<-time.After(budgetTurn)
	})
}

func TestBudget_givesWhatIsLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, b *budget) {
		one, err := b.enter(t.Context(), "", 60, nil)
		require.NoError(t, err)
		other, err := b.enter(t.Context(), "", 40, nil)
		require.NoError(t, err)

		got := make(chan *hold, 2)
		for _, bytes := range []int64{70, 30} { // in that order
			go func() {
				h, err := b.enter(t.Context(), "", bytes, nil)
				assert.NoError(t, err)
				got <- h
			}()
			synctest.Wait()
		}
		other.leave()
		synctest.Wait()
		assert.Empty(t, got, "nobody overtakes who was there before")
		one.leave()
		synctest.Wait()
		require.Len(t, got, 2)
		(<-got).leave()
		(<-got).leave()
		assert.EqualValues(t, 100, b.left)
	})
}

func TestBudget_whatIsLargerThanAllOfItGoesAlone(t *testing.T) {
	b := newBudget(100)
	h, err := b.enter(t.Context(), "", 1000, nil)
	require.NoError(t, err)
	assert.Zero(t, b.left)
	h.leave()
	assert.EqualValues(t, 100, b.left)
}

// Who holds things up is cut off after a turn, and only while somebody waits.
func TestBudget_cutsOffWhoHoldsThingsUp(t *testing.T) {
	inBubble(t, func(t *testing.T, b *budget) {
		cut := make(chan struct{})
		slow, err := b.enter(t.Context(), "", 100, func() { close(cut) })
		require.NoError(t, err)
		go func() {
			<-cut
			assert.False(t, slow.keep(), "it was cut off")
			slow.leave()
		}()
		<-time.After(time.Hour)
		select {
		case <-cut:
			assert.Fail(t, "nobody waits")
		default:
		}

		began := time.Now()
		h, err := b.enter(t.Context(), "", 1, nil)
		require.NoError(t, err)
		assert.LessOrEqual(t, time.Since(began), budgetTurn/10, "its turn was long over")
		h.leave()
	})
}

func TestBudget_patienceEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, b *budget) {
		kept, err := b.enter(t.Context(), "", 50, func() {})
		require.NoError(t, err)
		require.True(t, kept.keep(), "so nobody cuts it off")

		small := make(chan error, 1)
		began := time.Now()
		go func() {
			<-time.After(time.Second)
			_, err := b.enter(t.Context(), "", 50, nil) // behind the other
			small <- err
		}()
		_, err = b.enter(t.Context(), "", 60, nil)
		require.ErrorIs(t, err, errOverloaded)
		assert.Equal(t, budgetPatience, time.Since(began))
		require.NoError(t, <-small, "there was room for it")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		_, err = b.enter(ctx, "", 60, nil)
		require.ErrorIs(t, err, errOverloaded)
		assert.Equal(t, time.Second, time.Since(began))
	})
}

// enters starts to wait for a part, and returns where it or the error comes.
func enters(t *testing.T, b *budget, client string, bytes int64) <-chan *hold {
	t.Helper()
	got := make(chan *hold, 1)
	go func() {
		h, err := b.enter(t.Context(), client, bytes, func() {})
		assert.NoError(t, err)
		got <- h
	}()
	synctest.Wait()
	return got
}

// One client has at most half, whatever is left, and keeps no other waiting.
func TestBudget_oneClientHasAShare(t *testing.T) {
	inBubble(t, func(t *testing.T, b *budget) {
		one := <-enters(t, b, "192.0.2.1", 50)
		more := enters(t, b, "192.0.2.1", 10)
		assert.Empty(t, more, "it has its share")
		other := enters(t, b, "192.0.2.2", 50)
		require.Len(t, other, 1, "though somebody was there before")
		one.leave()
		synctest.Wait()
		require.Len(t, more, 1)
		(<-more).leave()
		(<-other).leave()
		assert.Equal(t, b.size, b.left)
		assert.Empty(t, b.clients, "those that hold nothing are forgotten")
	})
}

// What is larger than a share goes, one at a time; trusted proxies have none.
func TestBudget_whatIsLargerThanAShare(t *testing.T) {
	inBubble(t, func(t *testing.T, b *budget) {
		large := <-enters(t, b, "192.0.2.1", 80)
		large.leave()
		var all []*hold
		for range 4 {
			all = append(all, <-enters(t, b, "", 25))
		}
		for _, h := range all {
			h.leave()
		}
	})
}

// Of those in line, who holds the least is next, and of one client the first.
func TestBudget_whoHoldsTheLeastIsNext(t *testing.T) {
	inBubble(t, func(t *testing.T, b *budget) {
		held := <-enters(t, b, "192.0.2.1", 40)
		rest := <-enters(t, b, "", 60)
		more := enters(t, b, "192.0.2.1", 10)
		first := enters(t, b, "192.0.2.2", 30)
		second := enters(t, b, "192.0.2.2", 25)
		for _, waits := range []<-chan *hold{more, first, second} {
			require.Empty(t, waits)
		}
		rest.leave()
		synctest.Wait()
		assert.Len(t, first, 1)
		assert.Empty(t, second, "more than a share")
		assert.Len(t, more, 1)
		(<-first).leave()
		(<-more).leave()
		(<-second).leave()
		held.leave()
	})
}

// Bodies of which nothing comes are cut off first, and those that get on last.
func TestBudget_stalledBodiesAreTheFirstToGo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *budget) {
		b.ofBodies = true
		ended := make(chan string, 2)
		var holds []*hold
		for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
			h, err := b.enter(t.Context(), client, 50, func() { ended <- client })
			require.NoError(t, err)
			holds = append(holds, h)
		}
		<-time.After(budgetTurn * 9 / 10)
		holds[0].progress() // it came first, and gets on
		waits := enters(t, b, "192.0.2.3", 10)
		assert.Equal(t, "192.0.2.2", <-ended)
		assert.Empty(t, ended)
		holds[1].leave()
		(<-waits).leave()
		holds[0].leave()
	})
}
