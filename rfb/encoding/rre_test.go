package encoding

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// corre turns a piece of RRE of at most 255 by 255 pixels into CoRRE's data.
func corre(pieces []Piece, f pixel.PixelFormat) []byte {
	p := pieces[0]
	if p.Encoding != wire.EncodingRRE {
		return nil
	}
	size := f.Bytes()
	out, rest := slices.Clone(p.Data[:4+size]), p.Data[4+size:]
	for ; len(rest) > 0; rest = rest[size+8:] {
		out = append(out, rest[:size]...)
		for i := range 4 {
			out = append(out, byte(binary.BigEndian.Uint16(rest[size+2*i:])))
		}
	}
	return out
}

func TestCoRRE(t *testing.T) {
	for _, f := range formats {
		for _, src := range []*pixel.Frame{golden.BIOS(255, 200), limited(40, 30, 12, 9), limited(1, 1, 1, 1)} {
			pieces := encodeRRE(nil, src, src.Rect(), Params{wire.EncodingRRE, f, -1, 0, 2})
			if len(pieces) != 1 || pieces[0].Encoding != wire.EncodingRRE {
				continue // pixels were shorter
			}
			data, dst := corre(pieces, f), pixel.NewFrame(src.Width, src.Height)
			rd := wire.NewReader(bytes.NewReader(data), 64)
			if err := ByNumber(wire.EncodingCoRRE).NewDecoder().Decode(rd, dst, src.Rect(), f); err != nil || rd.Buffered() > 0 {
				t.Fatalf("%v: %v", f, err)
			}
			if d := firstDifference(dst, through(src, f)); d != "" {
				t.Fatalf("%v: %s", f, d)
			}
			for n := 0; n < len(data); n += 1 + n/20 {
				rd := wire.NewReader(bytes.NewReader(data[:n]), 64)
				err := ByNumber(wire.EncodingCoRRE).NewDecoder().Decode(rd, dst, src.Rect(), f)
				if !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("%v cut to %d of %d bytes: %v", f, n, len(data), err)
				}
			}
		}
	}
}

// Servers may paint one subrectangle over another, and give one no area.
func TestRREOfOtherServers(t *testing.T) {
	f := formats[1]
	px := func(c uint32) []byte { return pixel.NewConverter(f).AppendPixel(nil, c) }
	data := append([]byte{0, 0, 0, 3}, px(0x112233)...)
	for _, s := range []struct {
		c    uint32
		rect [4]uint16
	}{{0xff0000, [4]uint16{1, 1, 6, 6}}, {0x00ff00, [4]uint16{2, 2, 2, 3}}, {0x0000ff, [4]uint16{8, 8, 0, 0}}} {
		data = append(data, px(s.c)...)
		for _, v := range s.rect {
			data = binary.BigEndian.AppendUint16(data, v)
		}
	}
	r := image.Rect(10, 20, 18, 28)
	dst, want := pixel.NewFrame(30, 30), pixel.NewFrame(30, 30)
	want.Fill(r, 0x112233)
	want.Fill(image.Rect(11, 21, 17, 27), 0xff0000)
	want.Fill(image.Rect(12, 22, 14, 25), 0x00ff00)
	if err := ByNumber(wire.EncodingRRE).NewDecoder().Decode(wire.NewReader(bytes.NewReader(data), 64), dst, r, f); err != nil {
		t.Fatal(err)
	}
	if d := firstDifference(dst, want); d != "" {
		t.Error(d)
	}
}

// What is longer than pixels is sent as pixels.
func TestLongerThanRaw(t *testing.T) {
	noise := golden.Noise(300, 70, 1)
	for _, n := range []wire.Encoding{wire.EncodingRRE, wire.EncodingZlib} {
		for _, f := range []pixel.PixelFormat{formats[9], formats[10], formats[13]} { // without a bit to spare
			for _, p := range ByNumber(n).Encode(nil, noise, noise.Rect(), Params{n, f, -1, 0, 2}) {
				if raw := p.Rect.Dx() * p.Rect.Dy() * f.Bytes(); p.Encoding != wire.EncodingRaw || len(p.Data) != raw {
					t.Errorf("%v, %v: noise is %d bytes of %v, pixels are %d", n, f, len(p.Data), p.Encoding, raw)
				}
			}
		}
		// Whatever the picture, no piece is longer than its pixels.
		for _, g := range pictures() {
			for _, p := range ByNumber(n).Encode(nil, g.Frame, g.Frame.Rect(), browser(n)) {
				if raw := p.Rect.Dx() * p.Rect.Dy() * 4; len(p.Data) > raw {
					t.Errorf("%s: %v is %d bytes, pixels are %d", g.Name, n, len(p.Data), raw)
				}
			}
		}
	}
}

// What no honest server sends as RRE costs little and says what is wrong.
func TestHostileRRE(t *testing.T) {
	sub := func(x, y, w, h byte) []byte { return []byte{0, 0, 0, 9, 0, x, 0, y, 0, w, 0, h} }
	for _, c := range []struct {
		name, says string
		data       []byte
	}{
		{"more than pixels", "5000 subrectangles", []byte{0, 0, 0x13, 0x88, 0, 0, 0, 0}},
		{"far more", "4294967295 subrectangles", []byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}},
		{"outside", "lies outside", append([]byte{0, 0, 0, 1, 0, 0, 0, 0}, sub(60, 0, 5, 5)...)},
		{"outside below", "lies outside", append([]byte{0, 0, 0, 1, 0, 0, 0, 0}, sub(0, 63, 1, 2)...)},
		{"painted over and over", "more than 16 times", append([]byte{0, 0, 0, 100, 0, 0, 0, 0}, bytes.Repeat(sub(0, 0, 64, 64), 100)...)},
	} {
		dst := pixel.NewFrame(64, 64)
		rd := wire.NewReader(io.MultiReader(bytes.NewReader(c.data), zeros{}), 4096)
		err := ByNumber(wire.EncodingRRE).NewDecoder().Decode(rd, dst, dst.Rect(), formats[1])
		if !errors.Is(err, wire.ErrProtocol) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", c.name, err, c.says)
		}
	}
}
