package pixel

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"testing"
)

// padded is a view of f with something in every pad byte and a wider stride.
func padded(rnd *rand.Rand, f *Frame) *Frame {
	v := &Frame{Width: f.Width, Height: f.Height, Stride: f.Width + 5}
	v.Pix = make([]uint32, v.Stride*v.Height)
	for y := range f.Height {
		for x := range f.Width {
			v.Pix[y*v.Stride+x] = f.Pixel(x, y) | rnd.Uint32()<<24
		}
	}
	return v
}

func noise(rnd *rand.Rand, w, h int) *Frame {
	f := NewFrame(w, h)
	for i := range f.Pix {
		f.Pix[i] = rnd.Uint32() & Mask
	}
	return f
}

func TestUpdate(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for i := range 1500 {
		w, h := 1+rnd.IntN(300), 1+rnd.IntN(70)
		dst := noise(rnd, w, h)
		before := dst.Clone()
		// The view may have another size than dst.
		view := noise(rnd, max(1, w+rnd.IntN(5)-2), max(1, h+rnd.IntN(5)-2))
		if rnd.IntN(3) > 0 { // mostly the same but for some spots
			Copy(view, dst, dst.Rect())
			for range rnd.IntN(8) {
				x, y := rnd.IntN(view.Width), rnd.IntN(view.Height)
				view.Fill(image.Rect(x, y, x+1+rnd.IntN(9), y+1+rnd.IntN(9)), rnd.Uint32()&Mask)
			}
		}
		plain := view
		if i%2 == 0 {
			view = padded(rnd, view)
		}
		r := new(Region)
		for range 1 + rnd.IntN(4) {
			x, y := rnd.IntN(w)-3, rnd.IntN(h)-3
			r.Add(image.Rect(x, y, x+rnd.IntN(w+6), y+rnd.IntN(h+6)))
		}
		got := Update(dst, view, r)

		inside := r.Clone()
		inside.IntersectRect(dst.Rect().Intersect(view.Rect()))
		outside := got.Clone()
		outside.Subtract(inside)
		if !outside.Empty() {
			t.Fatalf("step %d: reported %v outside of what was asked", i, outside.rects)
		}
		for y := range h {
			for x := range w {
				one := image.Rect(x, y, x+1, y+1)
				want := before.Pix[y*w+x]
				if inside.Overlaps(one) {
					want = plain.Pixel(x, y)
				}
				if have := dst.Pix[y*w+x]; have != want {
					t.Fatalf("step %d: (%d,%d) is %08x, want %08x", i, x, y, have, want)
				}
				if want != before.Pix[y*w+x] && !got.Overlaps(one) {
					t.Fatalf("step %d: change at (%d,%d) not reported in %v", i, x, y, got.rects)
				}
			}
		}
		// The region was built directly: it must be as Add would make it.
		same := new(Region)
		for _, rect := range got.rects {
			same.Add(rect)
		}
		if !same.Equal(got) {
			t.Fatalf("step %d: region is not in its canonical form: %v", i, got.rects)
		}
		// Nothing is left to do.
		if again := Update(dst, view, r); !again.Empty() {
			t.Fatalf("step %d: a second update reports %v", i, again.rects)
		}
	}
}

// A small change must be reported as one.
func TestUpdateIsTight(t *testing.T) {
	dst, view := NewFrame(1280, 1024), NewFrame(1280, 1024)
	spot := image.Rect(500, 333, 508, 345)
	view.Fill(spot, 0xffffff)
	got := Update(dst, view, RegionOf(dst.Rect()))
	if !got.Contains(spot) || got.Area() > 2*spot.Dx()*spot.Dy() {
		t.Errorf("a change of %v is reported as %v", spot, got.rects)
	}
}

// A frame whose rows are all the same memory, as painted grounds are.
func TestUpdateFromOneRow(t *testing.T) {
	row := noise(rand.New(rand.NewPCG(2, 2)), 100, 1)
	view := &Frame{Pix: row.Pix, Stride: 0, Width: 100, Height: 50}
	dst := NewFrame(100, 50)
	if got := Update(dst, view, RegionOf(dst.Rect())); got.Area() != 5000 {
		t.Errorf("reported %v", got.rects)
	}
	if !dst.Equal(view) {
		t.Error("pixels differ")
	}
}

func TestUpdateAllocatesLittle(t *testing.T) {
	dst, view := NewFrame(640, 480), NewFrame(640, 480)
	r := RegionOf(dst.Rect())
	if n := testing.AllocsPerRun(10, func() { Update(dst, view, r) }); n > 3 {
		t.Errorf("%v allocations for an unchanged frame", n)
	}
}

func TestSame(t *testing.T) {
	for n := 1; n < 70; n++ {
		a := make([]uint32, n)
		for i := range a {
			a[i] = 0x123456
		}
		if !Same(a, append([]uint32(nil), a...)) {
			t.Fatalf("%d equal pixels are not seen as such", n)
		}
		for i := range a {
			b := append([]uint32(nil), a...)
			b[i]++
			if Same(a, b) {
				t.Fatalf("of %d pixels, a difference at %d is not seen", n, i)
			}
		}
	}
}

func BenchmarkUpdate(b *testing.B) {
	const w, h = 1280, 1024
	clean := noise(rand.New(rand.NewPCG(1, 1)), w, h)
	other := noise(rand.New(rand.NewPCG(2, 2)), w, h)
	dirty := padded(rand.New(rand.NewPCG(3, 3)), clean)
	all := RegionOf(clean.Rect())
	run := func(name string, views ...*Frame) {
		b.Run(name, func(b *testing.B) {
			dst := clean.Clone()
			b.SetBytes(4 * w * h)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				Update(dst, views[i%len(views)], all)
			}
		})
	}
	run("unchanged", clean)
	run("unchanged, pad bytes set", dirty)
	run("all changed", other, clean)
	run("all changed, pad bytes set", padded(rand.New(rand.NewPCG(4, 4)), other), dirty)
	scrolled := clean.Clone()
	for y := 100; y < 110; y++ {
		copy(scrolled.Row(y, 100, 180), other.Row(y, 0, 80))
	}
	run("a word changed", scrolled, clean)
	b.Run("copy", func(b *testing.B) {
		dst := clean.Clone()
		b.SetBytes(4 * w * h)
		for b.Loop() {
			copy(dst.Pix, other.Pix)
		}
	})
}

func ExampleUpdate() {
	dst, view := NewFrame(640, 480), NewFrame(640, 480)
	view.Fill(image.Rect(100, 50, 108, 60), 0xffffff)
	for r := range Update(dst, view, RegionOf(dst.Rect())).Rects() {
		fmt.Println(r)
	}
	// Output: (100,50)-(108,60)
}

// What differs is found and made equal, whatever the length, and nothing else
// is touched; with the machine's own instructions as in Go.
func TestRenew(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 6))
	for i := range 3000 {
		n := 1 + i%200
		dst := noise(rnd, n+2, 1).Pix
		view, want, columns := make([]uint32, n), slices.Clone(dst), make([]uint64, (n+63)/64)
		rare := 1 + rnd.IntN(40)
		changed := false
		before := rnd.Uint64()
		columns[0] = before
		marks := slices.Clone(columns)
		for x := range view {
			p := dst[x+1]
			if rnd.IntN(rare) == 0 {
				p ^= 1 << rnd.IntN(24)
				marks[x/64] |= 1 << (x % 64)
				changed = true
			}
			want[x+1] = p
			view[x] = p
			if i%2 == 0 {
				view[x] |= rnd.Uint32() << 24
			}
		}
		if got := renew(dst[1:n+1], view, columns); got != changed || !slices.Equal(dst, want) || !slices.Equal(columns, marks) {
			t.Fatalf("%d pixels: changed %v, want %v; columns %x, want %x; %x, want %x", n, got, changed, columns, marks, dst, want)
		}
	}
}

// FuzzRenew: whatever the pixels, dst becomes view without pad bytes, and the
// columns that differed are told.
func FuzzRenew(f *testing.F) {
	f.Add([]byte("some pixels of a row and some more"), uint8(3), uint8(70))
	f.Add([]byte{0, 0, 0, 0, 255, 1}, uint8(1), uint8(16))
	f.Fuzz(func(t *testing.T, pix []byte, step, length uint8) {
		n := int(length)
		dst, view, columns := make([]uint32, n), make([]uint32, n), make([]uint64, n/64+1)
		want := slices.Clone(columns)
		at := 0
		next := func() (p uint32) {
			for range 4 {
				if len(pix) > 0 {
					p = p<<8 | uint32(pix[at%len(pix)])
					at += int(step)
				}
			}
			return p
		}
		for i := range view {
			if view[i] = next(); i%3 == 0 {
				dst[i] = view[i] & Mask
			}
			if dst[i] != view[i]&Mask {
				want[i/64] |= 1 << (i % 64)
			}
		}
		if renew(dst, view, columns) != slices.ContainsFunc(want, func(w uint64) bool { return w != 0 }) || !slices.Equal(columns, want) {
			t.Fatalf("columns %x, want %x", columns, want)
		}
		for i, p := range view {
			if dst[i] != p&Mask {
				t.Fatalf("%08x at %d, want %08x", dst[i], i, p&Mask)
			}
		}
	})
}
