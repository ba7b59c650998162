package rfb

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// session is one connection of a Client. Fields without another owner in
// their comment belong to Run's goroutine.
type session struct {
	c    *Client
	d    *Desktop
	conn net.Conn
	rd   *wire.Reader

	out  chan outgoing // to the writer, who is the only reader
	done chan struct{} // closed when Run ends

	format   pixel.PixelFormat
	decoders map[wire.Encoding]encoding.Decoder
	lacking  pixel.Region // of the first picture, what has not come yet
	live     bool
	shown    bool // the size was announced; written with Client.mu held

	canContinuous bool
	missed        atomic.Bool   // Grab failed and waits for the end of the update
	grabbed       chan struct{} // holds a token when Grab has caught up

	queued atomic.Int64 // bytes in out

	// What the server has said that it can do.
	extendedKeys, extendedButtons, extendedSize, xvp, fences atomic.Bool

	relative atomic.Bool // the server wants motion
	placeMu  sync.Mutex
	place    place // of the pointer; guarded by placeMu
	size     sizeAsk
	power    powerAsk
	clip     sessionClipboard
}

// Bounds of a session.
const (
	outQueue = 256     // messages that wait for the writer
	outBytes = 8 << 20 // likewise
	// catchUp is how long the next update is held back for a Grab that came
	// in the middle of the last one, so that a stream of updates without a
	// pause cannot keep the picture from being looked at.
	catchUp     = 50 * time.Millisecond
	sendTimeout = 10 * time.Second
)

// clientPseudos are the pseudo-encodings that a Client understands.
var clientPseudos = []wire.Encoding{
	wire.PseudoExtendedDesktopSize, wire.PseudoDesktopSize, wire.PseudoLastRect, wire.PseudoDesktopName,
	wire.PseudoFence, wire.PseudoContinuousUpdates, wire.PseudoQEMUExtendedKeyEvent, wire.PseudoQEMULEDState,
	wire.PseudoVMwareCursor, wire.PseudoCursorWithAlpha, wire.PseudoCursor, wire.PseudoXCursor,
	wire.PseudoVMwareCursorPosition, wire.PseudoVMwareLEDState, wire.PseudoQEMUPointerMotion,
	wire.PseudoExtendedMouseButtons, wire.PseudoExtendedClipboard, wire.PseudoXVP,
}

func newSession(c *Client, d *Desktop, conn net.Conn, rd *wire.Reader, init wire.ServerInit) *session {
	s := &session{
		c: c, d: d, conn: conn, rd: rd,
		out: make(chan outgoing, outQueue), done: make(chan struct{}),
		format: pixel.RGB888, decoders: make(map[wire.Encoding]encoding.Decoder),
		grabbed: make(chan struct{}, 1),
		size:    newSizeAsk(), power: newPowerAsk(),
	}
	if c.cfg.Recorded {
		s.format = init.Format
	}
	s.resize(init.Width, init.Height)
	return s
}

// start asks for the picture.
func (s *session) start(encodings []wire.Encoding) {
	s.send(wire.SetPixelFormat{Format: s.format})
	s.send(wire.SetEncodings{Encodings: slices.Concat(encodings, clientPseudos)})
	s.request(false)
}

func (s *session) request(incremental bool) {
	s.send(wire.FramebufferUpdateRequest{Incremental: incremental, Rect: s.c.frame.Rect()})
}

// send queues a message. Where the server has stopped reading for so long
// that the queue is full, the connection is lost.
func (s *session) send(m wire.ClientMessage) {
	if s.c.cfg.Recorded {
		return
	}
	b := m.Append(nil)
	if s.queued.Add(int64(len(b))) > outBytes {
		s.conn.Close() // Run tells
		return
	}
	select {
	case s.out <- outgoing{bytes: b}:
	case <-s.done:
	default:
		s.conn.Close() // Run tells
	}
}

// outgoing is a message to the server, or a mark between messages that is
// closed when all before it are written.
type outgoing struct {
	bytes   []byte
	written chan<- struct{}
}

// write is the writer's goroutine. It ends when Run does or the connection
// fails.
func (s *session) write() {
	for {
		select {
		case o := <-s.out:
			if o.written != nil {
				close(o.written)
				continue
			}
			s.queued.Add(-int64(len(o.bytes)))
			s.conn.SetWriteDeadline(time.Now().Add(sendTimeout)) //nolint:errcheck // the write tells
			if _, err := s.conn.Write(o.bytes); err != nil {
				s.conn.Close() // ends Run
				return
			}
		case <-s.done:
			return
		}
	}
}

// read handles the server's messages until the connection ends.
func (s *session) read() error {
	for {
		t := s.rd.Next()
		if s.rd.Err() == nil {
			s.message(wire.ServerMessageType(t))
		}
		switch err := s.rd.Err(); {
		case err == nil:
		case closed(err):
			return errServerClosed
		default:
			return fmt.Errorf("from the RFB server: %w", err)
		}
	}
}

var errServerClosed = errors.New("the RFB server closed the connection")

// closed tells the end of a connection from other errors.
func closed(err error) bool {
	return gone(err) || errors.Is(err, io.ErrUnexpectedEOF)
}

func (s *session) message(t wire.ServerMessageType) {
	switch t {
	case wire.TypeFramebufferUpdate:
		s.update()
	case wire.TypeSetColourMapEntries:
		wire.ReadSetColourMapEntries(s.rd) // true colour was asked for
	case wire.TypeBell:
		s.d.Bell()
	case wire.TypeServerCutText:
		if m := wire.ReadServerCutText(s.rd, true); s.rd.Err() == nil {
			s.cutText(m)
		}
	case wire.TypeEndOfContinuousUpdates:
		if !s.canContinuous {
			s.canContinuous = true
			s.continuous()
		}
	case wire.TypeServerFence:
		if f := wire.ReadFence(s.rd); s.rd.Err() == nil {
			s.fence(f)
		}
	case wire.TypeServerXVP:
		if m := wire.ReadServerXVP(s.rd); s.rd.Err() == nil {
			s.serverXVP(m)
		}
	default:
		s.rd.Failf("message type %d is not known", t)
	}
}

func (s *session) continuous() {
	s.send(wire.EnableContinuousUpdates{Enable: true, Rect: s.c.frame.Rect()})
}

// update reads a FramebufferUpdate and announces what it changed while nobody
// can look: so that what is announced and what is seen are of one moment.
func (s *session) update() {
	n := wire.ReadFramebufferUpdate(s.rd).Rects
	s.c.mu.Lock()
	s.c.updating = true
	var damage pixel.Region
	resized := false
	for i := 0; (n == wire.MaxRects || i < n) && s.rd.Err() == nil; i++ {
		h := wire.ReadRectangleHeader(s.rd)
		if h.Encoding == wire.PseudoLastRect {
			break
		}
		if s.rect(h, &damage) {
			resized = true
			damage.Clear() // it was of the picture before
		}
	}
	if s.rd.Err() == nil {
		s.announce(&damage)
	} else if s.c.cfg.Recorded && closed(s.rd.Err()) {
		s.lacking.Clear() // no more will come
		s.announce(&damage)
	}
	s.c.updating = false
	s.c.mu.Unlock()
	s.tellLive()
	if s.rd.Err() != nil {
		return
	}
	if s.missed.Load() {
		// The announcement woke the server while the lock was held still.
		s.d.Damage(new(pixel.Region))
	}
	switch {
	case resized:
		if s.canContinuous {
			s.continuous()
		}
		s.request(false)
	case !s.canContinuous:
		s.request(true)
	}
	s.letGrab()
}

// announce tells the server of what an update brought. The first picture, and
// one of another size, is announced when all of it is there.
func (s *session) announce(damage *pixel.Region) {
	if s.lacking.Subtract(damage); s.c.cfg.Recorded && !damage.Empty() {
		s.lacking.Clear() // nobody asked for the whole picture
	}
	switch {
	case !s.lacking.Empty():
		return
	case !s.shown:
		s.shown = true
		s.announceSize()
	default:
		s.d.Damage(damage)
	}
}

// tellLive tells, once, that the whole picture has been announced. Whoever is
// told may look at it, so nobody holds it now.
func (s *session) tellLive() {
	if s.live || !s.shown {
		return
	}
	s.live = true
	if s.c.cfg.Live != nil {
		s.c.cfg.Live()
	}
}

// stay shows what there is of a recording that has ended, until ctx ends.
func (s *session) stay(ctx context.Context) {
	s.c.mu.Lock()
	s.lacking.Clear()
	s.announce(new(pixel.Region))
	s.c.mu.Unlock()
	s.tellLive()
	s.d.Damage(new(pixel.Region)) // for who looked while the lock was held
	<-ctx.Done()
}

// letGrab waits a little for a Grab that failed during the update.
func (s *session) letGrab() {
	if !s.missed.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), catchUp)
	defer cancel()
	select {
	case <-s.grabbed:
	case <-ctx.Done():
	}
	s.missed.Store(false)
}

// caughtUp is called by Grab, with Client.mu held.
func (s *session) caughtUp() {
	if s.missed.CompareAndSwap(true, false) {
		select {
		case s.grabbed <- struct{}{}:
		default:
		}
	}
}

// rect reads one rectangle and reports whether the picture has another size.
func (s *session) rect(h wire.RectangleHeader, damage *pixel.Region) (resized bool) {
	if s.rd.Err() != nil {
		return false
	}
	switch h.Encoding {
	case wire.PseudoDesktopSize:
		return s.setScreens(wire.ExtendedDesktopSize{Width: h.Rect.Dx(), Height: h.Rect.Dy()})
	case wire.PseudoExtendedDesktopSize:
		return s.extendedDesktopSize(wire.ReadExtendedDesktopSize(s.rd, h))
	case wire.PseudoDesktopName:
		if name := wire.ReadDesktopName(s.rd); s.rd.Err() == nil {
			s.d.SetName(validName(name))
		}
	case wire.PseudoQEMUExtendedKeyEvent:
		s.extendedKeys.Store(true)
	case wire.PseudoQEMULEDState:
		s.d.SetLEDState(LEDState(wire.ReadLEDState(s.rd)))
	case wire.PseudoVMwareLEDState:
		s.d.SetLEDState(LEDState(wire.ReadVMwareLEDState(s.rd)))
	case wire.PseudoExtendedMouseButtons:
		s.extendedButtons.Store(true)
	case wire.PseudoQEMUPointerMotion:
		s.relative.Store(wire.PointerRelative(h))
		s.d.SetPointerRelative(wire.PointerRelative(h))
	case wire.PseudoVMwareCursorPosition:
		s.d.SetPointer(h.Rect.Min.X, h.Rect.Min.Y)
	case wire.PseudoCursor:
		s.cursor(encoding.DecodeCursor(s.rd, h, s.format))
	case wire.PseudoVMwareCursor:
		s.cursor(encoding.DecodeVMwareCursor(s.rd, h, s.format))
	case wire.PseudoCursorWithAlpha:
		s.cursor(encoding.DecodeCursorWithAlpha(s.rd, h))
	case wire.PseudoXCursor:
		s.cursor(encoding.DecodeXCursor(s.rd, h))
	default:
		s.pixels(h, damage)
	}
	return false
}

func (s *session) cursor(c *pixel.Cursor, err error) {
	if err != nil {
		s.rd.Fail(err) // read looks
		return
	}
	s.d.SetCursor(c)
}

// pixels decodes a rectangle of the picture.
func (s *session) pixels(h wire.RectangleHeader, damage *pixel.Region) {
	if h.Rect.Empty() {
		// Some servers send such; where it lies and its other side say nothing.
		h.Rect = image.Rectangle{}
	}
	switch {
	case s.rd.Err() != nil:
		return
	case !h.Rect.In(s.c.frame.Rect()):
		s.rd.Failf("rectangle %v is outside the picture of %dx%d pixels", h.Rect, s.c.frame.Width, s.c.frame.Height)
		return
	}
	dec := s.decoders[h.Encoding]
	if dec == nil {
		row := encoding.ByNumber(h.Encoding)
		if row == nil {
			s.rd.Failf("rectangle with encoding %v, which was not asked for", h.Encoding)
			return
		}
		dec = row.NewDecoder()
		s.decoders[h.Encoding] = dec
	}
	if err := dec.Decode(s.rd, s.c.frame, h.Rect, s.format); err != nil {
		s.rd.Fail(err) // read looks
		return
	}
	if cp, ok := dec.(*encoding.CopyRectDecoder); ok && s.shown {
		// What the same update damaged before the move must be announced
		// before it.
		s.d.Damage(damage)
		s.d.Copy(h.Rect, cp.From)
		damage.Clear()
		return
	}
	damage.Add(h.Rect)
}
