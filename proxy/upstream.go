package proxy

import (
	"context"
	"image"
	"net"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// dialer reaches a console's RFB server.
type dialer = func(ctx context.Context) (net.Conn, error)

// upstream is the link that is the RFB session with the node. Input and all
// else that an rfb.Client takes goes to it as it is.
type upstream struct {
	*rfb.Client
	h      *hub
	liveAt time.Time // zero before the first picture; the client's goroutine's, then next's
}

func newUpstream(h *hub, dial dialer) *upstream {
	u := &upstream{h: h}
	u.Client = rfb.NewClient(rfb.ClientConfig{Dial: dial, Log: h.c.log, Live: u.live})
	return u
}

// Run is the session, from dialling to its end.
func (u *upstream) Run(ctx context.Context, d *rfb.Desktop) error {
	u.h.running.Store(true)
	u.liveAt = time.Time{}
	u.h.enter(Starting, "connecting to the console", time.Time{})
	err := u.Client.Run(ctx, d)
	if ctx.Err() != nil {
		u.h.cold()
		return nil //nolint:nilerr // it was ended, it did not fail
	}
	return err
}

// live is told by the client that it has the first picture.
func (u *upstream) live() {
	u.liveAt = time.Now()
	u.h.backdrop = nil
	u.h.enter(Live, "", time.Time{})
}

// Grab is the client's, and keeps an eye on the picture's size.
func (u *upstream) Grab(r *pixel.Region, use func(view *pixel.Frame)) error {
	return u.Client.Grab(r, func(view *pixel.Frame) {
		if w, h := u.h.size(); w != view.Width || h != view.Height {
			u.h.pixels.Store(&image.Point{X: view.Width, Y: view.Height})
			u.h.c.notify()
		}
		use(view)
	})
}
