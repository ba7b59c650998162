package encoding

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/flate"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// scratch is the memory that encoding one rectangle needs. Encode takes one
// from a pool, so that its calls share nothing while they run.
type scratch struct {
	// convs, tconvs and cconvs make PIXEL, TPIXEL and CPIXEL.
	convs, tconvs, cconvs converters

	pal   palette
	index []byte   // one byte per pixel
	plain []byte   // what is to be compressed
	out   []byte   // what a piece will hold
	more  []byte   // a second form of plain
	zrle  zrleTile // the present tile

	mosaic mosaic
	rects  []part
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// converters keeps the converter of the last format asked for: making one
// takes some time where it needs tables, and formats hardly ever change.
type converters struct {
	format pixel.PixelFormat
	conv   *pixel.Converter
}

// get returns a converter for f made by create, which is the same function in
// every call on one converters.
func (c *converters) get(f pixel.PixelFormat, create func(pixel.PixelFormat) *pixel.Converter) *pixel.Converter {
	if c.conv == nil || c.format != f {
		c.format, c.conv = f, create(f)
	}
	return c.conv
}

// sized returns b with length n, its content undefined.
func sized(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// levels gives the compressor's level for each level 0 to 9 that a viewer may
// ask for. At equal numbers this compressor is several times as fast as zlib,
// so that the common levels 1 and 2 may have more; and no compression at all
// would save next to no time.
type levels [10]int

// own is the viewer's level that the encoder chooses by itself.
const own = 2

func (l *levels) of(compression int8) int {
	if compression < 0 {
		compression = own
	}
	return l[min(compression, 9)]
}

// huffmanOnly is the level that looks for nothing that repeats and only gives
// frequent bytes short codes: what noise in a picture leaves to be gained.
const huffmanOnly = flate.HuffmanOnly

// noisy reports whether what a filter of pictures has left is noise, in which
// a search for repeats finds nothing: few expectations came true.
func noisy(filtered []byte) bool { return bytes.Count(filtered, []byte{0}) < len(filtered)/4 }

// deflaters has idle compressors by level, the first that of huffmanOnly: each
// holds about a megabyte.
var deflaters [10 - huffmanOnly]sync.Pool

// deflater is a compressor that appends to a slice.
type deflater struct {
	fw  *flate.Writer
	out []byte
}

// Write takes what the compressor has made.
func (d *deflater) Write(p []byte) (int, error) {
	d.out = append(d.out, p...)
	return len(p), nil
}

// deflate appends data to b as deflate blocks that refer to nothing before
// them and end with a sync flush (RFC 1951, 3.2.4: an empty stored block), so
// that a viewer has everything and the stream can go on.
func deflate(b, data []byte, level int) []byte {
	d, ok := deflaters[level-huffmanOnly].Get().(*deflater)
	if !ok {
		d = new(deflater)
		d.fw, _ = flate.NewWriter(d, level) // fails for an unknown level only
	}
	d.fw.Reset(d)
	d.out = b
	// Write above never fails, so the compressor does not either.
	_, _ = d.fw.Write(data)
	_ = d.fw.Flush()
	b, d.out = d.out, nil
	deflaters[level-huffmanOnly].Put(d)
	return b
}
