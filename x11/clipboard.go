package x11

import (
	"fmt"
	"sync"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
)

// Selections says which of X's selections are the viewers' clipboard.
type Selections int

const (
	// SelectionsBoth are CLIPBOARD, what was copied, and PRIMARY, what is
	// marked.
	SelectionsBoth Selections = iota
	// SelectionsClipboard is CLIPBOARD alone.
	SelectionsClipboard
	// SelectionsPrimary is PRIMARY alone.
	SelectionsPrimary
	// SelectionsNone keeps viewers' and X programs' texts apart.
	SelectionsNone
)

const (
	// selectionRest is how long a selection must stay as it is before its
	// text is asked for: what is marked with the mouse changes all the time.
	selectionRest = 100 * time.Millisecond
	// answerLimit is how long the X program at the other end may take for its
	// next step, fetchLimit how long it may take for a whole text.
	answerLimit = 5 * time.Second
	fetchLimit  = 30 * time.Second
	// echoLimit is how long after a viewer's text the same text is taken for
	// a clipboard manager's, which has taken it over.
	echoLimit = 2 * time.Second
)

// clipboard makes one of the viewers' clipboard and X's selections while a
// Run runs, and so while viewers look: what X programs copied before is never
// fetched, and what viewers gave is gone afterwards.
//
// Its goroutine, serve, owns it. It alone talks to the X programs; pump and
// viewers leave what they have in selectionMail and go on. It asks the X
// server only what that answers by itself. X programs it only tells, and
// waits for their answers as events, up to a time: one that hangs costs
// nothing but its own text.
//
// All that the X server holds for it hangs on its windows and goes with them.
type clipboard struct {
	x     *Display
	d     desktop
	atoms *selectionAtoms
	// own is a window that is never shown. It owns the selections that have a
	// viewer's text, and it is told of other owners.
	own     xproto.Window
	fetches []*fetch // one for each selection

	offer     *offer           // the viewers' text while a selection has it or is to have it
	claiming  bool             // the server's time is awaited, for owning the selections
	since     xproto.Timestamp // when they were owned last
	echo      string           // a viewer's text that is not to be told again
	echoUntil time.Time
	transfers map[transferKey]*transfer
	piece     int // bytes that one request may carry

	quit  chan struct{} // closed by stop
	ended chan struct{} // closed by serve at its end
}

// selectionMail is what waits for serve.
type selectionMail struct {
	wake chan struct{} // capacity 1: there is something

	mu     sync.Mutex // guards what follows
	open   bool       // while a clipboard runs
	events []any
	text   *string // a viewer's
}

// selectionEvents bounds the events that wait. X programs that send more than
// can be handled get no answers.
const selectionEvents = 1024

// post leaves an event of X for the clipboard, where there is one.
func (m *selectionMail) post(ev any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open && len(m.events) < selectionEvents {
		m.events = append(m.events, ev)
		m.ring()
	}
}

// put leaves a viewer's text. Of several the last counts.
func (m *selectionMail) put(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open {
		m.text = &text
		m.ring()
	}
}

// ring wakes serve.
func (m *selectionMail) ring() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// admit says whether anything is taken. Nothing is kept from before.
func (m *selectionMail) admit(open bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open, m.events, m.text = open, nil, nil
}

func (m *selectionMail) take() (events []any, text *string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	events, text = m.events, m.text
	m.events, m.text = nil, nil
	return events, text
}

// SetCutText implements rfb.Clipboard: X programs that paste get the text,
// until one of them copies another or the last viewer leaves. An empty text
// is none.
func (x *Display) SetCutText(text string) {
	if x.cfg.ViewOnly {
		return
	}
	if len(text) > wire.MaxCutText {
		x.log.Debug("a viewer's text is too long for the clipboard", "bytes", len(text), "bytes allowed", wire.MaxCutText)
		return
	}
	x.selections.put(text)
}

// selectionAtoms are the names that the clipboard uses.
type selectionAtoms struct {
	clipboard, primary xproto.Atom

	targets, timestamp, multiple      xproto.Atom // targets about a selection
	utf8, latin1, text, plain, plain8 xproto.Atom // targets that are a text
	incr, pair                        xproto.Atom // types
	moved, clock                      xproto.Atom // properties of our windows
}

// openClipboard asks for the names.
func (x *Display) openClipboard() error {
	x.selections.wake = make(chan struct{}, 1)
	if x.cfg.Selections == SelectionsNone {
		return nil
	}
	a := &selectionAtoms{primary: xproto.AtomPrimary, latin1: xproto.AtomString}
	names := []struct {
		name string
		atom *xproto.Atom
	}{
		{"CLIPBOARD", &a.clipboard}, {"TARGETS", &a.targets}, {"TIMESTAMP", &a.timestamp}, {"MULTIPLE", &a.multiple},
		{"UTF8_STRING", &a.utf8}, {"TEXT", &a.text}, {"text/plain", &a.plain}, {"text/plain;charset=utf-8", &a.plain8},
		{"INCR", &a.incr}, {"ATOM_PAIR", &a.pair}, {"IRONGLASS_SELECTION", &a.moved}, {"IRONGLASS_CLOCK", &a.clock},
	}
	cookies := make([]xproto.InternAtomCookie, len(names))
	x.conn.Batch(func() {
		for i, n := range names {
			cookies[i] = xproto.InternAtom(x.conn.Conn, false, uint16(len(n.name)), n.name)
		}
	})
	for i, n := range names {
		r, err := cookies[i].Reply()
		if err != nil {
			return fmt.Errorf("asking for the name %s of the clipboard: %w", n.name, err)
		}
		*n.atom = r.Atom
	}
	x.selectionAtoms = a
	return nil
}

// startClipboard starts a Run's clipboard; it is nil where there is to be
// none.
func (x *Display) startClipboard(d desktop) (*clipboard, error) {
	if x.selectionAtoms == nil {
		return nil, nil
	}
	c, err := x.newClipboard(d)
	if err == nil {
		go c.serve()
	}
	return c, err
}

// newClipboard makes a clipboard's windows and lets its events in.
func (x *Display) newClipboard(d desktop) (*clipboard, error) {
	a := x.selectionAtoms
	c := &clipboard{
		x: x, d: d, atoms: a, transfers: make(map[transferKey]*transfer),
		piece: min(mostPiece, 4*int(x.setup.MaximumRequestLength)-64),
		quit:  make(chan struct{}), ended: make(chan struct{}),
	}
	if x.cfg.Selections != SelectionsPrimary {
		c.fetches = append(c.fetches, &fetch{c: c, selection: a.clipboard, name: "CLIPBOARD"})
	}
	if x.cfg.Selections != SelectionsClipboard {
		c.fetches = append(c.fetches, &fetch{c: c, selection: a.primary, name: "PRIMARY"})
	}
	var err error
	if c.own, err = xproto.NewWindowId(x.conn.Conn); err != nil {
		return nil, err
	}
	for _, f := range c.fetches {
		if f.window, err = xproto.NewWindowId(x.conn.Conn); err != nil {
			return nil, err
		}
	}
	x.selections.admit(true)
	const mask = xfixes.SelectionEventMaskSetSelectionOwner | xfixes.SelectionEventMaskSelectionWindowDestroy |
		xfixes.SelectionEventMaskSelectionClientClose
	x.conn.Batch(func() {
		c.createWindow(c.own)
		for _, f := range c.fetches {
			xfixes.SelectSelectionInput(x.conn.Conn, c.own, f.selection, mask)
		}
	})
	return c, nil
}

// createWindow makes a window that is never shown and whose properties are
// watched.
func (c *clipboard) createWindow(w xproto.Window) {
	xproto.CreateWindow(c.x.conn.Conn, 0, w, c.x.root, 0, 0, 1, 1, 0, xproto.WindowClassInputOnly, 0,
		xproto.CwOverrideRedirect|xproto.CwEventMask, []uint32{1, xproto.EventMaskPropertyChange})
}

// stop ends the clipboard. When it returns nothing of it is left.
func (c *clipboard) stop() {
	if c == nil {
		return
	}
	close(c.quit)
	<-c.ended
}

// serve handles what comes, until stop or the end of the connection.
func (c *clipboard) serve() {
	defer close(c.ended)
	defer c.x.selections.admit(false)
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		t.Stop()
		var due <-chan time.Time
		if next := c.next(); !next.IsZero() {
			t.Reset(time.Until(next))
			due = t.C
		}
		select {
		case <-c.quit:
			c.leave()
			return
		case <-c.x.done:
			return
		case now := <-due:
			c.tick(now)
		case <-c.x.selections.wake:
			events, text := c.x.selections.take()
			for _, ev := range events {
				c.event(ev, time.Now())
			}
			if text != nil {
				c.setText(*text, time.Now())
			}
		}
	}
}

// next is when tick has something to do; zero is never.
func (c *clipboard) next() (next time.Time) {
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, f := range c.fetches {
		earlier(f.next())
	}
	for _, t := range c.transfers {
		earlier(t.deadline)
	}
	return next
}

// tick does what is due, and gives up what took too long.
func (c *clipboard) tick(now time.Time) {
	for _, f := range c.fetches {
		f.tick(now)
	}
	for k, t := range c.transfers {
		if !now.Before(t.deadline) {
			c.x.log.Debug("an X program does not go on with pasting")
			c.forget(k)
		}
	}
}

// event handles an event of X.
func (c *clipboard) event(ev any, now time.Time) {
	switch ev := ev.(type) {
	case xfixes.SelectionNotifyEvent:
		for _, f := range c.fetches {
			if f.selection == ev.Selection {
				f.owned(ev, now)
			}
		}
		c.settle()
	case xproto.SelectionNotifyEvent:
		for _, f := range c.fetches {
			if f.window == ev.Requestor {
				f.answered(ev, now)
			}
		}
	case xproto.SelectionRequestEvent:
		c.request(ev, now)
	case xproto.PropertyNotifyEvent:
		c.property(ev, now)
	case xproto.DestroyNotifyEvent:
		for k := range c.transfers {
			if k.requestor == ev.Window {
				delete(c.transfers, k)
			}
		}
	}
}

// property handles the change of a property, of our windows or of those of
// programs that are pasting.
func (c *clipboard) property(ev xproto.PropertyNotifyEvent, now time.Time) {
	switch {
	case ev.Window == c.own:
		if ev.Atom == c.atoms.clock && c.claiming {
			c.claim(ev.Time)
		}
	case ev.State == xproto.PropertyNewValue:
		for _, f := range c.fetches {
			if f.window == ev.Window && ev.Atom == c.atoms.moved && f.incr {
				f.read(now)
			}
		}
	default:
		c.proceed(transferKey{ev.Window, ev.Atom}, now)
	}
}

// leave takes back all that the X server holds for the clipboard. Selections
// of its window then have no owner.
func (c *clipboard) leave() {
	c.x.conn.Batch(func() {
		for k := range c.transfers {
			c.forget(k)
		}
		for _, f := range c.fetches {
			f.abandon()
		}
		xproto.DestroyWindow(c.x.conn.Conn, c.own)
	})
}
