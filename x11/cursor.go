package x11

import (
	"fmt"
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
)

// cursorsKept is how many pointer shapes are remembered.
const cursorsKept = 32

// cursorCache remembers pointer shapes by the server's serial number for
// them, so that a pointer that goes from one window to another asks nothing.
// It is owned by the running Run.
type cursorCache struct {
	shapes map[uint32]*pixel.Cursor
	order  []uint32 // oldest first
}

func newCursorCache() *cursorCache {
	return &cursorCache{shapes: make(map[uint32]*pixel.Cursor)}
}

func (c *cursorCache) add(serial uint32, shape *pixel.Cursor) {
	if _, known := c.shapes[serial]; !known {
		if len(c.order) == cursorsKept {
			delete(c.shapes, c.order[0])
			c.order = append(c.order[:0], c.order[1:]...)
		}
		c.order = append(c.order, serial)
	}
	c.shapes[serial] = shape
}

// cursor announces the present shape, which has this serial number where it
// is not 0, and where the pointer is: programs that move it mostly change its
// shape too.
func (f *follower) cursor(serial uint32) error {
	mark, look := f.x.where.look()
	var at image.Point
	if shape, known := f.x.cursors.shapes[serial]; known {
		p, err := xproto.QueryPointer(f.x.conn.Conn, f.x.root).Reply()
		if err != nil {
			return fmt.Errorf("asking where the pointer is: %w", err)
		}
		at = image.Pt(int(p.RootX), int(p.RootY))
		f.sprite.shape = shape
	} else {
		r, err := xfixes.GetCursorImage(f.x.conn.Conn).Reply()
		if err != nil {
			return fmt.Errorf("asking for the pointer's shape: %w", err)
		}
		at = image.Pt(int(r.X), int(r.Y))
		shape = cursorShape(r)
		f.x.cursors.add(r.CursorSerial, shape)
		f.sprite.shape = shape
	}
	f.showShape()
	f.stir()
	if look {
		f.found(mark, at)
	}
	return nil
}

// cursorShape makes the colours of XFixes, which are multiplied by alpha,
// plain again.
func cursorShape(r *xfixes.GetCursorImageReply) *pixel.Cursor {
	c := &pixel.Cursor{
		Width: int(r.Width), Height: int(r.Height),
		HotX: int(r.Xhot), HotY: int(r.Yhot),
		Pix: make([]uint32, len(r.CursorImage)),
	}
	for i, p := range r.CursorImage {
		switch a := p >> 24; a {
		case 0:
		case 255:
			c.Pix[i] = p
		default:
			plain := func(v uint32) uint32 { return min(255, (v&0xff*255+a/2)/a) }
			c.Pix[i] = a<<24 | plain(p>>16)<<16 | plain(p>>8)<<8 | plain(p)
		}
	}
	return c
}
