package admission

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inBubble tests a semaphore by a clock of its own, to the end of its watch.
func inBubble(t *testing.T, test func(t *testing.T, b *Semaphore)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, NewSemaphore(100))
		<-time.After(permitTime)
	})
}

func TestSemaphore_givesWhatIsLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Semaphore) {
		one, err := b.Acquire(t.Context(), "", 60, nil)
		require.NoError(t, err)
		other, err := b.Acquire(t.Context(), "", 40, nil)
		require.NoError(t, err)

		got := make(chan *Permit, 2)
		for _, bytes := range []int64{70, 30} { // in that order
			go func() {
				h, err := b.Acquire(t.Context(), "", bytes, nil)
				assert.NoError(t, err)
				got <- h
			}()
			synctest.Wait()
		}
		other.Release()
		synctest.Wait()
		assert.Empty(t, got, "nobody overtakes who was there before")
		one.Release()
		synctest.Wait()
		require.Len(t, got, 2)
		(<-got).Release()
		(<-got).Release()
		assert.EqualValues(t, 100, b.left)
	})
}

func TestSemaphore_whatIsLargerThanAllOfItGoesAlone(t *testing.T) {
	b := NewSemaphore(100)
	h, err := b.Acquire(t.Context(), "", 1000, nil)
	require.NoError(t, err)
	assert.Zero(t, b.left)
	h.Release()
	assert.EqualValues(t, 100, b.left)
}

// Who holds things up is cut off after a turn, and only while somebody waits.
func TestSemaphore_cutsOffWhoHoldsThingsUp(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Semaphore) {
		cut := make(chan struct{})
		slow, err := b.Acquire(t.Context(), "", 100, func() { close(cut) })
		require.NoError(t, err)
		go func() {
			<-cut
			assert.False(t, slow.Pin(), "it was cut off")
			slow.Release()
		}()
		<-time.After(time.Hour)
		select {
		case <-cut:
			assert.Fail(t, "nobody waits")
		default:
		}

		began := time.Now()
		h, err := b.Acquire(t.Context(), "", 1, nil)
		require.NoError(t, err)
		assert.LessOrEqual(t, time.Since(began), permitTime/10, "its turn was long over")
		h.Release()
	})
}

func TestSemaphore_timesOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Semaphore) {
		kept, err := b.Acquire(t.Context(), "", 50, func() {})
		require.NoError(t, err)
		require.True(t, kept.Pin(), "so nobody cuts it off")

		small := make(chan error, 1)
		began := time.Now()
		go func() {
			<-time.After(time.Second)
			_, err := b.Acquire(t.Context(), "", 50, nil) // behind the other
			small <- err
		}()
		_, err = b.Acquire(t.Context(), "", 60, nil)
		require.ErrorIs(t, err, ErrTimeout)
		assert.Equal(t, timeout, time.Since(began))
		require.NoError(t, <-small, "there was room for it")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		_, err = b.Acquire(ctx, "", 60, nil)
		require.ErrorIs(t, err, ErrTimeout)
		assert.Equal(t, time.Second, time.Since(began))
	})
}

// enters starts to wait for a part, and returns where it or the error comes.
func acquires(t *testing.T, b *Semaphore, client string, bytes int64) <-chan *Permit {
	t.Helper()
	got := make(chan *Permit, 1)
	go func() {
		h, err := b.Acquire(t.Context(), client, bytes, func() {})
		assert.NoError(t, err)
		got <- h
	}()
	synctest.Wait()
	return got
}

// One client has at most half, whatever is left, and keeps no other waiting.
func TestSemaphore_oneClientHasAShare(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Semaphore) {
		one := <-acquires(t, b, "192.0.2.1", 50)
		more := acquires(t, b, "192.0.2.1", 10)
		assert.Empty(t, more, "it has its share")
		other := acquires(t, b, "192.0.2.2", 50)
		require.Len(t, other, 1, "though somebody was there before")
		one.Release()
		synctest.Wait()
		require.Len(t, more, 1)
		(<-more).Release()
		(<-other).Release()
		assert.Equal(t, b.size, b.left)
		assert.Empty(t, b.clients, "those that hold nothing are forgotten")
	})
}

// What is larger than a share goes, one at a time; trusted proxies have none.
func TestSemaphore_whatIsLargerThanAShare(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Semaphore) {
		large := <-acquires(t, b, "192.0.2.1", 80)
		large.Release()
		var all []*Permit
		for range 4 {
			all = append(all, <-acquires(t, b, "", 25))
		}
		for _, h := range all {
			h.Release()
		}
	})
}

// Of those in line, who holds the least is next, and of one client the first.
func TestSemaphore_whoHoldsTheLeastIsNext(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Semaphore) {
		held := <-acquires(t, b, "192.0.2.1", 40)
		rest := <-acquires(t, b, "", 60)
		more := acquires(t, b, "192.0.2.1", 10)
		first := acquires(t, b, "192.0.2.2", 30)
		second := acquires(t, b, "192.0.2.2", 25)
		for _, waits := range []<-chan *Permit{more, first, second} {
			require.Empty(t, waits)
		}
		rest.Release()
		synctest.Wait()
		assert.Len(t, first, 1)
		assert.Empty(t, second, "more than a share")
		assert.Len(t, more, 1)
		(<-first).Release()
		(<-more).Release()
		(<-second).Release()
		held.Release()
	})
}

// Bodies of which nothing comes are cut off first, and those that get on last.
func TestSemaphore_stalledBodiesAreTheFirstToGo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *Semaphore) {
		b.tracksProgress = true
		ended := make(chan string, 2)
		var holds []*Permit
		for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
			h, err := b.Acquire(t.Context(), client, 50, func() { ended <- client })
			require.NoError(t, err)
			holds = append(holds, h)
		}
		<-time.After(permitTime * 9 / 10)
		holds[0].Progress() // it came first, and gets on
		waits := acquires(t, b, "192.0.2.3", 10)
		assert.Equal(t, "192.0.2.2", <-ended)
		assert.Empty(t, ended)
		holds[1].Release()
		(<-waits).Release()
		holds[0].Release()
	})
}
