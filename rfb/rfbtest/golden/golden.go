// Package golden has pictures of screens, drawn by code and the same on every
// run, for tests and benchmarks.
package golden

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"strings"

	"golang.org/x/image/font/inconsolata"
	"golang.org/x/image/math/fixed"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// Picture is a picture of one kind of screen.
type Picture struct {
	Name  string
	Frame *pixel.Frame
}

// All returns one picture of every kind, of the given size in pixels. The
// pictures depend on nothing but the size.
func All(width, height int) []Picture {
	return []Picture{
		{"text", TextConsole(width, height)},
		{"bios", BIOS(width, height)},
		{"desktop", Desktop(width, height)},
		{"photo", Photo(width, height)},
	}
}

// seeded returns random numbers that are the same on every run.
func seeded(name string) *rand.Rand {
	var seed [32]byte
	copy(seed[:], name)
	return rand.New(rand.NewChaCha8(seed))
}

const (
	fontWidth  = 8
	fontHeight = 16
)

// Text writes a line of 8 by 16 pixels a character with its upper left corner
// at (x, y), clipped to the frame, as consoles do: a pixel is ink or it is
// not.
func Text(f *pixel.Frame, x, y int, colour uint32, bold bool, line string) {
	glyphs(f, x, y, bold, line, func(p *uint32, alpha uint32) {
		if alpha >= 0x80 {
			*p = colour
		}
	})
}

// SmoothText is Text with soft edges, as desktops have it.
func SmoothText(f *pixel.Frame, x, y int, colour uint32, bold bool, line string) {
	glyphs(f, x, y, bold, line, func(p *uint32, alpha uint32) {
		var mixed uint32
		for shift := 0; shift < 24; shift += 8 {
			c := (colour>>shift&0xff)*alpha + (*p>>shift&0xff)*(255-alpha)
			mixed |= (c + 127) / 255 << shift
		}
		*p = mixed
	})
}

// glyphs calls paint with every pixel of the frame that the line covers to
// some part, of 255.
func glyphs(f *pixel.Frame, x, y int, bold bool, line string, paint func(p *uint32, alpha uint32)) {
	face := inconsolata.Regular8x16
	if bold {
		face = inconsolata.Bold8x16
	}
	for i, char := range line {
		r, mask, at, _, ok := face.Glyph(fixed.P(x+i*fontWidth, y+face.Ascent), char)
		if !ok {
			continue
		}
		visible := r.Intersect(f.Rect())
		for py := visible.Min.Y; py < visible.Max.Y; py++ {
			for px := visible.Min.X; px < visible.Max.X; px++ {
				_, _, _, alpha := mask.At(at.X+px-r.Min.X, at.Y+py-r.Min.Y).RGBA()
				if alpha > 0 {
					paint(&f.Row(py, px, px+1)[0], alpha>>8)
				}
			}
		}
	}
}

var words = strings.Fields("kernel usb device new full-speed number using initialised eth0 link up " +
	"mounted filesystem with ordered data mode Opts null random crng systemd started journal service " +
	"reached target network acpi PCI bridge BAR assigned memory region irq enabled CPU microcode core")

func sentence(rnd *rand.Rand, n int) string {
	w := make([]string, n)
	for i := range w {
		w[i] = words[rnd.IntN(len(words))]
	}
	return strings.Join(w, " ")
}

// TextConsole is a machine's boot log: grey text on black with a few coloured
// words.
func TextConsole(width, height int) *pixel.Frame {
	f, rnd := pixel.NewFrame(width, height), seeded("text console")
	for i := range height / fontHeight {
		y := i * fontHeight
		switch rnd.IntN(6) {
		case 0:
			Text(f, 0, y, 0xaaaaaa, false, "[")
			Text(f, 2*fontWidth, y, 0x00aa00, true, " OK ")
			Text(f, 7*fontWidth, y, 0xaaaaaa, false, "] "+sentence(rnd, 2+rnd.IntN(4)))
		case 1: // an empty line
		default:
			Text(f, 0, y, 0xaaaaaa, false, fmt.Sprintf("[%5d.%06d] %s", i, rnd.IntN(1e6), sentence(rnd, 2+rnd.IntN(14))))
		}
	}
	f.Fill(image.Rect(0, height-4, fontWidth, height-2), 0xaaaaaa)
	return f
}

// BIOS is a set-up menu: few colours, frames, large plain areas.
func BIOS(width, height int) *pixel.Frame {
	const blue, grey, white, cyan = 0x0000aa, 0xaaaaaa, 0xffffff, 0x00aaaa
	f, rnd := pixel.NewFrame(width, height), seeded("bios")
	f.Fill(f.Rect(), grey)
	f.Fill(image.Rect(0, 0, width, 2*fontHeight), cyan)
	Text(f, width/2-12*fontWidth, fontHeight/2, 0, true, "System Set-up Utility")
	f.Fill(image.Rect(0, 2*fontHeight, width, 3*fontHeight), blue)
	for i, tab := range []string{"Main", "Advanced", "Security", "Boot", "Exit"} {
		Text(f, (2+i*12)*fontWidth, 2*fontHeight, white, i == 1, tab)
	}
	left, split, right := 4, width*2/3, width-5
	top, bottom := 3*fontHeight+8, height-2*fontHeight-8
	for _, x := range []int{left, left + 3, split, right - 3, right} {
		f.Fill(image.Rect(x, top, x+1, bottom), 0)
	}
	for _, y := range []int{top, top + 3, bottom - 3, bottom} {
		f.Fill(image.Rect(left, y, right, y+1), 0)
	}
	for i := range 14 {
		y := top + (i+1)*fontHeight
		name, value := sentence(rnd, 2), "["+sentence(rnd, 1)+"]"
		c := uint32(blue)
		if i == 4 {
			f.Fill(image.Rect(left+8, y, split-8, y+fontHeight), blue)
			c = white
		}
		Text(f, left+2*fontWidth, y, c, false, name)
		Text(f, (left+split)/2, y, c, true, value)
		Text(f, split+fontWidth, y, 0, false, sentence(rnd, 3))
	}
	f.Fill(image.Rect(0, height-2*fontHeight, width, height), cyan)
	Text(f, 2*fontWidth, height-2*fontHeight, 0, false, "F1 Help   Up/Down Select Item   Enter Select Sub-Menu   F10 Save and Exit")
	return f
}

// Desktop is a graphical session: a wallpaper with a gradient, windows with
// smooth text, pictures, and a panel.
func Desktop(width, height int) *pixel.Frame {
	f, rnd := pixel.NewFrame(width, height), seeded("desktop")
	for y := range height {
		for x := range width {
			f.Pix[y*f.Stride+x] = uint32(20+60*y/height)<<16 | uint32(40+50*x/width)<<8 | uint32(90+80*y/height)
		}
	}
	window := func(r image.Rectangle, title string, dark bool) {
		f.Fill(r.Inset(-1), 0x202020)
		paper, ink := uint32(0xffffff), uint32(0x202020)
		if dark {
			paper, ink = 0x1e1e2e, 0xd0d0d8
		}
		f.Fill(r, paper)
		for i := range 24 { // the title bar's gradient
			f.Fill(image.Rect(r.Min.X, r.Min.Y+i, r.Max.X, r.Min.Y+i+1), 0x404850+uint32(i)*0x010101)
		}
		SmoothText(f, r.Min.X+10, r.Min.Y+3, 0xffffff, false, title)
		for y := r.Min.Y + 36; y+20 < r.Max.Y; y += 20 {
			line := sentence(rnd, 3+rnd.IntN(12))
			SmoothText(f, r.Min.X+10, y, ink, false, line[:min(len(line), max(0, (r.Dx()-20)/fontWidth))])
		}
	}
	window(image.Rect(width/20, height/16, width*11/20, height*13/16), "Remote console", false)
	window(image.Rect(width*2/5, height/4, width*19/20, height*14/16), "Terminal", true)
	picture := image.Rect(width*13/20, height/16, width*19/20, height*4/16)
	photo := Photo(max(1, picture.Dx()), max(1, picture.Dy()))
	for y := range picture.Dy() {
		copy(f.Row(picture.Min.Y+y, picture.Min.X, picture.Max.X), photo.Row(y, 0, picture.Dx()))
	}
	panel := image.Rect(0, height-28, width, height)
	f.Fill(panel, 0x2b303b)
	SmoothText(f, 12, height-22, 0xe0e0e0, false, "Menu   Files   Terminal   Console")
	SmoothText(f, width-60, height-22, 0xe0e0e0, false, "12:34")
	return f
}

// Photo is like a photograph: smooth areas, edges, and noise in the low bits.
func Photo(width, height int) *pixel.Frame {
	f, rnd := pixel.NewFrame(width, height), seeded("photo")
	// Value noise: random heights on grids of several pitches.
	const size = 64
	var grid [3][size][size]float64
	for c := range grid {
		for y := range size {
			for x := range size {
				grid[c][y][x] = rnd.Float64()
			}
		}
	}
	noise := func(c int, x, y float64) float64 {
		xi, yi := int(x), int(y)
		u, v := x-math.Floor(x), y-math.Floor(y)
		u, v = u*u*(3-2*u), v*v*(3-2*v)
		g := &grid[c]
		a, b := g[yi%size][xi%size], g[yi%size][(xi+1)%size]
		d, e := g[(yi+1)%size][xi%size], g[(yi+1)%size][(xi+1)%size]
		return (a*(1-u)+b*u)*(1-v) + (d*(1-u)+e*u)*v
	}
	for y := range height {
		for x := range width {
			var p uint32
			for c := range grid {
				v, weight := 0.0, 0.5
				for pitch := 160.0; pitch > 4; pitch /= 2.5 {
					v += weight * noise(c, float64(x)/pitch, float64(y)/pitch)
					weight *= 0.5
				}
				if noise(0, float64(x)/200, float64(y)/90) > 0.6 {
					v *= 0.6 // an edge
				}
				n := int(v*255) + rnd.IntN(5) - 2
				p = p<<8 | uint32(min(max(n, 0), 255))
			}
			f.Pix[y*f.Stride+x] = p
		}
	}
	return f
}

// Noise is a picture in which every pixel is random.
func Noise(width, height int, seed uint64) *pixel.Frame {
	f, rnd := pixel.NewFrame(width, height), rand.New(rand.NewPCG(seed, 0))
	for i := range f.Pix {
		f.Pix[i] = rnd.Uint32() & pixel.Mask
	}
	return f
}
