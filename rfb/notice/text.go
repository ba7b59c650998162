package notice

import (
	"image"
	"image/draw"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/vector"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// maxRunes is how much of one text is looked at. The largest picture shows
// less of it.
const maxRunes = 4000

// ellipsis ends a text that was cut, box stands for a character that the
// fonts lack.
const (
	ellipsis = '…'
	box      = '□'
)

// typeface is a font in one size. It is made for painting and dropped after
// it: its buffers are not worth keeping. It has no lock.
type typeface struct {
	font  trueType
	scale float32 // pixels per font unit
	// ascent is from the top of a line to the base line, and height from one
	// line to the next, both in pixels.
	ascent, height int

	raster vector.Rasterizer
	mask   image.Alpha
}

// newTypeface opens one of the built-in fonts with its em square size pixels
// high.
func newTypeface(ttf []byte, size int) *typeface {
	f := openTrueType(ttf)
	t := &typeface{font: f, scale: float32(size) / float32(f.unitsPerEm)}
	t.ascent = int(math.Ceil(float64(t.scale) * float64(f.ascender)))
	t.height = t.ascent + int(math.Ceil(float64(t.scale)*float64(-f.descender))) + size/6
	return t
}

func regular(size int) *typeface { return newTypeface(goregular.TTF, size) }
func bold(size int) *typeface    { return newTypeface(gobold.TTF, size) }

// clean returns the characters of text that t can show: white space becomes
// spaces, marks that say only how to lay text out are dropped, and what is no
// UTF-8 or not in the font becomes a box.
func (t *typeface) clean(text string) []rune {
	out := make([]rune, 0, min(len(text), maxRunes))
	for _, r := range text {
		if len(out) == maxRunes {
			break
		}
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case unicode.Is(unicode.Cf, r):
			continue
		case r == utf8.RuneError || unicode.IsControl(r) || !t.has(r):
			r = box
		}
		out = append(out, r)
	}
	return out
}

func (t *typeface) has(r rune) bool { return t.font.glyph(r) != 0 }

// advance is how far r moves the pen on, in pixels.
func (t *typeface) advance(r rune) float32 {
	return float32(t.font.advance(t.font.glyph(r))) * t.scale
}

// width is how many pixels wide text is.
func (t *typeface) width(text []rune) int {
	var w float32
	for _, r := range text {
		w += t.advance(r)
	}
	return int(math.Ceil(float64(w)))
}

// wrap appends text to lines, broken into lines of at most width pixels: at
// spaces where it can, and inside words that are longer than a line. A line
// has at least one character, however narrow the space; text without any
// takes an empty line. Line breaks of the text are kept. It stops when there
// are most lines.
func (t *typeface) wrap(lines []string, text string, width, most int) []string {
	if text == "" && len(lines) < most {
		return append(lines, "")
	}
	for paragraph := range strings.Lines(text) {
		if len(lines) >= most {
			break
		}
		lines = t.wrapParagraph(lines, t.clean(strings.TrimRight(paragraph, "\r\n")), width, most)
	}
	return lines
}

func (t *typeface) wrapParagraph(lines []string, text []rune, width, most int) []string {
	limit := float32(width)
	var w float32
	start, space := 0, -1 // the line's first character, its last space
	for i := 0; i < len(text); i++ {
		a := t.advance(text[i])
		if text[i] == ' ' {
			space = i
		} else if w+a > limit && i > start {
			end, next := i, i
			if space > start {
				end, next = space, space+1
			}
			lines = append(lines, strings.TrimRight(string(text[start:end]), " "))
			if len(lines) == most {
				return lines
			}
			start, space = next, -1
			i, w = next-1, 0
			continue
		}
		w += a
	}
	return append(lines, strings.TrimRight(string(text[start:]), " "))
}

// cut shortens text to width pixels; what was cut shows as an ellipsis. more
// says that text goes on after it in any case.
func (t *typeface) cut(text string, width int, more bool) string {
	rs := t.clean(text)
	limit, dots := float32(width), t.advance(ellipsis)
	var w float32
	keep := 0 // how many characters fit before an ellipsis
	for i, r := range rs {
		w += t.advance(r)
		if w+dots <= limit {
			keep = i + 1
		}
		if w > limit {
			more = true
			break
		}
	}
	if !more {
		return string(rs)
	}
	return strings.TrimRight(string(rs[:keep]), " ") + string(ellipsis)
}

// draw writes text with its line's top left corner at p, in the same few steps
// as other edges.
func (t *typeface) draw(f *pixel.Frame, p image.Point, text string, colour uint32) {
	pen := float32(p.X)
	for _, r := range text {
		g := t.font.glyph(r)
		t.drawGlyph(f, g, pen, p.Y+t.ascent, colour)
		pen += float32(t.font.advance(g)) * t.scale
	}
}

// drawGlyph draws a glyph with its origin at x on the base line y.
func (t *typeface) drawGlyph(f *pixel.Frame, glyph int, x float32, y int, colour uint32) {
	b := t.font.bounds(glyph)
	if b.Empty() {
		return
	}
	floor := func(v float32) int { return int(math.Floor(float64(v))) }
	r := image.Rect(
		floor(x+float32(b.Min.X)*t.scale), y+floor(float32(b.Min.Y)*t.scale),
		floor(x+float32(b.Max.X)*t.scale)+1, y+floor(float32(b.Max.Y)*t.scale)+1)
	if !r.Overlaps(f.Rect()) {
		return
	}
	t.raster.Reset(r.Dx(), r.Dy())
	t.font.render(&t.raster, glyph, t.scale, x-float32(r.Min.X), float32(y-r.Min.Y))
	if n := r.Dx() * r.Dy(); cap(t.mask.Pix) < n {
		t.mask.Pix = make([]byte, n)
	}
	t.mask.Pix, t.mask.Stride = t.mask.Pix[:r.Dx()*r.Dy()], r.Dx()
	t.mask.Rect = image.Rectangle{Max: r.Size()}
	t.raster.DrawOp = draw.Src
	t.raster.Draw(&t.mask, t.mask.Rect, image.Opaque, image.Point{})

	in := r.Intersect(f.Rect())
	for y := in.Min.Y; y < in.Max.Y; y++ {
		row := f.Row(y, in.Min.X, in.Max.X)
		cover := t.mask.Pix[t.mask.PixOffset(in.Min.X-r.Min.X, y-r.Min.Y):]
		for i := range row {
			if c := cover[i]; c != 0 {
				row[i] = blend(row[i], colour, (int(c)*edgeSteps+127)/255)
			}
		}
	}
}
