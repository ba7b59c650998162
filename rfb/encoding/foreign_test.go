package encoding

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// foreign writes rectangles as other servers do, with the standard library's
// compressor and streams that go on from rectangle to rectangle.
type foreign struct {
	out     bytes.Buffer
	pending [4]bytes.Buffer
	streams [4]*zlib.Writer
	format  pixel.PixelFormat
}

// reset begins stream i anew.
func (f *foreign) reset(i int) {
	f.pending[i].Reset()
	f.streams[i] = nil
}

// data appends what basic compression sends for data on stream i.
func (f *foreign) data(i int, data []byte) {
	if len(data) < 12 {
		f.out.Write(data)
		return
	}
	chunk := f.deflate(i, data)
	f.out.Write(appendCompact(nil, len(chunk)))
	f.out.Write(chunk)
}

func (f *foreign) deflate(i int, data []byte) []byte {
	if f.streams[i] == nil {
		f.streams[i] = zlib.NewWriter(&f.pending[i])
	}
	_, _ = f.streams[i].Write(data)
	_ = f.streams[i].Flush()
	chunk := bytes.Clone(f.pending[i].Bytes())
	f.pending[i].Reset()
	return chunk
}

// filtered is the gradient filter by the words of rfbproto 7.7.5, on the
// components of the format.
func (f *foreign) filtered(src *pixel.Frame) []byte {
	conv := pixel.NewTPixelConverter(f.format)
	parts := conv.Components()
	at := func(x, y int) [3]int {
		if x < 0 || y < 0 {
			return [3]int{}
		}
		v := parts.Split(conv.AppendPixel(nil, src.Pixel(x, y)))
		return [3]int{int(v[0]), int(v[1]), int(v[2])}
	}
	pf := f.format
	shifts, order := [3]uint8{pf.RedShift, pf.GreenShift, pf.BlueShift}, binary.AppendByteOrder(binary.LittleEndian)
	if pf.BigEndian {
		order = binary.BigEndian
	}
	var out []byte
	for y := range src.Height {
		for x := range src.Width {
			here, left, above, corner := at(x, y), at(x-1, y), at(x, y-1), at(x-1, y-1)
			var v uint32
			var d [3]byte
			for i := range here {
				most := int(parts.Max[i])
				guess := min(max(left[i]+above[i]-corner[i], 0), most)
				diff := (here[i] - guess) & most
				d[i] = byte(diff)
				v |= uint32(diff) << shifts[i]
			}
			switch conv.Size() {
			case 2:
				out = order.AppendUint16(out, uint16(v))
			case 3:
				out = append(out, d[:]...)
			default:
				out = order.AppendUint32(out, v)
			}
		}
	}
	return out
}

// Streams that go on, in any mixture of filters, streams and resets.
func TestTightOfOtherServers(t *testing.T) {
	for _, pf := range formats {
		rnd := rand.New(rand.NewPCG(1, 1))
		src := through(golden.Desktop(320, 200), pf)
		dst := pixel.NewFrame(320, 200)
		want := dst.Clone()
		f := &foreign{format: pf}
		conv := pixel.NewTPixelConverter(pf)
		d := ByNumber(wire.EncodingTight).NewDecoder()
		rd := wire.NewReader(&f.out, 256)
		for step := range 200 {
			w, h := 1+rnd.IntN(40), 1+rnd.IntN(40)
			r := image.Rect(0, 0, w, h).Add(image.Pt(rnd.IntN(320-w), rnd.IntN(200-h)))
			part := pixel.NewFrame(w, h)
			for y := range h {
				copy(part.Row(y, 0, w), src.Row(r.Min.Y+y, r.Min.X, r.Max.X))
			}
			stream := rnd.IntN(4)
			control := byte(stream << 4)
			if rnd.IntN(5) == 0 {
				which := rnd.IntN(16)
				control |= byte(which)
				for i := range 4 {
					if which>>i&1 != 0 {
						f.reset(i)
					}
				}
			}
			var raw []byte
			for y := range h {
				raw = conv.AppendRow(raw, part.Row(y, 0, w))
			}
			switch kind := rnd.IntN(5); {
			case kind == 0:
				f.out.WriteByte(control&0x0f | tightFill)
				f.out.Write(conv.AppendPixel(nil, part.Pix[0]))
				part.Fill(part.Rect(), part.Pix[0])
			case kind == 1 && pf.BitsPerPixel != 8:
				f.out.Write([]byte{control | tightFilter, tightGradient})
				f.data(stream, f.filtered(part))
			case kind == 2:
				var p palette
				p.reset()
				index := make([]byte, len(part.Pix)+indexSlack)
				if !p.indexRow(index, part.Pix, 256) {
					f.out.WriteByte(control)
					f.data(stream, raw)
					break
				}
				index = index[:len(part.Pix)]
				f.out.Write([]byte{control | tightFilter, tightPalette, byte(p.n - 1)})
				f.out.Write(p.append(nil, conv))
				if p.n <= 2 {
					index = appendBits(nil, index, w)
				}
				f.data(stream, index)
			case kind == 3:
				f.out.Write([]byte{control | tightFilter, tightCopy})
				f.data(stream, raw)
			default:
				f.out.WriteByte(control)
				f.data(stream, raw)
			}
			if err := d.Decode(rd, dst, r, pf); err != nil {
				t.Fatalf("%v, step %d: %v", pf, step, err)
			}
			for y := range h {
				copy(want.Row(r.Min.Y+y, r.Min.X, r.Max.X), part.Row(y, 0, w))
			}
			if diff := firstDifference(dst, want); diff != "" {
				t.Fatalf("%v, step %d, %v: %s", pf, step, r, diff)
			}
		}
		if f.out.Len()+rd.Buffered() > 0 {
			t.Fatalf("%v: bytes left over", pf)
		}
	}
}

// One stream that goes on, at any level, pixels whole.
func TestZlibOfOtherServers(t *testing.T) {
	for _, pf := range formats {
		rnd := rand.New(rand.NewPCG(2, 1))
		src := through(golden.Desktop(320, 200), pf)
		v := newViewer(320, 200, pf)
		want := v.frame.Clone()
		f, conv := &foreign{format: pf}, pixel.NewConverter(pf)
		for step := range 60 {
			w, h := 1+rnd.IntN(90), 1+rnd.IntN(40)
			r := image.Rect(0, 0, w, h).Add(image.Pt(rnd.IntN(320-w), rnd.IntN(200-h)))
			pixel.Copy(want, src, r)
			data := counted(f.deflate(0, appendRect(nil, src, r, conv)))
			if err := v.show([]Piece{{Rect: r, Encoding: wire.EncodingZlib, Data: data}}); err != nil {
				t.Fatalf("%v, step %d: %v", pf, step, err)
			}
			if diff := firstDifference(v.frame, want); diff != "" {
				t.Fatalf("%v, step %d, %v: %s", pf, step, r, diff)
			}
		}
	}
}

// A chunk may end without a flush marker, or end the stream.
func TestInflaterFlushes(t *testing.T) {
	text := []byte(strings.Repeat("from rectangle to rectangle, ", 40))
	var whole bytes.Buffer
	zw := zlib.NewWriter(&whole)
	_, _ = zw.Write(text)
	_ = zw.Close()
	var z inflater
	got := make([]byte, len(text))
	rd := wire.NewReader(bytes.NewReader(whole.Bytes()), 16)
	z.chunk(rd, int64(whole.Len()))
	if _, err := io.ReadFull(&z, got); err != nil || !bytes.Equal(got, text) {
		t.Fatalf("a stream that ends: %v, %q", err, got)
	}
	if err := z.end(); err != nil {
		t.Fatal(err)
	}
	if _, err := z.Read(got); err == nil {
		t.Error("read on after the stream's end")
	}
	// Stored, not final, and no flush at all after it.
	part := []byte{0x78, 0x01, 0x00, 5, 0, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o'}
	next := []byte{0x00, 5, 0, 0xfa, 0xff, 'a', 'g', 'a', 'i', 'n'}
	z = inflater{}
	for _, c := range []struct {
		chunk []byte
		want  string
	}{{part, "hello"}, {next, "again"}, {next, "again"}} {
		z.chunk(wire.NewReader(bytes.NewReader(c.chunk), 16), int64(len(c.chunk)))
		got := make([]byte, 5)
		if _, err := io.ReadFull(&z, got); err != nil || string(got) != c.want {
			t.Fatalf("without a flush: %v, %q", err, got)
		}
		if err := z.end(); err != nil {
			t.Fatal(err)
		}
	}
}

// The gradient filter's encoder does what the specification's words say, and is
// used where it is asked for.
func TestGradientEncoder(t *testing.T) {
	for _, src := range []*pixel.Frame{golden.Photo(77, 31), golden.Noise(40, 9, 1), golden.Desktop(90, 50), golden.Noise(1, 7, 2), golden.Noise(9, 1, 2)} {
		f := &foreign{format: formats[1]}
		if got := appendGradient([]byte("x"), src, src.Rect()); !bytes.Equal(got, append([]byte("x"), f.filtered(src)...)) {
			t.Errorf("%dx%d is filtered otherwise", src.Width, src.Height)
		}
	}
	photo := golden.Photo(256, 64)
	size := func(level int8, pf pixel.PixelFormat) (n int, gradient bool) {
		p := encodeTight(nil, photo, photo.Rect(), Params{wire.EncodingTight, pf, -1, 0, level})
		return len(p[0].Data), p[0].Data[0]&tightFilter != 0 && p[0].Data[1] == tightGradient
	}
	for level := int8(-1); level < 10; level++ {
		n, used := size(level, formats[1])
		if used != (level >= tightGradientLevel) {
			t.Errorf("level %d: gradient filter used: %v", level, used)
		}
		if most := 3 * len(photo.Pix); used && n > most/2 {
			t.Errorf("level %d: %d of %d bytes", level, n, most)
		}
	}
	for _, pf := range []pixel.PixelFormat{formats[9], formats[13]} {
		if _, used := size(9, pf); used {
			t.Errorf("%v: gradient filter used", pf)
		}
	}
}

func TestTightJPEG(t *testing.T) {
	src := golden.Photo(100, 60)
	m := src.RGBA()
	grey := image.NewGray(m.Rect)
	for y := range 60 {
		for x := range 100 {
			grey.Set(x, y, m.At(x, y))
		}
	}
	for _, pic := range []image.Image{m, grey} {
		var j bytes.Buffer
		if err := jpeg.Encode(&j, pic, &jpeg.Options{Quality: 95}); err != nil {
			t.Fatal(err)
		}
		dec, err := jpeg.Decode(bytes.NewReader(j.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		data := append(appendCompact([]byte{tightJPEG}, j.Len()), j.Bytes()...)
		dst := pixel.NewFrame(120, 80)
		r := image.Rect(10, 5, 110, 65)
		d := ByNumber(wire.EncodingTight).NewDecoder()
		if err := d.Decode(wire.NewReader(bytes.NewReader(data), 16), dst, r, formats[1]); err != nil {
			t.Fatal(err)
		}
		for y := range 80 {
			for x := range 120 {
				var want uint32
				if p := image.Pt(x, y); p.In(r) {
					c := color.RGBAModel.Convert(dec.At(x-10, y-5)).(color.RGBA)
					want = uint32(c.R)<<16 | uint32(c.G)<<8 | uint32(c.B)
				}
				if got := dst.Pix[y*120+x]; got != want {
					t.Fatalf("%T (%d,%d) is %06x, want %06x", pic, x, y, got, want)
				}
			}
		}
		// A picture of another size, however large, is refused before it is
		// decoded; so is every cut one.
		err = d.Decode(wire.NewReader(bytes.NewReader(data), 16), dst, image.Rect(0, 0, 99, 60), formats[1])
		if !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("a picture of another size: %v", err)
		}
		for n := 0; n < j.Len(); n += 7 {
			data := append(appendCompact([]byte{tightJPEG}, n), j.Bytes()[:n]...)
			err := d.Decode(wire.NewReader(bytes.NewReader(data), 16), dst, r, formats[1])
			if n < j.Len()-2 && !errors.Is(err, wire.ErrProtocol) {
				t.Fatalf("a picture cut to %d of %d bytes: %v", n, j.Len(), err)
			}
		}
	}
}

// zlibData is data as the first chunk of a zlib stream.
func zlibData(data []byte) []byte {
	var f foreign
	return f.deflate(0, data)
}

func counted(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func compact(head []byte, data []byte) []byte {
	return append(appendCompact(head, len(data)), data...)
}

// What no honest server sends must end in a protocol error that says what is
// wrong, and take no more memory or time than the rectangle is worth.
func TestHostileData(t *testing.T) {
	bomb := zlibData(make([]byte, 16<<20))
	noise := make([]byte, 100000) // what deflate cannot shorten
	for i := range noise {
		noise[i] = byte(rand.N(256))
	}
	r := image.Rect(0, 0, 64, 64)
	for _, c := range []struct {
		name string
		enc  wire.Encoding
		data []byte
		says string
	}{
		{"ZRLE of zeros without end", wire.EncodingZRLE, counted(bomb), ""},
		{"ZRLE bomb of one long run", wire.EncodingZRLE, counted(zlibData(append([]byte{128, 1, 2, 3}, bytes.Repeat([]byte{255}, 2<<20)...))), "longer than"},
		{"ZRLE run past the tile", wire.EncodingZRLE, counted(zlibData(append([]byte{128, 1, 2, 3}, bytes.Repeat([]byte{255}, 17)...))), "longer than"},
		{"ZRLE unused subencoding", wire.EncodingZRLE, counted(zlibData([]byte{17, 0, 0})), "subencoding 17"},
		{"ZRLE subencoding 129", wire.EncodingZRLE, counted(zlibData([]byte{129, 0, 0})), "subencoding 129"},
		{"ZRLE index past the palette", wire.EncodingZRLE, counted(zlibData([]byte{130, 1, 2, 3, 4, 5, 6, 2})), "palette of 2"},
		{"ZRLE packed index past the palette", wire.EncodingZRLE, counted(zlibData([]byte{3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})), "palette of 3"},
		{"ZRLE too little", wire.EncodingZRLE, counted(zlibData([]byte{0, 1, 2, 3})), "shorter"},
		{"ZRLE empty", wire.EncodingZRLE, counted(nil), "shorter"},
		{"ZRLE more than the tiles", wire.EncodingZRLE, counted(zlibData([]byte{1, 1, 2, 3, 1, 1, 2, 3})), "after the last tile"},
		{"ZRLE much more compressed data", wire.EncodingZRLE, counted(append(zlibData([]byte{1, 1, 2, 3}), noise...)), "more than"},
		{"ZRLE not zlib", wire.EncodingZRLE, counted([]byte("GIF89a")), "not deflate"},
		{"ZRLE bad check", wire.EncodingZRLE, counted([]byte{0x78, 0x00, 0, 0}), "check"},
		{"ZRLE dictionary", wire.EncodingZRLE, counted([]byte{0x78, 0x20, 0, 0}), "dictionary"},
		{"ZRLE corrupt", wire.EncodingZRLE, counted([]byte{0x78, 0x9c, 0xff, 0xff, 0xff}), ""},

		{"Tight bomb", wire.EncodingTight, compact([]byte{0}, bomb), ""},
		{"Tight too little", wire.EncodingTight, compact([]byte{0}, zlibData(make([]byte, 100))), "shorter"},
		{"Tight empty", wire.EncodingTight, compact([]byte{0}, nil), "shorter"},
		{"Tight much more compressed data", wire.EncodingTight, compact([]byte{0}, append(zlibData(make([]byte, 3*64*64)), noise...)), "more than"},
		{"Tight undefined compression", wire.EncodingTight, []byte{0xa0, 1, 2, 3}, "0xa0"},
		{"Tight undefined filter", wire.EncodingTight, []byte{0x40, 3, 1, 2, 3}, "filter 3"},
		{"Tight index past the palette", wire.EncodingTight, compact([]byte{0x40, 1, 2, 1, 2, 3, 4, 5, 6, 7, 8, 9}, zlibData(bytes.Repeat([]byte{3}, 64*64))), "palette of 3"},
		{"Tight JPEG that is none", wire.EncodingTight, compact([]byte{0x90}, []byte("not a picture")), "JPEG"},
		{"Tight not zlib", wire.EncodingTight, compact([]byte{0}, []byte("GIF89a")), "not deflate"},

		{"Zlib bomb", wire.EncodingZlib, counted(bomb), ""},
		{"Zlib too little", wire.EncodingZlib, counted(zlibData(make([]byte, 4*64*64-1))), "shorter"},
		{"Zlib empty", wire.EncodingZlib, counted(nil), "shorter"},
		{"Zlib much more compressed data", wire.EncodingZlib, counted(append(zlibData(make([]byte, 4*64*64)), noise...)), "more than"},
		{"Zlib not zlib", wire.EncodingZlib, counted([]byte("GIF89a")), "not deflate"},

		{"Hextile outside of its tile", wire.EncodingHextile, []byte{0x0e, 1, 2, 3, 0, 4, 5, 6, 0, 1, 0x88, 0xff}, "outside its tile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, dst := ByNumber(c.enc).NewDecoder(), pixel.NewFrame(64, 64)
			rd := wire.NewReader(io.MultiReader(bytes.NewReader(c.data), zeros{}), 4096)
			err := d.Decode(rd, dst, r, formats[1])
			if !errors.Is(err, wire.ErrProtocol) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
			if rd.Err() == nil {
				t.Error("the reader can still be used")
			}
		})
	}
}

// zeros goes on for ever, as a peer might.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A length that lies takes no memory for itself.
func TestLyingLengthsTakeNoMemory(t *testing.T) {
	dst := pixel.NewFrame(64, 64)
	for _, c := range []struct {
		enc  wire.Encoding
		data []byte
	}{
		{wire.EncodingZRLE, []byte{0xff, 0xff, 0xff, 0xff, 0x78, 0x9c}},
		{wire.EncodingTight, []byte{0, 0xff, 0xff, 0xff, 0x78, 0x9c}},
		{wire.EncodingZlib, []byte{0xff, 0xff, 0xff, 0xff, 0x78, 0x9c}},
		{wire.EncodingRRE, []byte{0, 0, 0x0f, 0xff, 0, 0, 0, 0}},
		{wire.EncodingJPEG, []byte{0xff, jpegSOI, 0xff, 0xe0, 0xff, 0xff}},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := ByNumber(c.enc).NewDecoder()
		err := d.Decode(wire.NewReader(bytes.NewReader(c.data), 64), dst, dst.Rect(), formats[1])
		runtime.ReadMemStats(&after)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: %v", c.enc, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 500000 {
			t.Errorf("%v took %d bytes", c.enc, n)
		}
	}
}

func TestCompactLength(t *testing.T) {
	for _, c := range []struct {
		n    int
		want []byte
	}{
		{0, []byte{0}},
		{127, []byte{0x7f}},
		{128, []byte{0x80, 0x01}},
		{10000, []byte{0x90, 0x4e}}, // the specification's example
		{16383, []byte{0xff, 0x7f}},
		{16384, []byte{0x80, 0x80, 0x01}},
		{tightMaxLength, []byte{0xff, 0xff, 0xff}},
	} {
		got := appendCompact(nil, c.n)
		if !bytes.Equal(got, c.want) {
			t.Errorf("%d is written % x, want % x", c.n, got, c.want)
		}
		if n := readCompact(wire.NewReader(bytes.NewReader(got), 16)); n != c.n {
			t.Errorf("% x reads as %d, want %d", got, n, c.n)
		}
	}
}

// A shared piece of ZRLE is plain deflate that the standard library reads.
func TestPiecesAreStandardDeflate(t *testing.T) {
	src := golden.Desktop(300, 200)
	for _, p := range encodeZRLE(nil, src, src.Rect(), browser(wire.EncodingZRLE)) {
		if !bytes.HasSuffix(p.Data, []byte{0, 0, 0xff, 0xff}) {
			t.Errorf("ends in % x, not in a sync flush", p.Data[len(p.Data)-4:])
		}
		got, err := io.ReadAll(flate.NewReader(bytes.NewReader(p.Data)))
		if !errors.Is(err, io.ErrUnexpectedEOF) || len(got) == 0 { // it does not end, it can go on
			t.Errorf("%d bytes, error %v", len(got), err)
		}
	}
}
