package encoding

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

func trueColour(bits, depth uint8, big bool, rm, gm, bm uint16, rs, gs, bs uint8) pixel.PixelFormat {
	return pixel.PixelFormat{
		BitsPerPixel: bits, Depth: depth, BigEndian: big, TrueColour: true,
		RedMax: rm, GreenMax: gm, BlueMax: bm, RedShift: rs, GreenShift: gs, BlueShift: bs,
	}
}

// formats are one of each kind that viewers ask for, and some that they might.
var formats = []pixel.PixelFormat{
	pixel.RGB888,
	trueColour(32, 24, false, 255, 255, 255, 0, 8, 16),
	trueColour(32, 24, true, 255, 255, 255, 16, 8, 0),
	trueColour(32, 24, false, 255, 255, 255, 24, 16, 8),
	trueColour(32, 24, true, 255, 255, 255, 8, 16, 24),
	trueColour(32, 32, false, 255, 255, 255, 8, 16, 24),
	trueColour(32, 24, false, 255, 255, 255, 1, 9, 17),
	trueColour(32, 30, false, 1023, 1023, 1023, 20, 10, 0),
	trueColour(32, 18, true, 63, 63, 63, 12, 6, 0),
	trueColour(16, 16, false, 31, 63, 31, 11, 5, 0),
	trueColour(16, 16, true, 31, 63, 31, 11, 5, 0),
	trueColour(16, 15, false, 31, 31, 31, 10, 5, 0),
	trueColour(16, 12, true, 15, 15, 15, 0, 4, 8),
	trueColour(8, 8, false, 7, 7, 3, 0, 3, 6),
	trueColour(8, 3, false, 1, 1, 1, 2, 1, 0),
	{BitsPerPixel: 8, Depth: 8},
}

func init() {
	for _, f := range formats {
		if err := f.Validate(); err != nil {
			panic(err)
		}
	}
}

// encoders are the rows that make pieces from frames.
func encoders() []*Encoding {
	var es []*Encoding
	for _, e := range All() {
		if e.Encode != nil {
			es = append(es, e)
		}
	}
	return es
}

// through is what remains of f after the format's loss of colours.
func through(f *pixel.Frame, pf pixel.PixelFormat) *pixel.Frame {
	conv, out := pixel.NewConverter(pf), pixel.NewFrame(f.Width, f.Height)
	for y := range f.Height {
		conv.ReadRow(out.Row(y, 0, f.Width), conv.AppendRow(nil, f.Row(y, 0, f.Width)))
	}
	return out
}

// cover fails the test unless the pieces' rectangles are r, each pixel once.
func cover(t testing.TB, pieces []Piece, r image.Rectangle) {
	t.Helper()
	area := 0
	for _, p := range pieces {
		area += p.Rect.Dx() * p.Rect.Dy()
	}
	g := new(pixel.Region)
	for _, p := range pieces {
		g.Add(p.Rect)
	}
	if area != r.Dx()*r.Dy() || !g.Equal(pixel.RegionOf(r)) {
		t.Fatalf("pieces do not cover %v once", r)
	}
}

// viewer is one connection's two ends: what was sent and the decoders.
type viewer struct {
	streams  Streams
	sent     bytes.Buffer
	rd       *wire.Reader
	frame    *pixel.Frame
	format   pixel.PixelFormat
	decoders map[wire.Encoding]Decoder
}

func newViewer(width, height int, f pixel.PixelFormat) *viewer {
	v := &viewer{frame: pixel.NewFrame(width, height), format: f, decoders: map[wire.Encoding]Decoder{}}
	v.rd = wire.NewReader(&v.sent, 4096)
	return v
}

// show sends the pieces and decodes them.
func (v *viewer) show(pieces []Piece) error {
	for i := range pieces {
		v.sent.Write(v.streams.AppendHeader(nil, &pieces[i]))
		v.sent.Write(pieces[i].Data)
	}
	for range pieces {
		h := wire.ReadRectangleHeader(v.rd)
		d := v.decoders[h.Encoding]
		if d == nil {
			d = ByNumber(h.Encoding).NewDecoder()
			v.decoders[h.Encoding] = d
		}
		if err := d.Decode(v.rd, v.frame, h.Rect, v.format); err != nil {
			return err
		}
	}
	if v.sent.Len() > 0 || v.rd.Buffered() > 0 {
		return fmt.Errorf("%d bytes left over", v.sent.Len()+v.rd.Buffered())
	}
	return nil
}

func firstDifference(a, b *pixel.Frame) string {
	for y := range a.Height {
		if pixel.Same(a.Row(y, 0, a.Width), b.Row(y, 0, a.Width)) {
			continue
		}
		for x := range a.Width {
			if a.Pix[y*a.Stride+x] != b.Pix[y*b.Stride+x] {
				return fmt.Sprintf("(%d,%d) is %08x, want %08x", x, y, a.Pix[y*a.Stride+x], b.Pix[y*b.Stride+x])
			}
		}
	}
	return ""
}

// pictures are those of the round trips: screens, and what screens never are.
func pictures() []golden.Picture {
	gs := golden.All(261, 133)
	for _, s := range []image.Point{{1, 1}, {1, 7}, {3, 1}, {5, 2}, {2, 2}, {17, 16}, {63, 65}, {129, 64}} {
		gs = append(gs, golden.Picture{Name: fmt.Sprintf("noise %v", s), Frame: golden.Noise(s.X, s.Y, 7)})
		// Random pixels of so many colours, which meet every palette.
		for _, n := range []int{1, 2, 3, 4, 5, 16, 17, 90, 127, 128, 256, 257} {
			gs = append(gs, golden.Picture{Name: fmt.Sprintf("%d colours %v", n, s), Frame: limited(s.X, s.Y, n, 1)})
		}
		for _, n := range []int{2, 30, 300, 3000} {
			gs = append(gs, golden.Picture{Name: fmt.Sprintf("%d colours in runs %v", n, s), Frame: limited(s.X, s.Y, n, 40)})
		}
	}
	return append(gs, golden.Picture{Name: "long runs", Frame: limited(64, 200, 3, 5000)})
}

// limited is a picture of runs of random length and of at most n colours.
func limited(width, height, n, longest int) *pixel.Frame {
	f, rnd := pixel.NewFrame(width, height), rand.New(rand.NewPCG(uint64(n), uint64(longest)))
	colours := make([]uint32, n)
	for i := range colours {
		colours[i] = rnd.Uint32() & pixel.Mask
	}
	for i := 0; i < len(f.Pix); {
		c := colours[rnd.IntN(n)]
		for k := 1 + rnd.IntN(longest); k > 0 && i < len(f.Pix); k-- {
			f.Pix[i] = c
			i++
		}
	}
	return f
}

func TestRoundTrip(t *testing.T) {
	gs := pictures()
	for _, e := range encoders() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			for _, pf := range formats {
				for _, g := range gs {
					for _, level := range []int8{-1, 0, 2, 9} {
						if level != 2 && pf != formats[1] {
							continue
						}
						v := newViewer(g.Frame.Width, g.Frame.Height, pf)
						pieces := e.Encode(nil, g.Frame, g.Frame.Rect(), Params{e.Number, pf, -1, 0, level})
						cover(t, pieces, g.Frame.Rect())
						if err := v.show(pieces); err != nil {
							t.Fatalf("%s, %v, level %d: %v", g.Name, pf, level, err)
						}
						if d := firstDifference(v.frame, through(g.Frame, pf)); d != "" {
							t.Fatalf("%s, %v, level %d: %s", g.Name, pf, level, d)
						}
					}
				}
			}
		})
	}
}

// A part of a frame must come out the same whatever is around it, leave what
// is around it alone, and depend on nothing outside.
func TestPartOfAFrame(t *testing.T) {
	src := golden.Desktop(640, 480)
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, e := range encoders() {
		for range 40 {
			x, y := rnd.IntN(600), rnd.IntN(440)
			r := image.Rect(x, y, x+1+rnd.IntN(640-x), y+1+rnd.IntN(480-y))
			p := Params{e.Number, formats[1], -1, 0, 2}
			pieces := e.Encode(nil, src, r, p)
			cover(t, pieces, r)

			other := pixel.NewFrame(640, 480)
			pixel.Copy(other, src, r)
			again := e.Encode(nil, other, r, p)
			if len(again) != len(pieces) {
				t.Fatalf("%s %v depends on what lies outside", e.Name, r)
			}
			for i := range pieces {
				if !bytes.Equal(pieces[i].Data, again[i].Data) {
					t.Fatalf("%s %v depends on what lies outside", e.Name, r)
				}
			}

			v := newViewer(640, 480, formats[1])
			v.frame.Fill(v.frame.Rect(), 0x123456)
			want := v.frame.Clone()
			pixel.Copy(want, src, r)
			if err := v.show(pieces); err != nil {
				t.Fatalf("%s %v: %v", e.Name, r, err)
			}
			if d := firstDifference(v.frame, want); d != "" {
				t.Fatalf("%s %v: %s", e.Name, r, d)
			}
		}
	}
}

// Wide and high frames meet the limits on the size of a rectangle.
func TestLargeFrames(t *testing.T) {
	for _, s := range []image.Point{{5000, 3}, {3, 5000}, {2049, 130}} {
		src := golden.Noise(s.X, s.Y, 1)
		src.Fill(image.Rect(0, 0, s.X/2, s.Y), 0x336699)
		for _, e := range encoders() {
			v := newViewer(s.X, s.Y, formats[1])
			pieces := e.Encode(nil, src, src.Rect(), Params{e.Number, formats[1], -1, 0, 2})
			cover(t, pieces, src.Rect())
			if err := v.show(pieces); err != nil {
				t.Fatalf("%s %v: %v", e.Name, s, err)
			}
			if d := firstDifference(v.frame, src); d != "" {
				t.Fatalf("%s %v: %s", e.Name, s, d)
			}
			for _, p := range pieces {
				if e.Number == wire.EncodingTight && p.Rect.Dx() > tightMaxWidth {
					t.Errorf("Tight rectangle %v is wider than viewers accept", p.Rect)
				}
			}
		}
	}
}

// Pieces are made once and sent to viewers that have seen different ones
// before, in any mixture of encodings.
func TestPiecesAreShared(t *testing.T) {
	f := formats[1]
	src := golden.Desktop(640, 480)
	viewers := []*viewer{newViewer(640, 480, f), newViewer(640, 480, f), newViewer(640, 480, f)}
	rnd := rand.New(rand.NewPCG(9, 9))
	for i := range 300 {
		r := image.Rect(0, 0, 1+rnd.IntN(200), 1+rnd.IntN(200))
		r = r.Add(image.Pt(rnd.IntN(640-r.Dx()+1), rnd.IntN(480-r.Dy()+1)))
		var pieces []Piece
		e := encoders()[rnd.IntN(len(encoders()))]
		if from := image.Pt(rnd.IntN(640-r.Dx()+1), rnd.IntN(480-r.Dy()+1)); i > 0 && rnd.IntN(5) == 0 {
			src.Move(r, from)
			pieces = []Piece{CopyRect(r, from)}
		} else {
			src.Fill(r.Inset(20), rnd.Uint32()&pixel.Mask)
			pieces = e.Encode(nil, src, r, Params{e.Number, f, -1, 0, 2})
		}
		for k, v := range viewers {
			if joins := k * 100; i < joins {
				continue
			} else if i == joins {
				whole := e.Encode(nil, src, src.Rect(), Params{e.Number, f, -1, 0, 2})
				if err := v.show(whole); err != nil {
					t.Fatalf("viewer %d joining: %v", k, err)
				}
				continue
			}
			if err := v.show(pieces); err != nil {
				t.Fatalf("viewer %d, step %d: %v", k, i, err)
			}
			if d := firstDifference(v.frame, src); d != "" {
				t.Fatalf("viewer %d, step %d: %s", k, i, d)
			}
		}
	}
}

// Encoders may run at the same time on one frame and give what they give
// alone.
func TestEncodeConcurrently(t *testing.T) {
	src := golden.Desktop(320, 240)
	var wg sync.WaitGroup
	for _, e := range encoders() {
		for _, f := range formats {
			p := Params{e.Number, f, -1, 0, 2}
			want := e.Encode(nil, src, src.Rect(), p)
			for range 3 {
				wg.Go(func() {
					got := e.Encode(nil, src, src.Rect(), p)
					same := slices.EqualFunc(got, want, func(a, b Piece) bool {
						return a.Rect == b.Rect && a.Encoding == b.Encoding && a.Deflate == b.Deflate && bytes.Equal(a.Data, b.Data)
					})
					if !same {
						t.Errorf("%s %v differs", e.Name, f)
					}
				})
			}
		}
	}
	wg.Wait()
}

// Every truncation of every encoding is an error of the connection, never a
// panic and never a picture.
func TestTruncation(t *testing.T) {
	var srcs []*pixel.Frame
	srcs = append(srcs, golden.Noise(5, 3, 1), limited(70, 10, 2, 20), limited(70, 10, 9, 3),
		limited(70, 10, 90, 9), limited(70, 10, 1, 1), golden.Photo(20, 9))
	for _, e := range encoders() {
		for _, src := range srcs {
			for _, f := range []pixel.PixelFormat{formats[1], formats[9], formats[13]} {
				for _, p := range e.Encode(nil, src, src.Rect(), Params{e.Number, f, -1, 0, 2}) {
					full := append(new(Streams).AppendHeader(nil, &p), p.Data...)[12:]
					for n := range full {
						d, dst := ByNumber(p.Encoding).NewDecoder(), pixel.NewFrame(src.Width, src.Height)
						err := d.Decode(wire.NewReader(bytes.NewReader(full[:n]), 64), dst, p.Rect, f)
						if !errors.Is(err, io.ErrUnexpectedEOF) {
							t.Fatalf("%s %dx%d cut to %d of %d bytes: %v", e.Name, src.Width, src.Height, n, len(full), err)
						}
						if errors.Is(err, wire.ErrProtocol) {
							t.Fatalf("%s cut to %d of %d bytes blames the peer: %v", e.Name, n, len(full), err)
						}
					}
				}
			}
		}
	}
}

func TestTable(t *testing.T) {
	all := All()
	for i, e := range all {
		if ByNumber(e.Number) != e || e.Name != e.Number.String() || e.NewDecoder == nil {
			t.Errorf("row %q is wrong", e.Name)
		}
		if i > 0 && all[i-1].Rank >= e.Rank {
			t.Errorf("%s and %s are not ordered by rank", all[i-1].Name, e.Name)
		}
	}
	if ByNumber(12345) != nil {
		t.Error("an unknown number has a row")
	}
	defer func() {
		if recover() == nil {
			t.Error("a second row with the same number did not panic")
		}
	}()
	register(Encoding{Number: wire.EncodingRaw})
}

func TestCopyRectDecoder(t *testing.T) {
	f := golden.Noise(20, 20, 3)
	want := f.Clone()
	r, from := image.Rect(4, 5, 14, 15), image.Pt(1, 2)
	want.Move(r, from)
	p := CopyRect(r, from)
	d := ByNumber(wire.EncodingCopyRect).NewDecoder().(*CopyRectDecoder)
	if err := d.Decode(wire.NewReader(bytes.NewReader(p.Data), 16), f, r, pixel.RGB888); err != nil {
		t.Fatal(err)
	}
	if !f.Equal(want) || d.From != from {
		t.Errorf("copied from %v: wrong pixels or place", d.From)
	}
	for _, bad := range []image.Point{{11, 0}, {0, 11}, {65535, 65535}} {
		p := CopyRect(r, bad)
		err := d.Decode(wire.NewReader(bytes.NewReader(p.Data), 16), f, r, pixel.RGB888)
		if !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("from %v: %v", bad, err)
		}
	}
	for n := range 4 {
		err := d.Decode(wire.NewReader(bytes.NewReader(p.Data[:n]), 16), f, r, pixel.RGB888)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}
