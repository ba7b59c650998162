package x11

import (
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
)

// fetch brings one selection's text to the viewers, each time that an X
// program takes the selection: it asks for the text as UTF-8 and then in
// poorer forms until the owner has one, and reads it at once or in pieces
// (ICCCM 2.4 and 2.7.2). It is owned by the clipboard's goroutine.
//
// A program that copies again and again is not asked more often than it
// answers. Another one's text supersedes what is still being fetched.
type fetch struct {
	c         *clipboard
	selection xproto.Atom
	name      string

	ours bool // our window is the owner

	// What is to be fetched.
	fresh  bool // there is an owner that was not asked yet
	owner  xproto.Window
	time   xproto.Timestamp // the server's, after owner took the selection
	rested time.Time        // when it may be asked

	// What is being fetched.
	asking   bool
	of       xproto.Window
	at       xproto.Timestamp
	target   int  // in targets
	incr     bool // it comes in pieces
	kind     xproto.Atom
	got      []byte
	deadline time.Time // of the next step
	limit    time.Time // of it all

	// window takes the answers. There is one while created is set: it lasts
	// as long as owners keep to the rules, and goes when a fetch is given
	// up, so that a late answer has nowhere to go.
	window  xproto.Window
	created bool
}

// targets are the forms that a text is asked for in.
func (f *fetch) targets() []xproto.Atom {
	a := f.c.atoms
	return []xproto.Atom{a.utf8, a.plain8, a.latin1}
}

// next is when tick has something to do; zero is never.
func (f *fetch) next() time.Time {
	switch {
	case f.asking && f.limit.Before(f.deadline):
		return f.limit
	case f.asking:
		return f.deadline
	case f.fresh:
		return f.rested
	}
	return time.Time{}
}

// tick asks an owner that rested, and gives up one that does not answer.
func (f *fetch) tick(now time.Time) {
	if next := f.next(); next.IsZero() || now.Before(next) {
		return
	}
	if f.asking {
		f.c.x.log.Debug("the owner of an X selection does not answer", "selection", f.name)
		f.abandon()
	}
	if f.fresh && !now.Before(f.rested) {
		f.begin(now)
	}
}

// owned takes the news of an owner. That it is gone leaves the viewers what
// they have, as programs end and their last text is still wanted.
func (f *fetch) owned(ev xfixes.SelectionNotifyEvent, now time.Time) {
	if f.asking && f.of != ev.Owner {
		f.abandon()
	}
	f.ours = ev.Owner == f.c.own
	f.fresh = !f.ours && ev.Owner != xproto.WindowNone
	f.owner, f.time, f.rested = ev.Owner, ev.Timestamp, now.Add(selectionRest)
}

// begin asks the owner for its text.
func (f *fetch) begin(now time.Time) {
	f.fresh, f.asking = false, true
	f.of, f.at = f.owner, f.time
	f.target = 0
	f.limit = now.Add(fetchLimit)
	f.c.x.conn.Batch(func() {
		if !f.created {
			f.created = true
			f.c.createWindow(f.window)
		}
		f.ask(now)
	})
}

func (f *fetch) ask(now time.Time) {
	f.deadline = now.Add(answerLimit)
	xproto.ConvertSelection(f.c.x.conn.Conn, f.window, f.selection, f.targets()[f.target], f.c.atoms.moved, f.at)
}

// another asks for the next form, where there is one.
func (f *fetch) another(now time.Time) {
	if f.target++; f.target < len(f.targets()) {
		f.ask(now)
		return
	}
	f.c.x.log.Debug("the owner of an X selection has no text", "selection", f.name)
	f.done()
}

// answered takes the owner's answer. One to an earlier question has another
// time.
func (f *fetch) answered(ev xproto.SelectionNotifyEvent, now time.Time) {
	switch {
	case !f.asking || f.incr || ev.Selection != f.selection || ev.Target != f.targets()[f.target] ||
		ev.Time != f.at && ev.Time != xproto.TimeCurrentTime:
	case ev.Property == f.c.atoms.moved:
		f.read(now)
	default: // none, or not the one it was to be
		f.another(now)
	}
}

// read takes the text, or a piece of it. That the property is then deleted
// asks for the next piece; of a text that is not taken it is not.
func (f *fetch) read(now time.Time) {
	// One more than a text may have tells that there is more.
	room := wire.MaxCutText - len(f.got) + 1
	c := f.c
	r, err := xproto.GetProperty(c.x.conn.Conn, false, f.window, c.atoms.moved, xproto.GetPropertyTypeAny, 0, uint32(room+3)/4).Reply()
	switch {
	case err != nil:
		c.x.log.Debug("the text of an X selection cannot be read", "selection", f.name, "error", err)
		f.abandon()
		return
	case f.incr && r.Type == xproto.AtomNone:
		return // it was read already
	case f.incr && r.ValueLen == 0:
		f.finish(f.got, f.kind, now)
	case r.BytesAfter > 0 || len(r.Value) >= room,
		!f.incr && r.Type == c.atoms.incr && r.Format == 32 && r.ValueLen > 0 && xgb.Get32(r.Value) > wire.MaxCutText:
		f.sayTooLong()
		f.abandon()
		return
	case !f.incr && r.Type == c.atoms.incr:
		f.incr, f.deadline = true, now.Add(answerLimit)
	case r.Format != 8 || !f.isText(r.Type):
		if f.incr {
			f.abandon()
			return
		}
		f.clear() // before the next answer can be there
		f.another(now)
		return
	case f.incr:
		f.got, f.kind, f.deadline = append(f.got, r.Value...), r.Type, now.Add(answerLimit)
	default:
		f.finish(r.Value, r.Type, now)
	}
	f.clear()
}

// clear deletes the property that answers come in.
func (f *fetch) clear() { xproto.DeleteProperty(f.c.x.conn.Conn, f.window, f.c.atoms.moved) }

func (f *fetch) isText(kind xproto.Atom) bool {
	a := f.c.atoms
	return kind == a.utf8 || kind == a.plain8 || kind == a.plain || kind == a.latin1
}

// finish tells the viewers the text. An empty one takes nothing from them.
func (f *fetch) finish(b []byte, kind xproto.Atom, now time.Time) {
	f.done()
	if kind == f.c.atoms.latin1 {
		b = []byte(wire.FromLatin1(b))
	}
	text := wire.PlainText(b)
	c := f.c
	switch {
	case text == "":
	case len(text) > wire.MaxCutText:
		f.sayTooLong()
	case text == c.echo && now.Before(c.echoUntil):
		c.x.log.Debug("an X program has taken a viewer's text over", "selection", f.name)
	default:
		c.echo = ""
		c.d.CutText(text)
	}
}

func (f *fetch) sayTooLong() {
	f.c.x.log.Debug("the text of an X selection is too long and was not taken", "selection", f.name, "bytes allowed", wire.MaxCutText)
}

// done ends a fetch that came to its end.
func (f *fetch) done() {
	f.asking, f.incr, f.got, f.kind = false, false, nil, xproto.AtomNone
}

// abandon ends a fetch that did not.
func (f *fetch) abandon() {
	f.done()
	if f.created {
		f.created = false
		xproto.DestroyWindow(f.c.x.conn.Conn, f.window)
	}
}
