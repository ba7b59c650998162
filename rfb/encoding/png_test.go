package encoding

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	stdpng "image/png"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Pictures have the depth that their colours need, and the standard library
// reads them.
func TestPNGForms(t *testing.T) {
	for _, c := range []struct {
		src         *pixel.Frame
		depth, kind byte
	}{
		{limited(63, 40, 2, 3), 1, pngIndexed},
		{limited(63, 40, 4, 3), 2, pngIndexed},
		{limited(63, 40, 16, 3), 4, pngIndexed},
		{limited(63, 40, 17, 3), 8, pngIndexed},
		{limited(63, 40, 256, 3), 8, pngIndexed},
		{golden.Photo(63, 40), 8, pngRGB},
		{golden.Noise(63, 40, 2), 8, pngRGB},
	} {
		ps := encodeTightPNG(nil, c.src, c.src.Rect(), browser(wire.EncodingTightPNG))
		if len(ps) != 1 || ps[0].Data[0] != tightPNG {
			t.Fatalf("not one picture: %v", ps)
		}
		rd := wire.NewReader(bytes.NewReader(ps[0].Data[1:]), 16)
		data := make([]byte, readCompact(rd))
		rd.Bytes("the picture", data)
		if data[24] != c.depth || data[25] != c.kind {
			t.Errorf("depth %d, colour type %d, want %d, %d", data[24], data[25], c.depth, c.kind)
		}
		m, err := stdpng.Decode(bytes.NewReader(data))
		if err != nil || rd.Err() != nil || rd.Buffered() > 0 {
			t.Fatalf("%v, %v", err, rd.Err())
		}
		for y := range c.src.Height {
			for x := range c.src.Width {
				p := color.RGBAModel.Convert(m.At(x, y)).(color.RGBA)
				if got := uint32(p.R)<<16 | uint32(p.G)<<8 | uint32(p.B); got != c.src.Pixel(x, y) {
					t.Fatalf("(%d,%d) is %06x, want %06x", x, y, got, c.src.Pixel(x, y))
				}
			}
		}
	}
	// Every filter is used: the rows of a picture decide.
	across := pixel.NewFrame(90, 90)
	for i := range across.Pix {
		x, y := uint32(i%90), uint32(i/90)
		switch {
		case y < 30: // goes on from the left
			across.Pix[i] = (x*2 + y*97%151) * 0x010101
		case y < 60: // goes on from above
			across.Pix[i] = (x * 7919 % 200) * 0x010101
		default: // either, unlike their mean
			across.Pix[i] = (x*x/40 + y*y/40) & 0xff * 0x010100
		}
	}
	used := map[byte]bool{}
	above := make([]byte, 270)
	here := make([]byte, 270)
	for y := range 90 {
		pngWriter{exact: true}.bytes(here, across.Row(y, 0, 90))
		used[appendFiltered(nil, here, above)[0]] = true
		here, above = above, here
	}
	for _, f := range []byte{pngSub, pngUp, pngPaeth} {
		if !used[f] {
			t.Errorf("filter %d is never used", f)
		}
	}
}

// Pictures of any kind that PNG knows are read.
func TestTightPNGOfOtherServers(t *testing.T) {
	src := golden.Photo(40, 30)
	rgba, nrgba := src.RGBA(), image.NewNRGBA(image.Rect(0, 0, 40, 30))
	grey, deep := image.NewGray(nrgba.Rect), image.NewRGBA64(nrgba.Rect)
	indexed := image.NewPaletted(nrgba.Rect, color.Palette{color.White, color.RGBA{0x11, 0x22, 0x33, 0xff}, color.Black})
	for y := range 30 {
		for x := range 40 {
			nrgba.Set(x, y, rgba.At(x, y))
			grey.Set(x, y, rgba.At(x, y))
			deep.Set(x, y, rgba.At(x, y))
			indexed.Set(x, y, rgba.At(x, y))
		}
	}
	for _, m := range []image.Image{rgba, nrgba, grey, deep, indexed} {
		var b bytes.Buffer
		if err := stdpng.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		dst := pixel.NewFrame(60, 50)
		r := image.Rect(7, 9, 47, 39)
		err := ByNumber(wire.EncodingTightPNG).NewDecoder().Decode(wire.NewReader(bytes.NewReader(compact([]byte{tightPNG}, b.Bytes())), 16), dst, r, formats[1])
		if err != nil {
			t.Fatalf("%T: %v", m, err)
		}
		for y := range 50 {
			for x := range 60 {
				var want uint32
				if image.Pt(x, y).In(r) {
					p := color.RGBAModel.Convert(m.At(x-7, y-9)).(color.RGBA)
					want = uint32(p.R)<<16 | uint32(p.G)<<8 | uint32(p.B)
				}
				if got := dst.Pixel(x, y); got != want {
					t.Fatalf("%T: (%d,%d) is %06x, want %06x", m, x, y, got, want)
				}
			}
		}
	}
}

// pngOf is a picture with that head and that data.
func pngOf(width, height uint32, depth, kind byte, data []byte) []byte {
	out := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(name string, body []byte) {
		at := len(out)
		out = append(append(binary.BigEndian.AppendUint32(out, uint32(len(body))), name...), body...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[at+4:]))
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	chunk("IHDR", append(head, depth, kind, 0, 0, 0))
	chunk("IDAT", data)
	chunk("IEND", nil)
	return out
}

func TestHostilePNG(t *testing.T) {
	bomb := zlibData(make([]byte, 64<<20))
	for _, c := range []struct {
		name, says string
		data       []byte
	}{
		{"of another size", "63x64", pngOf(63, 64, 8, pngRGB, zlibData(make([]byte, 190*64)))},
		{"giant", "99999x99999", pngOf(99999, 99999, 8, 0, bomb)},
		{"tall", "64x1000000", pngOf(64, 1000000, 8, 0, bomb)},
		{"a bomb", "too much pixel data", pngOf(64, 64, 8, pngRGB, bomb)},
		{"too little", "PNG", pngOf(64, 64, 8, pngRGB, zlibData(make([]byte, 100)))},
		{"no picture", "PNG", []byte("GIF89a")},
		{"of an unknown kind", "PNG", pngOf(64, 64, 8, 1, nil)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		dst := pixel.NewFrame(64, 64)
		rd := wire.NewReader(io.MultiReader(bytes.NewReader(compact([]byte{tightPNG}, c.data)), zeros{}), 4096)
		err := ByNumber(wire.EncodingTightPNG).NewDecoder().Decode(rd, dst, dst.Rect(), formats[1])
		runtime.ReadMemStats(&after)
		if !errors.Is(err, wire.ErrProtocol) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", c.name, err, c.says)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s took %d bytes", c.name, n)
		}
	}
	// Neither form of the other is allowed.
	for n, control := range map[wire.Encoding]byte{wire.EncodingTight: tightPNG, wire.EncodingTightPNG: 0} {
		dst := pixel.NewFrame(64, 64)
		data := compact([]byte{control}, zlibData(make([]byte, 64*64*3)))
		if err := ByNumber(n).NewDecoder().Decode(wire.NewReader(bytes.NewReader(data), 16), dst, dst.Rect(), formats[1]); !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("%v took control byte 0x%02x: %v", n, control, err)
		}
	}
}
