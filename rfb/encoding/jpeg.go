package encoding

import (
	"bytes"
	"image"
	"image/jpeg"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// decodeJPEG paints a JPEG picture that must have the size of r.
func decodeJPEG(dst *pixel.Frame, r image.Rectangle, data []byte) error {
	cfg, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err := sameSize(cfg, err, r); err != nil {
		return err
	}
	m, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	dst.Draw(r, m)
	return nil
}
