package wire

import "encoding/binary"

// QEMUExtendedKeyEvent (255, sub-type 0, rfbproto 7.5.8): U16 down-flag, U32
// keysym, U32 keycode.
type QEMUExtendedKeyEvent struct {
	Down            bool
	Keysym, Keycode uint32
}

// Append appends the message.
func (m QEMUExtendedKeyEvent) Append(b []byte) []byte {
	b = append(b, byte(TypeQEMUClient), 0, 0, flag(m.Down))
	b = binary.BigEndian.AppendUint32(b, m.Keysym)
	return binary.BigEndian.AppendUint32(b, m.Keycode)
}

func readQEMU(r *Reader) ClientMessage {
	if t := r.U8("submessage-type"); t != 0 {
		r.Failf("QEMU message %d is not known", t)
		return nil
	}
	return QEMUExtendedKeyEvent{r.U16("down-flag") != 0, r.U32("keysym"), r.U32("keycode")}
}

// AppendLEDState appends a rectangle of the QEMU LED State pseudo-encoding
// (rfbproto 7.8): U8 of lights.
func AppendLEDState(b []byte, lights uint8) []byte {
	return append(RectangleHeader{Encoding: PseudoQEMULEDState}.Append(b), lights)
}

// ReadLEDState reads the rectangle after its header.
func ReadLEDState(r *Reader) uint8 { return r.U8("led-state") }

// AppendVMwareLEDState appends a rectangle of the VMware LED State
// pseudo-encoding (rfbproto 7.8): U32 of the same lights.
func AppendVMwareLEDState(b []byte, lights uint8) []byte {
	return binary.BigEndian.AppendUint32(RectangleHeader{Encoding: PseudoVMwareLEDState}.Append(b), uint32(lights))
}

// ReadVMwareLEDState reads the rectangle after its header; the reserved bits
// are dropped.
func ReadVMwareLEDState(r *Reader) uint8 { return uint8(r.U32("led-flags") & 7) }
