package rfb

import (
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// viewer is one connection after its handshake.
type viewer struct {
	s    *Server
	conn net.Conn
	cfg  ViewerConfig
	// tight says that ServerInit is followed by what the server can.
	tight bool
	in    *wire.ClientReader // owned by Serve's goroutine

	hands  hands       // guarded by Server.input.mu
	motion atomic.Bool // the viewer was told to send motion at some time
	barred atomic.Bool // by its Permission; set under Server.input.mu

	began  time.Time
	heard  atomic.Int64 // when the last message came, in nanoseconds after began
	fences atomic.Bool  // the viewer answers fences

	out    chan batch     // to the writer; closed by the loop when it removes the viewer
	gone   chan struct{}  // closed by the loop when it has removed the viewer
	writer sync.WaitGroup // the writer's goroutine
	why    atomic.Pointer[error]

	// What follows is owned by the loop.

	init     chan<- wire.ServerInit // until it is answered
	joined   time.Time
	list     []wire.Encoding // of the last SetEncodings
	params   encoding.Params // from list and the pixel format
	can      abilities
	streams  encoding.Streams
	size     image.Point // that the viewer believes the picture has
	dirty    pixel.Region
	lossy    pixel.Region // sent, and not exactly
	mendedAt time.Time    // when some of it was last made exact beside news
	moves    []move       // of the frame being made, for CopyRect
	busy     bool         // the writer has a batch
	control  []byte       // messages that wait for the writer
	pace     pace
	overlaid bool // the pointer is painted into this viewer's picture

	requested  bool
	request    pixel.Region
	continuous bool
	area       image.Rectangle // of continuous updates

	sizeStale   bool
	sizeReason  int   // why the size is stale
	sizeGranted bool  // the size is what it asked for last
	sizeReplies []int // results of SetDesktopSize that were not told yet
	cursorStale bool
	warp        *image.Point // where the source moved the pointer to
	motionStale bool
	buttonsTold bool
	powerTold   bool
	clip        viewerClipboard
	ledsStale   bool
	nameStale   bool
	keysTold    bool
	keysStale   bool
	mapStale    bool
}

// batch is what the writer writes at once.
type batch struct {
	bufs net.Buffers
	n    int
	rest <-chan batch // what follows, closed by the loop after the last; or nil
}

// maxControl bounds the messages that wait for a viewer that does not read.
const maxControl = 64 << 10

var errNotReading = errors.New("the viewer does not take what is sent to it")

func newViewer(s *Server, conn net.Conn, cfg ViewerConfig) *viewer {
	return &viewer{
		s: s, conn: conn, cfg: cfg, began: time.Now(), in: wire.NewClientReader(wire.NewReader(conn, 2<<10)),
		// One batch at most is with the writer, so the loop never waits.
		out: make(chan batch, 1), gone: make(chan struct{}),
		params: encoding.ParamsFor(nil, pixel.RGB888),
	}
}

// begin sends ServerInit and starts nothing.
func (v *viewer) begin(m wire.ServerInit, timeout time.Duration) error {
	if timeout > 0 {
		v.conn.SetWriteDeadline(time.Now().Add(timeout)) //nolint:errcheck // the write tells
	}
	b := m.Append(nil)
	if v.tight {
		b = capabilities().Append(b)
	}
	if _, err := v.conn.Write(b); err != nil {
		return fmt.Errorf("sending ServerInit: %w", err)
	}
	v.conn.SetDeadline(time.Time{}) //nolint:errcheck // the next read tells
	v.writer.Add(1)
	return nil
}

// read handles the viewer's messages until the connection ends.
func (v *viewer) read() error {
	for {
		m, err := v.in.Read()
		v.heard.Store(int64(time.Since(v.began)))
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		default:
			return fmt.Errorf("from viewer %s: %w", v.cfg.Label, err)
		}
		switch m := m.(type) {
		case wire.KeyEvent:
			v.key(KeyEvent{Down: m.Down, Keysym: m.Keysym})
		case wire.QEMUExtendedKeyEvent:
			v.key(KeyEvent{Down: m.Down, Keysym: m.Keysym, Keycode: m.Keycode})
		case wire.PointerEvent:
			if v.mayAct() {
				v.s.input.move(v, m)
			}
		case wire.ClientCutText:
			v.cutText(m)
		case wire.SetDesktopSize:
			v.setDesktopSize(m)
		case wire.ClientXVP:
			v.power(m)
		default:
			if !v.s.post(said{v, m}) {
				return ErrClosed
			}
		}
	}
}

func (v *viewer) key(e KeyEvent) {
	if v.mayAct() {
		v.s.input.key(v, e)
	}
}

// write is the writer's goroutine. It ends when the loop removes the viewer
// or the connection fails.
func (v *viewer) write() {
	defer v.writer.Done()
	failed := false
	for b := range v.out {
		if failed {
			continue
		}
		n, err := v.writeBatch(b)
		if err != nil {
			failed = true
			if errors.Is(err, errTimeout) {
				err = errNotReading
			}
			v.end(fmt.Errorf("to viewer %s: %w", v.cfg.Label, err))
		}
		if !v.s.post(written{v, n, err}) {
			failed = true
		}
	}
}

// writeBatch writes a batch and what follows it, and returns how many bytes
// that was.
func (v *viewer) writeBatch(b batch) (n int, err error) {
	rest := b.rest
	for {
		if t := v.s.cfg.WriteTimeout; t > 0 {
			v.conn.SetWriteDeadline(time.Now().Add(t)) //nolint:errcheck // the write tells
		}
		if err := writeBuffers(v.conn, b.bufs); err != nil {
			return n, err
		}
		n += b.n
		if rest == nil {
			return n, nil
		}
		var more bool
		if b, more = <-rest; !more {
			return n, nil
		}
	}
}

// end closes the connection and keeps the first reason. The Serve call then
// leaves.
func (v *viewer) end(err error) {
	v.why.CompareAndSwap(nil, &err)
	v.conn.Close() // the reason is kept
}

// errTimeout matches what a write past its deadline returns.
var errTimeout = timeoutError{}

type timeoutError struct{}

func (timeoutError) Error() string { return "timeout" }

// BuffersWriter is a connection that writes several buffers as one, such as a
// websocket one message. The buffers are the caller's again afterwards, and
// their content is shared and must not change.
type BuffersWriter interface {
	WriteBuffers(bufs net.Buffers) error
}

// writeBuffers writes all of bufs in as few system calls or messages as the
// connection allows.
func writeBuffers(conn net.Conn, bufs net.Buffers) error {
	var err error
	switch c := conn.(type) {
	case BuffersWriter:
		err = c.WriteBuffers(bufs)
	case *net.TCPConn, *net.UnixConn:
		_, err = bufs.WriteTo(c) // one writev
	default:
		err = writeJoined(conn, bufs)
	}
	var t net.Error
	if errors.As(err, &t) && t.Timeout() {
		return errTimeout
	}
	return err
}

// joined has buffers for writeJoined.
var joined = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// writeJoined writes bufs in pieces of 64 KiB, for connections that make a
// message of each write, as encrypted ones do.
func writeJoined(conn net.Conn, bufs net.Buffers) error {
	buf := joined.Get().(*[64 << 10]byte)
	defer joined.Put(buf)
	n := 0
	for _, b := range bufs {
		for len(b) > 0 {
			k := copy(buf[n:], b)
			b, n = b[k:], n+k
			if n < len(buf) {
				continue
			}
			if _, err := conn.Write(buf[:n]); err != nil {
				return err
			}
			n = 0
		}
	}
	if n == 0 {
		return nil
	}
	_, err := conn.Write(buf[:n])
	return err
}

// written tells the loop that the writer is free again.
type written struct {
	v   *viewer
	n   int
	err error
}

func (ev written) do(e *engine) {
	ev.v.busy = false
	if ev.err == nil {
		e.s.stats.bytes.Add(uint64(ev.n))
	}
	e.flush(ev.v)
}

// join makes v one of the viewers and answers with its ServerInit. It waits a
// little for a source that has just started to say its size, for viewers who
// cannot follow another one later.
type join struct {
	v    *viewer
	init chan<- wire.ServerInit // room for one
}

// sizeWait is how long a viewer waits for that at most.
const sizeWait = 2 * time.Second

func (ev join) do(e *engine) {
	v := ev.v
	v.joined = time.Now()
	v.init = ev.init
	v.overlaid = true
	v.cursorStale = true
	v.ledsStale = e.hasLEDs
	e.viewers[v] = struct{}{}
	if v.cfg.Silent {
		e.silent++
	}
	e.viewersChanged()
}

// welcome answers those who have joined, and returns when it wants to look
// again at the latest.
func (e *engine) welcome(now time.Time) (again time.Time) {
	for v := range e.viewers {
		if v.init == nil {
			continue
		}
		if end := v.joined.Add(sizeWait); !e.known && now.Before(end) {
			again = earlier(again, end)
			continue
		}
		v.size = e.size
		v.area = image.Rectangle{Max: e.size}
		v.dirty.Clear()
		v.dirty.Add(v.area)
		v.init <- wire.ServerInit{Width: e.size.X, Height: e.size.Y, Format: pixel.RGB888, Name: e.name}
		v.init = nil
		// It goes on its way before the picture is looked at, which takes
		// longer, where there is one processor.
		runtime.Gosched()
	}
	return again
}

func (e *engine) viewersChanged() {
	people := e.people()
	e.s.stats.viewers.Store(int64(people))
	painted := false
	for v := range e.viewers {
		painted = painted || v.overlaid
	}
	e.s.input.painted.Store(painted)
	if f := e.cfg.ViewersChanged; f != nil {
		f(people)
	}
}

// leave takes v away.
type leave struct{ v *viewer }

func (ev leave) do(e *engine) {
	e.remove(ev.v)
}

func (e *engine) remove(v *viewer) {
	if _, there := e.viewers[v]; !there {
		return
	}
	delete(e.viewers, v)
	if v.cfg.Silent {
		e.silent--
	}
	if e.asked.v == v {
		e.asked = sizeAsked{}
	}
	close(v.out)
	close(v.gone)
	e.viewersChanged()
}

// control sends a message that is not part of the picture, or keeps it until
// the writer is free.
func (e *engine) control(v *viewer, msg []byte) {
	if len(v.control)+len(msg) > maxControl {
		v.end(fmt.Errorf("to viewer %s: %w", v.cfg.Label, errNotReading))
		return
	}
	v.control = append(v.control, msg...)
	e.flush(v)
}

// flush hands waiting messages to the writer where it is free.
func (e *engine) flush(v *viewer) {
	if _, there := e.viewers[v]; !there || v.busy || v.init != nil {
		return
	}
	b := batch{bufs: net.Buffers{v.control}, n: len(v.control)}
	for _, m := range e.clipboardDue(v) {
		b.bufs, b.n = append(b.bufs, m), b.n+len(m)
	}
	if b.n == 0 {
		return
	}
	v.control = nil
	v.hand(b, time.Now())
}

// hand gives a batch to the writer, which is free.
func (v *viewer) hand(b batch, now time.Time) {
	v.busy = true
	v.pace.handed(b.n, now)
	v.out <- b
}

// said is a message of a viewer that concerns the picture.
type said struct {
	v *viewer
	m wire.ClientMessage
}

func (ev said) do(e *engine) {
	v := ev.v
	if _, there := e.viewers[v]; !there {
		return
	}
	switch m := ev.m.(type) {
	case wire.SetPixelFormat:
		v.params = encoding.ParamsFor(v.list, m.Format)
		v.mapStale = !m.Format.TrueColour
		v.cursorStale = true
	case wire.SetEncodings:
		e.setEncodings(v, m.Encodings)
	case wire.FramebufferUpdateRequest:
		r := m.Rect.Intersect(image.Rectangle{Max: v.size})
		if !m.Incremental {
			v.dirty.Add(r)
			v.cursorStale = v.cursorStale || !v.overlaid
			v.sizeStale = v.sizeStale || v.can.extendedDesktopSize
			e.urgent = true
		}
		v.request.Add(r)
		v.requested = true
	case wire.EnableContinuousUpdates:
		if v.continuous && !m.Enable {
			e.control(v, wire.AppendEndOfContinuousUpdates(nil))
		}
		v.continuous = m.Enable
		v.area = m.Rect.Intersect(image.Rectangle{Max: v.size})
	case wire.Fence:
		e.fence(v, m)
	case wire.ClientCutText:
		e.clipboardSaid(v, m.Extended)
	}
}

// setEncodings follows a SetEncodings.
func (e *engine) setEncodings(v *viewer, list []wire.Encoding) {
	had := v.can
	v.can = listed(list)
	v.fences.Store(v.can.fence)
	v.list, v.params = list, encoding.ParamsFor(list, v.params.Format)
	e.overlay(v, !v.can.drawCursor())
	switch {
	case v.can.extendedDesktopSize && !had.extendedDesktopSize:
		v.sizeStale = true // the first one says that it is supported
	case v.followsSize() && v.size != e.size:
		v.sizeStale = true // it changed before it was known that it may
	}
	if v.can.extendedKeys && !v.keysTold {
		v.keysStale = true
	}
	if v.can.fence && !had.fence {
		// Says that fences are supported (rfbproto 7.6.7).
		e.control(v, v.pace.ask(time.Now()))
	}
	if v.can.continuousUpdates && !had.continuousUpdates {
		e.control(v, wire.AppendEndOfContinuousUpdates(nil))
	}
	v.motionStale = v.can.pointerMotion && (e.relative || v.motion.Load())
	e.offerPower(v)
	e.clipboardListed(v, had.clipboard)
}

// fence answers a viewer's Fence, or takes its answer.
func (e *engine) fence(v *viewer, m wire.Fence) {
	if m.Flags&wire.FenceRequest == 0 {
		if took, ok := v.pace.answered(m.Payload, time.Now()); ok {
			e.s.stats.roundTrips.Add(1)
			e.s.stats.roundTripTime.Add(int64(took))
		}
		return
	}
	// Messages are handled in their order and what was sent before is before
	// the answer in the same queue, which is all that the flags ask for.
	m.Flags &= wire.FenceSupported
	e.control(v, m.Append(nil))
}

// resized notes that the picture has another size.
func (v *viewer) resized(size image.Point) {
	v.moves = nil
	if v.init != nil {
		return // it will be told this one
	}
	if v.followsSize() {
		v.sizeStale, v.sizeReason = true, wire.ResizeByServer
	}
	// A viewer that cannot follow keeps its size and is shown what fits.
	v.dirty.Add(image.Rectangle{Max: v.size})
}

// sendable reports whether the viewer can be sent a frame now.
func (v *viewer) sendable(now time.Time) bool {
	ok, _ := v.ready(now)
	return ok
}

// ready is sendable, and says from when on a viewer can be sent a frame that
// waits for nothing but time; zero is when something happens.
func (v *viewer) ready(now time.Time) (ok bool, at time.Time) {
	switch {
	case v.busy || v.init != nil:
		return false, time.Time{}
	case v.requested:
		return true, time.Time{}
	case v.continuous:
		return v.pace.ready(now)
	default:
		return false, time.Time{}
	}
}

// wants is the part of the picture that the viewer may be sent now.
func (v *viewer) wants() *pixel.Region {
	if v.continuous {
		g := pixel.RegionOf(v.area)
		g.Union(&v.request)
		return g
	}
	return &v.request
}

// hasNews reports whether there is anything to send besides what a look at
// the source would bring.
func (v *viewer) hasNews(e *engine) bool {
	if v.sizeStale || len(v.sizeReplies) > 0 || v.nameStale && v.can.desktopName || v.ledsStale && v.can.anyLEDs() ||
		v.keysStale || v.can.buttons && !v.buttonsTold || v.motionStale || v.warp != nil || v.wantsCursor(e) {
		return true
	}
	return e.hasPixels() && !v.due().Empty()
}

// due is what the viewer may be sent now and has not got.
func (v *viewer) due() *pixel.Region {
	d := v.dirty.Clone()
	if !d.Empty() {
		d.Intersect(v.wants())
	}
	return d
}

// wantsCursor reports whether the pointer's shape is to be sent.
func (v *viewer) wantsCursor(e *engine) bool {
	return v.cursorStale && !v.overlaid && e.cursor.told
}

// copies reports whether the viewer can be sent CopyRects now. Where the
// pointer is painted into its picture they would copy the pointer as well.
func (v *viewer) copies(e *engine, now time.Time) bool {
	return v.can.copyRect && !v.overlaid && !v.sizeStale && v.sendable(now) && v.size == e.size
}

// changed brings the viewer's state up to date with what a look at the source
// found: the moves, then the changed pixels.
func (v *viewer) changed(e *engine, moves []move, changed *pixel.Region, now time.Time) {
	if !v.sendable(now) && (v.busy || v.continuous) {
		e.s.stats.skipped.Add(1)
	}
	copies := v.copies(e, now)
	var wants *pixel.Region
	if copies && len(moves) > 0 {
		wants = v.wants()
	}
	for _, m := range moves {
		if copies && wants.Contains(m.rect) {
			m.stale(&v.dirty)
			m.stale(&v.lossy)
			v.moves = append(v.moves, m)
			continue
		}
		copies = false // a later move might read what was not moved
		v.dirty.Add(m.rect)
	}
	v.dirty.Union(changed)
	if v.size != e.size {
		v.dirty.IntersectRect(image.Rectangle{Max: v.size})
	}
}
