package x11

import (
	"errors"
	"image"
	"iter"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/jezek/xgb/xproto"
)

// plain reads the screen with GetImage, through the connection: for servers
// on other machines.
type plain struct {
	x   *Display
	all raw
	now raw // of all, what the screen has
}

// bandBytes bounds the reply to one request.
const bandBytes = 256 << 10

func newPlain(x *Display, width, height int) *plain {
	p := &plain{x: x}
	_ = p.resize(width, height) // never fails
	return p
}

func (p *plain) name() string { return "GetImage" }

func (p *plain) resize(width, height int) error {
	stride := p.x.format.stride(width)
	p.all = raw{pix: rawWords(stride * height), stride: stride, width: width, height: height}
	p.now = p.all
	return nil
}

func (p *plain) view(r *pixel.Region) (*raw, error) {
	p.now = p.all
	return &p.now, p.x.readBands(r, &p.now, p.rows)
}

// rows brings rows y0 up to but not including y1 up to date.
func (p *plain) rows(y0, y1 int) error {
	w, stride := p.all.width, p.all.stride
	step := max(1, bandBytes/stride)
	for y := y0; y < y1; y += step {
		n := min(step, y1-y)
		reply, err := xproto.GetImage(p.x.conn.Conn, xproto.ImageFormatZPixmap, xproto.Drawable(p.x.root),
			0, int16(y), uint16(w), uint16(n), ^uint32(0)).Reply()
		if err != nil {
			return err
		}
		if len(reply.Data) < stride*n {
			return errors.New("the server's image is too short")
		}
		copy(p.all.pix[y*stride:(y+n)*stride], reply.Data)
	}
	return nil
}

func (p *plain) trim()  {}
func (p *plain) close() {}

// bands yields the rows from, to that r has inside bounds, from top to
// bottom, neighbours joined.
func bands(r *pixel.Region, bounds image.Rectangle) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		y0, y1 := 0, 0
		for b := range r.Rects() {
			b = b.Intersect(bounds)
			switch {
			case b.Empty():
			case b.Min.Y <= y1 && y1 > y0:
				y1 = max(y1, b.Max.Y)
			default:
				if y1 > y0 && !yield(y0, y1) {
					return
				}
				y0, y1 = b.Min.Y, b.Max.Y
			}
		}
		if y1 > y0 {
			yield(y0, y1)
		}
	}
}

// readBands reads the rows that r has inside the view. Where the screen has
// become smaller than the view, of which the news is still on its way, the
// view becomes smaller too, with whatever it holds: the change of size brings
// all pixels anew.
func (x *Display) readBands(r *pixel.Region, view *raw, rows func(y0, y1 int) error) error {
	for y0, y1 := range bands(r, image.Rect(0, 0, view.width, view.height)) {
		err := rows(y0, y1)
		for n := 0; err != nil; n++ {
			var match xproto.MatchError
			if !errors.As(err, &match) || n == resizesAtOnce {
				return err
			}
			g, geometryErr := xproto.GetGeometry(x.conn.Conn, xproto.Drawable(x.root)).Reply()
			if geometryErr != nil {
				return geometryErr
			}
			if int(g.Width) < view.width || int(g.Height) < view.height {
				view.width, view.height = min(view.width, int(g.Width)), min(view.height, int(g.Height))
				return nil
			}
			err = rows(y0, y1) // it has grown again
		}
	}
	return nil
}

// resizesAtOnce is how often the screen may shrink and grow again while one
// picture is read.
const resizesAtOnce = 100
