package rfbtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"time"

	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Patience is how long a Viewer waits for the server before it calls the test
// failed: longer than any busy machine needs.
const Patience = time.Minute

// Viewer is a scripted RFB viewer: it sends what it is told and reads one
// message at a time, so that a test decides what happens when. It is used
// from one goroutine.
type Viewer struct {
	Conn net.Conn
	// Frame is the picture as decoded so far.
	Frame *pixel.Frame
	// Name is the desktop's.
	Name string
	// Format is what SetPixelFormat asked for.
	Format pixel.PixelFormat
	// Cursor is the last shape that came, nil before.
	Cursor *pixel.Cursor
	// Count has the rectangles that came, by encoding.
	Count map[wire.Encoding]int
	// Sizes are the ExtendedDesktopSize rectangles that came.
	Sizes []wire.ExtendedDesktopSize
	// AnswerFences makes ReadMessage answer what the server asks.
	AnswerFences bool
	// Messages counts server messages by type.
	Messages map[wire.ServerMessageType]int

	rd       *wire.Reader
	decoders map[wire.Encoding]encoding.Decoder
}

// NewViewer shakes hands (version 3.8, security None, shared) on conn.
func NewViewer(conn net.Conn) (*Viewer, error) {
	v := &Viewer{
		Conn: conn, Format: pixel.RGB888, rd: wire.NewReader(conn, 4096), AnswerFences: true,
		Count: make(map[wire.Encoding]int), Messages: make(map[wire.ServerMessageType]int),
		decoders: make(map[wire.Encoding]encoding.Decoder),
	}
	v.patience()
	var hello [wire.VersionLen]byte
	v.rd.Bytes("version", hello[:])
	if string(hello[:]) != "RFB 003.008\n" && v.rd.Err() == nil {
		return nil, fmt.Errorf("version %q", hello)
	}
	if err := v.write(hello[:]); err != nil {
		return nil, err
	}
	types := make([]byte, v.rd.U8("number-of-security-types"))
	v.rd.Bytes("security-types", types)
	if err := v.write([]byte{1}); err != nil {
		return nil, err
	}
	if r := v.rd.U32("SecurityResult"); r != 0 {
		return nil, fmt.Errorf("security result %d", r)
	}
	if err := v.write([]byte{1}); err != nil {
		return nil, err
	}
	m := wire.ReadServerInit(v.rd)
	v.Name = m.Name
	v.Frame = pixel.NewFrame(max(1, m.Width), max(1, m.Height))
	return v, v.rd.Err()
}

func (v *Viewer) patience() {
	v.Conn.SetDeadline(time.Now().Add(Patience)) //nolint:errcheck // the next call tells
}

func (v *Viewer) write(b []byte) error {
	v.patience()
	_, err := v.Conn.Write(b)
	return err
}

// Send sends a message. SetPixelFormat is remembered.
func (v *Viewer) Send(m wire.ClientMessage) error {
	if f, ok := m.(wire.SetPixelFormat); ok {
		v.Format = f.Format
	}
	return v.write(m.Append(nil))
}

// Request asks for the whole picture.
func (v *Viewer) Request(incremental bool) error {
	return v.Send(wire.FramebufferUpdateRequest{Incremental: incremental, Rect: v.Frame.Rect()})
}

// ReadMessage reads one message of the server into the viewer's state and
// returns its type.
func (v *Viewer) ReadMessage() (wire.ServerMessageType, error) {
	v.patience()
	t := wire.ServerMessageType(v.rd.Next())
	if err := v.rd.Err(); err != nil {
		return 0, err
	}
	switch t {
	case wire.TypeFramebufferUpdate:
		n := wire.ReadFramebufferUpdate(v.rd).Rects
		for i := 0; (n == wire.MaxRects || i < n) && v.rd.Err() == nil; i++ {
			if last := v.rect(); last {
				break
			}
		}
	case wire.TypeSetColourMapEntries:
		wire.ReadSetColourMapEntries(v.rd)
	case wire.TypeServerCutText:
		wire.ReadServerCutText(v.rd)
	case wire.TypeBell, wire.TypeEndOfContinuousUpdates:
	case wire.TypeServerFence:
		f := wire.ReadFence(v.rd)
		if v.AnswerFences && f.Flags&wire.FenceRequest != 0 {
			f.Flags &= wire.FenceSupported
			if err := v.Send(f); err != nil {
				return t, err
			}
		}
	default:
		v.rd.Failf("message type %d is not known", t)
	}
	v.Messages[t]++
	return t, v.rd.Err()
}

// ReadUpdate reads messages up to and with the next FramebufferUpdate.
func (v *Viewer) ReadUpdate() error {
	for {
		t, err := v.ReadMessage()
		if err != nil || t == wire.TypeFramebufferUpdate {
			return err
		}
	}
}

// Await requests and reads updates until the picture is want. It fails where
// the server has nothing more to send within Patience.
func (v *Viewer) Await(want *pixel.Frame) error {
	for !v.Frame.Equal(want) {
		if err := v.Request(true); err != nil {
			return err
		}
		if err := v.ReadUpdate(); err != nil {
			return fmt.Errorf("the picture is not the one wanted (%s), and: %w", Difference(v.Frame, want), err)
		}
	}
	return nil
}

// rect reads one rectangle and reports whether it was a LastRect.
func (v *Viewer) rect() (last bool) {
	h := wire.ReadRectangleHeader(v.rd)
	if v.rd.Err() != nil {
		return false
	}
	v.Count[h.Encoding]++
	var err error
	switch h.Encoding {
	case wire.PseudoLastRect:
		return true
	case wire.PseudoDesktopSize:
		v.resize(h.Rect.Dx(), h.Rect.Dy())
	case wire.PseudoExtendedDesktopSize:
		m := wire.ReadExtendedDesktopSize(v.rd, h)
		v.Sizes = append(v.Sizes, m)
		if m.Result == wire.ResizeDone {
			v.resize(m.Width, m.Height)
		}
	case wire.PseudoDesktopName:
		v.Name = wire.ReadDesktopName(v.rd)
	case wire.PseudoQEMUExtendedKeyEvent:
	case wire.PseudoQEMULEDState:
		v.rd.U8("led-state")
	case wire.PseudoCursor:
		v.Cursor, err = encoding.DecodeCursor(v.rd, h, v.Format)
	case wire.PseudoVMwareCursor:
		v.Cursor, err = encoding.DecodeVMwareCursor(v.rd, h, v.Format)
	default:
		err = v.pixels(h)
	}
	if err != nil {
		v.rd.Fail(err) // looked at by ReadMessage
	}
	return false
}

func (v *Viewer) resize(width, height int) {
	if width != v.Frame.Width || height != v.Frame.Height {
		v.Frame = pixel.NewFrame(width, height)
	}
}

func (v *Viewer) pixels(h wire.RectangleHeader) error {
	if !h.Rect.In(v.Frame.Rect()) || h.Rect.Empty() {
		return wire.Errorf("rectangle %v in a picture of %v", h.Rect, v.Frame.Rect())
	}
	d := v.decoders[h.Encoding]
	if d == nil {
		row := encoding.ByNumber(h.Encoding)
		if row == nil {
			return wire.Errorf("encoding %v is not known", h.Encoding)
		}
		d = row.NewDecoder()
		v.decoders[h.Encoding] = d
	}
	return d.Decode(v.rd, v.Frame, h.Rect, v.Format)
}

// Difference says in words where two pictures differ.
func Difference(got, want *pixel.Frame) string {
	if got.Width != want.Width || got.Height != want.Height {
		return fmt.Sprintf("%dx%d instead of %dx%d pixels", got.Width, got.Height, want.Width, want.Height)
	}
	var g pixel.Region
	first := ""
	for y := range want.Height {
		for x := range want.Width {
			if a, b := got.Pixel(x, y), want.Pixel(x, y); a != b {
				if first == "" {
					first = fmt.Sprintf("first at (%d,%d): %06x instead of %06x", x, y, a, b)
				}
				g.Add(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	if first == "" {
		return "none"
	}
	return fmt.Sprintf("%d pixels in %v differ, %s", g.Area(), g.Bounds(), first)
}

// Garbage writes n pseudo-random bytes from seed to conn until it fails.
func Garbage(conn io.Writer, seed uint64, n int) error {
	b := make([]byte, 0, n+8)
	for x := seed | 1; len(b) < n; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	_, err := conn.Write(b[:n])
	if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}
