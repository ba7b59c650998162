package wire

import (
	"encoding/binary"
	"image"
)

// PointerEvent (5, rfbproto 7.5.5): U8 button-mask, U16 x, U16 y. With the
// ExtendedMouseButtons pseudo-encoding and bit 7 of the mask set, U8 of
// further buttons follows. With QEMU's pointer motion x and y are motion.
type PointerEvent struct {
	// Buttons has bit n for button n+1, nine of them at most: seven in the
	// plain form where the extended one is possible, otherwise eight.
	Buttons uint16
	X, Y    int
	// Extended is the longer form.
	Extended bool
}

const (
	pointerExtended = 0x80  // in button-mask: the longer form
	pointerButtons  = 0x1ff // that are defined
)

// Append appends the message.
func (m PointerEvent) Append(b []byte) []byte {
	mask := byte(m.Buttons)
	if m.Extended {
		mask |= pointerExtended
	}
	b = append(b, byte(TypePointerEvent), mask)
	b = binary.BigEndian.AppendUint16(b, uint16(m.X))
	b = binary.BigEndian.AppendUint16(b, uint16(m.Y))
	if m.Extended {
		b = append(b, byte(m.Buttons&pointerButtons>>7))
	}
	return b
}

func readPointerEvent(r *Reader, extended bool) PointerEvent {
	m := PointerEvent{Buttons: uint16(r.U8("button-mask")), X: int(r.U16("x-position")), Y: int(r.U16("y-position"))}
	if extended && m.Buttons&pointerExtended != 0 {
		m.Extended = true
		m.Buttons = m.Buttons&^pointerExtended | uint16(r.U8("extended-buttons-mask"))<<7&pointerButtons
	}
	return m
}

// motionless is what x and y are without motion (rfbproto 7.8, "QEMU Pointer
// Motion Change").
const motionless = 0x7fff

// PointerMotion returns the event of a pointer that moved by that many pixels,
// as far as the message can say.
func PointerMotion(buttons uint16, by image.Point) PointerEvent {
	clip := func(v int) int { return motionless + max(-MaxSide+1, min(v, MaxSide-1)) }
	return PointerEvent{Buttons: buttons, X: clip(by.X), Y: clip(by.Y)}
}

// Motion is by how many pixels the pointer moved, where the event says motion.
// It cannot where a coordinate is one of a picture, which tells what was sent
// before a change of mode from what was sent after it.
func (m PointerEvent) Motion() (by image.Point, ok bool) {
	return image.Pt(m.X-motionless, m.Y-motionless), m.X >= MaxSide && m.Y >= MaxSide
}

// AppendPointerMotion appends a rectangle of the pseudo-encoding -257
// (rfbproto 7.8, "QEMU Pointer Motion Change"), which asks for positions or
// for motion: x-position is 1 or 0.
func AppendPointerMotion(b []byte, relative bool) []byte {
	x := 1 - int(flag(relative))
	return RectangleHeader{image.Rect(x, 0, x, 0), PseudoQEMUPointerMotion}.Append(b)
}

// PointerRelative reports whether a rectangle of that pseudo-encoding with
// header h asks for motion.
func PointerRelative(h RectangleHeader) bool { return h.Rect.Min.X == 0 }

// AppendCursorPosition appends a rectangle of the VMware Cursor Position
// pseudo-encoding (rfbproto 7.8), whose x-position and y-position are where
// the pointer is.
func AppendCursorPosition(b []byte, at image.Point) []byte {
	return RectangleHeader{image.Rectangle{Min: at, Max: at}, PseudoVMwareCursorPosition}.Append(b)
}
