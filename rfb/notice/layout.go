package notice

import (
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// smallestBody is the smallest size of text that can still be read, in pixels.
const smallestBody = 8

// layout is where the parts of a card are and what is written in them. card
// is a place in the picture; all other places are relative to its top left
// corner.
type layout struct {
	card     image.Rectangle
	symbol   image.Rectangle
	title    image.Point
	headline image.Point
	details  image.Point
	rule     image.Rectangle
	progress image.Rectangle // the countdown or the dots; empty where there is none

	// The sizes of text in pixels.
	small, body, large int

	// The text, broken into lines.
	name  string
	heads []string
	lines []string
}

// newLayout places m's parts in a picture of the given size. The text is as
// large as the picture allows, smaller where there is much of it, and cut
// where even that does not fit.
func newLayout(fs fonts, size image.Point, m Message) layout {
	body := max(smallestBody, 6+min(size.X/80, size.Y/62))
	for {
		l, fits := tryLayout(fs, size, m, body)
		if fits || body == smallestBody {
			return l
		}
		body = max(smallestBody, body*7/8)
	}
}

// tryLayout is newLayout with a given size of text. Where that does not fit,
// it is cut.
func tryLayout(fs fonts, size image.Point, m Message, body int) (l layout, fits bool) {
	l.body, l.small, l.large = body, max(smallestBody, body*7/8), body*3/2
	text, large := fs.regularFace(l.body), fs.boldFace(l.large)

	margin := min(body, size.X/16, size.Y/16)
	pad := min(body*3/2, size.X/20)
	sign := body * 5 / 2
	gap := body

	width := min(size.X-2*margin, body*38)
	column := width - 2*pad - sign - gap // where the headline and the details are
	room := size.Y - 2*margin

	// What takes its place whatever the text.
	fixed := pad + text.height + pad/2 + 1 + pad // the title, the rule below it
	foot := 0
	if m.Tone == Info || !m.Until.IsZero() {
		foot = fs.regularFace(l.small).height + max(2, body/4) + body/4
	}
	fixed += pad
	if foot > 0 {
		fixed += gap + foot
	}

	l.name = text.cut(m.Title, width-2*pad, false)
	if m.Headline != "" {
		l.heads = large.wrap(nil, m.Headline, column, room/large.height+1)
	}
	for _, line := range m.Lines {
		l.lines = text.wrap(l.lines, line, column, room/text.height+1)
	}
	block := func() int {
		h := len(l.heads) * large.height
		if len(l.heads) > 0 && len(l.lines) > 0 {
			h += body / 2
		}
		return max(h+len(l.lines)*text.height, sign)
	}
	fits = fixed+block() <= room
	lines, heads := len(l.lines), len(l.heads)
	for fixed+block() > room && len(l.lines) > 0 {
		l.lines = l.lines[:len(l.lines)-1]
	}
	for fixed+block() > room && len(l.heads) > 1 {
		l.heads = l.heads[:len(l.heads)-1]
	}
	if n := len(l.lines); 0 < n && n < lines {
		l.lines[n-1] = text.cut(l.lines[n-1], column, true)
	}
	if n := len(l.heads); n < heads {
		l.heads[n-1] = large.cut(l.heads[n-1], column, true)
	}

	height := min(fixed+block(), room)
	corner := image.Pt((size.X-width)/2, max(margin, (size.Y-height)*2/5))
	l.card = image.Rectangle{corner, corner.Add(image.Pt(width, height))}
	l.title = image.Pt(pad, pad)
	y := pad + text.height + pad/2
	l.rule = image.Rect(pad, y, width-pad, y+1)
	y += 1 + pad
	l.symbol = image.Rect(pad, y, pad+sign, y+sign)
	x := l.symbol.Max.X + gap
	l.headline = image.Pt(x, y)
	if len(l.lines) == 0 && len(l.heads) == 1 {
		l.headline.Y += max(0, (sign-large.height)/2)
	}
	l.details = image.Pt(x, y+len(l.heads)*large.height)
	if len(l.heads) > 0 {
		l.details.Y += body / 2
	}
	if foot > 0 {
		l.progress = image.Rect(x, height-pad-foot, width-pad, height-pad)
		if x >= width-pad || height-pad-foot < y {
			l.progress = image.Rectangle{} // no room
		}
	}
	return l, fits
}

// paint draws all of the card that does not move; f is the card's part of the
// picture.
func (l *layout) paint(f *pixel.Frame, fs fonts, m Message) {
	radius := l.body / 2
	roundRect(f, f.Rect(), radius, colBorder)
	roundRect(f, f.Rect().Inset(1), radius-1, colCard)
	f.Fill(l.rule, colRule)

	text := fs.regularFace(l.body)
	text.draw(f, l.title, l.name, colTitle)
	symbol(f, l.symbol, m.Tone)

	large, at := fs.boldFace(l.large), l.headline
	for _, line := range l.heads {
		large.draw(f, at, line, colHeadline)
		at.Y += large.height
	}
	at = l.details
	for _, line := range l.lines {
		text.draw(f, at, line, colText)
		at.Y += text.height
	}
}
