package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/jezek/xgb/xproto"

	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// draw makes the picture of the seed at the window's present size: flat areas,
// a smooth gradient, noise that nothing compresses, lines, arcs and text, at
// places that no grid of tiles shares. It goes into a pixmap first and from
// there to the window in one piece.
func (w *window) draw(seed uint64) error {
	on, err := w.newBacking()
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 1))
	width, height := int(w.width), int(w.height)

	w.colour(random.Uint32() & 0xffffff)
	xproto.PolyFillRectangle(w.conn, on, w.gc, []xproto.Rectangle{{Width: w.width, Height: w.height}})
	for range 40 {
		w.colour(random.Uint32() & 0xffffff)
		xproto.PolyFillRectangle(w.conn, on, w.gc, []xproto.Rectangle{{
			X: int16(random.IntN(width)), Y: int16(random.IntN(height)),
			Width: uint16(1 + random.IntN(width/4)), Height: uint16(1 + random.IntN(height/4)),
		}})
	}
	// The pad byte is set too: it is nobody's colour and must not show.
	w.put(on, random.IntN(width/2), random.IntN(height/2), width/3, height/3, func(int, int) uint32 {
		return random.Uint32()
	})
	base := random.Uint32()
	w.put(on, random.IntN(width/2), random.IntN(height/2), width/2-7, height/3-5, func(x, y int) uint32 {
		return base + uint32(x*255/width)<<16 + uint32(y*255/height)<<8 + uint32((x+y)*127/(width+height))
	})
	w.colour(random.Uint32() & 0xffffff)
	var points []xproto.Point
	for range 60 {
		points = append(points, xproto.Point{X: int16(random.IntN(width)), Y: int16(random.IntN(height))})
	}
	xproto.PolyLine(w.conn, xproto.CoordModeOrigin, on, w.gc, points)
	for range 20 {
		w.colour(random.Uint32() & 0xffffff)
		xproto.PolyFillArc(w.conn, on, w.gc, []xproto.Arc{{
			X: int16(random.IntN(width)), Y: int16(random.IntN(height)),
			Width: uint16(8 + random.IntN(90)), Height: uint16(8 + random.IntN(90)), Angle2: 360 * 64,
		}})
	}
	for range 40 {
		w.text(on, random)
	}
	// The corners, where an edge is most easily lost.
	for _, corner := range []xproto.Point{{}, {X: int16(width - 1)}, {Y: int16(height - 1)}, {X: int16(width - 1), Y: int16(height - 1)}} {
		w.colour(random.Uint32()&0xffffff | 1)
		xproto.PolyPoint(w.conn, xproto.CoordModeOrigin, on, w.gc, []xproto.Point{corner})
	}
	xproto.CopyArea(w.conn, on, xproto.Drawable(w.id), w.gc, 0, 0, 0, 0, w.width, w.height)
	return nil
}

// newBacking replaces the pixmap that holds the picture.
func (w *window) newBacking() (xproto.Drawable, error) {
	if w.backing != 0 {
		xproto.FreePixmap(w.conn, w.backing)
	}
	backing, err := xproto.NewPixmapId(w.conn)
	if err != nil {
		return 0, err
	}
	w.backing = backing
	if err := xproto.CreatePixmapChecked(w.conn, w.screen.RootDepth, backing, xproto.Drawable(w.screen.Root), w.width, w.height).Check(); err != nil {
		return 0, fmt.Errorf("creating a pixmap: %w", err)
	}
	return xproto.Drawable(backing), nil
}

// golden shows picture n of those that the encoders are measured with.
func (w *window) golden(n uint64) error {
	on, err := w.newBacking()
	if err != nil {
		return err
	}
	width, height := int(w.width), int(w.height)
	all := golden.All(width, height)
	f := all[n%uint64(len(all))].Frame
	w.put(on, 0, 0, width, height, f.Pixel)
	xproto.CopyArea(w.conn, on, xproto.Drawable(w.id), w.gc, 0, 0, 0, 0, w.width, w.height)
	return nil
}

func (w *window) colour(rgb uint32) {
	xproto.ChangeGC(w.conn, w.gc, xproto.GcForeground, []uint32{rgb})
}

func (w *window) text(on xproto.Drawable, random *rand.Rand) {
	if !w.font {
		return
	}
	line := make([]byte, 1+random.IntN(80))
	for i := range line {
		line[i] = byte(' ' + random.IntN('~'-' '))
	}
	xproto.ChangeGC(w.conn, w.gc, xproto.GcForeground|xproto.GcBackground,
		[]uint32{random.Uint32() & 0xffffff, random.Uint32() & 0xffffff})
	xproto.ImageText8(w.conn, byte(len(line)), on, w.gc,
		int16(random.IntN(int(w.width))), int16(random.IntN(int(w.height))), string(line))
}

// put fills an area with what pixel says, in pieces that a request can hold.
func (w *window) put(on xproto.Drawable, left, top, width, height int, pixel func(x, y int) uint32) {
	rows := max(1, 200_000/(width*4))
	for y := 0; y < height; y += rows {
		n := min(rows, height-y)
		data := make([]byte, 0, width*n*4)
		for dy := range n {
			for x := range width {
				p := pixel(x, y+dy)
				data = append(data, byte(p), byte(p>>8), byte(p>>16), byte(p>>24))
			}
		}
		xproto.PutImage(w.conn, xproto.ImageFormatZPixmap, on, w.gc, uint16(width), uint16(n),
			int16(left), int16(top+y), 0, w.screen.RootDepth, data)
	}
}

// scroll moves what the window shows up by n pixels and writes a line below,
// as a terminal does.
func (w *window) scroll(n uint64) {
	by := min(uint16(n), w.height-1)
	on := xproto.Drawable(w.id)
	xproto.CopyArea(w.conn, on, on, w.gc, 0, int16(by), 0, 0, w.width, w.height-by)
	w.colour(0)
	xproto.PolyFillRectangle(w.conn, on, w.gc, []xproto.Rectangle{{Y: int16(w.height - by), Width: w.width, Height: by}})
	w.text(on, rand.New(rand.NewPCG(n, 2)))
}

// bustle does n things of all kinds as fast as the X server takes them, each
// on top of the other, to end in a picture that one late look would show.
func (w *window) bustle(n uint64) error {
	random := rand.New(rand.NewPCG(n, 3))
	on := xproto.Drawable(w.id)
	width, height := int(w.width), int(w.height)
	for i := range n {
		switch random.IntN(5) {
		case 0:
			w.scroll(uint64(1 + random.IntN(40)))
		case 1:
			w.text(on, random)
		case 2:
			w.colour(random.Uint32() & 0xffffff)
			xproto.PolyFillRectangle(w.conn, on, w.gc, []xproto.Rectangle{{
				X: int16(random.IntN(width)), Y: int16(random.IntN(height)),
				Width: uint16(1 + random.IntN(200)), Height: uint16(1 + random.IntN(200)),
			}})
		case 3:
			w.put(on, random.IntN(width), random.IntN(height), 100, 80, func(int, int) uint32 { return random.Uint32() })
		case 4:
			// A window that is moved: an area goes elsewhere.
			xproto.CopyArea(w.conn, on, on, w.gc, int16(random.IntN(width/2)), int16(random.IntN(height/2)),
				int16(random.IntN(width/2)), int16(random.IntN(height/2)), w.width/2, w.height/2)
		}
		if i%8 == 7 {
			if err := w.sync(); err != nil {
				return err
			}
		}
	}
	return nil
}
