package notice

import (
	"image"
	"math"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// The colours, 0x00RRGGBB. With the few steps of edges between them a screen
// has some thirty colours, so that encoders find palettes and runs in it.
const (
	colGround   = 0x0b1016
	colCard     = 0x151d27
	colBorder   = 0x303e4e
	colRule     = 0x263240
	colTitle    = 0x93a7bc
	colHeadline = 0xf3f7fb
	colText     = 0xc6d2de
	colTrack    = 0x2a3745
	colInfo     = 0x4cb7e0
	colWarning  = 0xf0b849
	colFailure  = 0xf27065
)

func (t Tone) colour() uint32 {
	switch t {
	case Warning:
		return colWarning
	case Failure:
		return colFailure
	default:
		return colInfo
	}
}

// part is the picture's area r, which must lie inside it, as a frame of its
// own: what is painted on it stays inside.
func part(f *pixel.Frame, r image.Rectangle) *pixel.Frame {
	if r.Empty() {
		return new(pixel.Frame)
	}
	return &pixel.Frame{Pix: f.Pix[r.Min.Y*f.Stride+r.Min.X:], Stride: f.Stride, Width: r.Dx(), Height: r.Dy()}
}

// edgeSteps is the number of steps between a shape's inside and its outside.
const edgeSteps = 4

// blend mixes step parts of over into under, of edgeSteps.
func blend(under, over uint32, step int) uint32 {
	mix := func(shift uint) uint32 {
		u, o := int(under>>shift&0xff), int(over>>shift&0xff)
		return uint32((u*(edgeSteps-step)+o*step+edgeSteps/2)/edgeSteps) << shift
	}
	return mix(16) | mix(8) | mix(0)
}

// dim is what the backdrop's colour c becomes: a quarter of it over the
// ground, in coarse steps, so that noise compresses and the card stands out.
func dim(c uint32) uint32 {
	r, g, b := c>>16&0xff, c>>8&0xff, c&0xff
	// Half of the colour gives way to its brightness.
	l := (2*r + 5*g + b) / 8
	r, g, b = (r+l)/2, (g+l)/2, (b+l)/2
	return (r/4+5)&0xfc<<16 | (g/4+8)&0xfc<<8 | (b/4+12)&0xfc
}

// shape paints colour wherever inside says so, given the middle of each of 16
// parts of a pixel.
func shape(f *pixel.Frame, bounds image.Rectangle, colour uint32, inside func(x, y float64) bool) {
	const parts = 4
	bounds = bounds.Intersect(f.Rect())
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		row := f.Row(y, bounds.Min.X, bounds.Max.X)
		for i := range row {
			n := 0
			for p := range parts * parts {
				px := float64(bounds.Min.X+i) + (float64(p%parts)+0.5)/parts
				py := float64(y) + (float64(p/parts)+0.5)/parts
				if inside(px, py) {
					n++
				}
			}
			row[i] = blend(row[i], colour, (n*edgeSteps+parts*parts/2)/(parts*parts))
		}
	}
}

// roundRect fills r with corners of the given radius in pixels.
func roundRect(f *pixel.Frame, r image.Rectangle, radius int, colour uint32) {
	radius = max(0, min(radius, r.Dx()/2, r.Dy()/2))
	f.Fill(image.Rect(r.Min.X, r.Min.Y+radius, r.Max.X, r.Max.Y-radius), colour)
	f.Fill(image.Rect(r.Min.X+radius, r.Min.Y, r.Max.X-radius, r.Min.Y+radius), colour)
	f.Fill(image.Rect(r.Min.X+radius, r.Max.Y-radius, r.Max.X-radius, r.Max.Y), colour)
	for _, at := range [...]image.Point{
		r.Min, {r.Max.X - radius, r.Min.Y}, {r.Min.X, r.Max.Y - radius}, {r.Max.X - radius, r.Max.Y - radius},
	} {
		corner := image.Rectangle{at, at.Add(image.Pt(radius, radius))}
		cx, cy := float64(r.Min.X+radius), float64(r.Min.Y+radius)
		if at.X != r.Min.X {
			cx = float64(at.X)
		}
		if at.Y != r.Min.Y {
			cy = float64(at.Y)
		}
		shape(f, corner, colour, disc(cx, cy, float64(radius)))
	}
}

func disc(cx, cy, radius float64) func(x, y float64) bool {
	return func(x, y float64) bool { return (x-cx)*(x-cx)+(y-cy)*(y-cy) <= radius*radius }
}

// symbol paints the tone's sign into the square r, with its mark in the
// card's colour: an i in a disc, an exclamation mark in a triangle, a cross in
// an octagon. They differ in outline, not by colour alone.
func symbol(f *pixel.Frame, r image.Rectangle, t Tone) {
	// The signs are described in a square from -1 to 1.
	half := float64(r.Dx()) / 2
	unit := func(in func(x, y float64) bool) func(x, y float64) bool {
		cx, cy := float64(r.Min.X)+half, float64(r.Min.Y)+half
		return func(x, y float64) bool { return in((x-cx)/half, (y-cy)/half) }
	}
	bar := func(y0, y1 float64) func(x, y float64) bool {
		const w = 0.13
		return func(x, y float64) bool {
			return math.Hypot(x, y-min(max(y, y0+w), y1-w)) <= w
		}
	}
	dot := func(cy float64) func(x, y float64) bool { return disc(0, cy, 0.155) }
	or := func(a, b func(x, y float64) bool) func(x, y float64) bool {
		return func(x, y float64) bool { return a(x, y) || b(x, y) }
	}
	var outline, mark func(x, y float64) bool
	switch t {
	case Warning:
		outline = func(x, y float64) bool {
			// A triangle drawn around with a round pen.
			const pen = 0.16
			slope := math.Hypot(0.84, 1.5)
			return y <= 0.86 && (1.5*math.Abs(x)-0.84*(y+0.80))/slope <= pen && y >= -0.80-pen
		}
		mark = or(bar(-0.34, 0.34), dot(0.58))
	case Failure:
		outline = func(x, y float64) bool {
			x, y = math.Abs(x), math.Abs(y)
			return max(x, y) <= 0.94 && x+y <= 0.94*math.Sqrt2
		}
		mark = func(x, y float64) bool {
			u, v := math.Abs(x+y)/math.Sqrt2, math.Abs(x-y)/math.Sqrt2
			return min(u, v) <= 0.13 && max(u, v) <= 0.56
		}
	default:
		outline = disc(0, 0, 0.94)
		mark = or(bar(-0.18, 0.56), dot(-0.46))
	}
	shape(f, r, t.colour(), unit(outline))
	shape(f, r, colCard, unit(mark))
}
