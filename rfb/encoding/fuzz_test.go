package encoding

import (
	"bytes"
	"image"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// fuzzDecoder feeds a decoder with several rectangles of whatever bytes, on a
// frame with a guard around them.
func fuzzDecoder(f *testing.F, n wire.Encoding) {
	e := ByNumber(n)
	for _, src := range []*pixel.Frame{limited(40, 30, 2, 9), limited(40, 30, 12, 4), limited(40, 30, 99, 9), golden.Photo(40, 30)} {
		for i, pf := range formats {
			var data []byte
			if e.Encode == nil {
				p := CopyRect(src.Rect(), image.Point{})
				data = p.Data
			} else {
				var streams Streams
				for range 2 {
					for _, p := range e.Encode(nil, src, src.Rect(), Params{n, pf, -1, 0, 2}) {
						data = append(data, append(streams.AppendHeader(nil, &p), p.Data...)[12:]...)
					}
				}
			}
			f.Add(data, uint8(i), uint8(40), uint8(30))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, format, w, h uint8) {
		pf := formats[int(format)%len(formats)]
		r := image.Rect(3, 3, 4+int(w), 4+int(h))
		dst := pixel.NewFrame(r.Max.X+3, r.Max.Y+3)
		dst.Fill(dst.Rect(), 0x123456)
		d, rd := e.NewDecoder(), wire.NewReader(bytes.NewReader(data), 64)
		for range 4 {
			err := d.Decode(rd, dst, r, pf)
			if (err == nil) != (rd.Err() == nil) {
				t.Fatalf("error %v, but the reader's is %v", err, rd.Err())
			}
			if err != nil {
				break
			}
		}
		for y := range dst.Height {
			for x := range dst.Width {
				p := dst.Pix[y*dst.Stride+x]
				if p>>24 != 0 {
					t.Fatalf("(%d,%d) is %08x: pad byte set", x, y, p)
				}
				if !image.Pt(x, y).In(r) && p != 0x123456 {
					t.Fatalf("(%d,%d) outside of the rectangle is %06x", x, y, p)
				}
			}
		}
	})
}

func FuzzRaw(f *testing.F)      { fuzzDecoder(f, wire.EncodingRaw) }
func FuzzCopyRect(f *testing.F) { fuzzDecoder(f, wire.EncodingCopyRect) }
func FuzzHextile(f *testing.F)  { fuzzDecoder(f, wire.EncodingHextile) }
func FuzzTight(f *testing.F)    { fuzzDecoder(f, wire.EncodingTight) }
func FuzzZRLE(f *testing.F)     { fuzzDecoder(f, wire.EncodingZRLE) }

func FuzzCursor(f *testing.F) {
	for i, c := range cursors() {
		f.Add(Cursor(c, formats[i]).Data, uint8(i), uint8(c.Width), uint8(c.Height), false)
		f.Add(VMwareCursor(c).Data, uint8(i), uint8(c.Width), uint8(c.Height), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, format, w, h uint8, vmware bool) {
		decode := DecodeCursor
		if vmware {
			decode = DecodeVMwareCursor
		}
		hdr := wire.RectangleHeader{Rect: image.Rect(0, 0, int(w), int(h))}
		rd := wire.NewReader(bytes.NewReader(data), 64)
		c, err := decode(rd, hdr, formats[int(format)%len(formats)])
		if (err == nil) != (c != nil) || err == nil && len(c.Pix) != int(w)*int(h) {
			t.Fatalf("%v, %v", c, err)
		}
	})
}

// Any picture in any format must come through every encoding.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte{1, 2, 3, 3, 3, 3, 2, 1}, uint8(4), uint8(2), uint8(0))
	f.Add(bytes.Repeat([]byte{0, 1}, 3000), uint8(77), uint8(9), uint8(13))
	f.Fuzz(func(t *testing.T, data []byte, width, spread, format uint8) {
		if len(data) == 0 || width == 0 {
			return
		}
		src := pixel.NewFrame(int(width), min(200, len(data)/int(width)+1))
		for i := range src.Pix {
			src.Pix[i] = uint32(data[i%len(data)]) * (1 + uint32(spread)*0x010305) & pixel.Mask
		}
		pf := formats[int(format)%len(formats)]
		want := through(src, pf)
		for _, e := range encoders() {
			v := newViewer(src.Width, src.Height, pf)
			if err := v.show(e.Encode(nil, src, src.Rect(), Params{e.Number, pf, -1, 0, 1})); err != nil {
				t.Fatalf("%s: %v", e.Name, err)
			}
			if d := firstDifference(v.frame, want); d != "" {
				t.Fatalf("%s, %v: %s", e.Name, pf, d)
			}
		}
	})
}
