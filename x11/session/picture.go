package session

import (
	"context"
	"sync"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/x11"
)

// picture is an open X display that can be closed at any time: a display must
// not be while the server runs it, and the server ends a run a moment after
// it was given another source.
type picture struct {
	*x11.Display

	// running is held while Run runs, and for ever by close.
	running sync.Mutex
	once    sync.Once // of the display's Close
}

// Run is the display's Run.
func (p *picture) Run(ctx context.Context, d *rfb.Desktop) error {
	if !p.running.TryLock() {
		return x11.ErrLost // it is being closed
	}
	defer p.running.Unlock()
	return p.Display.Run(ctx, d)
}

// hungServer is how long a run may take to end that was told to.
const hungServer = 3 * time.Second

// close closes the display. Something else must be shown already, or the
// server be closing: then nobody reads pixels any more, and a run that waits
// for an X server which does not answer is ended by closing it under it.
func (p *picture) close() {
	hung := time.AfterFunc(hungServer, p.closeDisplay)
	p.running.Lock()
	hung.Stop()
	p.closeDisplay()
}

func (p *picture) closeDisplay() {
	p.once.Do(func() { _ = p.Display.Close() }) // the connection is given up in any case
}
