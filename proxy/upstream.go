package proxy

import (
	"context"
	"image"
	"sync/atomic"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// upstream is the link that is the RFB session with the node. Keys and pointer
// go through hands; all else that an rfb.Client takes goes to it as it is.
type upstream struct {
	*rfb.Client
	h       *hub
	hands   atomic.Pointer[hands] // of the present Run
	liveAt  time.Time             // zero before the first picture; the client's goroutine's, then next's
	explain func(error) error
}

// flushTime bounds how long the end of a session waits for the node to be told
// that the keys are let go.
const flushTime = 200 * time.Millisecond

func newUpstream(h *hub, e Endpoint) *upstream {
	u := &upstream{h: h, explain: e.Explain}
	u.Client = rfb.NewClient(rfb.ClientConfig{Dial: e.Dial, Security: e.Security, Exact: e.Exact, Log: h.c.log, Live: u.live})
	return u
}

// Run is the session, from dialling to its end.
func (u *upstream) Run(ctx context.Context, d *rfb.Desktop) error {
	u.h.running.Store(true)
	u.liveAt = time.Time{}
	u.h.enter(Starting, "connecting to the console", time.Time{})
	hands := newHands(u.Client, u.h.c.node.Keys)
	u.hands.Store(hands)
	// What is held is let go before the session ends, while that can be said.
	session, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		defer cancel()
		hands.end()
		flush, done := context.WithTimeout(context.Background(), flushTime)
		defer done()
		u.Client.Flush(flush)
	})
	err := u.Client.Run(session, rfb.NewDesktop(&overheard{d, u, hands}))
	if !stop() {
		<-ended
	}
	u.offerPower(false)
	u.h.hands.CompareAndSwap(hands, nil)
	u.hands.Store(nil)
	hands.end()
	if ctx.Err() != nil {
		u.h.cold()
		return nil // it was ended, it did not fail
	}
	return err
}

// live is told by the client that it has the first picture.
func (u *upstream) live() {
	u.liveAt = time.Now()
	u.h.backdrop = nil
	u.h.hands.Store(u.hands.Load())
	u.h.enter(Live, "", time.Time{})
}

// Grab is the client's, and keeps an eye on the picture's size.
func (u *upstream) Grab(r *pixel.Region, use func(view *pixel.Frame)) error {
	return u.Client.Grab(r, func(view *pixel.Frame) {
		u.sized(view)
		use(view)
	})
}

// Lend is likewise.
func (u *upstream) Lend(torn bool) (*pixel.Frame, error) {
	f, err := u.Client.Lend(torn)
	if err == nil {
		u.sized(f)
	}
	return f, err
}

// sized takes note of the picture's size.
func (u *upstream) sized(f *pixel.Frame) {
	if w, h := u.h.size(); w != f.Width || h != f.Height {
		u.h.pixels.Store(&image.Point{X: f.Width, Y: f.Height})
		u.h.c.notify()
	}
}

// overheard passes on what the node says and takes note of some of it.
type overheard struct {
	*rfb.Desktop
	u     *upstream
	hands *hands
}

// SetLEDState is rfb.Announced's.
func (o *overheard) SetLEDState(s rfb.LEDState) {
	o.hands.setLights(s)
	o.Desktop.SetLEDState(s)
}

// OfferPower is rfb.Announced's.
func (o *overheard) OfferPower(offered bool) {
	o.Desktop.OfferPower(offered)
	o.u.offerPower(offered)
}

// offerPower says whether the node's VNC server acts on the machine's power.
func (u *upstream) offerPower(offered bool) {
	var now *upstream
	if offered {
		now = u
	}
	if u.h.offersPower.Swap(now) != now {
		u.h.c.notify()
	}
}

// KeyEvent is rfb.Input's: where a person's keys go on to the node.
func (u *upstream) KeyEvent(e rfb.KeyEvent) {
	u.h.c.active(time.Now())
	if h := u.hands.Load(); h != nil {
		h.KeyEvent(e)
	}
}

// PointerEvent is rfb.Input's.
func (u *upstream) PointerEvent(e rfb.PointerEvent) {
	u.h.c.active(time.Now())
	if h := u.hands.Load(); h != nil {
		h.PointerEvent(e)
	}
}
