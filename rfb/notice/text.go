package notice

import (
	"fmt"
	"image"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"

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

// fonts are the built-in fonts, opened. A screen has them while it is shown:
// opened they take some kilobytes, which are let go of with it.
type fonts struct{ regular, bold *opentype.Font }

func openFonts() fonts {
	return fonts{regular: openFont(goregular.TTF), bold: openFont(gobold.TTF)}
}

func openFont(ttf []byte) *opentype.Font {
	f, err := opentype.Parse(ttf)
	if err != nil {
		panic(fmt.Sprintf("a font that is part of the program: %v", err))
	}
	return f
}

func (f fonts) regularFace(size int) *typeface { return newTypeface(f.regular, size) }
func (f fonts) boldFace(size int) *typeface    { return newTypeface(f.bold, size) }

// typeface is a font in one size. It is made for painting and dropped after
// it: its buffers are not worth keeping. It has no lock.
type typeface struct {
	face font.Face
	// ascent is from the top of a line to the base line, and height from one
	// line to the next, both in pixels.
	ascent, height int
}

// newTypeface returns f with its em square size pixels high.
func newTypeface(f *opentype.Font, size int) *typeface {
	// At 72 dots per inch a point is a pixel.
	face, err := opentype.NewFace(f, &opentype.FaceOptions{Size: float64(size), DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		panic(fmt.Sprintf("a font that is part of the program, %d pixels high: %v", size, err))
	}
	m := face.Metrics()
	t := &typeface{face: face, ascent: m.Ascent.Ceil()}
	t.height = t.ascent + m.Descent.Ceil() + size/6
	return t
}

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

func (t *typeface) has(r rune) bool {
	_, ok := t.face.GlyphAdvance(r)
	return ok
}

// advance is how far r moves the pen on.
func (t *typeface) advance(r rune) fixed.Int26_6 {
	a, _ := t.face.GlyphAdvance(r)
	return a
}

// width is how many pixels wide text is.
func (t *typeface) width(text []rune) int {
	var w fixed.Int26_6
	for _, r := range text {
		w += t.advance(r)
	}
	return w.Ceil()
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
	limit := fixed.I(width)
	var w fixed.Int26_6
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
	limit, dots := fixed.I(width), t.advance(ellipsis)
	var w fixed.Int26_6
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

// draw writes text with its line's top left corner at p. font.Drawer would
// give its edges 256 steps; they get the same few as other edges.
func (t *typeface) draw(f *pixel.Frame, p image.Point, text string, colour uint32) {
	pen := fixed.P(p.X, p.Y+t.ascent)
	for _, r := range text {
		// Where r is not in the font, clean has put a box in its place.
		at, mask, maskAt, advance, _ := t.face.Glyph(pen, r)
		pen.X += advance
		if cover, ok := mask.(*image.Alpha); ok {
			stamp(f, at, cover, maskAt, colour)
		}
	}
}

// stamp mixes colour into at as cover, from maskAt on, says.
func stamp(f *pixel.Frame, at image.Rectangle, cover *image.Alpha, maskAt image.Point, colour uint32) {
	in := at.Intersect(f.Rect())
	for y := in.Min.Y; y < in.Max.Y; y++ {
		row := f.Row(y, in.Min.X, in.Max.X)
		from := cover.Pix[cover.PixOffset(maskAt.X+in.Min.X-at.Min.X, maskAt.Y+y-at.Min.Y):]
		for i := range row {
			if c := from[i]; c != 0 {
				row[i] = blend(row[i], colour, (int(c)*edgeSteps+127)/255)
			}
		}
	}
}
