package rfb

import (
	"context"
	"fmt"
	"image"
	"time"
	"unicode/utf8"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// engine is the server's loop and what only the loop touches: the picture as
// viewers are shown it, what is known to have changed, the viewers' state and
// the encoded pieces.
//
// Time: a change is looked at and sent at once when the last frame was due at
// least FrameInterval ago, else when it is. A frame that comes late does not
// make the next ones late, so that a source that draws at the same rate stays
// in step, and what a display that was quiet draws in two strokes is sent in
// two. With nothing to do the loop sleeps without a timer.
type engine struct {
	s   *Server
	cfg *ServerConfig

	active sourceRun
	next   Source // what to run from now on

	frame   *pixel.Frame // nil while nothing was ever announced, or cold
	shown   bool         // frame has something of a source's picture in it
	lent    lent         // says whose frame is
	size    image.Point  // of frame once it was looked at, or of the last one
	known   bool         // the present source run has announced its size
	looked  bool         // and its picture was looked at
	blocked bool         // Grab or Lend failed and nothing was announced since
	pending changes      // announced and not looked at yet
	seen    pixel.Region // looked at since the mail was last read
	grid    grid
	finder  pixel.MoveFinder
	vain    vain
	doubt   doubt
	cursor  cursorState
	leds    LEDState
	hasLEDs bool
	name    string

	screens  []Screen // nil is one that is all of the picture
	asked    sizeAsked
	relative bool // the source wants motion
	power    bool // the source offers power
	clip     clipboard

	viewers  map[*viewer]struct{}
	silent   int // of viewers
	watchers map[*watcher]struct{}

	lastFrame time.Time // when it was due, not much before it was looked at
	urgent    bool      // somebody waits for a first picture
	quietAt   time.Time // when the last viewer left, for Linger; zero with viewers
}

// sourceRun is one call of a source's Run.
type sourceRun struct {
	src     Source
	gen     uint64
	cancel  context.CancelFunc // nil while nothing runs
	stopped bool               // cancel was called
}

// watcher waits for a picture (Snapshot), or follows it (Follow).
type watcher struct {
	result  chan snapshot // room for one
	given   bool
	changed func() // nil without Follow
}

// wants reports whether a look at the picture is of use to w.
func (w *watcher) wants() bool { return !w.given || w.changed != nil }

type snapshot struct {
	frame *pixel.Frame
	err   error
}

func (w *watcher) give(f *pixel.Frame, err error) {
	if !w.given {
		w.given = true
		w.result <- snapshot{f, err}
	}
}

func newEngine(s *Server, src Source) *engine {
	return &engine{
		s: s, cfg: &s.cfg, next: src, name: s.cfg.Name,
		size:    image.Pt(s.cfg.Width, s.cfg.Height),
		viewers: make(map[*viewer]struct{}), watchers: make(map[*watcher]struct{}),
	}
}

// event is something that the loop must do.
type event interface{ do(e *engine) }

// run is the loop. It ends when the server is closed, after the source and
// the viewers' writers.
func (e *engine) run() {
	defer close(e.s.done)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		var tick <-chan time.Time
		if at := e.step(time.Now()); !at.IsZero() {
			timer.Reset(time.Until(at))
			tick = timer.C
		}
		select {
		case ev := <-e.s.events:
			ev.do(e)
		case <-e.s.mail.wake:
		case <-tick:
		case <-e.s.closing:
			timer.Stop()
			e.shutdown()
			return
		}
		timer.Stop()
		e.drain()
	}
}

// mostDrained bounds how long frames wait for viewers who talk without pause.
const mostDrained = 64

// drain does what is there already before the next frame.
func (e *engine) drain() {
	for range mostDrained {
		select {
		case ev := <-e.s.events:
			ev.do(e)
		default:
			return
		}
	}
}

func (e *engine) shutdown() {
	for v := range e.viewers {
		v.end(ErrClosed)
		e.remove(v)
	}
	e.stopSource()
	for e.active.cancel != nil { // its end comes as an event, maybe among others
		(<-e.s.events).do(e)
	}
	e.s.input.aim(nil, 0, nil)
}

// step does what is due at now and returns when to be called again at the
// latest; zero is when something happens.
func (e *engine) step(now time.Time) time.Time {
	e.readMail()
	again := e.tendSource(now)
	e.insist(now)
	for _, at := range [...]time.Time{e.welcome(now), e.dispel(now)} {
		if !at.IsZero() {
			again = earlier(again, at)
		}
	}
	wanted, at := e.wanted(now)
	due := e.lastFrame.Add(e.cfg.FrameInterval)
	if wanted && (e.urgent || !now.Before(due)) {
		e.urgent = false
		// A frame that is late does not make the next one late.
		e.lastFrame = later(due, now.Add(-e.cfg.FrameInterval))
		e.borrow(now)
		e.look(now)
		e.send(now)
		e.giveBack()
		// Where there was nothing new to send, no writer will say when to go on.
		wanted, at = e.wanted(now)
		due = e.lastFrame.Add(e.cfg.FrameInterval)
	}
	if !e.lent.again.IsZero() {
		again = earlier(again, e.lent.again)
	}
	switch {
	case wanted:
		again = earlier(again, due)
	case !at.IsZero():
		again = earlier(again, at)
	}
	return again
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// canLook reports whether the source's pixels can be had.
func (e *engine) canLook() bool {
	return e.known && !e.blocked && e.active.cancel != nil && !e.active.stopped
}

// wanted reports whether a frame now would reach anybody, else from when on
// one would; zero is when something happens.
func (e *engine) wanted(now time.Time) (yes bool, at time.Time) {
	fresh := e.canLook() && !e.pending.empty()
	if e.looked && e.pending.empty() && e.satisfyWatchers() && e.canLook() {
		return true, time.Time{}
	}
	for w := range e.watchers {
		if fresh && w.wants() {
			return true, time.Time{}
		}
	}
	if fresh && !e.looked && len(e.viewers) > 0 {
		return true, time.Time{} // they will want it when they have listed what they can
	}
	for v := range e.viewers {
		ok, from := v.ready(now)
		if !ok && from.IsZero() {
			continue
		}
		if !fresh && !v.hasNews(e) {
			g, rested := v.mendable(e, now)
			if g.Empty() {
				if rested.IsZero() {
					continue
				}
				ok, from = false, later(from, rested)
			}
		}
		if ok {
			return true, time.Time{}
		}
		at = earlier(at, from)
	}
	return false, at
}

// watched reports whether somebody looks.
func (e *engine) watched() bool { return e.people()+len(e.watchers) > 0 }

// people is how many viewers there are, without silent ones.
func (e *engine) people() int { return len(e.viewers) - e.silent }

// tendSource starts and ends the source as viewers come and go.
func (e *engine) tendSource(now time.Time) time.Time {
	if e.watched() {
		e.quietAt = time.Time{}
		if e.active.cancel == nil && e.next != nil {
			e.startSource()
		}
		return time.Time{}
	}
	if e.active.cancel == nil || e.active.stopped || e.cfg.Linger < 0 {
		return time.Time{}
	}
	if e.quietAt.IsZero() {
		e.quietAt = now
	}
	end := e.quietAt.Add(e.cfg.Linger)
	if now.Before(end) {
		return end
	}
	e.stopSource()
	return time.Time{}
}

func (e *engine) startSource() {
	e.known, e.looked, e.blocked = false, false, false
	e.pending.clear()
	ctx, cancel := context.WithCancel(context.Background())
	e.active = sourceRun{src: e.next, gen: e.s.mail.next(), cancel: cancel}
	e.lent.begin(e.active.src)
	e.s.input.aim(e.active.src, e.active.gen, &e.s.mail)
	e.setRelative(false)
	e.power = false
	go e.s.runSource(ctx, e.active.src, e.active.gen)
}

func (e *engine) stopSource() {
	if e.active.cancel == nil || e.active.stopped {
		return
	}
	e.active.stopped = true
	e.active.cancel()
	e.s.mail.next() // what it still says counts no more
	e.s.input.aim(nil, 0, nil)
}

// runSource runs a source until its Run returns, and tells the loop.
func (s *Server) runSource(ctx context.Context, src Source, gen uint64) {
	err := src.Run(ctx, NewDesktop(run{s, gen}))
	s.post(sourceReturned{gen})
	ended := sourceEnded{gen: gen, err: err}
	if ctx.Err() == nil && s.cfg.SourceEnded != nil {
		ended.next = s.cfg.SourceEnded(src, err)
	}
	s.post(ended)
}

// sourceEnded is the last that is heard of a source run.
type sourceEnded struct {
	gen  uint64
	err  error
	next Source
}

func (ev sourceEnded) do(e *engine) {
	if ev.gen != e.active.gen {
		return
	}
	asked := e.active.stopped
	e.active.cancel()
	e.active = sourceRun{}
	e.s.mail.next()
	e.pending.clear()
	e.s.input.aim(nil, 0, nil)
	e.clip = clipboard{}
	if !e.watched() {
		e.forget()
	}
	switch {
	case asked:
	case ev.next != nil:
		e.next = ev.next
	default:
		err := ErrSourceEnded
		if ev.err != nil {
			err = fmt.Errorf("%w: %w", ErrSourceEnded, ev.err)
		}
		for v := range e.viewers {
			v.end(err)
			e.remove(v)
		}
		for w := range e.watchers {
			w.give(nil, err)
			delete(e.watchers, w)
		}
	}
}

// forget gives the picture's memory back, as nobody looks, and remembers its
// size.
func (e *engine) forget() {
	e.frame, e.shown = nil, false
	e.lent.now, e.lent.unsure = false, false
	e.s.stats.frameBytes.Store(0)
	e.grid = grid{}
}

// setSource is Server.SetSource on the loop.
type setSource struct{ src Source }

func (ev setSource) do(e *engine) {
	e.next = ev.src
	e.stopSource()
	if e.active.stopped && !e.watched() {
		// Who comes before the old source has ended waits for the new one.
		e.forget()
		e.known, e.looked = false, false
	}
}

type watch struct{ w *watcher }

func (ev watch) do(e *engine) {
	e.watchers[ev.w] = struct{}{}
	e.urgent = true
}

type unwatch struct{ w *watcher }

func (ev unwatch) do(e *engine) { delete(e.watchers, ev.w) }

// lastFrame is Server.LastFrame on the loop.
type lastFrame struct{ reply chan *pixel.Frame }

func (ev lastFrame) do(e *engine) {
	if !e.shown {
		ev.reply <- nil
		return
	}
	ev.reply <- e.copyFrame()
}

// satisfyWatchers gives the picture to those who wait for one, and reports
// whether some have to wait until it is borrowed.
func (e *engine) satisfyWatchers() (more bool) {
	for w := range e.watchers {
		switch {
		case w.given:
		case w.changed != nil:
			w.give(nil, nil) // it wants to know, not to see
		case e.lent.now && !e.lent.held:
			more = true
		default:
			w.give(e.frame.Clone(), nil)
		}
	}
	return more
}

// readMail takes what the source announced. Pixels are not looked at yet.
func (e *engine) readMail() {
	n, look := e.s.mail.take(&e.pending, &e.seen)
	if look {
		e.blocked = false
		e.lent.insist, e.lent.again = false, time.Time{}
	}
	if n.size != nil {
		e.known = true
		before := e.size
		e.resize(*n.size)
		e.setScreens(n.screens, e.size != before)
	}
	if n.cursor != nil {
		e.setCursor(*n.cursor, e.cursor.at)
		e.cursor.told = e.cursor.told || *n.cursor != nil
		for v := range e.viewers {
			v.cursorStale = true
		}
	}
	if n.pointer != nil {
		e.setCursor(e.cursor.shape, *n.pointer)
	}
	if n.leds != nil && (!e.hasLEDs || *n.leds != e.leds) {
		e.leds, e.hasLEDs = *n.leds, true
		for v := range e.viewers {
			v.ledsStale = true
		}
	}
	if n.name != nil && *n.name != e.name {
		e.name = *n.name
		for v := range e.viewers {
			v.nameStale = true
		}
	}
	if n.bell {
		for v := range e.viewers {
			e.control(v, wire.AppendBell(nil))
		}
	}
	if n.relative != nil {
		e.setRelative(*n.relative)
	}
	if n.warp != nil {
		e.warp(*n.warp)
	}
	if n.power != nil {
		e.setPower(*n.power)
	}
	if n.cutText != nil {
		e.setClipboard(*n.cutText)
	}
}

// resize makes room for a picture of the new size. What was shown stays where
// it fits until the new picture is looked at. A frame that will be lent comes
// with the look.
func (e *engine) resize(size image.Point) {
	lends := e.lent.by != nil
	if e.frame != nil && size == e.size && (lends || e.fits()) {
		return
	}
	old := e.frame
	e.size = size
	if !lends {
		e.frame = pixel.NewFrame(size.X, size.Y)
		e.s.stats.frameBytes.Store(int64(4 * size.X * size.Y))
		if old != nil {
			pixel.Copy(e.frame, old, old.Rect())
		}
	}
	e.grid = newGrid(size)
	e.finder.Distrust()
	e.doubt.region.Clear() // all is looked at anew
	e.s.input.resize(e.bounds())
	for v := range e.viewers {
		v.resized(size)
	}
}

// look brings the frame up to date with the source and tells every viewer's
// state what changed.
func (e *engine) look(now time.Time) {
	if !e.canLook() {
		return
	}
	if e.pending.empty() {
		if e.looked {
			e.satisfyWatchers()
		}
		return
	}
	e.pending.clip(e.bounds())
	if e.lent.by != nil {
		e.lookedAt(e.pending.damage.Clone(), now)
		return
	}
	damage := &e.pending.damage
	search := !e.lent.unsure && e.worthSearching(now)
	if search {
		damage = damage.Clone()
		e.finder.Widen(damage)
	}
	var changed *pixel.Region
	var found []move
	err := e.active.src.Grab(damage, func(view *pixel.Frame) {
		for _, m := range e.pending.moves {
			e.frame.Move(m.rect, m.from)
			e.finder.Changed(m.rect)
		}
		rest := &e.pending.damage
		if search {
			var left *pixel.Region
			if found, left = e.findMoves(view, damage, now); len(found) > 0 {
				e.pending.damage, rest = *damage, left
			}
		}
		if e.shown && !e.lent.unsure {
			changed = pixel.Update(e.frame, view, rest)
		} else {
			changed = e.first(view)
		}
	})
	if err != nil || changed == nil {
		// The pixels cannot be had just now. They stay pending; the source
		// announces more when they can be, or its Run ends with the reason.
		e.blocked = true
		if err != nil {
			e.s.cfg.Log.Debug("the picture could not be read", "error", err)
		}
		return
	}
	e.lent.unsure = false
	for r := range changed.Rects() {
		e.finder.Changed(r)
	}
	e.pending.moves = append(e.pending.moves, found...)
	e.seen.Union(&e.pending.damage)
	e.lookedAt(changed, now)
}

// lookedAt tells everybody's state what a look at the picture found: the moves
// that are pending, then what changed besides.
func (e *engine) lookedAt(changed *pixel.Region, now time.Time) {
	e.looked, e.shown = true, true
	e.grid.changed(changed, e.pending.moves, now)
	if !changed.Empty() || len(e.pending.moves) > 0 {
		e.tellFollowers()
	}
	for v := range e.viewers {
		v.changed(e, e.pending.moves, changed, now)
	}
	e.pending.clear()
	e.s.stats.frames.Add(1)
	e.satisfyWatchers()
}

// first fills the frame for the first time and returns what it filled.
// Comparing would read each page of fresh memory before it is written, which
// the system then has to provide twice.
func (e *engine) first(view *pixel.Frame) *pixel.Region {
	changed := e.pending.damage.Clone()
	changed.IntersectRect(view.Rect())
	for r := range changed.Rects() {
		pixel.Copy(e.frame, view, r)
	}
	return changed
}

// clipString cuts s to n bytes, between characters.
func clipString(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
