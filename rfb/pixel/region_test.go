package pixel

import (
	"image"
	"math/rand/v2"
	"testing"
)

// bitmap is the obvious implementation that Region is checked against.
type bitmap [32][32]bool

func (m *bitmap) set(r image.Rectangle, v bool) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			m[y][x] = v
		}
	}
}

func bitmapOf(t *testing.T, g *Region) (m bitmap) {
	t.Helper()
	var last image.Rectangle
	for r := range g.Rects() {
		if r.Empty() {
			t.Fatalf("empty rectangle in %v", g.rects)
		}
		if r.Min.Y < last.Min.Y || r.Min.Y == last.Min.Y && r.Min.X <= last.Max.X && last != (image.Rectangle{}) {
			t.Fatalf("not in order or not merged: %v", g.rects)
		}
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				if m[y][x] {
					t.Fatalf("(%d,%d) twice in %v", x, y, g.rects)
				}
				m[y][x] = true
			}
		}
		last = r
	}
	return m
}

func randomRect(rnd *rand.Rand) image.Rectangle {
	return image.Rect(rnd.IntN(33), rnd.IntN(33), rnd.IntN(33), rnd.IntN(33))
}

func randomRegion(rnd *rand.Rand) (*Region, bitmap) {
	g, m := new(Region), bitmap{}
	for range rnd.IntN(6) {
		r := randomRect(rnd)
		g.Add(r)
		m.set(r, true)
	}
	return g, m
}

func TestRegionAgainstBitmap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		g, gm := randomRegion(rnd)
		h, hm := randomRegion(rnd)
		if got := bitmapOf(t, g); got != gm {
			t.Fatalf("union of rectangles wrong: %v", g.rects)
		}
		var union, sub, and bitmap
		area := 0
		for y := range gm {
			for x := range gm[y] {
				union[y][x] = gm[y][x] || hm[y][x]
				sub[y][x] = gm[y][x] && !hm[y][x]
				and[y][x] = gm[y][x] && hm[y][x]
				if gm[y][x] {
					area++
				}
			}
		}
		if g.Area() != area {
			t.Fatalf("area %d, want %d", g.Area(), area)
		}
		for _, c := range []struct {
			name string
			do   func(*Region)
			want bitmap
		}{
			{"Union", func(r *Region) { r.Union(h) }, union},
			{"Subtract", func(r *Region) { r.Subtract(h) }, sub},
			{"Intersect", func(r *Region) { r.Intersect(h) }, and},
		} {
			got := g.Clone()
			c.do(got)
			if bitmapOf(t, got) != c.want {
				t.Fatalf("%s of %v and %v gives %v", c.name, g.rects, h.rects, got.rects)
			}
		}
		r := randomRect(rnd)
		if inside := g.Clone(); !r.Empty() {
			inside.IntersectRect(r)
			if got, want := g.Contains(r), inside.Area() == r.Dx()*r.Dy(); got != want {
				t.Fatalf("Contains(%v) is %v for %v", r, got, g.rects)
			}
			if got, want := g.Overlaps(r), !inside.Empty(); got != want {
				t.Fatalf("Overlaps(%v) is %v for %v", r, got, g.rects)
			}
		}
	}
}

// Equal sets must have equal rectangles, however they came about.
func TestRegionIsCanonical(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		g, _ := randomRegion(rnd)
		h := new(Region)
		rs := append([]image.Rectangle(nil), g.rects...)
		rnd.Shuffle(len(rs), func(i, j int) { rs[i], rs[j] = rs[j], rs[i] })
		for _, r := range rs {
			h.Add(r)
		}
		if !g.Equal(h) {
			t.Fatalf("%v and %v", g.rects, h.rects)
		}
	}
}

func TestRegionTranslateAndSimplify(t *testing.T) {
	g := RegionOf(image.Rect(0, 0, 4, 4), image.Rect(10, 10, 12, 12))
	g.Translate(image.Pt(3, -1))
	if want := RegionOf(image.Rect(3, -1, 7, 3), image.Rect(13, 9, 15, 11)); !g.Equal(want) {
		t.Errorf("translated to %v", g.rects)
	}
	g.Simplify(2)
	if g.Len() != 2 {
		t.Errorf("simplified too early: %v", g.rects)
	}
	g.Simplify(1)
	if want := RegionOf(image.Rect(3, -1, 15, 11)); !g.Equal(want) {
		t.Errorf("simplified to %v", g.rects)
	}
}
