package pixel_test

import (
	"image"
	"math/rand/v2"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// A finder goes with a picture through all that happens to it: scrolls that go
// on, also where a step is left out, others in between, pixels that change in
// the view while it scrolls, and in the old picture by other means. Whatever it
// takes for known, the picture is the view.
func TestMovesGoOn(t *testing.T) {
	const w, h = 420, 330
	rnd := rand.New(rand.NewPCG(6, 6))
	text := golden.TextConsole(w, 4*h)
	hashed, moves := 0, 0
	for range 12 {
		var m pixel.MoveFinder
		dst := golden.Desktop(w, h)
		view := withPadBytes(dst)
		area, by := image.Rect(0, 16, w, h), image.Pt(0, -13)
		for i := range 60 {
			damage := pixel.RegionOf(area)
			steps := 1
			switch rnd.IntN(20) {
			case 0: // another scroll
				area = image.Rect(rnd.IntN(100), rnd.IntN(100), 300+rnd.IntN(w-300), 200+rnd.IntN(h-200))
				by = image.Pt(0, rnd.IntN(61)-30)
				if rnd.IntN(3) == 0 {
					by.X = rnd.IntN(21) - 10
				}
				damage.Add(area)
			case 1:
				steps = 2
			case 2: // another picture altogether
				view = withPadBytes(golden.Photo(w, h))
				damage.Add(view.Rect())
			case 3: // something blinks, of which one look does not ask the finder
				r := image.Rect(0, 0, 20, 20).Add(image.Pt(rnd.IntN(w), rnd.IntN(h))).Intersect(view.Rect())
				before := view.Clone()
				view.Fill(r, rnd.Uint32())
				for r := range pixel.Update(dst, view, pixel.RegionOf(r)).Rects() {
					m.Changed(r)
				}
				paste(view, r, before, r.Min)
				damage.Add(r)
			}
			for range steps {
				to := area.Add(by).Intersect(area)
				view.Move(to, to.Min.Sub(by))
				fresh := pixel.RegionOf(area)
				fresh.Subtract(pixel.RegionOf(to))
				for r := range fresh.Rects() {
					paste(view, r, text, r.Min.Add(image.Pt(0, i*13%(3*h))))
				}
			}
			if rnd.IntN(3) == 0 { // one pixel that does not move along
				at := image.Pt(area.Min.X+rnd.IntN(area.Dx()), area.Min.Y+rnd.IntN(area.Dy()))
				view.Fill(image.Rectangle{at, at.Add(image.Pt(1, 1))}, rnd.Uint32())
			}
			rest, unknown := damage.Clone(), damage.Clone()
			for range most {
				mv, ok := m.Find(dst, view, rest)
				if !ok {
					break
				}
				dst.Move(mv.Rect, mv.From)
				rest.Subtract(pixel.RegionOf(mv.Rect))
				unknown.Subtract(&mv.Right)
				moves++
				if mv.Hashed {
					hashed++
				}
			}
			for r := range pixel.Update(dst, view, unknown).Rects() {
				m.Changed(r)
			}
			if !dst.Equal(view) {
				t.Fatalf("the picture is not the view at step %d", i)
			}
			if rnd.IntN(15) == 0 {
				m.Distrust()
				damage = pixel.RegionOf(area)
				if mv, ok := m.Find(dst, view, damage); ok && mv.Hashed {
					t.Error("a move is told by hashes that were forgotten")
				} else if ok {
					t.Error("a move of nothing is found")
				}
			}
		}
	}
	t.Logf("%d moves, %d of them told by hashes", moves, hashed)
	if moves < 300 || hashed < 150 {
		t.Errorf("only %d moves, %d of them told by hashes", moves, hashed)
	}
}

// What is read of a scroll that goes on is the view alone.
func BenchmarkScrollOn(b *testing.B) {
	const w, h, line = 1280, 1024, 13
	text := golden.TextConsole(w, h+line*100)
	views := make([]*pixel.Frame, 100)
	for i := range views {
		views[i] = part(text, image.Rect(0, i*line, w, i*line+h))
	}
	all := pixel.RegionOf(views[0].Rect())
	for _, c := range []struct {
		name   string
		hashes bool
	}{{"hashes", true}, {"pixels", false}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(4 * w * h)
			var m pixel.MoveFinder
			dst := views[0].Clone()
			for i := 0; b.Loop(); i++ {
				if i%len(views) == 0 {
					pixel.Copy(dst, views[0], dst.Rect())
					m.Distrust()
					continue
				}
				view, left := views[i%len(views)], all.Clone()
				if mv, ok := m.Find(dst, view, all); ok {
					dst.Move(mv.Rect, mv.From)
					left.Subtract(&mv.Right)
				}
				for r := range pixel.Update(dst, view, left).Rects() {
					m.Changed(r)
				}
				if !c.hashes {
					m.Distrust()
				}
			}
		})
	}
}
