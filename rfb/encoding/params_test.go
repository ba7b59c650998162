package encoding

import (
	"testing"

	"github.com/ironglass/ironglass/rfb/jpeg"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

func TestParamsFor(t *testing.T) {
	const (
		tight, zrle, raw = wire.EncodingTight, wire.EncodingZRLE, wire.EncodingRaw
		png, jpg, zlib   = wire.EncodingTightPNG, wire.EncodingJPEG, wire.EncodingZlib
		q, fine, level   = wire.PseudoQualityLevel0, wire.PseudoFineQualityLevel0, wire.PseudoCompressLevel0
	)
	wide, high, low := formats[1], formats[9], formats[13]
	for _, c := range []struct {
		name string
		list []wire.Encoding
		f    pixel.PixelFormat
		want Params
	}{
		{"nothing", nil, wide, Params{raw, wide, -1, 0, -1}},
		{"nothing known", []wire.Encoding{12345, wire.PseudoCursor}, wide, Params{raw, wide, -1, 0, -1}},
		{"what has no encoder", []wire.Encoding{wire.EncodingCopyRect, wire.EncodingCoRRE, zrle, tight}, wide, Params{zrle, wide, -1, 0, -1}},
		{"what is lossy", []wire.Encoding{jpg, zrle}, wide, Params{zrle, wide, -1, 0, -1}},
		{"lossy alone", []wire.Encoding{jpg, q + 6}, wide, Params{raw, wide, 79, jpeg.Sub444, -1}},
		{"the first counts", []wire.Encoding{tight, zrle, q + 8, q + 1, level + 3, level + 9}, wide, Params{tight, wide, 92, jpeg.Sub444, 3}},
		{"quality 0", []wire.Encoding{tight, q}, wide, Params{tight, wide, 15, jpeg.Sub420, -1}},
		{"quality 3", []wire.Encoding{tight, q + 3}, wide, Params{tight, wide, 42, jpeg.Sub422, -1}},
		{"quality 9", []wire.Encoding{q + 9, tight}, wide, Params{tight, wide, 100, jpeg.Sub444, -1}},
		{"fine beats coarse", []wire.Encoding{tight, q + 1, fine + 55}, wide, Params{tight, wide, 55, jpeg.Sub420, -1}},
		{"fine alone", []wire.Encoding{tight, fine + 100}, wide, Params{tight, wide, 100, jpeg.Sub444, -1}},
		{"fine 0", []wire.Encoding{tight, fine}, wide, Params{tight, wide, 1, jpeg.Sub444, -1}},
		{"subsampling beats coarse", []wire.Encoding{tight, q + 9, wire.PseudoSubsampling2X, wire.PseudoSubsampling1X}, wide, Params{tight, wide, 100, jpeg.Sub422, -1}},
		{"grey", []wire.Encoding{tight, q + 9, wire.PseudoSubsamplingGray}, wide, Params{tight, wide, 100, jpeg.SubGray, -1}},
		{"4X", []wire.Encoding{tight, q + 9, wire.PseudoSubsampling4X}, wide, Params{tight, wide, 100, jpeg.Sub420, -1}},
		{"8X", []wire.Encoding{tight, q + 9, wire.PseudoSubsampling8X}, wide, Params{tight, wide, 100, jpeg.Sub420, -1}},
		{"16X", []wire.Encoding{tight, q + 9, wire.PseudoSubsampling16X}, wide, Params{tight, wide, 100, jpeg.Sub420, -1}},
		{"subsampling alone allows no loss", []wire.Encoding{tight, wire.PseudoSubsampling4X}, wide, Params{tight, wide, -1, 0, -1}},
		{"no JPEG with ZRLE", []wire.Encoding{zrle, tight, q + 6}, wide, Params{zrle, wide, -1, 0, -1}},
		{"JPEG beside ZRLE", []wire.Encoding{zrle, jpg, q + 6}, wide, Params{zrle, wide, 79, jpeg.Sub444, -1}},
		{"TightPNG", []wire.Encoding{png, q + 6}, wide, Params{png, wide, 79, jpeg.Sub444, -1}},
		{"16 bits", []wire.Encoding{tight, q + 6}, high, Params{tight, high, 79, jpeg.Sub444, -1}},
		{"8 bits", []wire.Encoding{tight, jpg, q + 6, fine + 3}, low, Params{tight, low, -1, 0, -1}},
		{"a colour map", []wire.Encoding{tight, q + 6}, formats[15], Params{tight, formats[15], -1, 0, -1}},
		{"noVNC 1.3", []wire.Encoding{1, tight, png, 5, 2, 0, q + 6, level + 9}, wide, Params{tight, wide, 79, jpeg.Sub444, tightGradientLevel - 1}},
		{"noVNC 1.7", []wire.Encoding{1, tight, png, zrle, jpg, 5, 2, zlib, 0, q + 6, level + 9}, wide, Params{tight, wide, 79, jpeg.Sub444, 9}},
	} {
		if got := ParamsFor(c.list, c.f); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	// What differs in its loss alone is one key without it.
	a := ParamsFor([]wire.Encoding{tight, q + 2, level + 4}, wide)
	b := ParamsFor([]wire.Encoding{tight, q + 9, level + 4}, wide)
	if a == b || a.Lossless() != b.Lossless() || a.Lossless() != (Params{tight, wide, -1, 0, 4}) {
		t.Errorf("%+v and %+v without loss are %+v and %+v", a, b, a.Lossless(), b.Lossless())
	}
}
