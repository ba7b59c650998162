// Package jpeg writes baseline JPEG pictures (ITU-T T.81) of frames, as the
// Tight and JPEG encodings of the RFB protocol carry them (rfbproto 7.7). At
// the same quality they show what libjpeg's do, and are shorter, as each has
// Huffman tables of its own. It is several times as fast as image/jpeg, which
// reads what it writes.
package jpeg

import (
	"encoding/binary"
	"fmt"
	"image"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// Subsampling says how many pixels share one sample of colour. Its values are
// numbered as the JPEG subsampling pseudo-encodings -768 to -765 (rfbproto 7.8)
// are.
type Subsampling uint8

// The subsamplings that have a pseudo-encoding and an encoder.
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

// step is the memory for a step. Blocks of 8 by 8 are transformed in pairs, as
// half a vector register is a row of one.
type step struct {
	// samples are those of both blocks of a pair side by side, in rows of 16,
	// from -128 to 127. The rows of two pairs may be the 16 rows of a step.
	samples [3][2 * 64]int16
	// coefficients are quantised and in zigzag order. Those that are zero may
	// hold anything, but for the first.
	coefficients [3][2][64]int16
	// nonzero has a bit for each coefficient that is not zero.
	nonzero [3][2]uint64
	// edge is what a step at the edge of the picture reads.
	edge [stepWidth * 16]uint32
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
	l, q := &layouts[s], tablesFor(min(max(quality, 1), 100))
	all := newSymbols()
	defer all.free()
	var (
		step step
		dc   [3]int
	)
	for y := r.Min.Y; y < r.Max.Y; y += l.height {
		for x := r.Min.X; x < r.Max.X; x += stepWidth {
			var src []uint32
			stride := f.Stride
			if x+stepWidth > r.Max.X || y+l.height > r.Max.Y || !f.Contiguous(y, y+l.height) {
				extend(&step.edge, f, image.Rectangle{Min: image.Pt(x, y), Max: r.Max})
				src, stride = step.edge[:], stepWidth
			} else {
				src = f.From(x, y)
			}
			_ = src[(l.height-1)*stride+stepWidth-1] // the assembly reads so far
			convert(&step.samples, src, stride, s, accelerate)
			for i := range l.pairs {
				transform(&step.samples[i], &step.coefficients[i], &step.nonzero[i], &q.quantisers[l.tables[i]], accelerate)
			}
			all.reserve()
			for i, m := range l.mcus {
				if x+i*8 >= r.Max.X {
					break
				}
				for _, k := range m {
					c, nonzero := &step.coefficients[k.pair][k.half], step.nonzero[k.pair][k.half]
					dc[k.component] = all.block(c, nonzero, dc[k.component], uint32(min(k.component, 1)))
				}
			}
		}
	}
	w := newBitWriter(appendHeader(b, r.Dx(), r.Dy(), l, q, all))
	all.write(&w)
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
func appendHeader(b []byte, width, height int, l *layout, q *tables, all *symbols) []byte {
	b = append(b, "\xff\xd8"+ // SOI
		"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"...) // APP0: version 1.1, square pixels
	classes := min(len(l.components), 2)
	b = append(b, 0xff, 0xdb, 0, byte(2+classes*(1+64))) // DQT
	for i := range classes {
		b = append(append(b, byte(i)), q.steps[i][:]...)
	}
	b = append(b, 0xff, 0xc0, 0, byte(8+3*len(l.components)), 8) // SOF0: baseline, 8 bits
	b = binary.BigEndian.AppendUint16(b, uint16(height))
	b = binary.BigEndian.AppendUint16(b, uint16(width))
	b = append(b, byte(len(l.components)))
	for i, factors := range l.components {
		b = append(b, byte(i+1), factors, byte(min(i, 1)))
	}
	b = append(b, 0xff, 0xc4) // DHT
	at := len(b)
	b = all.appendTables(append(b, 0, 0), 2*classes)
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at))
	b = append(b, 0xff, 0xda, 0, byte(6+2*len(l.components)), byte(len(l.components))) // SOS
	for i := range l.components {
		b = append(b, byte(i+1), byte(min(i, 1)*0x11))
	}
	return append(b, 0, 63, 0)
}
