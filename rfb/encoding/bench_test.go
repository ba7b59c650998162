package encoding

import (
	"bytes"
	"fmt"
	"image"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// browser is how noVNC asks: RGBX, compression 2.
func browser(n wire.Encoding) Params { return Params{n, formats[1], -1, 0, 2} }

// encodeCells encodes a frame as a server does, cell by cell, and returns the
// size on the wire with headers.
func encodeCells(e *Encoding, src *pixel.Frame, width, height int, p Params, pieces []Piece) ([]Piece, int) {
	pieces = pieces[:0]
	for c := range cells(src.Rect(), width, height) {
		pieces = e.Encode(pieces, src, c, p)
	}
	size := 0
	for _, piece := range pieces {
		size += 12 + len(piece.Data)
		if piece.Deflate {
			size += 4
		}
	}
	return pieces, size
}

func benchEncode(b *testing.B, e *Encoding, src *pixel.Frame, width, height int, p Params) {
	b.SetBytes(int64(4 * src.Width * src.Height))
	b.ReportAllocs()
	var pieces []Piece
	size := 0
	for b.Loop() {
		pieces, size = encodeCells(e, src, width, height, p, pieces)
	}
	b.ReportMetric(float64(4*src.Width*src.Height)/float64(size), "ratio")
	b.ReportMetric(float64(size)/1000, "kB")
}

// BenchmarkQuality measures what a server does for a viewer that allows loss,
// from the lowest quality to none.
func BenchmarkQuality(b *testing.B) {
	for _, g := range append(golden.All(1280, 1024), golden.Picture{Name: "noise", Frame: golden.Noise(1280, 1024, 1)}) {
		for _, n := range []wire.Encoding{wire.EncodingTight, wire.EncodingTightPNG, wire.EncodingZRLE} {
			for _, level := range []int{-1, 0, 3, 6, 8, 9} {
				list := []wire.Encoding{n, wire.EncodingJPEG, wire.EncodingZlib, wire.PseudoCompressLevel0 + 2}
				if level >= 0 {
					list = append(list, wire.PseudoQualityLevel0+wire.Encoding(level))
				}
				p := ParamsFor(list, formats[1])
				b.Run(fmt.Sprintf("%s/%v/%d", g.Name, n, level), func(b *testing.B) {
					benchEncode(b, &Encoding{Encode: Encode}, g.Frame, 256, 64, p)
				})
			}
		}
	}
}

// BenchmarkClassify measures what telling photographs from drawings costs.
func BenchmarkClassify(b *testing.B) {
	for _, g := range golden.All(1280, 1024) {
		b.Run(g.Name, func(b *testing.B) {
			b.SetBytes(int64(4 * g.Frame.Width * g.Frame.Height))
			s := new(scratch)
			for b.Loop() {
				for c := range cells(g.Frame.Rect(), 256, 64) {
					s.mosaic.classify(g.Frame, c)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, g := range golden.All(1280, 1024) {
		for _, e := range encoders() {
			b.Run(fmt.Sprintf("%s/%s", g.Name, e.Name), func(b *testing.B) {
				benchEncode(b, e, g.Frame, 256, 64, browser(e.Number))
			})
		}
	}
}

// BenchmarkCells measures the shapes of cells that a server may cut its frame
// into.
func BenchmarkCells(b *testing.B) {
	for _, g := range golden.All(1280, 1024) {
		for _, n := range []wire.Encoding{wire.EncodingTight, wire.EncodingZRLE} {
			e := ByNumber(n)
			for _, s := range []image.Point{{64, 64}, {128, 64}, {256, 64}, {1280, 64}, {128, 128}, {256, 128}, {256, 256}, {1280, 1024}} {
				b.Run(fmt.Sprintf("%s/%s/%dx%d", g.Name, e.Name, s.X, s.Y), func(b *testing.B) {
					benchEncode(b, e, g.Frame, s.X, s.Y, browser(n))
				})
			}
		}
	}
}

func BenchmarkLevels(b *testing.B) {
	for _, g := range golden.All(1280, 1024) {
		for _, n := range []wire.Encoding{wire.EncodingTight, wire.EncodingZRLE} {
			for level := range int8(10) {
				b.Run(fmt.Sprintf("%s/%v/%d", g.Name, n, level), func(b *testing.B) {
					p := browser(n)
					p.Compression = level
					benchEncode(b, ByNumber(n), g.Frame, 256, 64, p)
				})
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, g := range golden.All(1280, 1024) {
		for _, e := range encoders() {
			p := browser(e.Number)
			p.Format = pixel.RGB888 // what a client of our own asks for
			pieces, _ := encodeCells(e, g.Frame, 256, 64, p, nil)
			var streams Streams
			var sent []byte
			for i := range pieces {
				sent = append(streams.AppendHeader(sent, &pieces[i]), pieces[i].Data...)
			}
			b.Run(fmt.Sprintf("%s/%s", g.Name, e.Name), func(b *testing.B) {
				dst := pixel.NewFrame(g.Frame.Width, g.Frame.Height)
				b.SetBytes(int64(4 * dst.Width * dst.Height))
				b.ReportAllocs()
				for b.Loop() {
					decoders, rd := map[wire.Encoding]Decoder{}, wire.NewReader(bytes.NewReader(sent), 65536)
					for range pieces {
						h := wire.ReadRectangleHeader(rd)
						if decoders[h.Encoding] == nil {
							decoders[h.Encoding] = ByNumber(h.Encoding).NewDecoder()
						}
						if err := decoders[h.Encoding].Decode(rd, dst, h.Rect, p.Format); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		}
	}
}
