package session

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestIdleCountsFromStartAndFromTheLastViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fired atomic.Int32
		begin := time.Now()
		i := &idle{after: time.Minute, expired: func() { fired.Add(1) }}
		i.start()
		time.Sleep(59 * time.Second)
		i.set(1)
		time.Sleep(time.Hour)
		i.set(2)
		i.set(1)
		time.Sleep(time.Hour)
		i.set(0)
		time.Sleep(59 * time.Second)
		if fired.Load() != 0 {
			t.Fatalf("expired %d times after %v", fired.Load(), time.Since(begin))
		}
		time.Sleep(2 * time.Second)
		if fired.Load() != 1 {
			t.Errorf("expired %d times, want once", fired.Load())
		}
		i.stop()
	})
}

func TestIdleExpiresWithoutAnyViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fired atomic.Int32
		i := &idle{after: time.Minute, expired: func() { fired.Add(1) }}
		i.start()
		time.Sleep(61 * time.Second)
		if fired.Load() != 1 {
			t.Errorf("expired %d times, want once", fired.Load())
		}
	})
}

func TestIdleWithAViewerBeforeItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fired atomic.Int32
		i := &idle{after: time.Minute, expired: func() { fired.Add(1) }}
		i.set(1)
		i.start()
		time.Sleep(time.Hour)
		i.stop()
		i.set(0)
		time.Sleep(time.Hour)
		if fired.Load() != 0 {
			t.Errorf("expired %d times, want never", fired.Load())
		}
	})
}
