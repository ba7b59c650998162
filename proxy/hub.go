package proxy

import (
	"context"
	"errors"
	"image"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/notice"
	"github.com/ironglass/ironglass/rfb/pixel"
)

const (
	// retryFirst and retryMost are the waits before the first retry and
	// between later ones, which double from one to the other.
	retryFirst, retryMost = time.Second, 30 * time.Second
	// steadyTime is how long a console must have been live for its next loss
	// to count as the first.
	steadyTime = 10 * time.Second
	// explainTimeout bounds Backend.Explain.
	explainTimeout = 5 * time.Second
)

// hub is one life of a Console's RFB server, from the first viewer to a stop.
// The server shows a chain of sources:
//
//	starting -> upstream -> waiting -> starting -> ...
//
// starting paints a notice while the backend starts the console; upstream is
// the RFB session with the node; waiting paints why there is none, over the
// last picture, until it is time to try again. The server runs one of them at
// a time, only while somebody looks or not long after, and asks for the next
// when one ends (next). When it is cut off because nobody looks, the console
// is cold, and the chain goes on from the same link with the next viewer.
type hub struct {
	c       *Console
	server  *rfb.Server
	pixels  atomic.Pointer[image.Point] // size of the node's picture
	viewers atomic.Int64                // people looking
	parting atomic.Pointer[parting]     // why they were sent away, nil before
	people  people                      // guarded by c.mu
	running atomic.Bool                 // a link's Run has begun and next was not asked since
	hands   atomic.Pointer[hands]       // while the console is live
	// offersPower is the upstream that acts on the machine's power, nil where
	// none does.
	offersPower atomic.Pointer[upstream]

	// What follows belongs to the link that runs: its Run, and next after it.
	// The server runs one at a time.
	attempts int          // failures since the console was last steady
	backdrop *pixel.Frame // the node's last picture while there is none
}

func newHub(c *Console) *hub {
	h := &hub{c: c}
	h.people.exclusive = c.node.Seats == SeatsExclusive
	h.people.Lease = c.lease
	h.server = rfb.NewServer(&starting{h: h}, rfb.ServerConfig{
		Name: c.node.Name, Width: c.node.Width, Height: c.node.Height,
		Linger: c.linger, HandshakeTimeout: c.limits.HandshakeTimeout, WriteTimeout: c.limits.WriteTimeout,
		Log:         c.log,
		SourceEnded: h.next,
		ViewersChanged: func(n int) {
			h.viewers.Store(int64(n))
			c.notify()
		},
	})
	return h
}

// ended is the error of a viewer whose session ended with the server's.
func (h *hub) ended(err error) error {
	if why := h.parting.Load(); why != nil {
		return why
	}
	return err
}

// end shows the viewers a last notice and ends their sessions. It returns
// when all of the hub is gone.
func (h *hub) end(why *parting) {
	c := h.c
	if h.viewers.Load() > 0 {
		n := notice.New(c.node.Width, c.node.Height, h.server.LastFrame())
		n.Set(c.message(notice.Warning, why.headline, time.Time{}, why.text))
		h.server.SetSource(n)
		time.Sleep(farewellTime)
	}
	_ = h.server.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := h.server.Stats()
	s.Viewers, s.CacheBytes, s.FrameBytes = 0, 0, 0
	c.retired.Add(s)
}

// enter changes the console's state, unless the console has gone on to
// another hub.
func (h *hub) enter(state State, reason string, retryAt time.Time) {
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	if h.c.hub == h {
		h.c.setLocked(state, reason, retryAt)
	}
}

// cold is called when a link ends because nobody looks any more, or ends while
// nobody does.
func (h *hub) cold() {
	h.running.Store(false)
	h.backdrop = nil
	h.enterCold()
}

// enterCold changes the state alone. The reason of a failure stays, for who
// asks later.
func (h *hub) enterCold() {
	c := h.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hub != h {
		return
	}
	reason := ""
	if c.status.State == Lost || c.status.State == Failed || c.status.State == Cold {
		reason = c.status.Reason
	}
	c.setLocked(Cold, reason, time.Time{})
}

// size returns the node's picture's size in pixels, 0 by 0 before there was
// one.
func (h *hub) size() (width, height int) {
	if p := h.pixels.Load(); p != nil {
		return p.X, p.Y
	}
	return 0, 0
}

// notice returns a painted screen of the size that viewers have.
func (h *hub) notice() *notice.Source {
	width, height := h.size()
	if width == 0 {
		width, height = h.c.node.Width, h.c.node.Height
	}
	return notice.New(width, height, h.backdrop)
}

// next is what the server asks for when a link ended of itself with err.
func (h *hub) next(ended rfb.Source, err error) rfb.Source {
	l := h.follow(ended, err)
	h.running.Store(false)
	if !h.watched() {
		// The server runs the next link only for somebody. Where there is
		// somebody all the same, the link says at once what it does.
		h.cold()
	}
	return l
}

// watched reports whether somebody looks or waits to.
func (h *hub) watched() bool { return h.viewers.Load()+h.c.awaiting.Load() > 0 }

// follow is the chain: what comes after the link that ended with err.
func (h *hub) follow(ended rfb.Source, err error) rfb.Source {
	switch l := ended.(type) {
	case *starting:
		if err != nil {
			h.c.metrics.failure("start")
			return h.failed(Failed, "The console could not be started", err, false)
		}
		return newUpstream(h, l.endpoint)
	case *upstream:
		if err == nil {
			err = errors.New("the console ended the session")
		}
		if l.liveAt.IsZero() {
			h.c.metrics.failure("connect")
			if l.explain != nil {
				err = l.explain(err)
			}
			return h.failed(Failed, "The console could not be reached", err, true)
		}
		if time.Since(l.liveAt) >= steadyTime {
			h.attempts = 0
		}
		h.c.metrics.failure("lost")
		h.backdrop = h.server.LastFrame()
		return h.failed(Lost, "The console was lost", err, true)
	default:
		return &starting{h: h}
	}
}

// failed enters state and returns the link that waits for the next attempt.
func (h *hub) failed(state State, headline string, err error, explain bool) rfb.Source {
	wait := retryMost
	if h.attempts < 5 {
		wait = min(retryMost, retryFirst<<h.attempts)
	}
	h.attempts++
	at := time.Now().Add(wait)
	h.enter(state, err.Error(), at)
	return &waiting{h: h, state: state, headline: headline, reason: err.Error(), until: at, explain: explain}
}

// during shows n while work runs, and returns what work does. Work is to end
// soon after its context.
func during(ctx context.Context, d *rfb.Desktop, n *notice.Source, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		err = work(ctx)
	})
	shown := n.Run(ctx, d)
	cancel()
	wg.Wait()
	return errors.Join(err, shown)
}

// painted is the part of a link that shows a notice. The notice is made anew
// for each run, on the source's goroutine, which is where Grab's caller got
// to know of it.
type painted struct {
	screen atomic.Pointer[notice.Source]
}

// Grab shows the notice.
func (p *painted) Grab(r *pixel.Region, use func(view *pixel.Frame)) error {
	n := p.screen.Load()
	if n == nil {
		return errors.New("nothing is painted yet")
	}
	return n.Grab(r, use)
}

// starting is the link that has the backend start the console.
type starting struct {
	painted
	h        *hub
	endpoint Endpoint
}

// Run paints the phases of the start until it is over; nil is success.
func (l *starting) Run(ctx context.Context, d *rfb.Desktop) error {
	h, c := l.h, l.h.c
	h.running.Store(true)
	n := h.notice()
	l.screen.Store(n)
	phase := func(text string) {
		h.enter(Starting, text, time.Time{})
		n.Set(c.message(notice.Info, "Starting the console", time.Time{}, text))
	}
	phase("preparing")
	err := during(ctx, d, n, func(ctx context.Context) error {
		if err := errors.Join(c.settled(ctx), h.letPaint(ctx)); err != nil {
			return err
		}
		e, err := c.node.Backend.Start(ctx, phase)
		if err != nil {
			return err
		}
		l.endpoint = e
		c.log.Info("console started", "epoch", e.Epoch)
		return nil
	})
	if ctx.Err() != nil {
		h.cold()
		return nil //nolint:nilerr // it was ended, it did not fail
	}
	return err
}

// paintTime is what a browser takes to show its first picture.
const paintTime = 60 * time.Millisecond

// letPaint leaves the machine to the viewers for a moment where they have no
// picture yet. What a backend starts on the same machine, an X server and a
// browser perhaps, takes all of it, and people would look at nothing for
// longer than they wait more now.
func (h *hub) letPaint(ctx context.Context) error {
	if h.viewers.Load() == 0 || h.attempts > 0 || h.backdrop != nil {
		return nil
	}
	t := time.NewTimer(paintTime)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settled returns when no stop of the console is under way any more.
func (c *Console) settled(ctx context.Context) error {
	c.mu.Lock()
	stopped := c.stopped
	c.mu.Unlock()
	if stopped == nil {
		return nil
	}
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waiting is the link that says what went wrong until it is time to try
// again.
type waiting struct {
	painted
	h                *hub
	state            State
	headline, reason string
	until            time.Time
	explain          bool // Backend.Explain may know more
}

// Run paints the reason and the time left, and returns nil when it is over.
func (l *waiting) Run(ctx context.Context, d *rfb.Desktop) error {
	h, c := l.h, l.h.c
	h.running.Store(true)
	n := h.notice()
	l.screen.Store(n)
	tone := notice.Failure
	if l.state == Lost {
		tone = notice.Warning
	}
	show := func() {
		h.enter(l.state, l.reason, l.until)
		n.Set(c.message(tone, l.headline, l.until, strings.Split(l.reason, "\n")...))
	}
	show()
	_ = during(ctx, d, n, func(ctx context.Context) error {
		if l.explain {
			l.explain = false
			known, cancel := context.WithTimeout(ctx, explainTimeout)
			text := c.node.Backend.Explain(known)
			cancel()
			if text != "" {
				l.reason = text
				show()
			}
		}
		t := time.NewTimer(time.Until(l.until))
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return nil
	})
	if ctx.Err() != nil {
		h.cold()
	}
	return nil
}
