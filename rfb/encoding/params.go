package encoding

import (
	"github.com/ironglass/ironglass/rfb/jpeg"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Params is all that an encoder's output depends on besides the pixels. It is
// comparable: viewers with equal Params share what is encoded.
type Params struct {
	// Encoding is the row of the table that exact pieces are made with. It is
	// not a Lossy one.
	Encoding wire.Encoding
	// Format is the viewer's pixel format.
	Format pixel.PixelFormat
	// Quality is that of JPEG, 1 to 100, which photographs may be sent with;
	// negative where everything must be lossless.
	Quality int8
	// Subsampling is JPEG's, 0 where Quality is negative.
	Subsampling jpeg.Subsampling
	// Compression is the level 0 to 9 that the viewer asks for (rfbproto
	// 7.8, -256 to -247); negative is the encoder's own choice.
	Compression int8
}

// Lossless returns p without its loss, the same for all that differ in
// nothing else.
func (p Params) Lossless() Params {
	p.Quality, p.Subsampling = -1, 0
	return p
}

// qualities are what the levels 0 to 9 of rfbproto's JPEG Quality Level mean.
// The specification leaves that open; viewers and their users know the levels
// from servers that follow TurboVNC's table, which this is.
var qualities = [10]struct {
	quality     int8
	subsampling jpeg.Subsampling
}{
	{15, jpeg.Sub420}, {29, jpeg.Sub420}, {41, jpeg.Sub420}, {42, jpeg.Sub422}, {62, jpeg.Sub422},
	{77, jpeg.Sub422}, {79, jpeg.Sub444}, {86, jpeg.Sub444}, {92, jpeg.Sub444}, {100, jpeg.Sub444},
}

// ParamsFor returns what a viewer with pixel format f is served with that sent
// SetEncodings with list (rfbproto 7.5.2). The first encoding that can be made
// exactly is the main one, Raw if none can; of several levels of one kind the
// first counts, as with TigerVNC's server, since viewers list the best first.
//
// Loss is allowed by a coarse or a fine quality level alone, of which the fine
// one goes first; and only where JPEG can be sent: in Tight and TightPNG, or
// beside any other main encoding where the viewer lists JPEG, in formats of
// true colour with 16 or 32 bits.
func ParamsFor(list []wire.Encoding, f pixel.PixelFormat) Params {
	const none = -1
	p := Params{Encoding: wire.EncodingRaw, Format: f, Quality: none, Compression: none}
	chosen, jpegs, pngs, zlibs := false, false, false, false
	coarse, fine, sub := none, none, none
	first := func(level *int, v wire.Encoding) {
		if *level == none {
			*level = int(v)
		}
	}
	compression := none
	for _, n := range list {
		if row := ByNumber(n); row != nil && row.Encode != nil && !row.Lossy && !chosen {
			p.Encoding, chosen = n, true
		}
		switch {
		case n == wire.EncodingJPEG:
			jpegs = true
		case n == wire.EncodingTightPNG:
			pngs = true
		case n == wire.EncodingZlib:
			zlibs = true
		case n >= wire.PseudoQualityLevel0 && n <= wire.PseudoQualityLevel9:
			first(&coarse, n-wire.PseudoQualityLevel0)
		case n >= wire.PseudoFineQualityLevel0 && n <= wire.PseudoFineQualityLevel100:
			first(&fine, n-wire.PseudoFineQualityLevel0)
		case n >= wire.PseudoSubsampling1X && n <= wire.PseudoSubsampling16X:
			first(&sub, n-wire.PseudoSubsampling1X)
		case n >= wire.PseudoCompressLevel0 && n <= wire.PseudoCompressLevel9:
			first(&compression, n-wire.PseudoCompressLevel0)
		}
	}
	if pngs && !zlibs {
		// noVNC before 1.6, whose Tight may lack the gradient filter.
		compression = min(compression, tightGradientLevel-1)
	}
	p.Compression = int8(compression)
	if !f.TrueColour || f.BitsPerPixel == 8 {
		return p
	}
	if p.Encoding != wire.EncodingTight && p.Encoding != wire.EncodingTightPNG && !jpegs {
		return p
	}
	if coarse != none {
		p.Quality, p.Subsampling = qualities[coarse].quality, qualities[coarse].subsampling
	}
	if fine != none {
		p.Quality = int8(max(1, fine))
	}
	if p.Quality >= 0 && sub != none {
		p.Subsampling = jpeg.Subsampling(sub)
		if p.Subsampling > jpeg.SubGray {
			p.Subsampling = jpeg.Sub420 // the coarsest there is
		}
	}
	return p
}
