package encoding

import (
	"bytes"
	"errors"
	"image"
	"io"
	"math/rand/v2"
	"slices"
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

func TestBadCursors(t *testing.T) {
	type decode func(*wire.Reader, wire.RectangleHeader, pixel.PixelFormat) (*pixel.Cursor, error)
	for _, d := range []decode{DecodeCursor, DecodeVMwareCursor} {
		h := wire.RectangleHeader{Rect: image.Rect(0, 0, 65535, 65535), Encoding: wire.PseudoCursor}
		if _, err := d(wire.NewReader(zeros{}, 16), h, formats[0]); !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("a huge shape: %v", err)
		}
	}
	h := wire.RectangleHeader{Rect: image.Rect(0, 0, 1, 1)}
	if _, err := DecodeVMwareCursor(wire.NewReader(bytes.NewReader([]byte{2, 0, 0, 0, 0, 0}), 16), h, formats[0]); !errors.Is(err, wire.ErrProtocol) {
		t.Errorf("an unknown type: %v", err)
	}
	c := randomCursor(9, 5)
	for _, p := range []Piece{Cursor(c, formats[9]), VMwareCursor(c)} {
		for n := range p.Data {
			rd := wire.NewReader(bytes.NewReader(p.Data[:n]), 16)
			h := wire.RectangleHeader{Rect: p.Rect, Encoding: p.Encoding}
			var err error
			if p.Encoding == wire.PseudoCursor {
				_, err = DecodeCursor(rd, h, formats[9])
			} else {
				_, err = DecodeVMwareCursor(rd, h, formats[9])
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("%v cut to %d bytes: %v", p.Encoding, n, err)
			}
		}
	}
}
