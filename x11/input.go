package x11

import (
	"image"
	"slices"
	"sync"
	"time"

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
	buttons uint16     // of the pointer event that was queued last
	motion  bool       // the queue's last one is a pointer event that changes no button

	wake  chan struct{} // capacity 1: the queue is not empty, or closing
	quit  chan struct{} // closed by close
	ended chan struct{} // closed by serve at its end
	once  sync.Once

	down uint16 // buttons held, owned by serve
}

// control is a message to serve that is no viewer's event.
type control int

const (
	controlStart control = iota // a Run starts
	controlStop                 // a Run has ended
	controlLetGo                // too much came: what is held cannot be known
)

// queueLimit bounds the queue. What a viewer can do faster than the X server
// takes it is not worth keeping, but for releases, which have as much room
// again; where that does not do, all is let go instead.
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

// post queues an event of a viewer. A movement that follows another one takes
// its place; one that follows a press or a release does not, for where those
// happened matters.
func (in *input) post(e any, release bool) {
	if in == nil {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.running {
		return
	}
	p, isPointer := e.(rfb.PointerEvent)
	motion := isPointer && p.Buttons == in.buttons
	if motion && in.motion {
		last := &in.queue[len(in.queue)-1]
		if q := (*last).(rfb.PointerEvent); q.Relative == p.Relative {
			if p.Relative {
				p.X, p.Y = p.X+q.X, p.Y+q.Y
			}
			*last = p
			in.x.where.moving(true)
			return
		}
	}
	switch n := len(in.queue); {
	case n >= 2*queueLimit:
		in.overflowLocked()
		return
	case n >= queueLimit && !release:
		return
	}
	in.motion = motion
	if isPointer {
		in.buttons = p.Buttons
		in.x.where.moving(false)
	}
	in.appendLocked(e)
}

// overflowLocked forgets what viewers did and lets all go.
func (in *input) overflowLocked() {
	moves := 0
	in.queue = slices.DeleteFunc(in.queue, func(e any) bool {
		if _, ok := e.(rfb.PointerEvent); ok {
			moves++
		}
		_, ok := e.(control)
		return !ok
	})
	in.x.where.moved(moves, nil)
	in.motion, in.buttons = false, 0
	in.appendLocked(controlLetGo)
}

func (in *input) appendLocked(e any) {
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
	in.order(controlStart)
}

// stop releases all that is held and lets no event in any more.
func (in *input) stop() {
	if in == nil {
		return
	}
	in.order(controlStop)
}

// order queues a message, whatever the queue's length.
func (in *input) order(c control) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.running = c == controlStart
	in.motion, in.buttons = false, 0
	in.appendLocked(c)
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
	giveBack := time.NewTimer(0)
	giveBack.Stop()
	defer giveBack.Stop()
	for {
		select {
		case <-in.quit:
			// What was typed last may still be to be carried out, and the end
			// of the last Run.
			for _, e := range in.take() {
				in.carryOut(e)
			}
			in.keys.giveBack(true)
			return
		case <-in.x.done:
			return
		case <-giveBack.C:
			in.keys.giveBack(false)
			continue
		case <-in.wake:
		}
		for _, e := range in.take() {
			in.carryOut(e)
			switch e {
			case controlStart:
				giveBack.Stop()
			case controlStop:
				giveBack.Reset(sparesKept)
			}
		}
	}
}

func (in *input) take() []any {
	in.mu.Lock()
	defer in.mu.Unlock()
	todo := in.queue
	in.queue, in.motion = nil, false
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
			in.letGo()
			in.keys.stop()
		case controlLetGo:
			in.letGo()
			in.keys.letGo()
		}
	}
}

// buttonCount is how many buttons a viewer has. RFB and X number them alike.
const buttonCount = 9

// point moves the pointer and changes the buttons that differ.
func (in *input) point(e rfb.PointerEvent) {
	c := in.x.conn.Conn
	at := image.Pt(clamp(e.X, 0), clamp(e.Y, 0))
	in.x.conn.Batch(func() {
		if e.Relative {
			xtest.FakeInput(c, xproto.MotionNotify, motionRelative, xproto.TimeCurrentTime, in.x.root, int16(clamp(e.X, -1<<15)), int16(clamp(e.Y, -1<<15)), 0)
		} else {
			xtest.FakeInput(c, xproto.MotionNotify, 0, xproto.TimeCurrentTime, in.x.root, int16(at.X), int16(at.Y), 0)
		}
		in.press(e.Buttons)
	})
	if e.Relative {
		in.x.where.moved(1, nil)
	} else {
		in.x.where.moved(1, &at)
	}
	if in.x.hiders.motion.CompareAndSwap(true, false) {
		in.x.post(func(m *mail) { m.moved = true })
	}
}

// motionRelative says that XTEST's motion is one, not a position.
const motionRelative = 1

// press makes these the buttons that are held.
func (in *input) press(buttons uint16) {
	for n := range buttonCount {
		bit := uint16(1) << n
		if (in.down^buttons)&bit == 0 {
			continue
		}
		kind := byte(xproto.ButtonRelease)
		if buttons&bit != 0 {
			kind = xproto.ButtonPress
		}
		xtest.FakeInput(in.x.conn.Conn, kind, byte(n+1), xproto.TimeCurrentTime, 0, 0, 0, 0)
	}
	in.down = buttons & (1<<buttonCount - 1)
}

// letGo lets the buttons go where the pointer is.
func (in *input) letGo() { in.x.conn.Batch(func() { in.press(0) }) }

// clamp brings v into what the protocol has room for, from least on.
func clamp(v, least int) int { return max(least, min(v, 1<<15-1)) }
