package rfb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"sync"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
)

// KeyEvent sends the key on, by scancode too where the server takes them.
func (c *Client) KeyEvent(e KeyEvent) {
	s := c.current()
	switch {
	case s == nil:
	case e.Keycode != 0 && s.extendedKeys.Load():
		s.send(wire.QEMUExtendedKeyEvent(e))
	case e.Keysym != 0:
		s.send(wire.KeyEvent{Down: e.Down, Keysym: e.Keysym})
	}
}

// TakesKeycodes reports whether the server goes by scancodes, which it says
// with its first picture. Without that KeyEvent sends symbols alone.
func (c *Client) TakesKeycodes() bool {
	s := c.current()
	return s != nil && s.extendedKeys.Load()
}

// Flush waits until what was sent so far is on its way to the server, or ctx
// or the session has ended.
func (c *Client) Flush(ctx context.Context) {
	s := c.current()
	if s == nil {
		return
	}
	written := make(chan struct{})
	select {
	case s.out <- outgoing{written: written}:
	case <-s.done:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-written:
	case <-s.done:
	case <-ctx.Done():
	}
}

// PointerEvent sends the pointer on, as its position or its motion, whichever
// the server wants. Buttons 8 and 9 go to servers that know them.
func (c *Client) PointerEvent(e PointerEvent) {
	if s := c.current(); s != nil {
		s.pointer(e)
	}
}

// plainButtons are those of a plain PointerEvent. The eighth is not among
// them: a server that knows the extended form would take it for that.
const plainButtons = 0x7f

func (s *session) pointer(e PointerEvent) {
	s.placeMu.Lock()
	defer s.placeMu.Unlock()
	by := image.Pt(e.X, e.Y)
	within := image.Rect(0, 0, wire.MaxSide, wire.MaxSide) // the server knows better
	if e.Relative {
		s.place.goTo(s.place.at.Add(by), within)
	} else {
		by = s.place.goTo(by, within)
	}
	m := wire.PointerEvent{X: s.place.at.X, Y: s.place.at.Y}
	if s.relative.Load() {
		m = wire.PointerMotion(0, by)
	}
	m.Buttons, m.Extended = e.Buttons&plainButtons, false
	if e.Buttons&^plainButtons != 0 && s.extendedButtons.Load() {
		m.Buttons, m.Extended = e.Buttons, true
	}
	s.send(m)
}

// powerAsk is a PowerAction that waits for what the server says.
type powerAsk struct {
	turn  sync.Mutex // one at a time
	reply chan error // has room for one
	mu    sync.Mutex
	open  bool   // somebody waits
	fence uint64 // the last one sent, counted up
}

func newPowerAsk() powerAsk { return powerAsk{reply: make(chan error, 1)} }

// powerGrace is how long a server without fences may take to say that a power
// action failed.
const powerGrace = 2 * time.Second

var errPowerFailed = errors.New("the server says that it failed")

// Power asks the server for the action (rfbproto 7.5.11). The protocol has a
// message for failure only. So the action counts as carried out when a fence
// that was sent after it comes back without one; where the server has no
// fences, when none comes within two seconds. A failure that comes later is
// logged.
func (c *Client) Power(ctx context.Context, action PowerAction) error {
	s := c.current()
	if s == nil {
		return ErrNotRunning
	}
	if !s.xvp.Load() {
		return fmt.Errorf("%w: the server does not offer it", ErrNoPower)
	}
	p := &s.power
	p.turn.Lock()
	defer p.turn.Unlock()
	fence := p.begin()
	defer p.end()
	s.send(wire.ClientXVP{Version: wire.XVPVersion, Code: uint8(action)})
	var grace <-chan time.Time
	if s.fences.Load() {
		s.send(wire.Fence{Flags: wire.FenceRequest | wire.FenceBlockBefore, Payload: fence})
	} else {
		t := time.NewTimer(powerGrace)
		defer t.Stop()
		grace = t.C
	}
	select {
	case err := <-p.reply:
		return err
	case <-grace:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: the server did not answer: %w", ErrNoPower, ctx.Err())
	case <-s.done:
		return ErrNotRunning
	}
}

// begin makes replies count and returns the payload of the fence that ends
// the waiting.
func (p *powerAsk) begin() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = true
	p.fence++
	return p.payload()
}

func (p *powerAsk) payload() []byte { return binary.BigEndian.AppendUint64(nil, p.fence) }

func (p *powerAsk) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = false
	select {
	case <-p.reply: //nolint:errcheck // nobody waits for it
	default:
	}
}

// answer gives the one who waits what came of it, false where nobody does.
func (p *powerAsk) answer(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open {
		return false
	}
	p.open = false
	p.reply <- err
	return true
}

// passed takes the answer to a fence.
func (p *powerAsk) passed(payload []byte) {
	p.mu.Lock()
	last := string(p.payload())
	p.mu.Unlock()
	if string(payload) == last {
		p.answer(nil)
	}
}

// fence answers the server's Fence, or takes its answer to ours.
func (s *session) fence(f wire.Fence) {
	s.fences.Store(true)
	if f.Flags&wire.FenceRequest == 0 {
		s.power.passed(f.Payload)
		return
	}
	f.Flags &= wire.FenceSupported
	s.send(f)
}

// serverXVP handles an xvp message.
func (s *session) serverXVP(m wire.ServerXVP) {
	switch m.Code {
	case wire.XVPInit:
		s.xvp.Store(true)
		s.d.OfferPower(true)
	case wire.XVPFail:
		if !s.power.answer(fmt.Errorf("%w: %w", ErrNoPower, errPowerFailed)) {
			s.c.cfg.Log.Warn("a power action that was thought to be carried out has failed")
		}
	}
}
