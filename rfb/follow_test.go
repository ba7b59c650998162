package rfb_test

import (
	"context"
	"errors"
	"image"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
)

// TestFollow: who follows the picture starts the source, is told of each
// change after the first picture and of nothing else, and lets the source end.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(64, 48)
		s := rfb.NewServer(src, rfb.ServerConfig{})
		defer s.Close() // never fails
		ctx, cancel := context.WithCancel(t.Context())
		changes := 0
		over := make(chan error, 1)
		go func() { over <- s.Follow(ctx, func() { changes++ }) }()
		want := func(n int) {
			t.Helper()
			time.Sleep(time.Second)
			synctest.Wait()
			if changes != n {
				t.Errorf("%d changes were told of, not %d", changes, n)
			}
		}
		want(0)
		if !src.Running() {
			t.Error("the source does not run")
		}
		src.Fill(image.Rect(0, 0, 10, 10), 0x112233)
		want(1)
		src.Fill(image.Rect(0, 0, 10, 10), 0x112233) // as it was
		want(1)
		src.Move(image.Rect(20, 20, 30, 30), image.Pt(0, 0))
		want(2)
		cancel()
		if err := <-over; !errors.Is(err, context.Canceled) {
			t.Errorf("the end is %v", err)
		}
		want(2)
		if src.Running() {
			t.Error("the source runs for nobody")
		}
		go func() { over <- s.Follow(t.Context(), func() {}) }()
		synctest.Wait()
		s.Close() // never fails
		if err := <-over; !errors.Is(err, rfb.ErrClosed) {
			t.Errorf("the end of a closed server is %v", err)
		}
	})
}
