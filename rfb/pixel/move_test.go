package pixel_test

import (
	"fmt"
	"image"
	"math/rand/v2"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// paste puts the part of src that begins at from into r of dst.
func paste(dst *pixel.Frame, r image.Rectangle, src *pixel.Frame, from image.Point) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		sy := from.Y + y - r.Min.Y
		copy(dst.Row(y, r.Min.X, r.Max.X), src.Row(sy, from.X, from.X+r.Dx()))
	}
}

// scrolled is old with r's content moved by d inside r, and what is uncovered
// taken from fill.
func scrolled(old *pixel.Frame, r image.Rectangle, d image.Point, fill *pixel.Frame) *pixel.Frame {
	f := old.Clone()
	paste(f, r, fill, r.Min)
	to := r.Add(d).Intersect(r)
	paste(f, to, old, to.Min.Sub(d))
	return f
}

// dragged is a window moved from a to b over ground.
func dragged(ground, window *pixel.Frame, a, b image.Point) (old, view *pixel.Frame) {
	old, view = ground.Clone(), ground.Clone()
	paste(old, window.Rect().Add(a), window, image.Point{})
	paste(view, window.Rect().Add(b), window, image.Point{})
	return old, view
}

// part is a window's content: a piece of a bigger picture.
func part(f *pixel.Frame, r image.Rectangle) *pixel.Frame {
	p := pixel.NewFrame(r.Dx(), r.Dy())
	paste(p, p.Rect(), f, r.Min)
	return p
}

// withPadBytes is a view of f as in somebody else's memory.
func withPadBytes(f *pixel.Frame) *pixel.Frame {
	v := &pixel.Frame{Width: f.Width, Height: f.Height, Stride: f.Width + 3, Pix: make([]uint32, (f.Width+3)*f.Height)}
	for y := range f.Height {
		for x := range f.Width {
			v.Pix[y*v.Stride+x] = f.Pixel(x, y) | uint32(x*37+y)<<24
		}
	}
	return v
}

// most is how many moves are looked for.
const most = 3

// follow brings dst to view as a server does: moves, then an update. It
// returns the pixels that were damaged after the moves, and how many moves
// there were. Outside of damage dst must be right already.
func follow(t testing.TB, dst, view *pixel.Frame, damage *pixel.Region) (left, moves int) {
	t.Helper()
	var m pixel.MoveFinder
	rest, unknown := damage.Clone(), damage.Clone()
	for range most {
		mv, ok := m.Find(dst, view, rest)
		r, from := mv.Rect, mv.From
		if !ok {
			break
		}
		source := r.Sub(r.Min).Add(from)
		if r.Empty() || !rest.Contains(r) || !source.In(dst.Rect()) || r.Min == from {
			t.Fatalf("a move of %v from %v, damage %v", r, from, rest.Bounds())
		}
		dst.Move(r, from)
		rest.Subtract(pixel.RegionOf(r))
		unknown.Subtract(&mv.Right)
		moves++
	}
	left = pixel.Update(dst, view, unknown).Area()
	if !dst.Equal(view) {
		t.Fatal("the picture is wrong after the moves and an update")
	}
	return left, moves
}

type scene struct {
	name      string
	old, view *pixel.Frame
	// saved is the percentage of what would be sent that must not be.
	saved int
}

func scenes(w, h int) []scene {
	full := image.Rect(0, 0, w, h)
	text, desktop, photo := golden.TextConsole(w, h), golden.Desktop(w, h), golden.Photo(w, h)
	more := golden.TextConsole(w, 2*h) // its lower half is another text
	other := part(more, image.Rect(0, h, w, 2*h))
	inside := image.Rect(w/8+3, h/8+5, w*5/8, h*7/8)
	var s []scene
	add := func(name string, old, view *pixel.Frame, saved int) { s = append(s, scene{name, old, view, saved}) }
	for _, n := range []int{1, 13, 16, 100, 200} {
		saved := 90 - 100*n/h
		add(fmt.Sprintf("text up by %d", n), text, scrolled(text, full, image.Pt(0, -n), other), saved)
		add(fmt.Sprintf("text down by %d", n), text, scrolled(text, full, image.Pt(0, n), other), saved)
		add(fmt.Sprintf("photo up by %d", n), photo, scrolled(photo, full, image.Pt(0, -n), other), saved)
		add(fmt.Sprintf("desktop down by %d", n), desktop, scrolled(desktop, full, image.Pt(0, n), other), saved)
		add(fmt.Sprintf("photo left by %d", n), photo, scrolled(photo, full, image.Pt(-n, 0), other), 90-100*n/w)
		add(fmt.Sprintf("text right by %d", n), text, scrolled(text, full, image.Pt(n, 0), other), 85-100*n/w)
	}
	// Only a part of the screen scrolls, the rest stays, or changes otherwise.
	add("part up", desktop, scrolled(desktop, inside, image.Pt(0, -32), other), 75)
	add("part left", photo, scrolled(photo, inside, image.Pt(-50, 0), other), 75)
	add("part aslant", photo, scrolled(photo, inside, image.Pt(21, -17), other), 75)
	status := scrolled(text, image.Rect(0, 0, w, h-40), image.Pt(0, -16), other)
	golden.Text(status, 8, h-30, 0xffffff, false, "-- 57% --")
	add("status line", text, status, 85)
	marks := scrolled(text, full, image.Pt(0, -16), other)
	for y := 40; y < h-20; y += 90 { // spots all over that no move explains
		marks.Fill(image.Rect(w/3, y, w/3+8, y+4), 0xff0000)
	}
	add("text with marks", text, marks, 80)
	two := scrolled(text, image.Rect(0, 0, w/2, h), image.Pt(0, -16), other)
	add("two panes", text, scrolled(two, image.Rect(w/2, 0, w, h), image.Pt(0, 48), other), 75)
	// Windows.
	for _, d := range []image.Point{{1, 0}, {0, 1}, {-7, 3}, {60, 40}, {-150, 100}, {200, -120}, {300, 17}} {
		window := part(desktop, image.Rect(w/4, h/4, w/4+500, h/4+400))
		a := image.Pt(200, h/4+20)
		old, view := dragged(photo, window, a, a.Add(d))
		// What comes to light behind the window has to be sent.
		gone := 500*400 - max(0, 500-abs(d.X))*max(0, 400-abs(d.Y))
		add(fmt.Sprintf("window by %v", d), old, view, 95-100*gone/(500*400+gone))
	}
	return s
}

func abs(n int) int { return max(n, -n) }

func TestFindMove(t *testing.T) {
	for _, s := range scenes(1024, 768) {
		all := pixel.RegionOf(s.old.Rect())
		without := pixel.Update(s.old.Clone(), s.view, all)
		change := without.Area()
		for _, damage := range []*pixel.Region{all, pixel.RegionOf(without.Bounds()), without} {
			view := s.view
			if damage == all {
				view = withPadBytes(view)
			}
			new(pixel.MoveFinder).Widen(damage)
			left, moves := follow(t, s.old.Clone(), view, damage)
			saved := 100 - 100*left/change
			t.Logf("%s: %d moves, %d of %d pixels left: %d%% saved", s.name, moves, left, change, saved)
			if moves == 0 || saved < s.saved {
				t.Errorf("%s, damage in %d rectangles: %d moves save %d%%, want %d%%", s.name, damage.Len(), moves, saved, s.saved)
			}
		}
	}
}

// What has not moved is not found to have: it is another page, noise, or there
// is too little of it.
func TestFindNoMove(t *testing.T) {
	const w, h = 1024, 768
	text, desktop, photo := golden.TextConsole(w, h), golden.Desktop(w, h), golden.Photo(w, h)
	spots := desktop.Clone()
	for i := range 40 {
		spots.Fill(image.Rect(i*20, i*10, i*20+10, i*10+12), 0xff00ff)
	}
	flat := func(c uint32) *pixel.Frame {
		f := pixel.NewFrame(w, h)
		f.Fill(f.Rect(), c)
		return f
	}
	bars := func(at int) *pixel.Frame { // flat areas that move are not worth it
		f := flat(0x204060)
		f.Fill(image.Rect(100, at, 500, at+300), 0xffffff)
		return f
	}
	small := scrolled(text, image.Rect(0, 0, 60, 60), image.Pt(0, -2), photo)
	for _, s := range []scene{
		{name: "the same", old: desktop, view: desktop},
		{name: "spots", old: desktop, view: spots},
		{name: "another page", old: text, view: part(golden.TextConsole(w, 2*h), image.Rect(0, h, w, 2*h))},
		{name: "from text to a desktop", old: text, view: desktop},
		{name: "from a photograph to black", old: photo, view: flat(0)},
		{name: "from black to a photograph", old: flat(0), view: photo},
		{name: "noise", old: golden.Noise(w, h, 1), view: golden.Noise(w, h, 2)},
		{name: "flat", old: flat(1), view: flat(2)},
		{name: "bar", old: bars(100), view: bars(200)},
		{name: "small", old: text, view: small},
	} {
		if _, moves := follow(t, s.old.Clone(), withPadBytes(s.view), pixel.RegionOf(s.old.Rect())); moves > 0 {
			t.Errorf("%s: %d moves", s.name, moves)
		}
	}
}

// The rectangle is that of the move to the pixel. On plain ground it may bring
// some of that along to where the moved was before and, where it is a scroll,
// wherever there is no telling that it has not moved as well.
func TestFindMoveFits(t *testing.T) {
	block := golden.Noise(301, 203, 7)
	plain := pixel.NewFrame(800, 600)
	plain.Fill(plain.Rect(), 0x336699)
	for _, ground := range []*pixel.Frame{plain, golden.Noise(800, 600, 8)} {
		for _, d := range []image.Point{{0, -1}, {1, 0}, {-33, 5}, {150, 120}, {0, 250}} {
			a := image.Pt(203, 107)
			old, view := dragged(ground, block, a, a.Add(d))
			var m pixel.MoveFinder
			mv, ok := m.Find(old, withPadBytes(view), pixel.RegionOf(old.Rect()))
			r, from := mv.Rect, mv.From
			was := block.Rect().Add(a)
			want := was.Add(d)
			most := was.Union(want)
			if d.X == 0 || d.Y == 0 {
				most = plain.Rect()
			}
			if !ok || from != r.Min.Sub(d) || !want.In(r) || !r.In(most) || ground != plain && r != want {
				t.Errorf("by %v: a move of %v from %v, want %v from %v", d, r, from, want, a)
			}
		}
	}
}

// Lines that are all the same may have moved by any number of them: whichever
// is found, it is as good as the right one.
func TestFindMoveOfRepeatedLines(t *testing.T) {
	const w, h = 640, 480
	old := pixel.NewFrame(w, h)
	for y := 0; y < h; y += 16 {
		golden.Text(old, 0, y, 0xaaaaaa, false, "Retrying in 10 seconds, press Ctrl-C to give up ... [FAILED] again and again")
	}
	for _, by := range []int{1, 5, 8, 16, 32, 100} {
		view := scrolled(old, old.Rect(), image.Pt(0, by), pixel.NewFrame(w, h))
		without := pixel.Update(old.Clone(), view, pixel.RegionOf(old.Rect())).Area()
		left, _ := follow(t, old.Clone(), view, pixel.RegionOf(old.Rect()))
		if by%16 != 0 && left > without/2 {
			t.Errorf("scrolled by %d: %d pixels of %d left", by, left, without)
		}
	}
}

// Whatever is damaged and whatever moves, moves and an update are right, and
// moves lie inside the damage.
func TestMovesAreExact(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 8))
	pictures := golden.All(500, 400)
	pictures = append(pictures, golden.Picture{Name: "noise", Frame: golden.Noise(500, 400, 3)})
	found := 0
	for range 200 {
		old := pictures[rnd.IntN(len(pictures))].Frame.Clone()
		other := pictures[rnd.IntN(len(pictures))].Frame
		view := old.Clone()
		damage := new(pixel.Region)
		for range 1 + rnd.IntN(3) {
			x, y := rnd.IntN(400), rnd.IntN(300)
			r := image.Rect(x, y, x+40+rnd.IntN(460), y+40+rnd.IntN(360)).Intersect(old.Rect())
			view = scrolled(view, r, image.Pt(rnd.IntN(61)-30, rnd.IntN(61)-30), other)
			damage.Add(r)
		}
		if rnd.IntN(2) == 0 {
			x, y := rnd.IntN(500), rnd.IntN(400)
			r := image.Rect(x, y, x+rnd.IntN(80), y+rnd.IntN(80)).Intersect(old.Rect())
			view.Fill(r, rnd.Uint32()&pixel.Mask)
			damage.Add(r)
		}
		if rnd.IntN(3) == 0 { // outside of the damage the view says nothing
			good := view
			view = other.Clone()
			for r := range damage.Rects() {
				pixel.Copy(view, good, r)
			}
			found += followStale(t, old, view, good, damage)
			continue
		}
		_, moves := follow(t, old, withPadBytes(view), damage)
		found += moves
	}
	if found < 100 {
		t.Errorf("only %d moves in 200 pictures", found)
	}
}

// followStale is follow with a view that is right inside damage only.
func followStale(t *testing.T, dst, view, want *pixel.Frame, damage *pixel.Region) int {
	t.Helper()
	var m pixel.MoveFinder
	mv, ok := m.Find(dst, view, damage)
	r, from := mv.Rect, mv.From
	if ok {
		if !damage.Contains(r) {
			t.Fatalf("a move of %v outside of the damage", r)
		}
		dst.Move(r, from)
	}
	pixel.Update(dst, view, damage)
	if !dst.Equal(want) {
		t.Fatal("the picture is wrong after a move and an update")
	}
	if ok {
		return 1
	}
	return 0
}

// Frames and damage of all sizes, also of none.
func TestFindMoveInOddSizes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	var m pixel.MoveFinder
	for range 300 {
		old := golden.Noise(1+rnd.IntN(300), 1+rnd.IntN(200), rnd.Uint64())
		view := golden.Noise(1+rnd.IntN(300), 1+rnd.IntN(200), rnd.Uint64())
		both := old.Rect().Intersect(view.Rect())
		paste(view, both, old, image.Pt(min(3, old.Width-both.Dx()), min(2, old.Height-both.Dy())))
		damage := pixel.RegionOf(image.Rect(rnd.IntN(40)-20, rnd.IntN(40)-20, rnd.IntN(400), rnd.IntN(300)))
		damage.Add(image.Rect(rnd.IntN(300), rnd.IntN(300), rnd.IntN(400), rnd.IntN(300)))
		if mv, ok := m.Find(old, view, damage); ok {
			r, from := mv.Rect, mv.From
			if !damage.Contains(r) || !r.In(both) || !r.Sub(r.Min).Add(from).In(old.Rect()) {
				t.Fatalf("old %v, view %v, damage %v: a move of %v from %v", old.Rect(), view.Rect(), damage, r, from)
			}
		}
	}
}

func TestWiden(t *testing.T) {
	var m pixel.MoveFinder
	lines, spots, little := new(pixel.Region), new(pixel.Region), new(pixel.Region)
	for i := range 30 {
		lines.Add(image.Rect(0, 16*i, 300, 16*i+11))
		spots.Add(image.Rect(20*i, 16*i, 20*i+8, 16*i+11))
		little.Add(image.Rect(i, i, i+2, i+1))
	}
	for _, c := range []struct {
		damage *pixel.Region
		wide   bool
	}{{lines, true}, {spots, false}, {little, false}, {new(pixel.Region), false}} {
		before := c.damage.Clone()
		m.Widen(c.damage)
		if wide := c.damage.Equal(pixel.RegionOf(before.Bounds())); wide != c.wide && !before.Empty() || !c.wide && !c.damage.Equal(before) {
			t.Errorf("%v became %v", before, c.damage)
		}
	}
}

// What lies apart is widened apart: a window that was dragged, whose two places
// make no rectangle, while a clock far away from it goes on.
func TestWidenApart(t *testing.T) {
	clock := image.Rect(0, 0, 100, 16)
	from, to := image.Rect(500, 400, 900, 700), image.Rect(507, 403, 907, 703)
	damage := pixel.RegionOf(clock, from, to)
	new(pixel.MoveFinder).Widen(damage)
	if want := pixel.RegionOf(clock, from.Union(to)); !damage.Equal(want) {
		t.Errorf("%v, want %v", damage, want)
	}
}

// A scroll takes along what is the same before and after, as the next lines
// may be longer, and keeps off what stays.
func TestScrollGrows(t *testing.T) {
	const w, h, bar = 640, 480, 32
	old := pixel.NewFrame(w, h)
	for y := bar; y < h; y += 16 {
		golden.Text(old, 40, y, 0xaaaaaa, false, fmt.Sprintf("%d, line with %x in it", y/16, y*y*y*7919))
	}
	golden.Text(old, 8, 8, 0xffffff, true, "File  Edit  View  Terminal  Help")
	view := scrolled(old, image.Rect(0, bar, w, h), image.Pt(0, -16), old)
	mv, ok := new(pixel.MoveFinder).Find(old, view, pixel.RegionOf(old.Rect()))
	if !ok || mv.Rect.Min.X != 0 || mv.Rect.Max.X != w || mv.Rect.Min.Y < 16 || mv.Rect.Max.Y < h-32 {
		t.Errorf("a scroll of all below %d is found as %v", bar, mv.Rect)
	}
	if !mv.Right.Contains(image.Rect(0, bar, w, h-32)) {
		t.Errorf("it is right in %v", mv.Right)
	}
}

// Beside each, an update that brings the same change: where there is nothing
// to find, looking for it should cost no more.
func BenchmarkFindMove(b *testing.B) {
	for _, size := range []image.Point{{1280, 1024}, {1920, 1200}} {
		w, h := size.X, size.Y
		full := image.Rectangle{Max: size}
		text, desktop, photo := golden.TextConsole(w, h), golden.Desktop(w, h), golden.Photo(w, h)
		more := part(golden.TextConsole(w, 2*h), image.Rect(0, h, w, 2*h))
		window := part(desktop, image.Rect(w/4, h/4, w/4+500, h/4+400))
		dragOld, dragView := dragged(desktop, window, image.Pt(100, 100), image.Pt(180, 160))
		spots := desktop.Clone()
		for i := range 40 {
			spots.Fill(image.Rect(i*30, i*20, i*30+10, i*20+12), 0xff00ff)
		}
		for _, c := range []struct {
			name      string
			old, view *pixel.Frame
		}{
			{"text up by a line", text, scrolled(text, full, image.Pt(0, -16), more)},
			{"desktop left", desktop, scrolled(desktop, full, image.Pt(-30, 0), more)},
			{"window dragged", dragOld, dragView},
			{"nothing, unchanged", desktop, desktop},
			{"nothing, spots", desktop, spots},
			{"nothing, other text", text, more},
			{"nothing, other desktop", desktop, text},
			{"nothing, other photo", photo, scrolled(photo, full, image.Pt(0, -h*9/10), desktop)},
			{"nothing, noise", golden.Noise(w, h, 1), golden.Noise(w, h, 2)},
		} {
			damage := pixel.RegionOf(full)
			b.Run(fmt.Sprintf("%dx%d/%s", w, h, c.name), func(b *testing.B) {
				var m pixel.MoveFinder
				b.SetBytes(int64(4 * w * h))
				b.ReportAllocs()
				found := 0.0
				for b.Loop() {
					if _, ok := m.Find(c.old, c.view, damage); ok {
						found = 1
					}
				}
				b.ReportMetric(found, "found")
			})
			b.Run(fmt.Sprintf("%dx%d/%s, Update", w, h, c.name), func(b *testing.B) {
				b.SetBytes(int64(4 * w * h))
				old := c.old.Clone()
				for i := 0; b.Loop(); i++ {
					pixel.Update(old, []*pixel.Frame{c.view, c.old}[i%2], damage)
				}
			})
		}
	}
}

// TestMoveAgain: what moves as it did before is found by a look at few rows,
// and only where it does.
func TestMoveAgain(t *testing.T) {
	text := golden.TextConsole(800, 1600)
	at := func(y int) *pixel.Frame { return part(text, image.Rect(0, y, 800, y+600)) }
	var finder pixel.MoveFinder
	dst := at(0)
	step := func(view *pixel.Frame) (r image.Rectangle, by image.Point) {
		t.Helper()
		damage := pixel.RegionOf(view.Rect())
		mv, ok := finder.Find(dst, view, damage)
		r, from := mv.Rect, mv.From
		if ok {
			by = r.Min.Sub(from)
			dst.Move(r, from)
		}
		pixel.Update(dst, view, damage)
		if !dst.Equal(view) {
			t.Fatal("the picture is not the view")
		}
		return r, by
	}
	first, _ := step(at(16))
	for y := 32; y < 160; y += 16 {
		if r, by := step(at(y)); r != first || by != image.Pt(0, -16) {
			t.Errorf("a line further: %v by %v instead of %v by (0,-16)", r, by, first)
		}
	}
	if _, by := step(at(192)); by.Y >= 0 || by.Y == -16 {
		t.Errorf("three lines are found as %v", by)
	}
	if r, _ := step(dst.Clone()); !r.Empty() {
		t.Errorf("in a picture that stays %v is found", r)
	}
	if r, _ := step(golden.Desktop(800, 600)); !r.Empty() {
		t.Errorf("in another picture %v is found", r)
	}
}
