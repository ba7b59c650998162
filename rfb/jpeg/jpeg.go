// Package jpeg writes baseline JPEG pictures (ITU-T T.81) of frames, as the
// Tight and JPEG encodings of the RFB protocol carry them (rfbproto 7.7.5 and
// 7.7.7). It writes what libjpeg writes at the same quality, with the same
// quantisation and Huffman tables, several times as fast as image/jpeg. What
// it writes, image/jpeg reads.
package jpeg

import (
	"encoding/binary"
	"fmt"
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// Subsampling says how many pixels share one sample of colour. Its values are
// numbered as the JPEG subsampling pseudo-encodings -768 to -765 (rfbproto
// 7.8.13) are.
type Subsampling uint8

const (
	Sub444  Subsampling = iota // 1X: a sample for each pixel
	Sub420                     // 4X: one for 2 by 2 pixels
	Sub422                     // 2X: one for 2 pixels of a row
	SubGray                    // none: brightness only
)

// String is the name that video engineers give it.
func (s Subsampling) String() string {
	if int(s) < len(layouts) {
		return layouts[s].name
	}
	return fmt.Sprintf("Subsampling(%d)", uint8(s))
}

// MaxSize is the greatest width and height of a picture in pixels.
const MaxSize = 1<<16 - 1

// A strip of pixels is worked on in steps of 16 by 16 or 16 by 8 pixels. Each
// gives one to three pairs of blocks.
const stepWidth = 16

// layout is what a Subsampling means for a picture and for a step.
type layout struct {
	name       string
	height     int      // of a step in pixels
	components []byte   // sampling factors of each, as in a frame header
	mcus       []mcu    // of a step, from left to right
	pairs      int      // of a step
	tables     [3]uint8 // of each pair: 0 for brightness, 1 for colour
}

// mcu lists the blocks of a minimum coded unit (T.81 A.2.3) in their order.
type mcu []blockOf

// blockOf says where a block comes from and which component it belongs to.
type blockOf struct{ pair, half, component uint8 }

var layouts = [...]layout{
	Sub444: {
		name: "4:4:4", height: 8, components: []byte{0x11, 0x11, 0x11}, pairs: 3, tables: [3]uint8{0, 1, 1},
		mcus: []mcu{{{0, 0, 0}, {1, 0, 1}, {2, 0, 2}}, {{0, 1, 0}, {1, 1, 1}, {2, 1, 2}}},
	},
	Sub420: {
		name: "4:2:0", height: 16, components: []byte{0x22, 0x11, 0x11}, pairs: 3, tables: [3]uint8{0, 0, 1},
		mcus: []mcu{{{0, 0, 0}, {0, 1, 0}, {1, 0, 0}, {1, 1, 0}, {2, 0, 1}, {2, 1, 2}}},
	},
	Sub422: {
		name: "4:2:2", height: 8, components: []byte{0x21, 0x11, 0x11}, pairs: 2, tables: [3]uint8{0, 1},
		mcus: []mcu{{{0, 0, 0}, {0, 1, 0}, {1, 0, 1}, {1, 1, 2}}},
	},
	SubGray: {
		name: "grey", height: 8, components: []byte{0x11}, pairs: 1, tables: [3]uint8{0},
		mcus: []mcu{{{0, 0, 0}}, {{0, 1, 0}}},
	},
}

// pair is two blocks of 8 by 8 that are transformed together: half a vector
// register is a row of a block.
type pair struct {
	// samples are those of both blocks side by side, in rows of 16, from -128
	// to 127.
	samples [2 * 64]int16
	// coefficients are those of the first block and those of the second,
	// quantised and in zigzag order.
	coefficients [2][64]int16
	// nonzero has a bit for each coefficient that is not zero.
	nonzero [2]uint64
}

// Append appends to b a JFIF picture of r, at libjpeg's quality 1 (smallest)
// to 100 (best); other qualities become the nearest of them. The rectangle
// lies inside the frame and has an area, and no side is over MaxSize: others
// panic. The frame's pad bytes do not matter. Calls may run at the same time;
// the same pixels give the same bytes.
func Append(b []byte, f *pixel.Frame, r image.Rectangle, quality int, s Subsampling) []byte {
	return encode(b, f, r, quality, s, accelerated)
}

// encode is Append with or without the machine's own instructions, which give
// the same bytes.
func encode(b []byte, f *pixel.Frame, r image.Rectangle, quality int, s Subsampling, accelerate bool) []byte {
	if r.Empty() || !r.In(f.Rect()) || r.Dx() > MaxSize || r.Dy() > MaxSize {
		panic(fmt.Sprintf("jpeg: a picture of %v in a frame of %dx%d pixels", r, f.Width, f.Height))
	}
	quality = min(max(quality, 1), 100)
	l, q := &layouts[s], tablesFor(quality)
	b = appendHeader(b, r.Dx(), r.Dy(), l, q)

	w := newBitWriter(b)
	var (
		pairs [3]pair
		edge  [stepWidth * 16]uint32
		dc    [3]int
	)
	for y := r.Min.Y; y < r.Max.Y; y += l.height {
		for x := r.Min.X; x < r.Max.X; x += stepWidth {
			src, stride := f.Pix[y*f.Stride+x:], f.Stride
			if x+stepWidth > r.Max.X || y+l.height > r.Max.Y {
				extend(&edge, f, image.Rectangle{Min: image.Pt(x, y), Max: r.Max})
				src, stride = edge[:], stepWidth
			}
			_ = src[(l.height-1)*stride+stepWidth-1] // the assembly reads so far
			convert(&pairs, src, stride, s, accelerate)
			for i := range l.pairs {
				transform(&pairs[i], &q.quantisers[l.tables[i]], accelerate)
			}
			w.reserve()
			for i, m := range l.mcus {
				if x+i*8 >= r.Max.X {
					break
				}
				for _, k := range m {
					p := &pairs[k.pair]
					t := &huffmen[min(k.component, 1)]
					dc[k.component] = w.block(&p.coefficients[k.half], p.nonzero[k.half], dc[k.component], t)
				}
			}
		}
	}
	return append(w.end(), 0xff, 0xd9) // EOI
}

// extend copies the pixels from r's upper left corner to edge, as many as
// there are, and repeats the last column and row: what lies beyond the picture
// must neither be seen by it nor cost bits.
func extend(edge *[stepWidth * 16]uint32, f *pixel.Frame, r image.Rectangle) {
	width, height := min(r.Dx(), stepWidth), min(r.Dy(), 16)
	for y := range 16 {
		d := edge[y*stepWidth:][:stepWidth]
		n := copy(d, f.Row(r.Min.Y+min(y, height-1), r.Min.X, r.Min.X+width))
		for x := n; x < stepWidth; x++ {
			d[x] = d[n-1]
		}
	}
}

// appendHeader appends everything before the coded picture (T.81 B.2).
func appendHeader(b []byte, width, height int, l *layout, q *tables) []byte {
	colour := len(l.components) > 1
	b = append(b, "\xff\xd8"+ // SOI
		"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"...) // APP0: version 1.1, square pixels
	for i := range q.quantisers[:min(len(l.components), 2)] {
		b = append(b, 0xff, 0xdb, 0, 2+1+64, byte(i)) // DQT
		b = append(b, q.steps[i][:]...)
	}
	b = append(b, 0xff, 0xc0, 0, byte(8+3*len(l.components)), 8) // SOF0: baseline, 8 bits
	b = binary.BigEndian.AppendUint16(b, uint16(height))
	b = binary.BigEndian.AppendUint16(b, uint16(width))
	b = append(b, byte(len(l.components)))
	for i, factors := range l.components {
		b = append(b, byte(i+1), factors, byte(min(i, 1)))
	}
	b = append(b, huffmen[0].segments...)
	if colour {
		b = append(b, huffmen[1].segments...)
	}
	b = append(b, 0xff, 0xda, 0, byte(6+2*len(l.components)), byte(len(l.components))) // SOS
	for i := range l.components {
		b = append(b, byte(i+1), byte(min(i, 1)*0x11))
	}
	return append(b, 0, 63, 0)
}
