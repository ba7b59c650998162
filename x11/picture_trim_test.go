package x11

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// counting is a reader of nothing that counts how often it gives memory back.
type counting struct {
	plain
	trims int
}

func (c *counting) view(*pixel.Region) (*raw, error) {
	return &raw{pix: make([]byte, 4), width: 1, height: 1, stride: 4}, nil
}
func (c *counting) trim() { c.trims++ }

// Memory is given back while there are looks and once after the last, when it
// is told that the screen rests; then no timer runs.
func TestTrimFromTimeToTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(counting)
		rested := 0
		x := &Display{format: &format{same: true, size: 4}}
		x.picture.reader, x.picture.rested = c, func() { rested++ }
		check := func(when string, trims, rests int) {
			t.Helper()
			synctest.Wait()
			x.picture.mu.Lock() // guards both, as it does the timer's call
			defer x.picture.mu.Unlock()
			if c.trims != trims || rested != rests {
				t.Errorf("%s: memory was given back %d times and rest told %d times, want %d and %d", when, c.trims, rested, trims, rests)
			}
		}
		for range 100 {
			if err := x.Grab(new(pixel.Region), func(*pixel.Frame) {}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(trimAfter / 10)
		}
		check("after looks for ten times the time", 10, 0)
		time.Sleep(2 * trimAfter)
		check("after a rest", 11, 1)
		time.Sleep(time.Hour)
		check("after a long rest", 11, 1)
		_ = x.Grab(new(pixel.Region), func(*pixel.Frame) {}) // it has a reader
		time.Sleep(trimAfter)
		check("after a single look", 12, 2)
		_ = x.Grab(new(pixel.Region), func(*pixel.Frame) {})
		x.picture.close()
		time.Sleep(time.Hour)
		check("after the end", 12, 2)
	})
}
