package x11

import (
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// offer is a viewer's text as X programs paste it.
type offer struct {
	text   []byte // UTF-8
	latin1 []byte // the same in Latin-1; nil until needed
	exact  bool   // latin1 has all of it
}

// transfer is a text that an X program is pasting piece by piece: it deletes
// the property when it has read it, which asks for the next (ICCCM 2.7.2).
type transfer struct {
	kind     xproto.Atom
	rest     []byte
	deadline time.Time // of the next step
}

// transferKey tells transfers apart.
type transferKey struct {
	requestor xproto.Window
	property  xproto.Atom
}

const (
	// mostPiece is the most bytes that a property is given at a time. xgb
	// knows no requests of more than 256 KiB, and the X server serves nobody
	// else while it takes one.
	mostPiece = 128 << 10
	// mostTransfers bounds the texts that are being pasted at a time,
	// mostPairs the forms that one request may ask for.
	mostTransfers = 32
	mostPairs     = 32
)

// setText makes X's selections a viewer's text. To own them the server's time
// is needed (ICCCM 2.1), which a change of nothing to a property tells.
func (c *clipboard) setText(text string, now time.Time) {
	conn := c.x.conn.Conn
	c.echo, c.echoUntil = text, now.Add(echoLimit)
	if text != "" {
		c.offer, c.claiming = &offer{text: []byte(text)}, true
		xproto.ChangeProperty(conn, xproto.PropModeAppend, c.own, c.atoms.clock, xproto.AtomString, 8, 0, nil)
		return
	}
	if c.claiming = false; c.offer == nil {
		return
	}
	for _, f := range c.fetches {
		if f.ours {
			// With that time nothing happens where another has taken it since.
			xproto.SetSelectionOwner(conn, xproto.WindowNone, f.selection, c.since)
		}
	}
	c.offer = nil
}

// claim makes our window the owner of all selections.
func (c *clipboard) claim(at xproto.Timestamp) {
	c.claiming, c.since = false, at
	c.x.conn.Batch(func() {
		for _, f := range c.fetches {
			f.ours = true // unless the server says otherwise
			xproto.SetSelectionOwner(c.x.conn.Conn, c.own, f.selection, at)
		}
	})
}

// settle forgets the viewers' text when no selection has it any more.
func (c *clipboard) settle() {
	for _, f := range c.fetches {
		if f.ours {
			return
		}
	}
	if !c.claiming {
		c.offer = nil
	}
}

// request answers an X program that pastes. Any time is good for it: a viewer
// gives its text when it is wanted, which may be after the key that pastes.
func (c *clipboard) request(ev xproto.SelectionRequestEvent, now time.Time) {
	if ev.Owner != c.own || c.isOurs(ev.Requestor) {
		return
	}
	property := ev.Property
	if property == xproto.AtomNone {
		property = ev.Target // programs of before ICCCM
	}
	if !c.has(ev.Selection) || !c.convert(transferKey{ev.Requestor, property}, ev.Target, now) {
		property = xproto.AtomNone
	}
	answer := xproto.SelectionNotifyEvent{
		Time: ev.Time, Requestor: ev.Requestor, Selection: ev.Selection, Target: ev.Target, Property: property,
	}
	xproto.SendEvent(c.x.conn.Conn, false, ev.Requestor, xproto.EventMaskNoEvent, string(answer.Bytes()))
}

// isOurs reports whether a window's events are selected by others here, so
// that it cannot be an X program's that pastes.
func (c *clipboard) isOurs(w xproto.Window) bool {
	if w == c.x.root || w == c.own {
		return true
	}
	for _, f := range c.fetches {
		if w == f.window {
			return true
		}
	}
	return false
}

// has reports whether the selection is a viewer's text.
func (c *clipboard) has(selection xproto.Atom) bool {
	for _, f := range c.fetches {
		if f.selection == selection {
			return f.ours && c.offer != nil
		}
	}
	return false
}

// convert gives the property the text in the form of target, and reports
// whether there is one.
func (c *clipboard) convert(to transferKey, target xproto.Atom, now time.Time) bool {
	a := c.atoms
	switch target {
	case a.targets:
		c.putWords(to, xproto.AtomAtom, uint32(a.targets), uint32(a.timestamp), uint32(a.multiple),
			uint32(a.utf8), uint32(a.plain8), uint32(a.plain), uint32(a.text), uint32(a.latin1))
	case a.timestamp:
		c.putWords(to, xproto.AtomInteger, uint32(c.since))
	case a.multiple:
		return c.convertAll(to, now)
	case a.utf8, a.plain8, a.plain:
		return c.putText(to, target, c.offer.text, now)
	case a.latin1:
		return c.putText(to, a.latin1, c.offer.asLatin1(), now)
	case a.text:
		// The owner chooses: the old form where nothing is lost by it.
		if b := c.offer.asLatin1(); c.offer.exact {
			return c.putText(to, a.latin1, b, now)
		}
		return c.putText(to, a.utf8, c.offer.text, now)
	default:
		return false
	}
	return true
}

func (o *offer) asLatin1() []byte {
	if o.latin1 == nil {
		o.latin1 = wire.Latin1(string(o.text))
		o.exact = wire.FromLatin1(o.latin1) == string(o.text)
	}
	return o.latin1
}

// convertAll answers MULTIPLE: the property has pairs of a target and a
// property, of which those become none that there is nothing for.
func (c *clipboard) convertAll(to transferKey, now time.Time) bool {
	r, err := xproto.GetProperty(c.x.conn.Conn, false, to.requestor, to.property, xproto.GetPropertyTypeAny, 0, 2*mostPairs).Reply()
	if err != nil || r.Format != 32 || r.BytesAfter > 0 || len(r.Value)%8 != 0 {
		return false
	}
	words := make([]uint32, len(r.Value)/4)
	for i := range words {
		words[i] = xgb.Get32(r.Value[4*i:])
	}
	for i := 0; i < len(words); i += 2 {
		target, property := xproto.Atom(words[i]), xproto.Atom(words[i+1])
		if target == c.atoms.multiple || property == xproto.AtomNone ||
			!c.convert(transferKey{to.requestor, property}, target, now) {
			words[i+1] = xproto.AtomNone
		}
	}
	c.putWords(to, c.atoms.pair, words...)
	return true
}

func (c *clipboard) putWords(to transferKey, kind xproto.Atom, words ...uint32) {
	b := make([]byte, 4*len(words))
	for i, w := range words {
		xgb.Put32(b[4*i:], w)
	}
	xproto.ChangeProperty(c.x.conn.Conn, xproto.PropModeReplace, to.requestor, to.property, kind, 32, uint32(len(words)), b)
}

func (c *clipboard) putBytes(to transferKey, kind xproto.Atom, b []byte) {
	xproto.ChangeProperty(c.x.conn.Conn, xproto.PropModeReplace, to.requestor, to.property, kind, 8, uint32(len(b)), b)
}

// putText gives the property the text, or begins to.
func (c *clipboard) putText(to transferKey, kind xproto.Atom, b []byte, now time.Time) bool {
	if len(b) <= c.piece {
		c.putBytes(to, kind, b)
		return true
	}
	if _, again := c.transfers[to]; !again && len(c.transfers) >= mostTransfers {
		c.x.log.Debug("too many X programs are pasting at a time", "most", mostTransfers)
		return false
	}
	c.transfers[to] = &transfer{kind: kind, rest: b, deadline: now.Add(answerLimit)}
	c.watch(to.requestor, xproto.EventMaskPropertyChange|xproto.EventMaskStructureNotify)
	c.putWords(to, c.atoms.incr, uint32(len(b)))
	return true
}

// watch selects a requestor's events.
func (c *clipboard) watch(requestor xproto.Window, mask uint32) {
	xproto.ChangeWindowAttributes(c.x.conn.Conn, requestor, xproto.CwEventMask, []uint32{mask})
}

// proceed gives an X program that has read a piece the next; an empty one is
// the end.
func (c *clipboard) proceed(k transferKey, now time.Time) {
	t := c.transfers[k]
	if t == nil {
		return
	}
	n := min(len(t.rest), c.piece)
	c.putBytes(k, t.kind, t.rest[:n])
	if n == 0 {
		c.forget(k)
		return
	}
	t.rest, t.deadline = t.rest[n:], now.Add(answerLimit)
}

// forget ends a transfer.
func (c *clipboard) forget(k transferKey) {
	delete(c.transfers, k)
	for other := range c.transfers {
		if other.requestor == k.requestor {
			return
		}
	}
	c.watch(k.requestor, xproto.EventMaskNoEvent)
}
