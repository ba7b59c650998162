package x11

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"slices"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// goodHeader is the header of a framebuffer of 20x10 pixels.
func goodHeader() xwdHeader {
	return xwdHeader{
		HeaderSize: 160, FileVersion: xwdFileVersion, PixmapFormat: xwdZPixmap, PixmapDepth: 24, PixmapWidth: 20, PixmapHeight: 10,
		ByteOrder: uint32(hostByteOrder()), BitsPerPixel: 32, BytesPerLine: 96,
		RedMask: 0xff0000, GreenMask: 0xff00, BlueMask: 0xff, NColors: 256,
	}
}

func headerBytes(h xwdHeader) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.BigEndian, h) // never fails
	return b.Bytes()
}

// goodFormat is the format of its pixels.
func goodFormat() *format {
	return &format{depth: 24, size: 4, pad: 4, order: hostByteOrder(), masks: [3]uint32{0xff0000, 0xff00, 0xff}, same: true}
}

const goodSize = 160 + 256*12 + 96*10

func TestParseXWD(t *testing.T) {
	offset, f, err := parseXWD(bytes.NewReader(headerBytes(goodHeader())), goodSize, goodFormat())
	if err != nil || offset != 160+256*12 || f.width != 20 || f.height != 10 || f.stride != 96 {
		t.Errorf("%d, %+v, %v", offset, f, err)
	}
	for name, spoil := range map[string]func(*xwdHeader){
		"version":       func(h *xwdHeader) { h.FileVersion = 6 },
		"small header":  func(h *xwdHeader) { h.HeaderSize = 96 },
		"large header":  func(h *xwdHeader) { h.HeaderSize = 1 << 30 },
		"odd header":    func(h *xwdHeader) { h.HeaderSize = 161 },
		"bitmap":        func(h *xwdHeader) { h.PixmapFormat = 0 },
		"offset":        func(h *xwdHeader) { h.XOffset = 1 },
		"16 bits":       func(h *xwdHeader) { h.BitsPerPixel = 16 },
		"BGR":           func(h *xwdHeader) { h.RedMask, h.BlueMask = h.BlueMask, h.RedMask },
		"byte order":    func(h *xwdHeader) { h.ByteOrder ^= 1 },
		"no width":      func(h *xwdHeader) { h.PixmapWidth = 0 },
		"no height":     func(h *xwdHeader) { h.PixmapHeight = 0 },
		"huge":          func(h *xwdHeader) { h.PixmapHeight = 1 << 31 },
		"narrow rows":   func(h *xwdHeader) { h.BytesPerLine = 76 },
		"odd rows":      func(h *xwdHeader) { h.BytesPerLine = 97 },
		"wide rows":     func(h *xwdHeader) { h.BytesPerLine = 1 << 24 },
		"many colours":  func(h *xwdHeader) { h.NColors = 1 << 31 },
		"longer colour": func(h *xwdHeader) { h.NColors++ },
	} {
		h := goodHeader()
		spoil(&h)
		if _, _, err := parseXWD(bytes.NewReader(headerBytes(h)), goodSize, goodFormat()); !errors.Is(err, errXWD) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := headerBytes(goodHeader())
	for n := range b {
		if _, _, err := parseXWD(bytes.NewReader(b[:n]), goodSize, goodFormat()); !errors.Is(err, errXWD) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, _, err := parseXWD(bytes.NewReader(b), goodSize-1, goodFormat()); !errors.Is(err, errXWD) {
		t.Errorf("a byte short: %v", err)
	}
}

// Whatever the header says, the pixels must lie within the file.
func FuzzParseXWD(f *testing.F) {
	f.Add(headerBytes(goodHeader()), int64(goodSize))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		offset, frame, err := parseXWD(bytes.NewReader(b), size, goodFormat())
		if err != nil {
			return
		}
		if offset < 0 || offset%4 != 0 || frame.width < 1 || frame.height < 1 || frame.stride < 4*frame.width ||
			int64(offset)+int64(frame.stride)*int64(frame.height) > size {
			t.Errorf("%d, %+v of %d bytes", offset, frame, size)
		}
	})
}

func TestBands(t *testing.T) {
	for _, c := range []struct {
		rects []image.Rectangle
		want  [][2]int
	}{
		{nil, nil},
		{[]image.Rectangle{rect(3, 2, 4, 5)}, [][2]int{{2, 7}}},
		{[]image.Rectangle{rect(3, 2, 4, 5), rect(9, 4, 2, 6)}, [][2]int{{2, 10}}},
		{[]image.Rectangle{rect(3, 0, 4, 5), rect(0, 5, 2, 1), rect(0, 8, 1, 1)}, [][2]int{{0, 6}, {8, 9}}},
		{[]image.Rectangle{rect(30, 2, 4, 5), rect(3, 18, 4, 50)}, [][2]int{{18, 20}}},
	} {
		var got [][2]int
		for y0, y1 := range bands(pixel.RegionOf(c.rects...), image.Rect(0, 0, 20, 20)) {
			got = append(got, [2]int{y0, y1})
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v has the bands %v, not %v", c.rects, got, c.want)
		}
	}
}

// The queue of input is bounded, keeps the last of several movements and
// where buttons changed, and loses no release.
func TestInputQueue(t *testing.T) {
	in := &input{x: new(Display), wake: make(chan struct{}, 1), running: true}
	for n := range 10 {
		in.post(rfb.PointerEvent{X: n}, true)
	}
	if got := in.take(); len(got) != 1 || got[0] != (rfb.PointerEvent{X: 9}) {
		t.Errorf("of ten movements there are %v", got)
	}
	if w := &in.x.where; w.pending != 1 || w.moves != 10 {
		t.Errorf("ten movements were noted as %d, of which %d are queued", w.moves, w.pending)
	}
	var drag []any
	for _, e := range []rfb.PointerEvent{{X: 1, Buttons: 1}, {X: 2, Buttons: 1}, {X: 3, Buttons: 1}, {X: 4}, {X: 5}, {X: 6}} {
		in.post(e, e.Buttons == 0)
		if e.X != 2 && e.X != 5 {
			drag = append(drag, e)
		}
	}
	if got := in.take(); !slices.Equal(got, drag) {
		t.Errorf("of a drag there is %v, want %v", got, drag)
	}
	for range 3 {
		in.post(rfb.PointerEvent{X: 2, Y: -3, Relative: true}, true)
	}
	in.post(rfb.PointerEvent{X: 7}, true)
	if got := in.take(); len(got) != 2 || got[0] != (rfb.PointerEvent{X: 6, Y: -9, Relative: true}) {
		t.Errorf("of three motions and a position there are %v", got)
	}
	for n := range uint32(10 * queueLimit) {
		in.post(rfb.KeyEvent{Down: true, Keysym: n}, false)
	}
	in.post(rfb.KeyEvent{Keysym: 5}, true)
	in.order(controlStop)
	if got := in.take(); len(got) != queueLimit+2 || got[queueLimit] != (rfb.KeyEvent{Keysym: 5}) || got[queueLimit+1] != controlStop {
		t.Errorf("%d events are kept", len(got))
	}
	in.post(rfb.KeyEvent{Down: true, Keysym: 'a'}, false)
	if got := in.take(); len(got) != 0 {
		t.Errorf("while nothing runs there are %v", got)
	}
	// Where even releases are too many, all is let go.
	in.order(controlStart)
	in.x.where = whereabouts{}
	in.post(rfb.PointerEvent{X: 1}, true)
	for n := range uint32(2 * queueLimit) {
		in.post(rfb.KeyEvent{Keysym: n}, true)
	}
	in.order(controlStop)
	if got := in.take(); !slices.Contains(got, any(controlLetGo)) || got[0] != controlStart || got[len(got)-1] != controlStop || len(got) > 2*queueLimit {
		t.Errorf("of too many releases there are %d events", len(got))
	}
	if n := in.x.where.pending; n != 0 {
		t.Errorf("%d movements that were dropped are waited for", n)
	}
}
