package wire

import (
	"encoding/binary"
	"image"
)

// RectangleHeader begins each rectangle of a FramebufferUpdate (rfbproto
// 7.6.1): U16 x-position, U16 y-position, U16 width, U16 height, S32
// encoding-type. Pseudo-encodings give the four numbers other meanings.
type RectangleHeader struct {
	Rect     image.Rectangle
	Encoding Encoding
}

// Append appends the twelve bytes of the header.
func (h RectangleHeader) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(h.Rect.Min.X))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Rect.Min.Y))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Rect.Dx()))
	b = binary.BigEndian.AppendUint16(b, uint16(h.Rect.Dy()))
	return binary.BigEndian.AppendUint32(b, uint32(h.Encoding))
}

// ReadRectangleHeader reads a header. Errors are the Reader's.
func ReadRectangleHeader(r *Reader) RectangleHeader {
	x, y := int(r.U16("x-position")), int(r.U16("y-position"))
	w, h := int(r.U16("width")), int(r.U16("height"))
	return RectangleHeader{image.Rect(x, y, x+w, y+h), Encoding(r.S32("encoding-type"))}
}
