package loads

import (
	"image"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// How many different frames `pages` and `video` go through.
const (
	Pages       = 6
	VideoFrames = 24
)

// VideoSize is the size of the film in pixels.
var VideoSize = image.Pt(640, 480)

// VideoRect is where the film lies on a screen of this size.
func VideoRect(size image.Point) image.Rectangle {
	at := image.Pt((size.X-VideoSize.X)/2, Strip+(size.Y-Strip-VideoSize.Y)/2)
	return image.Rectangle{Min: at, Max: at.Add(VideoSize)}
}

const (
	stripColour = 0x303438
	lineHeight  = 16
	charWidth   = 8
)

var words = strings.Fields("node console power sensor fan firmware boot image network address lease " +
	"interface bond bridge volume disk controller battery memory module processor event log entry " +
	"temperature threshold warning critical cleared user session login remote update applied")

// line is text of about n characters.
func line(random *rand.Rand, n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[random.IntN(len(words))])
		b.WriteByte(" .,:-"[min(4, random.IntN(20))])
	}
	return b.String()[:n]
}

// Page is page i of a screen of this size: windows with text on a plain
// desktop, other ones on each page, below the strip.
func Page(size image.Point, i int) *pixel.Frame {
	random := rand.New(rand.NewPCG(uint64(i), 7))
	f := pixel.NewFrame(size.X, size.Y)
	f.Fill(f.Rect(), 0x203040+uint32(random.IntN(0x40))*0x010101)
	f.Fill(image.Rect(0, 0, size.X, Strip), stripColour)
	for n := range 5 {
		w, h := size.X/3+random.IntN(size.X/4), size.Y/4+random.IntN(size.Y/3)
		at := image.Pt(random.IntN(size.X-w), Strip+4+random.IntN(size.Y-Strip-4-h))
		TextWindow(f, image.Rectangle{Min: at, Max: at.Add(image.Pt(w, h))}, random, n%2 == 0)
	}
	return f
}

// TextWindow paints a window full of text, with soft edges or without.
func TextWindow(f *pixel.Frame, r image.Rectangle, random *rand.Rand, smooth bool) {
	ink, paper, text := uint32(0xc8c8c8), uint32(0x101418), golden.Text
	if smooth {
		ink, paper, text = 0x202020, 0xfafafa, golden.SmoothText
	}
	f.Fill(r, 0x808890)
	f.Fill(r.Inset(1), paper)
	f.Fill(image.Rect(r.Min.X+1, r.Min.Y+1, r.Max.X-1, r.Min.Y+21), 0x3465a4)
	text(f, r.Min.X+8, r.Min.Y+3, 0xffffff, true, line(random, 16))
	most := (r.Dx() - 16) / charWidth
	for y := r.Min.Y + 26; y+lineHeight < r.Max.Y; y += lineHeight {
		switch n := random.IntN(most); {
		case n < most/8: // an empty line
		case n < most/4:
			text(f, r.Min.X+8, y, 0x4e9a06, false, line(random, n))
		default:
			text(f, r.Min.X+8, y, ink, false, line(random, n))
		}
	}
}

// Film is the frames of `video`: two photographs, one over the other, that
// move in different directions, so that no frame is another one moved.
func Film() []*pixel.Frame {
	const margin = 4 * VideoFrames
	photo := golden.Photo(VideoSize.X+margin, VideoSize.Y+margin)
	film := make([]*pixel.Frame, VideoFrames)
	for i := range film {
		f := pixel.NewFrame(VideoSize.X, VideoSize.Y)
		a, b := image.Pt(3*i, i), image.Pt(margin-4*i, 2*i)
		for y := range f.Height {
			over, under := photo.Row(a.Y+y, a.X, a.X+f.Width), photo.Row(b.Y+y, b.X, b.X+f.Width)
			for x := range f.Width {
				f.Pix[y*f.Stride+x] = mix(over[x], under[x])
			}
		}
		film[i] = f
	}
	return film
}

// film and page keep what takes long to make, for the comparisons.
var film = sync.OnceValue(Film)

var pages struct {
	sync.Mutex
	size image.Point
	made [Pages]*pixel.Frame
}

func page(size image.Point, i int) *pixel.Frame {
	pages.Lock()
	defer pages.Unlock()
	if pages.size != size {
		pages.size, pages.made = size, [Pages]*pixel.Frame{}
	}
	if pages.made[i] == nil {
		pages.made[i] = Page(size, i)
	}
	return pages.made[i]
}

// mix is five eighths of a and three eighths of b.
func mix(a, b uint32) uint32 {
	const odd, even = 0xff00ff, 0x00ff00
	return (5*(a&odd)+3*(b&odd))>>3&odd | (5*(a&even)+3*(b&even))>>3&even
}
