package wire

import (
	"encoding/binary"
	"image"
)

// ServerMessageType is the first byte of a server-to-client message (rfbproto
// 7.6).
type ServerMessageType uint8

// Server-to-client messages.
const (
	TypeFramebufferUpdate      ServerMessageType = 0
	TypeSetColourMapEntries    ServerMessageType = 1
	TypeBell                   ServerMessageType = 2
	TypeServerCutText          ServerMessageType = 3
	TypeEndOfContinuousUpdates ServerMessageType = 150
	TypeServerFence            ServerMessageType = 248
	TypeServerXVP              ServerMessageType = 250
)

// MaxRects is the most rectangles that one FramebufferUpdate counts. The same
// number says that a LastRect ends the update (rfbproto 7.8.5).
const MaxRects = 0xffff

// FramebufferUpdate is the head of the message (0, rfbproto 7.6.1): 1 byte of
// padding, U16 number-of-rectangles; the rectangles follow.
type FramebufferUpdate struct{ Rects int }

// Append appends the head.
func (m FramebufferUpdate) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint16(append(b, byte(TypeFramebufferUpdate), 0), uint16(m.Rects))
}

// ReadFramebufferUpdate reads the head after its type.
func ReadFramebufferUpdate(r *Reader) FramebufferUpdate {
	r.Skip("padding", 1)
	return FramebufferUpdate{int(r.U16("number-of-rectangles"))}
}

// Colour is one entry of a colour map, 16 bits a component.
type Colour struct{ R, G, B uint16 }

// SetColourMapEntries (1, rfbproto 7.6.2): 1 byte of padding, U16
// first-colour, U16 number-of-colours, three U16 each.
type SetColourMapEntries struct {
	First   int
	Colours []Colour
}

// Append appends the message.
func (m SetColourMapEntries) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, byte(TypeSetColourMapEntries), 0), uint16(m.First))
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Colours)))
	for _, c := range m.Colours {
		b = binary.BigEndian.AppendUint16(b, c.R)
		b = binary.BigEndian.AppendUint16(b, c.G)
		b = binary.BigEndian.AppendUint16(b, c.B)
	}
	return b
}

// ReadSetColourMapEntries reads the message after its type.
func ReadSetColourMapEntries(r *Reader) SetColourMapEntries {
	r.Skip("padding", 1)
	m := SetColourMapEntries{First: int(r.U16("first-colour"))}
	n := r.U16("number-of-colours")
	for i := 0; i < int(n) && r.err == nil; i++ {
		m.Colours = append(m.Colours, Colour{r.U16("red"), r.U16("green"), r.U16("blue")})
	}
	return m
}

// AppendBell appends a Bell (2, rfbproto 7.6.3).
func AppendBell(b []byte) []byte { return append(b, byte(TypeBell)) }

// AppendEndOfContinuousUpdates appends the message of one byte (150, rfbproto
// 7.6.5) that says that continuous updates are supported, or have ended.
func AppendEndOfContinuousUpdates(b []byte) []byte {
	return append(b, byte(TypeEndOfContinuousUpdates))
}

// Reasons and results of an ExtendedDesktopSize (rfbproto 7.8.14).
const (
	ResizeByServer      = 0
	ResizeByThisClient  = 1
	ResizeByOtherClient = 2

	ResizeDone          = 0
	ResizeProhibited    = 1
	ResizeOutOfResource = 2
	ResizeInvalid       = 3
	ResizeForwarded     = 4
)

// ExtendedDesktopSize is a rectangle of the pseudo-encoding -308 (rfbproto
// 7.8.14): the reason and the result in place of the position, then U8
// number-of-screens, 3 bytes of padding, SCREEN each.
type ExtendedDesktopSize struct {
	Reason, Result int
	Width, Height  int
	Screens        []Screen
}

// Append appends the rectangle with its header.
func (m ExtendedDesktopSize) Append(b []byte) []byte {
	b = RectangleHeader{
		image.Rect(m.Reason, m.Result, m.Reason+m.Width, m.Result+m.Height),
		PseudoExtendedDesktopSize,
	}.Append(b)
	return appendScreens(append(b, byte(len(m.Screens)), 0, 0, 0), m.Screens)
}

// ReadExtendedDesktopSize reads the rectangle after its header h.
func ReadExtendedDesktopSize(r *Reader, h RectangleHeader) ExtendedDesktopSize {
	m := ExtendedDesktopSize{Reason: h.Rect.Min.X, Result: h.Rect.Min.Y, Width: h.Rect.Dx(), Height: h.Rect.Dy()}
	n := r.U8("number-of-screens")
	r.Skip("padding", 3)
	m.Screens = readScreens(r, n)
	return m
}

// AppendDesktopName appends a rectangle of the pseudo-encoding -307 (rfbproto
// 7.8.13): U32 length, name in UTF-8.
func AppendDesktopName(b []byte, name string) []byte {
	b = RectangleHeader{Encoding: PseudoDesktopName}.Append(b)
	b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
	return append(b, name...)
}

// ReadDesktopName reads the rectangle after its header.
func ReadDesktopName(r *Reader) string {
	return string(r.Chunk("name-string", r.U32("name-length"), MaxName))
}
