package x11

import (
	"image"
	"sync"

	"github.com/ironglass/ironglass/rfb"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

// input types and points. Viewers' events go into a queue, for they must not
// wait for the server, which typing must: one goroutine, serve, takes them
// out. All methods work on a nil input and do nothing, as for a view-only
// display.
type input struct {
	x    *Display
	keys *keyboard // owned by serve

	mu      sync.Mutex // guards what follows
	queue   []any      // of rfb.KeyEvent, rfb.PointerEvent, control
	running bool       // between start and stop
	at      image.Point

	wake  chan struct{} // capacity 1: the queue is not empty, or closing
	quit  chan struct{} // closed by close
	ended chan struct{} // closed by serve at its end
	once  sync.Once

	buttons uint16 // held down, owned by serve
}

// control is a message to serve that is no viewer's event.
type control int

const (
	controlStart control = iota // a Run starts
	controlStop                 // a Run has ended
)

// queueLimit bounds the queue. What a viewer can do faster than the X server
// takes it is not worth keeping, but for releases.
const queueLimit = 1024

func newInput(x *Display) (*input, error) {
	k, err := newKeyboard(x)
	if err != nil {
		return nil, err
	}
	in := &input{
		x: x, keys: k,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	go in.serve()
	return in, nil
}

// KeyEvent implements rfb.Input.
func (x *Display) KeyEvent(e rfb.KeyEvent) { x.input.post(e, !e.Down) }

// PointerEvent implements rfb.Input.
func (x *Display) PointerEvent(e rfb.PointerEvent) { x.input.post(e, e.Buttons == 0) }

// post queues an event. Of several movements in a row only the last counts.
// A release is queued even where the queue is full.
func (in *input) post(e any, release bool) {
	if in == nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	_, isControl := e.(control)
	if !in.running && !isControl {
		return
	}
	if p, ok := e.(rfb.PointerEvent); ok {
		in.at = image.Pt(p.X, p.Y)
		if n := len(in.queue); n > 0 {
			if q, ok := in.queue[n-1].(rfb.PointerEvent); ok && q.Buttons == p.Buttons {
				in.queue[n-1] = p
				return
			}
		}
	}
	if len(in.queue) >= queueLimit && !isControl && !release || len(in.queue) >= 2*queueLimit {
		return
	}
	in.queue = append(in.queue, e)
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// start lets events in: a Run has started.
func (in *input) start() {
	if in == nil {
		return
	}
	in.mu.Lock()
	in.running = true
	in.mu.Unlock()
	in.post(controlStart, false)
}

// stop releases all that is held and lets no event in any more.
func (in *input) stop() {
	if in == nil {
		return
	}
	in.mu.Lock()
	in.running = false
	in.mu.Unlock()
	in.post(controlStop, true)
}

// pointer is where a viewer put the pointer last.
func (in *input) pointer() image.Point {
	if in == nil {
		return image.Point{}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.at
}

// close ends serve.
func (in *input) close() {
	if in == nil {
		return
	}
	in.once.Do(func() { close(in.quit) })
	<-in.ended
}

// serve carries the events out, until close or the end of the connection.
func (in *input) serve() {
	defer close(in.ended)
	for {
		select {
		case <-in.quit:
			// The end of the last Run may still be to be carried out.
			for _, e := range in.take() {
				if _, ok := e.(control); ok {
					in.carryOut(e)
				}
			}
			return
		case <-in.x.done:
			return
		case <-in.wake:
		}
		for _, e := range in.take() {
			in.carryOut(e)
		}
	}
}

func (in *input) take() []any {
	in.mu.Lock()
	defer in.mu.Unlock()
	todo := in.queue
	in.queue = nil
	return todo
}

func (in *input) carryOut(e any) {
	switch e := e.(type) {
	case rfb.PointerEvent:
		in.point(e)
	case rfb.KeyEvent:
		in.keys.event(e, in.quit)
	case control:
		switch e {
		case controlStart:
			in.keys.start()
		case controlStop:
			in.release(in.buttons)
			in.keys.stop()
		}
	}
}

// buttonCount is how many buttons a viewer has. RFB and X number them alike.
const buttonCount = 9

// point moves the pointer and changes the buttons that differ.
func (in *input) point(e rfb.PointerEvent) {
	c := in.x.conn.Conn
	in.x.conn.Batch(func() {
		xtest.FakeInput(c, xproto.MotionNotify, 0, xproto.TimeCurrentTime, in.x.root, clamp16(e.X), clamp16(e.Y), 0)
		for n := range buttonCount {
			bit := uint16(1) << n
			if (in.buttons^e.Buttons)&bit == 0 {
				continue
			}
			kind := byte(xproto.ButtonRelease)
			if e.Buttons&bit != 0 {
				kind = xproto.ButtonPress
			}
			xtest.FakeInput(c, kind, byte(n+1), xproto.TimeCurrentTime, 0, 0, 0, 0)
		}
	})
	in.buttons = e.Buttons & (1<<buttonCount - 1)
}

// release lets buttons go where the pointer is.
func (in *input) release(buttons uint16) {
	for n := range buttonCount {
		if buttons&(1<<n) != 0 {
			xtest.FakeInput(in.x.conn.Conn, xproto.ButtonRelease, byte(n+1), xproto.TimeCurrentTime, 0, 0, 0, 0)
		}
	}
	in.buttons = 0
}

func clamp16(v int) int16 { return int16(max(0, min(v, 1<<15-1))) }
