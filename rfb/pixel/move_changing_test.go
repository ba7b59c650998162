//go:build !race

package pixel_test

import (
	"image"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// A view may be memory that somebody draws into meanwhile. That is a data
// race by Go's rules and none that matters here: pixels are read as they come.
func TestFindMoveInChangingView(t *testing.T) {
	const w, h = 400, 300
	old := golden.Photo(w, h)
	view := scrolled(old, old.Rect(), image.Pt(0, -20), golden.TextConsole(w, h))
	stop := make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		rnd := rand.New(rand.NewPCG(1, 1))
		for {
			select {
			case <-stop:
				return
			default:
			}
			x, y := rnd.IntN(w), rnd.IntN(h)
			view.Fill(image.Rect(x, y, x+30, y+30), rnd.Uint32())
			view.Move(image.Rect(0, 0, w, h-16), image.Pt(0, 16))
		}
	})
	var m pixel.MoveFinder
	all := pixel.RegionOf(old.Rect())
	dst := old.Clone()
	for range 200 {
		mv, ok := m.Find(dst, view, all)
		r, from := mv.Rect, mv.From
		if ok {
			dst.Move(r, from)
		}
		pixel.Update(dst, view, all)
	}
	close(stop)
	drawing.Wait()
	pixel.Update(dst, view, all)
	if !dst.Equal(view) {
		t.Error("the picture is wrong when the view has come to rest")
	}
}
