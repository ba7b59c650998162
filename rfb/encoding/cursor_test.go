package encoding

import (
	"bytes"
	"errors"
	"image"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

func randomCursor(w, h int) *pixel.Cursor {
	rnd := rand.New(rand.NewPCG(uint64(w), uint64(h)))
	c := &pixel.Cursor{Width: w, Height: h, HotX: w / 2, HotY: h / 3, Pix: make([]uint32, w*h)}
	for i := range c.Pix {
		c.Pix[i] = rnd.Uint32()
	}
	return c
}

func cursors() []*pixel.Cursor {
	return []*pixel.Cursor{
		{}, randomCursor(1, 1), randomCursor(7, 3), randomCursor(8, 8), randomCursor(17, 24),
		randomCursor(64, 64), pixel.DefaultCursor(),
	}
}

// sent is a piece as it travels, and its header as the viewer reads it.
func sent(p Piece) (wire.RectangleHeader, *wire.Reader) {
	rd := wire.NewReader(bytes.NewReader(append(new(Streams).AppendHeader(nil, &p), p.Data...)), 64)
	return wire.ReadRectangleHeader(rd), rd
}

func sameCursor(a, b *pixel.Cursor) bool {
	return a.Width == b.Width && a.Height == b.Height && a.HotX == b.HotX && a.HotY == b.HotY && slices.Equal(a.Pix, b.Pix)
}

func TestCursor(t *testing.T) {
	for _, f := range formats {
		conv := pixel.NewConverter(f)
		for _, c := range cursors() {
			want := *c
			want.Pix = make([]uint32, len(c.Pix))
			for i, p := range c.Pix {
				if p>>24 >= 0x80 {
					want.Pix[i] = 0xff000000 | conv.ReadPixel(conv.AppendPixel(nil, p&pixel.Mask))
				}
			}
			h, rd := sent(Cursor(c, f))
			got, err := DecodeCursor(rd, h, f)
			if err != nil || h.Encoding != wire.PseudoCursor || rd.Buffered() > 0 || !sameCursor(got, &want) {
				t.Fatalf("%v, %dx%d: %v, %+v", f, c.Width, c.Height, err, h)
			}
		}
	}
}

func TestVMwareCursor(t *testing.T) {
	for _, c := range cursors() {
		h, rd := sent(VMwareCursor(c))
		got, err := DecodeVMwareCursor(rd, h, formats[9])
		if err != nil || h.Encoding != wire.PseudoVMwareCursor || rd.Buffered() > 0 || !sameCursor(got, c) {
			t.Fatalf("%dx%d: %v, %+v", c.Width, c.Height, err, h)
		}
	}
	// The bytes that viewers want: red, green, blue, alpha.
	p := VMwareCursor(&pixel.Cursor{Width: 1, Height: 1, Pix: []uint32{0x44112233}})
	if want := []byte{1, 0, 0x11, 0x22, 0x33, 0x44}; !bytes.Equal(p.Data, want) {
		t.Errorf("data % x, want % x", p.Data, want)
	}
}

func TestVMwareCursorClassic(t *testing.T) {
	for _, f := range formats {
		conv := pixel.NewConverter(f)
		data := []byte{0, 0}
		for _, and := range []uint32{0, pixel.Mask, pixel.Mask} {
			data = conv.AppendPixel(data, and)
		}
		for _, xor := range []uint32{0x0000ff, 0, pixel.Mask} {
			data = conv.AppendPixel(data, xor)
		}
		h := wire.RectangleHeader{Rect: image.Rect(1, 0, 4, 1), Encoding: wire.PseudoVMwareCursor}
		got, err := DecodeVMwareCursor(wire.NewReader(bytes.NewReader(data), 16), h, f)
		want := pixel.Cursor{Width: 3, Height: 1, HotX: 1, Pix: []uint32{0xff0000ff, 0, 0xff000000}}
		if err != nil || !sameCursor(got, &want) {
			t.Errorf("%v: %v, %08x", f, err, got)
		}
		for n := range data {
			if _, err := DecodeVMwareCursor(wire.NewReader(bytes.NewReader(data[:n]), 16), h, f); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("cut to %d bytes: %v", n, err)
			}
		}
	}
}

// cursorKinds are the encodings of cursors, in the order of cursorPieces.
var cursorKinds = []wire.Encoding{wire.PseudoCursor, wire.PseudoVMwareCursor, wire.PseudoXCursor, wire.PseudoCursorWithAlpha}

func cursorPieces(c *pixel.Cursor, f pixel.PixelFormat) []Piece {
	return []Piece{Cursor(c, f), VMwareCursor(c), XCursor(c), CursorWithAlpha(c)}
}

// decodeCursor reads a cursor of any kind.
func decodeCursor(rd *wire.Reader, h wire.RectangleHeader, f pixel.PixelFormat) (*pixel.Cursor, error) {
	switch h.Encoding {
	case wire.PseudoCursor:
		return DecodeCursor(rd, h, f)
	case wire.PseudoVMwareCursor:
		return DecodeVMwareCursor(rd, h, f)
	case wire.PseudoXCursor:
		return DecodeXCursor(rd, h)
	default:
		return DecodeCursorWithAlpha(rd, h)
	}
}

func TestXCursor(t *testing.T) {
	// Two colours and what is not there come through as they are; the
	// primary colour's bits are set.
	for _, size := range []image.Point{{0, 0}, {1, 1}, {7, 3}, {8, 8}, {17, 24}} {
		for _, colours := range [][2]uint32{{0, pixel.Mask}, {0x808080, 0x808081}, {0x2080c0, 0x2080c0}, {0xff0000, 0x0000ff}} {
			want := randomCursor(size.X, size.Y)
			for i, p := range want.Pix {
				switch p % 3 {
				case 0:
					want.Pix[i] = 0
				case 1:
					want.Pix[i] = 0xff000000 | colours[0]
				default:
					want.Pix[i] = 0xff000000 | colours[1]
				}
			}
			h, rd := sent(XCursor(want))
			got, err := DecodeXCursor(rd, h)
			if err != nil || h.Encoding != wire.PseudoXCursor || rd.Buffered() > 0 || !sameCursor(got, want) {
				t.Fatalf("%v of %06x: %v, %+v", size, colours, err, got)
			}
		}
	}
	// Of many colours the bright ones and the dark ones are told apart.
	c := &pixel.Cursor{Width: 5, Height: 1, Pix: []uint32{0xff101010, 0xff303030, 0xffe0e0e0, 0xc0ffffff, 0x10ff0000}}
	want := &pixel.Cursor{Width: 5, Height: 1, Pix: []uint32{0xff202020, 0xff202020, 0xfff0f0f0, 0xfff0f0f0, 0}}
	h, rd := sent(XCursor(c))
	if got, err := DecodeXCursor(rd, h); err != nil || !sameCursor(got, want) {
		t.Errorf("many colours: %v, %08x", err, got)
	}
	// The bytes, by the specification.
	data := []byte{1, 2, 3, 4, 5, 6, 0xa0, 0xe0}
	got, err := DecodeXCursor(wire.NewReader(bytes.NewReader(data), 16), wire.RectangleHeader{Rect: image.Rect(0, 0, 4, 1)})
	want = &pixel.Cursor{Width: 4, Height: 1, Pix: []uint32{0xff010203, 0xff040506, 0xff010203, 0}}
	if err != nil || !sameCursor(got, want) {
		t.Errorf("% x is %v, %08x", data, err, got)
	}
}

func TestCursorWithAlpha(t *testing.T) {
	for _, c := range cursors() {
		first := CursorWithAlpha(c)
		h, rd := sent(first)
		got, err := DecodeCursorWithAlpha(rd, h)
		if err != nil || h.Encoding != wire.PseudoCursorWithAlpha || rd.Buffered() > 0 || len(got.Pix) != len(c.Pix) {
			t.Fatalf("%dx%d: %v, %+v", c.Width, c.Height, err, h)
		}
		// The multiplication loses what alpha hides, once.
		for i, p := range c.Pix {
			switch q := got.Pix[i]; {
			case p>>24 != q>>24, p>>24 == 0xff && p != q, p>>24 == 0 && q != 0:
				t.Fatalf("%08x came through as %08x", p, q)
			}
		}
		if again := CursorWithAlpha(got); !bytes.Equal(again.Data, first.Data) {
			t.Fatalf("%dx%d changes further", c.Width, c.Height)
		}
	}
	p := CursorWithAlpha(&pixel.Cursor{Width: 1, Height: 1, Pix: []uint32{0x80ff4000}})
	if want := []byte{0, 0, 0, 0, 0x80, 0x20, 0, 0x80}; !bytes.Equal(p.Data, want) {
		t.Errorf("data % x, want % x", p.Data, want)
	}
	// Brighter than alpha allows, and an encoding that has no room for alpha.
	h := wire.RectangleHeader{Rect: image.Rect(0, 0, 1, 1)}
	got, err := DecodeCursorWithAlpha(wire.NewReader(bytes.NewReader([]byte{0, 0, 0, 0, 0xff, 0x40, 0, 0x80}), 16), h)
	if err != nil || got.Pix[0] != 0x80ff8000 {
		t.Errorf("a pixel brighter than its alpha: %v, %08x", err, got)
	}
	_, err = DecodeCursorWithAlpha(wire.NewReader(bytes.NewReader([]byte{0, 0, 0, 7, 0x80, 1, 2, 3}), 16), h)
	if !errors.Is(err, wire.ErrProtocol) || !strings.Contains(err.Error(), "Tight") {
		t.Errorf("an encoding that cannot be read: %v", err)
	}
}

func TestBadCursors(t *testing.T) {
	for _, k := range cursorKinds {
		h := wire.RectangleHeader{Rect: image.Rect(0, 0, 65535, 65535), Encoding: k}
		if _, err := decodeCursor(wire.NewReader(zeros{}, 16), h, formats[0]); !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("%v: a huge shape: %v", k, err)
		}
	}
	h := wire.RectangleHeader{Rect: image.Rect(0, 0, 1, 1)}
	if _, err := DecodeVMwareCursor(wire.NewReader(bytes.NewReader([]byte{2, 0, 0, 0, 0, 0}), 16), h, formats[0]); !errors.Is(err, wire.ErrProtocol) {
		t.Errorf("an unknown type: %v", err)
	}
	for _, p := range cursorPieces(randomCursor(9, 5), formats[9]) {
		for n := range p.Data {
			h := wire.RectangleHeader{Rect: p.Rect, Encoding: p.Encoding}
			if _, err := decodeCursor(wire.NewReader(bytes.NewReader(p.Data[:n]), 16), h, formats[9]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%v cut to %d bytes: %v", p.Encoding, n, err)
			}
		}
	}
}
