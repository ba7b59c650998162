package proxy

import (
	"errors"
	"sync"
	"time"

	"github.com/ironglass/ironglass/proxy/typing"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/x11/keysym"
)

// Pace is how fast keys go to a node. BMCs that show a keyboard to their
// machine over USB lose what comes faster than they ask.
type Pace struct {
	// Hold is how long a key stays down at least.
	Hold time.Duration
	// Interval is the time between two events of keys at least.
	Interval time.Duration
	// Longest is how long a key that is no modifier stays down at most; 0 is
	// as long as it is held. A machine that repeats keys by itself does so
	// whenever the network holds up a release. Where this is shorter than the
	// machine's patience, it repeats only what a viewer repeats: each repeat
	// is then a press and a release.
	Longest time.Duration
	// Rate is how many characters of a text are typed a second at most; 0 is
	// as many as the rest allows.
	Rate int
}

const (
	// queueLimit bounds the events that wait for their time. Where it is
	// reached presses are dropped, and with each its release, but no other
	// release and no modifier, for what comes after a modifier depends on it.
	// At twice the limit all is dropped and all that is held is let go.
	queueLimit = 1024
	// repeatDelay and repeatInterval are what the fastest keyboard leaves
	// between a press, the first repeat of it and the next ones. What comes
	// faster was late, and came together.
	repeatDelay, repeatInterval = 100 * time.Millisecond, 15 * time.Millisecond
	// typedSpacing is the time between the events of a text or a chord at
	// least: QEMU passes a key event on each 10 ms, and drops what comes once
	// many wait.
	typedSpacing = 10 * time.Millisecond
)

// errHandsEnded: the session with the node ended.
var errHandsEnded = errors.New("the console was lost")

// hands stand between people and the node: what they do with keys and pointer
// goes on in order, no faster than the node takes it, and what is held when
// the session with the node ends is let go. Methods may be called from any
// goroutine and do not wait, but for tap.
//
// Keys that need not wait go on at once. The others wait in a queue that a
// timer empties. A press or release of a button waits behind the keys before
// it, for a click may depend on them; the pointer's motion alone waits behind
// buttons only. Both go on without a pause of their own.
type hands struct {
	pace  Pace
	ended chan struct{} // closed by end
	to    nodeInput     // its rfb.Input is called with mu

	mu     sync.Mutex // guards what follows
	queue  []action
	timer  *time.Timer // runs while something waits
	down   map[keyID]keyDown
	wire   map[keyID]keyDown
	last   time.Time        // when a key's event went on
	point  rfb.PointerEvent // the last one taken
	sent   rfb.PointerEvent // the last one that went on
	lights rfb.LEDState
	lit    bool          // lights was told
	news   chan struct{} // closed, and replaced, when lights change or a key is let go
}

// nodeInput is what an rfb.Client takes for hands.
type nodeInput interface {
	rfb.Input
	TakesKeycodes() bool
}

// action is an event that waits for its time.
type action struct {
	event          any // rfb.KeyEvent or rfb.PointerEvent
	hold, interval time.Duration
	typed          bool          // of a text or a chord
	motion         bool          // a pointer event that changes no button
	done           chan struct{} // closed when it went on; may be nil
}

// keyID is what a press and its release have in common: the scancode where
// the viewer knows it, else the keysym.
type keyID struct{ keycode, keysym uint32 }

func idOf(e rfb.KeyEvent) keyID {
	if e.Keycode != 0 {
		return keyID{keycode: e.Keycode}
	}
	return keyID{keysym: keysym.Canonical(e.Keysym)}
}

// keyDown is a key that is held: in hands.down by people, as far as they have
// said, and in hands.wire at the node.
type keyDown struct {
	event    rfb.KeyEvent
	at       time.Time // when the press went on, zero while it waits
	repeated time.Time // when a repeat went on last
	let      bool      // it is not held at the node any more, being overdue
}

func newHands(to nodeInput, pace Pace) *hands {
	return &hands{
		to: to, pace: pace, ended: make(chan struct{}), news: make(chan struct{}),
		down: make(map[keyID]keyDown), wire: make(map[keyID]keyDown),
	}
}

// isModifier reports whether the key only changes what others do.
func isModifier(e rfb.KeyEvent) bool {
	switch e.Keycode {
	case 0x2a, 0x36, 0x1d, 0x9d, 0x38, 0xb8, 0xdb, 0xdc: // Shift, Control, Alt, Super
		return true
	}
	return keysym.Modifier(e.Keysym)
}

// isLock reports whether the key is a modifier that need not be held.
func isLock(e rfb.KeyEvent) bool {
	switch e.Keysym {
	case 0xffe5, 0xffe6, 0xff7f: // Caps Lock, Shift Lock, Num Lock
		return true
	}
	return false
}

// closed reports whether end was called.
func (h *hands) closed() bool {
	select {
	case <-h.ended:
		return true
	default:
		return false
	}
}

// KeyEvent is rfb.Input's.
func (h *hands) KeyEvent(e rfb.KeyEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed() {
		return
	}
	now, id := time.Now(), idOf(e)
	d, held := h.down[id]
	switch n := len(h.queue); {
	case e.Down && held:
		h.repeatLocked(now, id, e)
		return
	case n >= 2*queueLimit:
		h.overflowLocked(now)
		return
	case e.Down && n >= queueLimit && !isModifier(e):
		return
	case e.Down:
		h.down[id] = keyDown{event: e}
	case held:
		delete(h.down, id)
		h.tellLocked()
		if d.let {
			return
		}
	case e.Keycode != 0 || n >= queueLimit:
		return // its press was dropped, or was of an earlier session
	default:
		h.forgetLocked()
	}
	h.pushLocked(now, action{event: e, hold: h.pace.Hold, interval: h.pace.Interval})
}

// repeatLocked handles a press of a key that is held. It goes on where it may
// be a keyboard's repeat; one that would have to wait is late already.
func (h *hands) repeatLocked(now time.Time, id keyID, e rfb.KeyEvent) {
	d := h.down[id]
	if len(h.queue) > 0 || d.at.IsZero() || isModifier(e) || now.Sub(h.last) < h.pace.Interval ||
		now.Sub(d.at) < repeatDelay || now.Sub(d.repeated) < max(repeatInterval, h.pace.Interval) {
		return
	}
	d.repeated = now
	if h.pace.Longest <= 0 {
		h.down[id] = d
		h.last = now
		h.to.KeyEvent(e)
		return
	}
	again := []bool{true, false}
	if !d.let {
		again = []bool{false, true, false}
	}
	d.let = true
	h.down[id] = d
	for _, e.Down = range again {
		h.queue = append(h.queue, action{event: e, hold: h.pace.Hold, interval: h.pace.Interval})
	}
	h.pumpLocked(now)
}

// forgetLocked makes the next presses of keys of which only the symbol is
// known new ones. It is called when such a key is let go under another symbol
// than it was pressed with, as after a change of Shift: which key that is, the
// node finds out.
func (h *hands) forgetLocked() {
	for id, d := range h.down {
		if id.keycode == 0 && !isModifier(d.event) {
			delete(h.down, id)
		}
	}
}

// PointerEvent is rfb.Input's.
func (h *hands) PointerEvent(e rfb.PointerEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed() {
		return
	}
	now := time.Now()
	motion := e.Buttons == h.point.Buttons
	n := len(h.queue)
	if n >= 2*queueLimit {
		h.overflowLocked(now)
		return
	}
	if n >= queueLimit && e.Buttons != 0 && !motion {
		return
	}
	h.point = e
	if motion {
		for i := n - 1; i >= 0; i-- {
			q, ok := h.queue[i].event.(rfb.PointerEvent)
			if !ok {
				continue
			}
			if !h.queue[i].motion || q.Relative != e.Relative {
				h.pushLocked(now, action{event: e, motion: true})
				return
			}
			if e.Relative {
				e.X, e.Y = e.X+q.X, e.Y+q.Y
			}
			h.queue[i].event = e
			return
		}
		h.sendPointerLocked(e)
		return
	}
	h.pushLocked(now, action{event: e})
}

// overflowLocked drops what people did and lets go of all that they hold.
func (h *hands) overflowLocked(now time.Time) {
	kept := h.queue[:0]
	for _, a := range h.queue {
		if a.typed {
			kept = append(kept, a)
		}
	}
	clear(h.queue[len(kept):])
	h.queue = kept
	clear(h.down)
	h.tellLocked()
	h.letGoLocked()
	h.pumpLocked(now)
}

// letGoLocked lets go of what is held at the node, at once.
func (h *hands) letGoLocked() {
	for _, modifiers := range [...]bool{false, true} {
		for id, w := range h.wire {
			if isModifier(w.event) == modifiers {
				w.event.Down = false
				h.to.KeyEvent(w.event)
				delete(h.wire, id)
			}
		}
	}
	if h.sent.Buttons != 0 {
		up := h.sent
		up.Buttons = 0
		if up.Relative {
			up.X, up.Y = 0, 0
		}
		h.sendPointerLocked(up)
	}
	h.point = h.sent
}

// pushLocked lets a go on when all that came before has, and its time has
// come.
func (h *hands) pushLocked(now time.Time, a action) {
	h.queue = append(h.queue, a)
	h.pumpLocked(now)
}

// pumpLocked lets everything go on whose time has come, and sets the timer for
// the rest.
func (h *hands) pumpLocked(now time.Time) {
	sent := 0
	for ; sent < len(h.queue); sent++ {
		a := &h.queue[sent]
		if wait := h.dueLocked(a).Sub(now); wait > 0 {
			if h.timer == nil {
				h.timer = time.AfterFunc(wait, h.tick)
			} else {
				h.timer.Reset(wait)
			}
			break
		}
		switch e := a.event.(type) {
		case rfb.KeyEvent:
			h.sendKeyLocked(now, e)
			if e.Down && !a.typed {
				h.pressedLocked(now, e)
			}
		case rfb.PointerEvent:
			h.sendPointerLocked(e)
		}
		if a.done != nil {
			close(a.done)
		}
	}
	left := copy(h.queue, h.queue[sent:])
	clear(h.queue[left:])
	h.queue = h.queue[:left]
}

// tick is the timer's.
func (h *hands) tick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed() {
		h.pumpLocked(time.Now())
	}
}

// dueLocked is when a may go on.
func (h *hands) dueLocked(a *action) time.Time {
	e, ok := a.event.(rfb.KeyEvent)
	if !ok {
		return time.Time{}
	}
	at := h.last.Add(a.interval)
	if w, held := h.wire[idOf(e)]; held && !e.Down {
		if up := w.at.Add(a.hold); up.After(at) {
			at = up
		}
	}
	return at
}

func (h *hands) sendKeyLocked(now time.Time, e rfb.KeyEvent) {
	if e.Down {
		h.wire[idOf(e)] = keyDown{event: e, at: now}
	} else {
		delete(h.wire, idOf(e))
	}
	h.last = now
	h.to.KeyEvent(e)
}

// pressedLocked notes that somebody's press went on.
func (h *hands) pressedLocked(now time.Time, e rfb.KeyEvent) {
	id := idOf(e)
	d, held := h.down[id]
	if !held {
		return // its release waits already
	}
	if d.at.IsZero() {
		d.at = now
		h.down[id] = d
	}
	if h.pace.Longest > 0 && !d.let && !isModifier(e) {
		time.AfterFunc(h.pace.Longest, func() { h.overdue(id, now) })
	}
}

// overdue lets go of a key that was pressed at that time and is down still.
func (h *hands) overdue(id keyID, pressed time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d, held := h.down[id]
	if h.closed() || !held || d.let || !d.at.Equal(pressed) {
		return
	}
	d.let = true
	h.down[id] = d
	e := d.event
	e.Down = false
	h.pushLocked(time.Now(), action{event: e, hold: h.pace.Hold, interval: h.pace.Interval})
}

func (h *hands) sendPointerLocked(e rfb.PointerEvent) {
	h.sent = e
	h.to.PointerEvent(e)
}

// end lets go of all that is held and takes nothing any more.
func (h *hands) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed() {
		return
	}
	close(h.ended)
	if h.timer != nil {
		h.timer.Stop()
	}
	h.queue = nil
	clear(h.down)
	h.letGoLocked()
}

// tap presses and lets go the chords' keys, one chord after the other, with
// nothing in between that others do, and returns when all of it went on. The
// error is errHandsEnded.
func (h *hands) tap(chords ...typing.Chord) error {
	hold, interval := max(h.pace.Hold, typedSpacing), max(h.pace.Interval, typedSpacing)
	var all []action
	add := func(k typing.Key, down bool) {
		e := rfb.KeyEvent{Down: down, Keysym: k.Keysym, Keycode: k.Keycode}
		all = append(all, action{event: e, hold: hold, interval: interval, typed: true})
	}
	for _, c := range chords {
		for _, k := range c {
			add(k, true)
		}
		for i := range c {
			add(c[len(c)-1-i], false)
		}
	}
	if len(all) == 0 {
		return nil
	}
	done := make(chan struct{})
	all[len(all)-1].done = done
	h.mu.Lock()
	if h.closed() {
		h.mu.Unlock()
		return errHandsEnded
	}
	h.queue = append(h.queue, all...)
	h.pumpLocked(time.Now())
	h.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-h.ended:
	}
	select {
	case <-done: // before it ended
		return nil
	default:
		return errHandsEnded
	}
}

// setLights notes which lights of the keyboard are lit at the node.
func (h *hands) setLights(l rfb.LEDState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lights, h.lit = l, true
	h.tellLocked()
}

// tellLocked wakes who called watch.
func (h *hands) tellLocked() {
	close(h.news)
	h.news = make(chan struct{})
}

// watch returns whether Caps Lock is on at the node, as far as that tells,
// which of the modifiers people hold, "" for none, and a channel that is closed
// when either may have changed.
func (h *hands) watch() (capsLock bool, modifier string, news <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range h.down {
		if isModifier(d.event) && !isLock(d.event) {
			modifier = keysym.Name(d.event.Keysym)
			break
		}
	}
	return h.lights&rfb.LEDCapsLock != 0, modifier, h.news
}

// awake reports whether the node has said which lights are lit, and returns a
// channel that is closed when that may have changed.
func (h *hands) awake() (told bool, news <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lit, h.news
}
