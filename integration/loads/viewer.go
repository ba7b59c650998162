package loads

import (
	"context"
	"fmt"
	"image"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Monotonic is the machine's monotonic clock, the same in every process.
func Monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it cannot fail
	return time.Duration(t.Nano())
}

// asked is what noVNC 1.7 asks for on a screen of 24 bits, in its order, less
// the clipboard and H.264.
var asked = []wire.Encoding{
	wire.EncodingCopyRect, wire.EncodingTight, wire.EncodingTightPNG, wire.EncodingZRLE, wire.EncodingJPEG,
	wire.EncodingHextile, wire.EncodingRRE, wire.EncodingZlib, wire.EncodingRaw,
	wire.PseudoQualityLevel0 + 6, wire.PseudoCompressLevel0 + 2,
	wire.PseudoDesktopSize, wire.PseudoLastRect, wire.PseudoQEMUExtendedKeyEvent, wire.PseudoQEMULEDState,
	wire.PseudoExtendedDesktopSize, wire.PseudoFence, wire.PseudoContinuousUpdates, wire.PseudoDesktopName,
	wire.PseudoVMwareCursor, wire.PseudoCursor,
}

// Update is what a viewer notes of one FramebufferUpdate with pixels.
type Update struct {
	// At is when it had been decoded, on the monotonic clock.
	At time.Duration
	// Frame is the number that the picture shows then, -1 where the barcode
	// cannot be read or was not in the update.
	Frame int
}

// viewer is one connection. Its goroutine, read, owns the fields without
// another owner; they may be looked at once done is closed.
type viewer struct {
	conn net.Conn
	rd   *wire.Reader
	// decode says that pixels are decoded, as against passed over.
	decode   bool
	frame    *pixel.Frame
	decoders map[wire.Encoding]encoding.Decoder
	canFlow  bool // the server sends updates without requests

	lacking pixel.Region // of the first picture
	updates []Update
	samples []sample
	sampled bool // pictures are kept in samples
	err     error

	began time.Duration
	whole chan time.Duration // when the first picture was whole; room for one
	bytes atomic.Int64
	last  atomic.Int64 // when the last update with pixels ended, monotonic
	rects map[wire.Encoding]int
	done  chan struct{}
}

// sample is the picture at the moment when it showed a frame.
type sample struct {
	frame   int
	picture *pixel.Frame
}

// How often, in frames, and how many samples are taken: they cost memory, and
// time in which nothing is decoded.
const (
	sampleEvery = 11
	mostSamples = 8
)

// Read counts what comes. It is the viewer's, so that Reader reads through it.
func (v *viewer) Read(p []byte) (int, error) {
	n, err := v.conn.Read(p)
	v.bytes.Add(int64(n))
	return n, err
}

// dial connects as noVNC does and follows the server until close.
func dial(ctx context.Context, address string, decode, sampled bool) (*viewer, error) {
	v := &viewer{
		decode: decode, sampled: sampled, decoders: make(map[wire.Encoding]encoding.Decoder),
		rects: make(map[wire.Encoding]int),
		began: Monotonic(), whole: make(chan time.Duration, 1), done: make(chan struct{}),
	}
	var err error
	if v.conn, err = Dial(ctx, address); err != nil {
		return nil, err
	}
	v.rd = wire.NewReader(v, 64<<10)
	v.conn.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // the next call tells
	if err := v.handshake(); err != nil {
		v.conn.Close()
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	v.conn.SetDeadline(time.Time{}) //nolint:errcheck // the next call tells
	go v.read()
	return v, nil
}

func (v *viewer) handshake() error {
	var hello [wire.VersionLen]byte
	v.rd.Bytes("version", hello[:])
	if err := v.rd.Err(); err != nil {
		return err
	}
	if _, err := v.conn.Write(wire.Version38.Append(nil)); err != nil {
		return err
	}
	types := make([]byte, v.rd.U8("number-of-security-types"))
	v.rd.Bytes("security-types", types)
	if v.rd.Err() == nil && !slices.Contains(types, 1) {
		return errNoSecurity
	}
	if _, err := v.conn.Write([]byte{1}); err != nil {
		return err
	}
	if r := v.rd.U32("SecurityResult"); r != 0 {
		return fmt.Errorf("security result %d", r)
	}
	if _, err := v.conn.Write([]byte{1}); err != nil { // shared
		return err
	}
	m := wire.ReadServerInit(v.rd)
	if err := v.rd.Err(); err != nil {
		return err
	}
	v.frame = pixel.NewFrame(m.Width, m.Height)
	v.lacking = *pixel.RegionOf(v.frame.Rect())
	v.send(wire.SetPixelFormat{Format: rgbx})
	v.send(wire.SetEncodings{Encodings: asked})
	v.request(false)
	return nil
}

// rgbx is the format that noVNC asks for.
var rgbx = pixel.PixelFormat{
	BitsPerPixel: 32, Depth: 24, TrueColour: true, RedMax: 255, GreenMax: 255, BlueMax: 255,
	RedShift: 0, GreenShift: 8, BlueShift: 16,
}

// send sends a message; the next read tells of a connection that is gone.
func (v *viewer) send(m wire.ClientMessage) {
	_, _ = v.conn.Write(m.Append(nil))
}

func (v *viewer) request(incremental bool) {
	v.send(wire.FramebufferUpdateRequest{Incremental: incremental, Rect: v.frame.Rect()})
}

// read follows the server until the connection ends.
func (v *viewer) read() {
	defer close(v.done)
	for v.rd.Err() == nil {
		switch t := wire.ServerMessageType(v.rd.Next()); {
		case v.rd.Err() != nil:
		case t == wire.TypeFramebufferUpdate:
			v.update()
		case t == wire.TypeSetColourMapEntries:
			wire.ReadSetColourMapEntries(v.rd)
		case t == wire.TypeServerCutText:
			wire.ReadServerCutText(v.rd, false)
		case t == wire.TypeBell:
		case t == wire.TypeEndOfContinuousUpdates:
			if !v.canFlow {
				v.canFlow = true
				v.send(wire.EnableContinuousUpdates{Enable: true, Rect: v.frame.Rect()})
			}
		case t == wire.TypeServerFence:
			if f := wire.ReadFence(v.rd); f.Flags&wire.FenceRequest != 0 {
				f.Flags &= wire.FenceSupported
				v.send(f)
			}
		default:
			v.rd.Failf("message type %d is not known", t)
		}
	}
	v.err = v.rd.Err()
}

// update reads a FramebufferUpdate.
func (v *viewer) update() {
	n := wire.ReadFramebufferUpdate(v.rd).Rects
	pixels, touched := false, false
	for i := 0; (n == wire.MaxRects || i < n) && v.rd.Err() == nil; i++ {
		h := wire.ReadRectangleHeader(v.rd)
		if h.Encoding == wire.PseudoLastRect {
			break
		}
		if v.rect(h) {
			pixels = true
			touched = touched || h.Rect.Overlaps(Barcode)
		}
	}
	if v.rd.Err() != nil {
		return
	}
	if !v.canFlow {
		v.request(true)
	}
	if !pixels {
		return
	}
	u := Update{At: Monotonic(), Frame: -1}
	v.last.Store(int64(u.At))
	if v.lacking.Empty() {
		select {
		case v.whole <- u.At - v.began:
		default:
		}
	}
	switch number, ok := ReadBarcode(v.frame); {
	case !touched:
		return
	case !v.decode:
		u.Frame = len(v.updates) // no more is known than that it is another one
	case ok:
		u.Frame = int(number)
		v.sample(number)
	}
	v.updates = append(v.updates, u)
}

// sample keeps the picture where the last one kept is old enough.
func (v *viewer) sample(number uint16) {
	if !v.sampled || number == 0 || len(v.samples) == mostSamples {
		return
	}
	if n := len(v.samples); n > 0 && int(number) < v.samples[n-1].frame+sampleEvery {
		return
	}
	v.samples = append(v.samples, sample{int(number), v.frame.Clone()})
}

// rect reads one rectangle and reports whether it was of the picture.
func (v *viewer) rect(h wire.RectangleHeader) (pixels bool) {
	var err error
	switch h.Encoding {
	case wire.PseudoDesktopSize:
		v.sized(h.Rect.Dx(), h.Rect.Dy())
	case wire.PseudoExtendedDesktopSize:
		m := wire.ReadExtendedDesktopSize(v.rd, h)
		v.sized(m.Width, m.Height)
	case wire.PseudoDesktopName:
		wire.ReadDesktopName(v.rd)
	case wire.PseudoQEMUExtendedKeyEvent:
	case wire.PseudoQEMULEDState:
		v.rd.U8("led-state")
	case wire.PseudoCursor:
		_, err = encoding.DecodeCursor(v.rd, h, rgbx)
	case wire.PseudoVMwareCursor:
		_, err = encoding.DecodeVMwareCursor(v.rd, h, rgbx)
	default:
		v.rects[h.Encoding]++
		err = v.pixels(h.Encoding, h.Rect)
		pixels = err == nil
	}
	if err != nil {
		v.rd.Fail(err) // read looks
	}
	return pixels
}

// sized sees to it that the size is the one that the viewer began with, which
// it is in every load.
func (v *viewer) sized(width, height int) {
	if width != v.frame.Width || height != v.frame.Height {
		v.rd.Failf("the size changed from %dx%d to %dx%d", v.frame.Width, v.frame.Height, width, height)
	}
}

func (v *viewer) pixels(e wire.Encoding, r image.Rectangle) error {
	if !v.decode {
		if !v.lacking.Empty() {
			v.lacking.Subtract(pixel.RegionOf(r))
		}
		return skip(v.rd, e, r)
	}
	if !r.In(v.frame.Rect()) {
		return wire.Errorf("rectangle %v in a picture of %v", r, v.frame.Rect())
	}
	d := v.decoders[e]
	if d == nil {
		row := encoding.ByNumber(e)
		if row == nil {
			return wire.Errorf("encoding %v is not known", e)
		}
		d = row.NewDecoder()
		v.decoders[e] = d
	}
	if !v.lacking.Empty() {
		v.lacking.Subtract(pixel.RegionOf(r))
	}
	return d.Decode(v.rd, v.frame, r, rgbx)
}

// close ends the connection and waits for the goroutine.
func (v *viewer) close() {
	v.conn.Close()
	<-v.done
}
