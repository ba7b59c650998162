package pixel

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

func trueColour(bits, depth uint8, big bool, rm, gm, bm uint16, rs, gs, bs uint8) PixelFormat {
	return PixelFormat{
		BitsPerPixel: bits, Depth: depth, BigEndian: big, TrueColour: true,
		RedMax: rm, GreenMax: gm, BlueMax: bm, RedShift: rs, GreenShift: gs, BlueShift: bs,
	}
}

var testFormats = []PixelFormat{
	RGB888,
	trueColour(32, 24, false, 255, 255, 255, 0, 8, 16),
	trueColour(32, 24, true, 255, 255, 255, 16, 8, 0),
	trueColour(32, 24, true, 255, 255, 255, 0, 8, 16),
	trueColour(32, 24, false, 255, 255, 255, 24, 16, 8),
	trueColour(32, 24, false, 255, 255, 255, 8, 16, 24),
	trueColour(32, 24, true, 255, 255, 255, 8, 16, 24),
	trueColour(32, 24, false, 255, 255, 255, 8, 0, 16),
	trueColour(32, 24, false, 255, 255, 255, 3, 11, 19),
	trueColour(32, 32, true, 255, 255, 255, 16, 8, 0),
	trueColour(32, 30, false, 1023, 1023, 1023, 20, 10, 0),
	trueColour(32, 32, true, 2047, 2047, 1023, 21, 10, 0),
	trueColour(32, 18, true, 63, 63, 63, 12, 6, 0),
	trueColour(32, 18, false, 63, 63, 63, 14, 8, 20),
	trueColour(32, 18, true, 63, 63, 63, 26, 20, 14),
	trueColour(32, 32, false, 65535, 255, 127, 0, 16, 24),
	trueColour(16, 16, false, 31, 63, 31, 11, 5, 0),
	trueColour(16, 16, true, 31, 63, 31, 11, 5, 0),
	trueColour(16, 15, false, 31, 31, 31, 10, 5, 0),
	trueColour(16, 15, true, 31, 31, 31, 0, 5, 10),
	trueColour(16, 16, false, 16383, 1, 1, 2, 1, 0),
	trueColour(8, 8, false, 7, 7, 3, 0, 3, 6),
	trueColour(8, 8, true, 3, 7, 7, 0, 2, 5),
	trueColour(8, 3, false, 1, 1, 1, 2, 1, 0),
}

// wireValue is a pixel's value on the wire by the words of rfbproto 7.4.
func wireValue(f PixelFormat, p uint32) uint32 {
	scale := func(v, most uint32) uint32 {
		return uint32(float64(v)*float64(most)/255 + 0.5)
	}
	return scale(p>>16&0xff, uint32(f.RedMax))<<f.RedShift |
		scale(p>>8&0xff, uint32(f.GreenMax))<<f.GreenShift |
		scale(p&0xff, uint32(f.BlueMax))<<f.BlueShift
}

func wireBytes(f PixelFormat, v uint32) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if f.BigEndian {
		order = binary.BigEndian
	}
	switch f.BitsPerPixel {
	case 8:
		return []byte{byte(v)}
	case 16:
		return order.AppendUint16(nil, uint16(v))
	default:
		return order.AppendUint32(nil, v)
	}
}

func TestConverter(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, f := range testFormats {
		if err := f.Validate(); err != nil {
			t.Fatal(err)
		}
		c := NewConverter(f)
		for n := range 40 {
			row := noise(rnd, n, 1).Pix
			for i := range row { // the ends of the scale
				row[i] |= [...]uint32{0, 0, 0xff, 0xff00, 0xff0000, 0xffffff}[rnd.IntN(6)]
			}
			var want []byte
			for _, p := range row {
				want = append(want, wireBytes(f, wireValue(f, p))...)
			}
			got := c.AppendRow([]byte("x"), row)
			if !bytes.Equal(got[1:], want) || got[0] != 'x' {
				t.Fatalf("%v: row %08x gives % x, want % x", f, row, got[1:], want)
			}
			var single []byte
			for _, p := range row {
				single = c.AppendPixel(single, p)
			}
			if !bytes.Equal(single, want) {
				t.Fatalf("%v: pixel by pixel % x, want % x", f, single, want)
			}
			back := make([]uint32, n)
			for i := range back {
				back[i] = 0xdeadbeef
			}
			c.ReadRow(back, want)
			for i := range back {
				if p := c.ReadPixel(want[i*c.Size():]); p != back[i] || p>>24 != 0 {
					t.Fatalf("%v: pixel reads as %08x alone, %08x in a row", f, p, back[i])
				}
			}
			if f.RedMax >= 255 && f.GreenMax >= 255 && f.BlueMax >= 255 && !Same(back, row) {
				t.Fatalf("%v: %06x comes back as %06x", f, row, back)
			}
			// What came from the wire goes out again as it was.
			if again := c.AppendRow(nil, back); !bytes.Equal(again, want) {
				t.Fatalf("%v: % x goes out again as % x", f, want, again)
			}
		}
	}
}

// Every value of every component survives the way in and out where it has at
// most eight bits.
func TestComponentsSurvive(t *testing.T) {
	for bits := 1; bits <= 8; bits++ {
		most := uint16(1)<<bits - 1
		c := NewConverter(trueColour(32, 24, false, most, most, most, 16, 8, 0))
		for v := range uint32(most) + 1 {
			w := binary.LittleEndian.AppendUint32(nil, v<<16|v<<8|v)
			if got := c.AppendPixel(nil, c.ReadPixel(w)); !bytes.Equal(got, w) {
				t.Fatalf("with %d bits, %d comes back as % x", bits, v, got)
			}
		}
		if got := c.ReadPixel(binary.LittleEndian.AppendUint32(nil, uint32(most)*0x010101)); got != Mask {
			t.Fatalf("white with %d bits is %06x", bits, got)
		}
	}
}

// A pixel with its unused bits set is the same colour.
func TestUnusedBitsAreIgnored(t *testing.T) {
	for _, f := range testFormats {
		c := NewConverter(f)
		used := uint32(f.RedMax)<<f.RedShift | uint32(f.GreenMax)<<f.GreenShift | uint32(f.BlueMax)<<f.BlueShift
		for _, p := range []uint32{0, 0x123456, Mask} {
			v := wireValue(f, p)
			if got, want := c.ReadPixel(wireBytes(f, v|^used)), c.ReadPixel(wireBytes(f, v)); got != want {
				t.Errorf("%v: %08x reads as %06x, with unused bits as %06x", f, v, want, got)
			}
		}
	}
}

func TestCPixel(t *testing.T) {
	for _, c := range []struct {
		f    PixelFormat
		want string // the bytes of PIXEL that travel, by number
	}{
		{RGB888, "012"},
		{trueColour(32, 24, false, 255, 255, 255, 0, 8, 16), "012"},
		{trueColour(32, 24, true, 255, 255, 255, 16, 8, 0), "123"},
		{trueColour(32, 24, false, 255, 255, 255, 24, 16, 8), "123"},
		{trueColour(32, 24, true, 255, 255, 255, 8, 16, 24), "012"},
		{trueColour(32, 18, true, 63, 63, 63, 12, 6, 0), "123"},
		{trueColour(32, 18, true, 63, 63, 63, 26, 20, 14), "012"},
		{trueColour(32, 12, false, 15, 15, 15, 8, 12, 16), "012"},
		{trueColour(32, 12, true, 15, 15, 15, 8, 12, 16), "012"},
		{trueColour(32, 24, false, 255, 255, 255, 3, 11, 19), "0123"},
		{trueColour(32, 32, false, 255, 255, 255, 16, 8, 0), "0123"},
		{trueColour(32, 30, false, 1023, 1023, 1023, 20, 10, 0), "0123"},
		{trueColour(16, 16, true, 31, 63, 31, 11, 5, 0), "01"},
		{trueColour(8, 8, false, 7, 7, 3, 0, 3, 6), "0"},
		{PixelFormat{BitsPerPixel: 8, Depth: 8}, "0"},
	} {
		full, short := NewConverter(c.f), NewCPixelConverter(c.f)
		rnd := rand.New(rand.NewPCG(3, 4))
		for n := range 12 {
			row := noise(rnd, n, 1).Pix
			all := full.AppendRow(nil, row)
			var want []byte
			for i := range row {
				for _, k := range c.want {
					want = append(want, all[i*full.Size()+int(k-'0')])
				}
			}
			if got := short.AppendRow(nil, row); !bytes.Equal(got, want) || short.Size() != len(c.want) {
				t.Fatalf("%v: CPIXELs % x, want % x", c.f, got, want)
			}
			a, b := make([]uint32, n), make([]uint32, n)
			full.ReadRow(a, all)
			short.ReadRow(b, want)
			if !Same(a, b) {
				t.Fatalf("%v: CPIXELs read as %06x, PIXELs as %06x", c.f, b, a)
			}
		}
	}
}

func TestTPixel(t *testing.T) {
	for _, f := range testFormats {
		c := NewTPixelConverter(f)
		got := c.AppendRow(nil, []uint32{0x112233, 0x445566, 0x778899, 0xaabbcc, 0xddeeff})
		if f.Depth != 24 || f.RedMax != 255 {
			if want := NewConverter(f).AppendRow(nil, []uint32{0x112233}); !bytes.HasPrefix(got, want) || c.Size() != f.Bytes() {
				t.Errorf("%v: TPIXEL % x is not the PIXEL % x", f, got, want)
			}
			continue
		}
		want := []byte{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}
		if !bytes.Equal(got, want) {
			t.Errorf("%v: TPIXELs % x", f, got)
		}
	}
}

func TestComponentsSplitAndJoin(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	for _, f := range testFormats {
		for _, c := range []*Converter{NewConverter(f), NewTPixelConverter(f), NewCPixelConverter(f)} {
			s := c.Components()
			for range 50 {
				b := c.AppendPixel(nil, rnd.Uint32()&Mask)
				if got, want := s.Join(s.Split(b)), c.ReadPixel(b); got != want {
					t.Fatalf("%v: % x joins to %06x, want %06x", f, b, got, want)
				}
			}
			want := [3]uint16{f.RedMax, f.GreenMax, f.BlueMax}
			if got := s.Split(c.AppendPixel(nil, Mask)); got != want || s.Max != want {
				t.Fatalf("%v: white is %v of %v", f, got, s.Max)
			}
		}
	}
}

// A viewer that looks indices up in the map sees the colour that a converter
// reads back.
func TestColourMap(t *testing.T) {
	c := NewConverter(PixelFormat{BitsPerPixel: 8, Depth: 8})
	for i, e := range ColourMap() {
		p := c.ReadPixel([]byte{byte(i)})
		for k, shift := range []uint{16, 8, 0} {
			if d := int(e[k])*255/65535 - int(p>>shift&0xff); d < -1 || d > 1 {
				t.Fatalf("entry %d is %04x, the converter reads %06x", i, e, p)
			}
		}
		if got := c.AppendPixel(nil, p); got[0] != byte(i) {
			t.Fatalf("index %d goes out as %d", i, got[0])
		}
	}
}

func FuzzConverter(f *testing.F) {
	for _, pf := range testFormats {
		f.Add(pf.BitsPerPixel, pf.Depth, pf.BigEndian, pf.RedMax, pf.GreenMax, pf.BlueMax, pf.RedShift, pf.GreenShift, pf.BlueShift, uint32(0x123456))
	}
	f.Fuzz(func(t *testing.T, bits, depth uint8, big bool, rm, gm, bm uint16, rs, gs, bs uint8, p uint32) {
		pf := trueColour(bits, depth, big, rm, gm, bm, rs, gs, bs)
		if pf.Validate() != nil {
			return
		}
		p &= Mask
		want := wireBytes(pf, wireValue(pf, p))
		c := NewConverter(pf)
		if got := c.AppendPixel(nil, p); !bytes.Equal(got, want) {
			t.Fatalf("%v: %06x is % x, want % x", pf, p, got, want)
		}
		back := c.ReadPixel(want)
		for _, c := range []*Converter{c, NewCPixelConverter(pf), NewTPixelConverter(pf)} {
			b := c.AppendRow(nil, []uint32{p, p, p, p, p})
			row := make([]uint32, 5)
			c.ReadRow(row, b)
			if !Same(row, []uint32{back, back, back, back, back}) {
				t.Fatalf("%v: %06x comes back as %06x, want %06x", pf, p, row, back)
			}
		}
	})
}
