package api

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// inBubble tests a semaphore by a clock of its own, to the end of its watch.
func inBubble(t *testing.T, test func(t *testing.T, b *semaphore)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, newSemaphore(100))
		<-time.After(permitTime)
	})
}

func TestSemaphore_givesWhatIsLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, b *semaphore) {
		one, err := b.acquire(t.Context(), "", 60, nil)
		require.NoError(t, err)
		other, err := b.acquire(t.Context(), "", 40, nil)
		require.NoError(t, err)

		got := make(chan *permit, 2)
		for _, bytes := range []int64{70, 30} { // in that order
			go func() {
				h, err := b.acquire(t.Context(), "", bytes, nil)
				assert.NoError(t, err)
				got <- h
			}()
			synctest.Wait()
		}
		other.release()
		synctest.Wait()
		assert.Empty(t, got, "nobody overtakes who was there before")
		one.release()
		synctest.Wait()
		require.Len(t, got, 2)
		(<-got).release()
		(<-got).release()
		assert.EqualValues(t, 100, b.left)
	})
}

func TestSemaphore_whatIsLargerThanAllOfItGoesAlone(t *testing.T) {
	b := newSemaphore(100)
	h, err := b.acquire(t.Context(), "", 1000, nil)
	require.NoError(t, err)
	assert.Zero(t, b.left)
	h.release()
	assert.EqualValues(t, 100, b.left)
}

// Who holds things up is cut off after a turn, and only while somebody waits.
func TestSemaphore_cutsOffWhoHoldsThingsUp(t *testing.T) {
	inBubble(t, func(t *testing.T, b *semaphore) {
		cut := make(chan struct{})
		slow, err := b.acquire(t.Context(), "", 100, func() { close(cut) })
		require.NoError(t, err)
		go func() {
			<-cut
			assert.False(t, slow.pin(), "it was cut off")
			slow.release()
		}()
		<-time.After(time.Hour)
		select {
		case <-cut:
			assert.Fail(t, "nobody waits")
		default:
		}

		began := time.Now()
		h, err := b.acquire(t.Context(), "", 1, nil)
		require.NoError(t, err)
		assert.LessOrEqual(t, time.Since(began), permitTime/10, "its turn was long over")
		h.release()
	})
}

func TestSemaphore_timesOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *semaphore) {
		kept, err := b.acquire(t.Context(), "", 50, func() {})
		require.NoError(t, err)
		require.True(t, kept.pin(), "so nobody cuts it off")

		small := make(chan error, 1)
		began := time.Now()
		go func() {
			<-time.After(time.Second)
			_, err := b.acquire(t.Context(), "", 50, nil) // behind the other
			small <- err
		}()
		_, err = b.acquire(t.Context(), "", 60, nil)
		require.ErrorIs(t, err, errOverloaded)
		assert.Equal(t, admissionTimeout, time.Since(began))
		require.NoError(t, <-small, "there was room for it")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		_, err = b.acquire(ctx, "", 60, nil)
		require.ErrorIs(t, err, errOverloaded)
		assert.Equal(t, time.Second, time.Since(began))
	})
}

// enters starts to wait for a part, and returns where it or the error comes.
func acquires(t *testing.T, b *semaphore, client string, bytes int64) <-chan *permit {
	t.Helper()
	got := make(chan *permit, 1)
	go func() {
		h, err := b.acquire(t.Context(), client, bytes, func() {})
		assert.NoError(t, err)
		got <- h
	}()
	synctest.Wait()
	return got
}

// One client has at most half, whatever is left, and keeps no other waiting.
func TestSemaphore_oneClientHasAShare(t *testing.T) {
	inBubble(t, func(t *testing.T, b *semaphore) {
		one := <-acquires(t, b, "192.0.2.1", 50)
		more := acquires(t, b, "192.0.2.1", 10)
		assert.Empty(t, more, "it has its share")
		other := acquires(t, b, "192.0.2.2", 50)
		require.Len(t, other, 1, "though somebody was there before")
		one.release()
		synctest.Wait()
		require.Len(t, more, 1)
		(<-more).release()
		(<-other).release()
		assert.Equal(t, b.size, b.left)
		assert.Empty(t, b.clients, "those that hold nothing are forgotten")
	})
}

// What is larger than a share goes, one at a time; trusted proxies have none.
func TestSemaphore_whatIsLargerThanAShare(t *testing.T) {
	inBubble(t, func(t *testing.T, b *semaphore) {
		large := <-acquires(t, b, "192.0.2.1", 80)
		large.release()
		var all []*permit
		for range 4 {
			all = append(all, <-acquires(t, b, "", 25))
		}
		for _, h := range all {
			h.release()
		}
	})
}

// Of those in line, who holds the least is next, and of one client the first.
func TestSemaphore_whoHoldsTheLeastIsNext(t *testing.T) {
	inBubble(t, func(t *testing.T, b *semaphore) {
		held := <-acquires(t, b, "192.0.2.1", 40)
		rest := <-acquires(t, b, "", 60)
		more := acquires(t, b, "192.0.2.1", 10)
		first := acquires(t, b, "192.0.2.2", 30)
		second := acquires(t, b, "192.0.2.2", 25)
		for _, waits := range []<-chan *permit{more, first, second} {
			require.Empty(t, waits)
		}
		rest.release()
		synctest.Wait()
		assert.Len(t, first, 1)
		assert.Empty(t, second, "more than a share")
		assert.Len(t, more, 1)
		(<-first).release()
		(<-more).release()
		(<-second).release()
		held.release()
	})
}

// Bodies of which nothing comes are cut off first, and those that get on last.
func TestSemaphore_stalledBodiesAreTheFirstToGo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *semaphore) {
		b.tracksProgress = true
		ended := make(chan string, 2)
		var holds []*permit
		for _, client := range []string{"192.0.2.1", "192.0.2.2"} {
			h, err := b.acquire(t.Context(), client, 50, func() { ended <- client })
			require.NoError(t, err)
			holds = append(holds, h)
		}
		<-time.After(permitTime * 9 / 10)
		holds[0].progress() // it came first, and gets on
		waits := acquires(t, b, "192.0.2.3", 10)
		assert.Equal(t, "192.0.2.2", <-ended)
		assert.Empty(t, ended)
		holds[1].release()
		(<-waits).release()
		holds[0].release()
	})
}
