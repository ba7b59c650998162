package main

import (
	"fmt"
	"image"
	"math/rand/v2"
	"strings"

	"github.com/jezek/xgb/xproto"

	"github.com/ironglass/ironglass/integration/loads"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// load draws frames, so many in a second; the barcode comes after. draw asks
// the X server for nothing that it would have to answer.
type load struct {
	rate int
	draw func(n int)
}

// newLoad prepares a load: its first picture is the window's background.
func newLoad(w *window, name string) (load, error) {
	if err := w.background(w.id, loads.Page(w.size, 0)); err != nil {
		return load{}, err
	}
	l := load{rate: loads.Rates[name]}
	var err error
	switch name {
	case "typing":
		l.draw = w.typing()
	case "scroll":
		l.draw = w.scroll()
	case "video":
		l.draw, err = w.video()
	case "pages":
		l.draw, err = w.pages()
	case "drag":
		l.draw, err = w.drag()
	case "idle":
	default:
		err = fmt.Errorf("there is no load %q", name)
	}
	return l, err
}

// typing writes one character a frame into a window's worth of lines.
func (w *window) typing() func(n int) {
	w.colours(0x202020, 0xfafafa)
	at, columns, lines := image.Pt(w.size.X/4, w.size.Y/4), 60, 20
	text := words(rand.New(rand.NewPCG(1, 11)), columns*lines)
	return func(n int) {
		i := (n - 1) % len(text)
		w.write(at.Add(image.Pt(i%columns*fontWidth, i/columns*fontHeight)), text[i:i+1])
	}
}

// scroll writes a line as wide as the screen below all others, which move up.
func (w *window) scroll() func(n int) {
	w.colours(0xc0c0c0, 0x000000)
	random := rand.New(rand.NewPCG(1, 12))
	var lines [211]string
	for i := range lines {
		text := words(random, w.size.X/fontWidth)
		lines[i] = text[:len(text)*(1+random.IntN(4))/4] + strings.Repeat(" ", len(text))
		lines[i] = lines[i][:len(text)]
	}
	width, top := uint16(w.size.X), int16(loads.Strip)
	bottom := w.size.Y - fontHeight
	on := xproto.Drawable(w.id)
	return func(n int) {
		xproto.CopyArea(w.conn.Conn, on, on, w.copy, 0, top+fontHeight, 0, top, width, uint16(bottom)-loads.Strip)
		w.write(image.Pt(0, bottom), lines[n%len(lines)])
	}
}

// video shows the film.
func (w *window) video() (func(n int), error) {
	film, err := w.pixmaps(loads.Film())
	if err != nil {
		return nil, err
	}
	at := loads.VideoRect(w.size)
	return func(n int) { w.put(film[n%len(film)], image.Point{}, at) }, nil
}

// pages shows one page after another.
func (w *window) pages() (func(n int), error) {
	var made []*pixel.Frame
	for i := range loads.Pages {
		made = append(made, loads.Page(w.size, i))
	}
	pages, err := w.pixmaps(made)
	if err != nil {
		return nil, err
	}
	below := image.Rect(0, loads.Strip, w.size.X, w.size.Y)
	return func(n int) { w.put(pages[n%len(pages)], below.Min, below) }, nil
}

// drag moves a window with text.
func (w *window) drag() (func(n int), error) {
	size := image.Pt(500, 400)
	f := pixel.NewFrame(size.X, size.Y)
	loads.TextWindow(f, f.Rect(), rand.New(rand.NewPCG(1, 13)), true)
	room := w.size.Sub(size).Sub(image.Pt(0, loads.Strip))
	id, err := w.newWindow(w.id, image.Rectangle{Max: size}.Add(image.Pt(0, loads.Strip)))
	if err != nil {
		return nil, err
	}
	return func(n int) {
		xproto.ConfigureWindow(w.conn.Conn, id, xproto.ConfigWindowX|xproto.ConfigWindowY,
			[]uint32{uint32(bounce(7*n, room.X)), uint32(loads.Strip + bounce(3*n, room.Y))})
	}, w.background(id, f)
}

// bounce goes from 0 to most and back again, over and over.
func bounce(n, most int) int {
	if n %= 2 * most; n > most {
		n = 2*most - n
	}
	return n
}

func (w *window) pixmaps(frames []*pixel.Frame) ([]xproto.Pixmap, error) {
	out := make([]xproto.Pixmap, len(frames))
	for i, f := range frames {
		var err error
		if out[i], err = w.pixmap(f); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// words is n characters of text.
func words(random *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		for range 2 + random.IntN(8) {
			b.WriteByte(byte('a' + random.IntN(26)))
		}
		b.WriteByte(' ')
	}
	return b.String()[:n]
}
