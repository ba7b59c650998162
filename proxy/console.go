package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/notice"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// State is what a console is doing.
type State uint8

// The states. A console is cold until somebody looks, starting until there is
// a picture, and then live. When a live one breaks off it is lost; when one
// cannot be brought to live it has failed. From both it starts again after a
// while, and from all of them it goes cold when nobody looks any more.
const (
	Cold State = iota
	Starting
	Live
	Lost
	Failed
)

var stateNames = [...]string{Cold: "cold", Starting: "starting", Live: "live", Lost: "lost", Failed: "failed"}

// String is the state's name in the API.
func (s State) String() string { return stateNames[s] }

// Status is a console's state at one moment.
type Status struct {
	State State
	// Since is when that state began.
	Since time.Time
	// Reason says in words why it is lost or failed, and what is waited for
	// while it is starting. On a cold console it says what ended it last.
	Reason string
	// RetryAt is when a lost or failed console starts again, zero otherwise.
	RetryAt time.Time
	// Enabled is false between Disable and Enable.
	Enabled bool
	// Viewers is the number of people looking.
	Viewers int
	// Width and Height are the size of the node's picture in pixels, 0 while
	// it is not known.
	Width, Height int
}

// Errors of a Console.
var (
	// ErrDisabled: the console was disabled and not enabled since.
	ErrDisabled = errors.New("the console is disabled")
	// ErrClosed: the service is being closed.
	ErrClosed = errors.New("the service is going down")
)

// NotLiveError says that a console had no picture of its node in time.
type NotLiveError struct {
	Node   string
	Status Status
}

func (e *NotLiveError) Error() string {
	text := fmt.Sprintf("the console of %q is %s", e.Node, e.Status.State)
	if e.Status.Reason != "" {
		text += ": " + e.Status.Reason
	}
	return text
}

const (
	// minLinger covers a page that is loaded again.
	minLinger = 2 * time.Second
	// farewellTime is for viewers to be shown why they are disconnected.
	farewellTime = 700 * time.Millisecond
	// stopTimeout bounds Backend.Stop.
	stopTimeout = 30 * time.Second
)

// Console is one node's hub: one RFB session with the node, started by the
// first viewer, and an RFB server that shows it to all of them. Its methods
// may be called from any goroutine.
//
// It has no goroutine of its own but one while a text is typed: the RFB server
// runs a chain of sources, and each link does its part of the work (see hub)
// while it is shown.
type Console struct {
	node    Node
	linger  time.Duration
	limits  Limits
	log     *slog.Logger
	metrics *metrics
	revoke  func(node string) error

	about atomic.Pointer[About] // never nil; the node's is the first

	audit    func(action string, by caller, r *http.Request, c *Console, attrs ...slog.Attr)
	typist   typist // types into it for people
	recorder recorder

	awaiting  atomic.Int64   // calls that need it running: of Screenshot and hold
	used      moment         // when somebody last used it
	alert     atomic.Bool    // any use is to ring the clock
	version   atomic.Uint64  // changes with what is seen of the console
	work      sync.WaitGroup // stops under way
	clock     *time.Timer    // runs tick
	lease     Lease          // with defaults
	tell      func()         // that something changed
	enforcing sync.Mutex     // one enforce at a time

	mu      sync.Mutex
	hub     *hub // nil until somebody looks, and after a stop
	status  Status
	changed chan struct{} // closed, and replaced, when status changes
	closed  bool
	stopped chan struct{} // closed when the last stop is complete; nil before the first
	retired rfb.Stats     // of hubs that are gone
}

func newConsole(n Node, s *Service) *Console {
	c := &Console{
		node: n, linger: s.cfg.Linger, limits: s.cfg.Limits, metrics: s.metrics, revoke: s.cfg.Tokens.Revoke,
		audit: s.audit, tell: s.changes.tell,
		lease:    n.Lease.or(s.cfg.Lease).withDefaults(),
		log:      s.cfg.Log.With("node", n.Name),
		status:   Status{State: Cold, Since: time.Now(), Enabled: true},
		changed:  make(chan struct{}),
		typist:   newTypist(s.life),
		recorder: s.recorderFor(n),
	}
	c.used.from = c.status.Since
	c.about.Store(&n.About)
	c.clock = time.AfterFunc(math.MaxInt64, c.tick)
	c.clock.Stop() // until there is something to wait for
	return c
}

// Node returns what the console is of.
func (c *Console) Node() Node { return c.node }

// Status returns the present state.
func (c *Console) Status() Status {
	st, _ := c.watch()
	return st
}

// watch returns the present state and a channel that is closed when another
// follows. The number of viewers is not part of that.
func (c *Console) watch() (Status, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.status
	if st.State == Cold && c.node.Unavailable != "" {
		st.State, st.Reason = Failed, c.node.Unavailable
	}
	if c.hub != nil {
		st.Viewers = int(c.hub.viewers.Load())
		st.Width, st.Height = c.hub.size()
	}
	return st, c.changed
}

// Await returns the state as soon as ok is true of it, or the last one and
// ctx's error. The number of viewers is looked at only when something else
// changes.
func (c *Console) Await(ctx context.Context, ok func(Status) bool) (Status, error) {
	for {
		st, changed := c.watch()
		if ok(st) {
			return st, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return st, ctx.Err()
		}
	}
}

// setLocked is how the status changes.
func (c *Console) setLocked(state State, reason string, retryAt time.Time) {
	old := c.status
	c.status.Reason, c.status.RetryAt = reason, retryAt
	if state != old.State {
		c.status.State, c.status.Since = state, time.Now()
	}
	if c.status != old {
		c.notifyLocked()
	}
	if state != old.State {
		level := slog.LevelInfo
		if state == Lost || state == Failed {
			level = slog.LevelWarn
		}
		c.recordLocked(state)
		c.log.Log(context.Background(), level, "console "+state.String(), "was", old.State.String(), "reason", reason)
	}
}

// notify wakes who watches the console for something beside its Status.
func (c *Console) notify() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.notifyLocked()
}

func (c *Console) notifyLocked() {
	c.version.Add(1)
	close(c.changed)
	c.changed = make(chan struct{})
	c.tell()
}

// over reports whether there will never be anything to see again.
func (c *Console) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// open returns the hub that people look at now.
func (c *Console) open() (*hub, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.openLocked()
}

func (c *Console) openLocked() (*hub, error) {
	switch {
	case c.closed:
		return nil, ErrClosed
	case !c.status.Enabled:
		return nil, ErrDisabled
	}
	if c.hub == nil {
		c.hub = newHub(c)
	}
	return c.hub, nil
}

// Enable lets people look again after Disable.
func (c *Console) Enable() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.status.Enabled {
		c.status.Enabled = true
		c.status.Reason = ""
		c.notifyLocked()
		c.log.Info("console enabled")
	}
}

// Disable ends every token given out for the console before it returns, and
// then in its own time tells the viewers why, ends their sessions and stops
// what the backend runs. Nobody can look until Enable. The error says that
// the tokens' end could not be kept for the time after a restart.
func (c *Console) Disable(why string) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrClosed
	}
	c.status.Enabled = false
	stop := c.haltLocked(&parting{closeStopped, "The console was stopped", why})
	c.mu.Unlock()

	err := c.revoke(c.node.Name)
	c.notify() // who is here by a token is not any more
	stop()
	return err
}

// haltLocked makes the console cold, of which nobody who looks is part any
// more. stop, which must be called without c.mu, then tells them why, ends
// their sessions and what the backend runs, in its own time.
func (c *Console) haltLocked(why *parting) (stop func()) {
	h := c.hub
	c.hub = nil
	c.clock.Stop()
	if h != nil {
		h.parting.Store(why)
	}
	c.setLocked(Cold, why.text, time.Time{})
	before, done := c.stopped, make(chan struct{})
	c.stopped = done
	c.work.Add(1)
	return func() { go c.stop(h, why, before, done) }
}

// stop ends h, if there is one, and what the backend runs. It then closes
// done.
func (c *Console) stop(h *hub, why *parting, before <-chan struct{}, done chan<- struct{}) {
	defer c.work.Done()
	defer c.notify() // it is not stopping any more
	defer close(done)
	if before != nil {
		<-before
	}
	if h != nil {
		h.end(why)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := c.node.Backend.Stop(ctx); err != nil {
		c.log.Error("console not stopped", "error", err)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.hub == nil {
			c.setLocked(Cold, fmt.Sprintf("%s Stopping it failed: %v", why.text, err), time.Time{})
		}
		return
	}
	c.log.Info("console stopped", "reason", why.text)
}

// stopping reports whether what the backend runs is still being ended.
func (c *Console) stopping() bool {
	c.mu.Lock()
	done := c.stopped
	c.mu.Unlock()
	if done == nil {
		return false
	}
	select {
	case <-done:
		return false
	default:
		return true
	}
}

// retire ends the viewers' sessions, the console's and what the backend runs,
// and returns what was shown in all. stopped is nil where the node is gone for
// good, otherwise it is closed when another may start its console.
func (c *Console) retire(stopped chan<- struct{}) rfb.Stats {
	why := &parting{closeStopped, "The console was stopped", "The node was removed from the configuration."}
	if stopped != nil {
		defer close(stopped)
		why = &parting{websocket.CloseServiceRestart, "The console starts anew", "The node's configuration has changed."}
	}
	c.mu.Lock()
	c.closed = true
	stop := c.haltLocked(why)
	c.mu.Unlock()
	stop()
	c.work.Wait()
	return c.Stats()
}

// close ends the viewers' sessions and the console's and waits for them.
func (c *Console) close() {
	c.mu.Lock()
	h := c.hub
	c.hub, c.closed = nil, true
	c.clock.Stop()
	c.setLocked(Cold, "", time.Time{})
	c.notifyLocked()
	c.mu.Unlock()
	if h != nil {
		h.end(&parting{headline: "The service is going down.", text: "The page goes on by itself when the service is back."})
	}
	c.work.Wait()
}

// Stats returns the totals of all that the console's RFB servers have done.
func (c *Console) Stats() rfb.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.retired
	if c.hub != nil {
		sum.Add(c.hub.server.Stats())
	}
	return sum
}

// Picture returns the node's picture as it is now, nil where the console is
// not live. It starts nothing and keeps nothing running.
func (c *Console) Picture() *pixel.Frame {
	c.mu.Lock()
	h, state := c.hub, c.status.State
	c.mu.Unlock()
	if h == nil || state != Live {
		return nil
	}
	f := h.server.LastFrame()
	if c.Status().State != Live {
		return nil
	}
	return f
}

// Screenshot returns the node's picture. It starts the console if need be, as
// a viewer does, and waits for it until ctx ends; the error is then a
// *NotLiveError that also wraps the context's.
func (c *Console) Screenshot(ctx context.Context) (*pixel.Frame, error) {
	c.awaiting.Add(1)
	defer c.unawait()
	var failure Status // the last one while this waits
	for {
		h, err := c.open()
		if err != nil {
			return nil, err
		}
		// A snapshot keeps the source running for minLinger, so asking more
		// often than that is what holds a console that is starting.
		before := c.Status()
		f, err := h.server.Snapshot(ctx)
		after, changed := c.watch()
		for _, st := range [...]Status{before, after} {
			if st.State == Lost || st.State == Failed {
				failure = st
			}
		}
		switch {
		case err == nil && before.State == Live && after.State == Live && before.Since.Equal(after.Since):
			return f, nil
		case ctx.Err() != nil:
			if failure.Reason != "" && after.State == Starting {
				after = failure // more to the point than what is tried now
			}
			return nil, errors.Join(&NotLiveError{c.node.Name, after}, context.Cause(ctx))
		case err != nil && !errors.Is(err, rfb.ErrClosed):
			return nil, fmt.Errorf("taking a picture of %q: %w", c.node.Name, err)
		}
		if after.State == Live {
			continue
		}
		hold := time.NewTimer(minLinger / 2)
		select {
		case <-changed:
		case <-hold.C:
		case <-ctx.Done():
		}
		hold.Stop()
	}
}

// unawait ends a Screenshot. Where it was the last who looked, and the chain
// stands between two links, nobody else would say that the console is cold.
func (c *Console) unawait() {
	c.awaiting.Add(-1)
	c.mu.Lock()
	h := c.hub
	c.mu.Unlock()
	if h != nil && !h.watched() && !h.running.Load() {
		h.enterCold()
	}
}

// message is a notice in the node's name.
func (c *Console) message(tone notice.Tone, headline string, until time.Time, lines ...string) notice.Message {
	return notice.Message{Title: c.node.Name, Headline: headline, Lines: lines, Tone: tone, Until: until}
}
