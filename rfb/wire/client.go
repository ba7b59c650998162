package wire

import (
	"encoding/binary"
	"image"
	"slices"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// ClientMessageType is the first byte of a client-to-server message (rfbproto
// 7.5).
type ClientMessageType uint8

// Client-to-server messages.
const (
	TypeSetPixelFormat           ClientMessageType = 0
	TypeSetEncodings             ClientMessageType = 2
	TypeFramebufferUpdateRequest ClientMessageType = 3
	TypeKeyEvent                 ClientMessageType = 4
	TypePointerEvent             ClientMessageType = 5
	TypeClientCutText            ClientMessageType = 6
	TypeEnableContinuousUpdates  ClientMessageType = 150
	TypeClientFence              ClientMessageType = 248
	TypeClientXVP                ClientMessageType = 250
	TypeSetDesktopSize           ClientMessageType = 251
	TypeQEMUClient               ClientMessageType = 255
)

// ClientMessage is any message from a client.
type ClientMessage interface {
	// Append appends the whole message, its type included.
	Append(b []byte) []byte
}

// SetPixelFormat (0, rfbproto 7.5.1): 3 bytes of padding, PIXEL_FORMAT.
type SetPixelFormat struct{ Format pixel.PixelFormat }

// Append appends the message.
func (m SetPixelFormat) Append(b []byte) []byte {
	return AppendPixelFormat(append(b, byte(TypeSetPixelFormat), 0, 0, 0), m.Format)
}

// SetEncodings (2, rfbproto 7.5.2): 1 byte of padding, U16 number, S32 each.
type SetEncodings struct{ Encodings []Encoding }

// Append appends the message.
func (m SetEncodings) Append(b []byte) []byte {
	b = append(b, byte(TypeSetEncodings), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Encodings)))
	for _, e := range m.Encodings {
		b = binary.BigEndian.AppendUint32(b, uint32(e))
	}
	return b
}

// FramebufferUpdateRequest (3, rfbproto 7.5.3): U8 incremental, U16
// x-position, U16 y-position, U16 width, U16 height.
type FramebufferUpdateRequest struct {
	Incremental bool
	Rect        image.Rectangle
}

// Append appends the message.
func (m FramebufferUpdateRequest) Append(b []byte) []byte {
	return appendRect(append(b, byte(TypeFramebufferUpdateRequest), flag(m.Incremental)), m.Rect)
}

// KeyEvent (4, rfbproto 7.5.4): U8 down-flag, 2 bytes of padding, U32 key.
type KeyEvent struct {
	Down   bool
	Keysym uint32
}

// Append appends the message.
func (m KeyEvent) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(TypeKeyEvent), flag(m.Down), 0, 0), m.Keysym)
}

// EnableContinuousUpdates (150, rfbproto 7.5.7): U8 enable-flag, U16
// x-position, U16 y-position, U16 width, U16 height.
type EnableContinuousUpdates struct {
	Enable bool
	Rect   image.Rectangle
}

// Append appends the message.
func (m EnableContinuousUpdates) Append(b []byte) []byte {
	return appendRect(append(b, byte(TypeEnableContinuousUpdates), flag(m.Enable)), m.Rect)
}

// Flags of a Fence (rfbproto 7.5.9).
const (
	FenceBlockBefore uint32 = 1 << 0
	FenceBlockAfter  uint32 = 1 << 1
	FenceSyncNext    uint32 = 1 << 2
	FenceRequest     uint32 = 1 << 31
	FenceSupported          = FenceBlockBefore | FenceBlockAfter | FenceSyncNext
)

// MaxFencePayload is the longest payload of a Fence in bytes.
const MaxFencePayload = 64

// Fence (248 both ways, rfbproto 7.5.9 and 7.6.7): 3 bytes of padding, U32
// flags, U8 length, payload.
type Fence struct {
	Flags   uint32
	Payload []byte
}

// Append appends the message.
func (m Fence) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(append(b, byte(TypeClientFence), 0, 0, 0), m.Flags)
	return append(append(b, byte(len(m.Payload))), m.Payload...)
}

// ReadFence reads a Fence after its type.
func ReadFence(r *Reader) Fence {
	r.Skip("padding", 3)
	f := Fence{Flags: r.U32("flags")}
	f.Payload = r.Chunk("payload", uint32(r.U8("length")), MaxFencePayload)
	return f
}

// Screen is one SCREEN of ExtendedDesktopSize (rfbproto 7.8.14): U32 id, U16
// x-position, U16 y-position, U16 width, U16 height, U32 flags.
type Screen struct {
	ID    uint32
	Rect  image.Rectangle
	Flags uint32
}

func appendScreens(b []byte, screens []Screen) []byte {
	for _, s := range screens {
		b = appendRect(binary.BigEndian.AppendUint32(b, s.ID), s.Rect)
		b = binary.BigEndian.AppendUint32(b, s.Flags)
	}
	return b
}

func readScreens(r *Reader, n uint8) []Screen {
	if r.err != nil {
		return nil
	}
	s := make([]Screen, 0, n)
	for range n {
		id := r.U32("screen id")
		rect := readRect(r)
		s = append(s, Screen{id, rect, r.U32("screen flags")})
	}
	return s
}

// SetDesktopSize (251, rfbproto 7.5.10): 1 byte of padding, U16 width, U16
// height, U8 number-of-screens, 1 byte of padding, SCREEN each.
type SetDesktopSize struct {
	Width, Height int
	Screens       []Screen
}

// Append appends the message.
func (m SetDesktopSize) Append(b []byte) []byte {
	b = append(b, byte(TypeSetDesktopSize), 0)
	b = binary.BigEndian.AppendUint16(b, uint16(m.Width))
	b = binary.BigEndian.AppendUint16(b, uint16(m.Height))
	return appendScreens(append(b, byte(len(m.Screens)), 0), m.Screens)
}

// ClientReader reads a client's messages. It remembers what the client's last
// SetEncodings listed, for the form of some messages depends on it. It is
// owned by the goroutine that reads the connection.
type ClientReader struct {
	r *Reader

	buttons   bool // ExtendedMouseButtons was listed
	clipboard bool // ExtendedClipboard was listed
}

// NewClientReader returns a ClientReader of a connection on which nothing was
// listed yet.
func NewClientReader(r *Reader) *ClientReader { return &ClientReader{r: r} }

// Read reads one message. At the end of the stream between two messages the
// error is io.EOF; a type that is not known ends the connection, for its
// length is not known either.
func (c *ClientReader) Read() (ClientMessage, error) {
	r := c.r
	var m ClientMessage
	switch t := ClientMessageType(r.Next()); {
	case r.err != nil:
	case t == TypeSetPixelFormat:
		r.Skip("padding", 3)
		m = SetPixelFormat{ReadPixelFormat(r)}
	case t == TypeSetEncodings:
		list := readSetEncodings(r)
		c.buttons = slices.Contains(list.Encodings, PseudoExtendedMouseButtons)
		c.clipboard = slices.Contains(list.Encodings, PseudoExtendedClipboard)
		m = list
	case t == TypeFramebufferUpdateRequest:
		m = FramebufferUpdateRequest{r.Bool("incremental"), readRect(r)}
	case t == TypeKeyEvent:
		down := r.Bool("down-flag")
		r.Skip("padding", 2)
		m = KeyEvent{down, r.U32("key")}
	case t == TypePointerEvent:
		m = readPointerEvent(r, c.buttons)
	case t == TypeClientCutText:
		m = ClientCutText(readCutText(r, c.clipboard))
	case t == TypeEnableContinuousUpdates:
		m = EnableContinuousUpdates{r.Bool("enable-flag"), readRect(r)}
	case t == TypeClientFence:
		m = ReadFence(r)
	case t == TypeClientXVP:
		r.Skip("padding", 1)
		m = ClientXVP{r.U8("xvp-version"), r.U8("xvp-message-code")}
	case t == TypeSetDesktopSize:
		m = readSetDesktopSize(r)
	case t == TypeQEMUClient:
		m = readQEMU(r)
	default:
		r.Failf("message type %d is not known", t)
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

func readSetEncodings(r *Reader) SetEncodings {
	r.Skip("padding", 1)
	n := int(r.U16("number-of-encodings"))
	if n > MaxEncodings {
		r.Failf("SetEncodings lists %d encodings, more than the %d allowed", n, MaxEncodings)
	}
	if r.err != nil {
		return SetEncodings{}
	}
	m := SetEncodings{make([]Encoding, 0, n)}
	for range n {
		m.Encodings = append(m.Encodings, Encoding(r.S32("encoding-type")))
	}
	return m
}

func readSetDesktopSize(r *Reader) SetDesktopSize {
	r.Skip("padding", 1)
	m := SetDesktopSize{Width: int(r.U16("width")), Height: int(r.U16("height"))}
	n := r.U8("number-of-screens")
	r.Skip("padding", 1)
	m.Screens = readScreens(r, n)
	return m
}

func appendRect(b []byte, r image.Rectangle) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(r.Min.X))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Min.Y))
	b = binary.BigEndian.AppendUint16(b, uint16(r.Dx()))
	return binary.BigEndian.AppendUint16(b, uint16(r.Dy()))
}

func readRect(r *Reader) image.Rectangle {
	x, y := int(r.U16("x-position")), int(r.U16("y-position"))
	w, h := int(r.U16("width")), int(r.U16("height"))
	return image.Rect(x, y, x+w, y+h)
}
