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
		one, err := b.enter(t.Context(), 60, nil)
		require.NoError(t, err)
		other, err := b.enter(t.Context(), 40, nil)
		require.NoError(t, err)

		got := make(chan *hold, 2)
		for _, bytes := range []int64{70, 30} { // in that order
			go func() {
				h, err := b.enter(t.Context(), bytes, nil)
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
	h, err := b.enter(t.Context(), 1000, nil)
	require.NoError(t, err)
	assert.Zero(t, b.left)
	h.leave()
	assert.EqualValues(t, 100, b.left)
}

// Who holds things up is cut off after a turn, and only while somebody waits.
func TestBudget_cutsOffWhoHoldsThingsUp(t *testing.T) {
	inBubble(t, func(t *testing.T, b *budget) {
		cut := make(chan struct{})
		slow, err := b.enter(t.Context(), 100, func() { close(cut) })
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
		h, err := b.enter(t.Context(), 1, nil)
		require.NoError(t, err)
		assert.LessOrEqual(t, time.Since(began), budgetTurn/10, "its turn was long over")
		h.leave()
	})
}

func TestBudget_patienceEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, b *budget) {
		kept, err := b.enter(t.Context(), 50, func() {})
		require.NoError(t, err)
		require.True(t, kept.keep(), "so nobody cuts it off")

		small := make(chan error, 1)
		began := time.Now()
		go func() {
			<-time.After(time.Second)
			_, err := b.enter(t.Context(), 50, nil) // behind the other
			small <- err
		}()
		_, err = b.enter(t.Context(), 60, nil)
		require.ErrorIs(t, err, errOverloaded)
		assert.Equal(t, budgetPatience, time.Since(began))
		require.NoError(t, <-small, "there was room for it")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		_, err = b.enter(ctx, 60, nil)
		require.ErrorIs(t, err, errOverloaded)
		assert.Equal(t, time.Second, time.Since(began))
	})
}
