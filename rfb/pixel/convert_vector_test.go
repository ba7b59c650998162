package pixel

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// The reference that converters are held against, by the words of the
// specification: slow, and with floating point where rounding is meant.

// wirePixel is the PIXEL of colour p (rfbproto 7.4).
func wirePixel(f PixelFormat, p uint32) []byte { return wireBytes(f, wireValue(f, p)) }

// wireCPixel is its CPIXEL (rfbproto 7.7.6).
func wireCPixel(f PixelFormat, p uint32) []byte {
	b := wirePixel(f, p)
	if !f.TrueColour || f.BitsPerPixel != 32 || f.Depth > 24 {
		return b
	}
	inLeast, inMost := true, true
	for _, c := range f.components() {
		for i := range 32 {
			if c.max<<c.shift>>i&1 != 0 {
				inLeast = inLeast && i < 24
				inMost = inMost && i >= 8
			}
		}
	}
	first, last := b[:3], b[1:]
	switch {
	case inLeast && inMost:
		return first // either would do
	case inLeast && f.BigEndian, inMost && !f.BigEndian:
		return last
	case inLeast, inMost:
		return first
	}
	return b
}

// wireTPixel is its TPIXEL (rfbproto 7.7.5).
func wireTPixel(f PixelFormat, p uint32) []byte {
	if f.TrueColour && f.BitsPerPixel == 32 && f.Depth == 24 && f.RedMax == 255 && f.GreenMax == 255 && f.BlueMax == 255 {
		return []byte{byte(p >> 16), byte(p >> 8), byte(p)}
	}
	return wirePixel(f, p)
}

// colour is what the value of p on the wire means.
func colour(f PixelFormat, p uint32) uint32 {
	v := wireValue(f, p)
	scale := func(most uint16, shift uint8) uint32 {
		return uint32(float64(v>>shift&uint32(most))*255/float64(most) + 0.5)
	}
	return scale(f.RedMax, f.RedShift)<<16 | scale(f.GreenMax, f.GreenShift)<<8 | scale(f.BlueMax, f.BlueShift)
}

var variants = []struct {
	name   string
	create func(PixelFormat) *Converter
	wire   func(PixelFormat, uint32) []byte
}{
	{"PIXEL", NewConverter, wirePixel},
	{"CPIXEL", NewCPixelConverter, wireCPixel},
	{"TPIXEL", NewTPixelConverter, wireTPixel},
}

// checkFormat holds all converters of f against the reference and against
// plain Go, with row, and with its beginning.
func checkFormat(t *testing.T, f PixelFormat, row []uint32) {
	t.Helper()
	colours := make([]uint32, len(row))
	for i, p := range row {
		colours[i] = colour(f, p)
	}
	for _, v := range variants {
		c := v.create(f)
		var want []byte
		for _, p := range row {
			want = append(want, v.wire(f, p)...)
		}
		for _, n := range []int{len(row), len(row) % 9, len(row) / 2} {
			// Nothing is written behind the row, nor read.
			wire := want[:n*c.Size()]
			buf := bytes.Repeat([]byte{0x5a}, len(want)+64)
			got := c.AppendRow(buf[:0], row[:n:n])
			if !bytes.Equal(got, wire) || slices.ContainsFunc(buf[len(got):], func(b byte) bool { return b != 0x5a }) {
				t.Fatalf("%s of %v: row %06x gives % x, want % x", v.name, f, row[:n], buf, wire)
			}
			plain := make([]byte, len(wire))
			c.put(plain, row[:n])
			if !bytes.Equal(plain, wire) {
				t.Fatalf("%s of %v: row %06x gives % x in plain Go, want % x", v.name, f, row[:n], plain, wire)
			}
			back, again := filled(n+16), filled(n+16)
			c.ReadRow(back[:n], slices.Clip(wire))
			c.get(again[:n], wire)
			for i, p := range back {
				want := uint32(0xdeadbeef)
				if i < n {
					want = colours[i]
				}
				if p != want || again[i] != want {
					t.Fatalf("%s of %v: % x is read as %08x, in plain Go %08x, want %08x at %d", v.name, f, wire, back, again, want, i)
				}
			}
		}
	}
}

func filled(n int) []uint32 {
	s := make([]uint32, n)
	for i := range s {
		s[i] = 0xdeadbeef
	}
	return s
}

// randomFormat is a legal one.
func randomFormat(rnd *rand.Rand) PixelFormat {
	for {
		size := []uint8{8, 16, 32}[rnd.IntN(3)]
		f := trueColour(size, uint8(1+rnd.IntN(int(size))), rnd.IntN(2) > 0, 0, 0, 0,
			uint8(rnd.IntN(32)), uint8(rnd.IntN(32)), uint8(rnd.IntN(32)))
		if rnd.IntN(2) > 0 && size == 32 {
			f.Depth = 24
		}
		for _, m := range []*uint16{&f.RedMax, &f.GreenMax, &f.BlueMax} {
			*m = 1<<(1+rnd.IntN(min(16, int(size)))) - 1
			if rnd.IntN(3) == 0 && size == 32 {
				*m = 255
			}
		}
		if f.Validate() == nil {
			return f
		}
	}
}

// allValues has every value of each component.
func allValues(rnd *rand.Rand) []uint32 {
	row := make([]uint32, 256)
	for i := range row {
		row[i] = uint32(i)<<16 | uint32(i^0x5a)<<8 | uint32(255-i)
	}
	rnd.Shuffle(len(row), func(i, j int) { row[i], row[j] = row[j], row[i] })
	return row
}

// All places and sizes that three components can have in eight bits, and in
// sixteen where they leave no bit unused.
func TestAllSmallFormats(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 3))
	row := allValues(rnd)
	n := 0
	for _, size := range []uint8{8, 16} {
		for r := range size - 1 {
			for g := range size - 1 - r {
				for b := range size - 1 - r - g {
					widths := [3]uint8{r + 1, g + 1, b + 1}
					free := int(size) - int(r+g+b) - 3
					if free < 0 || size == 16 && free > 0 {
						continue
					}
					for _, order := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
						for gaps := range (free + 1) * (free + 1) * (free + 1) {
							gap := [3]int{gaps % (free + 1), gaps / (free + 1) % (free + 1), gaps / (free + 1) / (free + 1)}
							if gap[0]+gap[1]+gap[2] > free {
								continue
							}
							var shifts [3]uint8
							at := 0
							for i, k := range order {
								at += gap[i]
								shifts[k] = uint8(at)
								at += int(widths[k])
							}
							f := trueColour(size, size, n%2 > 0, 1<<widths[0]-1, 1<<widths[1]-1, 1<<widths[2]-1, shifts[0], shifts[1], shifts[2])
							if err := f.Validate(); err != nil {
								t.Fatal(err)
							}
							checkFormat(t, f, row[n%32:n%32+64])
							n++
						}
					}
				}
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d formats", n)
	}
}

func TestRandomFormats(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 3))
	row := allValues(rnd)
	for _, f := range testFormats {
		checkFormat(t, f, row)
	}
	for range 6000 {
		from := rnd.IntN(150)
		checkFormat(t, randomFormat(rnd), row[from:from+rnd.IntN(100)])
	}
}

// Every size of component is scaled right for every value that it can have,
// both ways.
func TestEveryValueOfEveryMaximum(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	row := allValues(rnd)
	for n := 1; n <= 16; n++ {
		most := uint16(1<<n - 1)
		for _, f := range []PixelFormat{
			trueColour(32, 32, n%2 > 0, most, 1, 1, 0, 30, 31),
			trueColour(32, 32, n%2 > 0, 255, most, 1, 16, 0, 31),
			trueColour(32, 32, n%2 > 0, 1, 7, most, 0, 1, 16),
			trueColour(16, 16, n%2 > 0, most, 1, 1, 2, 1, 0),
			trueColour(16, 16, n%2 > 0, 1, most, 1, 15, 1, 0),
			trueColour(16, 16, n%2 > 0, 1, 1, most, 15, 14, 0),
			trueColour(8, 8, n%2 > 0, most, 1, 1, 2, 1, 0),
			trueColour(8, 8, n%2 > 0, 1, most, 1, 7, 1, 0),
			trueColour(8, 8, n%2 > 0, 1, 1, most, 7, 6, 0),
		} {
			if f.Validate() != nil {
				continue
			}
			checkFormat(t, f, row)
			// All that can come from the wire, also what no colour is sent as.
			c := NewConverter(f)
			var all []byte
			count := min(1<<f.BitsPerPixel, 1<<17)
			for v := range uint32(count) {
				if f.BitsPerPixel == 32 {
					v = bits.RotateLeft32(v, int([]uint8{f.RedShift, f.GreenShift, f.BlueShift}[int(v>>16)]))
				}
				all = append(all, wireBytes(f, v)...)
			}
			fast, plain := make([]uint32, count), make([]uint32, count)
			c.ReadRow(fast, all)
			c.get(plain, all)
			if !Same(fast, plain) {
				i := firstDiff(fast, plain)
				t.Fatalf("%v: % x is read as %06x, in plain Go as %06x", f, all[i*c.size:(i+1)*c.size], fast[i], plain[i])
			}
		}
	}
}

// What is not true colour travels as the cube of colours that ColourMap has.
func TestColourMapRow(t *testing.T) {
	row := allValues(rand.New(rand.NewPCG(4, 3)))
	got := NewConverter(PixelFormat{BitsPerPixel: 8, Depth: 8}).AppendRow(nil, row)
	for i, p := range row {
		if want := wirePixel(bgr233, p)[0]; got[i] != want {
			t.Fatalf("%06x is index %d, want %d", p, got[i], want)
		}
	}
}

func FuzzConverterRows(f *testing.F) {
	for _, pf := range testFormats {
		f.Add(pf.BitsPerPixel, pf.Depth, pf.BigEndian, pf.RedMax, pf.GreenMax, pf.BlueMax, pf.RedShift, pf.GreenShift, pf.BlueShift,
			bytes.Repeat([]byte{0, 1, 127, 128, 254, 255, 3}, 40))
	}
	f.Fuzz(func(t *testing.T, size, depth uint8, big bool, rm, gm, bm uint16, rs, gs, bs uint8, data []byte) {
		pf := trueColour(size, depth, big, rm, gm, bm, rs, gs, bs)
		if pf.Validate() != nil || len(data) > 1000 {
			return
		}
		var row []uint32
		for rest := data; len(rest) >= 3; rest = rest[3:] {
			row = append(row, uint32(rest[0])<<16|uint32(rest[1])<<8|uint32(rest[2]))
		}
		checkFormat(t, pf, row)
		for _, v := range variants {
			// Bytes that nothing honest would send.
			c := v.create(pf)
			n := len(data) / c.size
			fast, plain := make([]uint32, n), make([]uint32, n)
			c.ReadRow(fast, data)
			c.get(plain, data[:n*c.size])
			if !Same(fast, plain) {
				t.Fatalf("%s of %v: % x is read as %06x, in plain Go as %06x", v.name, pf, data, fast, plain)
			}
		}
	})
}

// In cache, and a frame that is not; beside them, copying the same.
func BenchmarkConverter(b *testing.B) {
	const width, height = 1280, 1024
	frame := noise(rand.New(rand.NewPCG(1, 1)), width, height).Pix
	run := func(name string, size int, f func(b []byte, row []uint32)) {
		for _, n := range []int{1, height} {
			b.Run(name+[]string{" row", " frame"}[min(1, n-1)], func(b *testing.B) {
				buf := make([]byte, n*width*size)
				b.SetBytes(int64(4 * n * width))
				for b.Loop() {
					for y := range n {
						f(buf[y*width*size:], frame[y*width:(y+1)*width])
					}
				}
			})
		}
	}
	run("copy", 4, func(b []byte, row []uint32) { copy(b, bytesOf(row)) })
	for _, c := range []struct {
		name string
		conv *Converter
	}{
		{"BGRX", NewConverter(RGB888)},
		{"RGBX", NewConverter(testFormats[1])},
		{"RGBX big-endian", NewConverter(testFormats[3])},
		{"2-10-10-10", NewConverter(trueColour(32, 30, false, 1023, 1023, 1023, 20, 10, 0))},
		{"565", NewConverter(trueColour(16, 16, false, 31, 63, 31, 11, 5, 0))},
		{"BGR233", NewConverter(trueColour(8, 8, false, 7, 7, 3, 0, 3, 6))},
		{"CPIXEL BGRX", NewCPixelConverter(RGB888)},
		{"TPIXEL", NewTPixelConverter(RGB888)},
	} {
		run(c.name+" out", c.conv.size, func(b []byte, row []uint32) { c.conv.AppendRow(b[:0], row) })
		run(c.name+" in", c.conv.size, func(b []byte, row []uint32) { c.conv.ReadRow(row, b) })
		run(c.name+" out, plain Go", c.conv.size, func(b []byte, row []uint32) { c.conv.put(b[:len(row)*c.conv.size], row) })
		run(c.name+" in, plain Go", c.conv.size, func(b []byte, row []uint32) { c.conv.get(row, b[:len(row)*c.conv.size]) })
	}
}

// wireBytes of a format is what binary says, so that the reference itself is
// checked once.
func TestReference(t *testing.T) {
	f := trueColour(16, 16, true, 31, 63, 31, 11, 5, 0)
	if got := binary.BigEndian.Uint16(wirePixel(f, 0xff8000)); got != 31<<11|32<<5 {
		t.Errorf("%04x", got)
	}
	if got := colour(f, 0xff8000); got != 0xff8200 {
		t.Errorf("%06x", got)
	}
}
