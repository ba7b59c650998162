package x11

import (
	"testing"
	"time"

	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// peer is an X program that copies and pastes step by step, as a test tells
// it to. It belongs to the test's goroutine, but for pump.
type peer struct {
	t      testing.TB
	c      *xconn.Conn
	root   xproto.Window
	win    xproto.Window
	events chan xgb.Event
	ends   chan struct{} // closed by pump
	atoms  map[string]xproto.Atom
}

func newPeer(t testing.TB, s *xvfb.Server) *peer {
	t.Helper()
	c, err := xconn.Dial(t.Context(), s.Display, s.Auth)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, c: c, events: make(chan xgb.Event, 1<<14), ends: make(chan struct{}), atoms: make(map[string]xproto.Atom)}
	go p.pump()
	t.Cleanup(p.close)
	p.root = xproto.Setup(c.Conn).DefaultScreen(c.Conn).Root
	if p.win, err = xproto.NewWindowId(c.Conn); err != nil {
		t.Fatal(err)
	}
	p.must(xproto.CreateWindowChecked(c.Conn, 0, p.win, p.root, 0, 0, 1, 1, 0, xproto.WindowClassInputOnly, 0,
		xproto.CwEventMask, []uint32{xproto.EventMaskPropertyChange}).Check())
	return p
}

// pump takes the events until the connection ends.
func (p *peer) pump() {
	defer close(p.ends)
	for {
		ev, err := p.c.WaitForEvent()
		switch {
		case ev == nil && err == nil:
			return
		case ev != nil:
			p.events <- ev
		}
	}
}

func (p *peer) close() {
	p.c.Close()
	<-p.ends
}

func (p *peer) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) atom(name string) xproto.Atom {
	p.t.Helper()
	if a, ok := p.atoms[name]; ok {
		return a
	}
	r, err := xproto.InternAtom(p.c.Conn, false, uint16(len(name)), name).Reply()
	p.must(err)
	p.atoms[name] = r.Atom
	return r.Atom
}

// await takes events until there is one that is wanted.
func (p *peer) await(what string, wanted func(any) bool) {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case ev := <-p.events:
			if wanted(ev) {
				return
			}
		case <-timeout:
			p.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// owns takes selections.
func (p *peer) owns(names ...string) {
	p.t.Helper()
	for _, name := range names {
		p.must(xproto.SetSelectionOwnerChecked(p.c.Conn, p.win, p.atom(name), xproto.TimeCurrentTime).Check())
	}
}

func (p *peer) owner(name string) xproto.Window {
	p.t.Helper()
	r, err := xproto.GetSelectionOwner(p.c.Conn, p.atom(name)).Reply()
	p.must(err)
	return r.Owner
}

// awaitOwner waits for an owner that is wanted.
func (p *peer) awaitOwner(name string, wanted func(xproto.Window) bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !wanted(p.owner(name)); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s is still window %d's", name, p.owner(name))
		}
	}
}

func none(w xproto.Window) bool { return w == xproto.WindowNone }

// convert asks for a selection and returns the property of the answer.
func (p *peer) convert(selection, target, property string) xproto.Atom {
	p.t.Helper()
	xproto.ConvertSelection(p.c.Conn, p.win, p.atom(selection), p.atom(target), p.atom(property), xproto.TimeCurrentTime)
	var answer xproto.SelectionNotifyEvent
	p.await("an answer", func(ev any) (ok bool) { answer, ok = ev.(xproto.SelectionNotifyEvent); return ok })
	if answer.Selection != p.atom(selection) || answer.Target != p.atom(target) || answer.Requestor != p.win {
		p.t.Fatalf("answer %+v", answer)
	}
	return answer.Property
}

// get reads one of its properties.
func (p *peer) get(property string, remove bool) (xproto.Atom, []byte) {
	p.t.Helper()
	r, err := xproto.GetProperty(p.c.Conn, remove, p.win, p.atom(property), xproto.GetPropertyTypeAny, 0, 1<<20).Reply()
	p.must(err)
	return r.Type, r.Value
}

// awaitPiece waits until the other side has written a property.
func (p *peer) awaitPiece(property string) {
	p.t.Helper()
	p.await("a piece", func(ev any) bool {
		e, ok := ev.(xproto.PropertyNotifyEvent)
		return ok && e.Window == p.win && e.Atom == p.atom(property) && e.State == xproto.PropertyNewValue
	})
}

// asked waits until its selection is asked for.
func (p *peer) asked() (req xproto.SelectionRequestEvent) {
	p.t.Helper()
	p.await("a request", func(ev any) (ok bool) { req, ok = ev.(xproto.SelectionRequestEvent); return ok })
	return req
}

// give answers a request with a property of this type, format and contents.
func (p *peer) give(req xproto.SelectionRequestEvent, kind string, format byte, b []byte) {
	p.t.Helper()
	p.write(req, kind, format, b)
	p.answer(req, req.Property)
}

func (p *peer) refuse(req xproto.SelectionRequestEvent) { p.answer(req, xproto.AtomNone) }

func (p *peer) write(req xproto.SelectionRequestEvent, kind string, format byte, b []byte) {
	p.t.Helper()
	p.must(xproto.ChangePropertyChecked(p.c.Conn, xproto.PropModeReplace, req.Requestor, req.Property, p.atom(kind),
		format, uint32(len(b))*8/uint32(format), b).Check())
}

func (p *peer) answer(req xproto.SelectionRequestEvent, property xproto.Atom) {
	ev := xproto.SelectionNotifyEvent{
		Time: req.Time, Requestor: req.Requestor, Selection: req.Selection, Target: req.Target, Property: property,
	}
	xproto.SendEvent(p.c.Conn, false, req.Requestor, 0, string(ev.Bytes()))
}

// begin answers a request with the promise of pieces, and waits until the
// first is wanted.
func (p *peer) begin(req xproto.SelectionRequestEvent, size uint32) {
	p.t.Helper()
	p.must(xproto.ChangeWindowAttributesChecked(p.c.Conn, req.Requestor, xproto.CwEventMask,
		[]uint32{xproto.EventMaskPropertyChange | xproto.EventMaskStructureNotify}).Check())
	b := make([]byte, 4)
	xgb.Put32(b, size)
	p.give(req, "INCR", 32, b)
}

// wanted waits until the next piece is wanted.
func (p *peer) wanted(req xproto.SelectionRequestEvent) {
	p.t.Helper()
	p.await("the wish for a piece", func(ev any) bool {
		e, ok := ev.(xproto.PropertyNotifyEvent)
		return ok && e.Window == req.Requestor && e.Atom == req.Property && e.State == xproto.PropertyDelete
	})
}
