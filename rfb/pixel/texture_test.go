package pixel

import (
	"image"
	"math/rand/v2"
	"testing"
)

// Blocks of all kinds look the same to the machine's own instructions and to
// the code in Go.
func TestTextureTwins(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	f := NewFrame(41, 37)
	for i := range 3000 {
		colours := 1 + rnd.IntN(1<<(i%9))
		noise := uint32(1)<<rnd.IntN(9) - 1
		ground := rnd.Uint32()
		for i := range f.Pix {
			c := ground + uint32(rnd.IntN(colours))*0x010305
			f.Pix[i] = (c ^ rnd.Uint32()&(noise*0x010101)) & Mask
		}
		sameTexture(t, f, image.Pt(rnd.IntN(41-TextureSide+1), rnd.IntN(37-TextureSide+1)))
	}
}

func sameTexture(t *testing.T, f *Frame, at image.Point) {
	t.Helper()
	b := image.Rectangle{Min: at, Max: at.Add(image.Pt(TextureSide, TextureSide))}
	equal, seen := f.Repeats(b)
	if e, s := f.goRepeats(b); e != equal || s != seen {
		t.Fatalf("%v: %d of %d pixels repeat, in Go %d of %d", b, equal, seen, e, s)
	}
	surprises, edges := f.Surprises(b)
	if s, e := f.goSurprises(b); s != surprises || e != edges {
		t.Fatalf("%v: %d surprises and %d edges, in Go %d and %d", b, surprises, edges, s, e)
	}
}

func FuzzTexture(f *testing.F) {
	f.Add([]byte("a block of pixels"), uint8(3))
	f.Add([]byte{0, 0, 0, 255, 255, 255, 255}, uint8(9))
	f.Fuzz(func(t *testing.T, pix []byte, step uint8) {
		p := NewFrame(TextureSide+3, TextureSide+2)
		for i := range p.Pix {
			for k := range 3 {
				if len(pix) > 0 {
					p.Pix[i] = p.Pix[i]<<8 | uint32(pix[(i*int(step)+k)%len(pix)])
				}
			}
		}
		sameTexture(t, p, image.Pt(3, 2))
	})
}

// What is counted, where it can be counted by hand.
func TestTextureCounts(t *testing.T) {
	f := NewFrame(TextureSide, TextureSide)
	f.Fill(f.Rect(), 0x102030)
	check := func(what string, equal, surprises, edges int) {
		t.Helper()
		if e, seen := f.Repeats(f.Rect()); e != equal || seen != 75 {
			t.Errorf("%s: %d of %d pixels repeat, want %d of 75", what, e, seen, equal)
		}
		if s, e := f.Surprises(f.Rect()); s != surprises || e != edges {
			t.Errorf("%s: %d surprises and %d edges, want %d and %d", what, s, e, surprises, edges)
		}
	}
	check("one colour", 75, 0, 0)
	f.Pix[4*TextureSide+12] = 0x102059 // 41 more blue than the others
	check("a dot", 74, 4, 4)           // it and the three that expect it to go on
	f.Pix[4*TextureSide+12] = 0x102058
	check("a paler dot", 74, 4, 0)
	f.Pix[4*TextureSide+12] = 0x102031
	check("a dot hardly to be seen", 74, 0, 0)
}
