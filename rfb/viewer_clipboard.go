package rfb

import (
	"strings"

	"github.com/ironglass/ironglass/rfb/wire"
)

// clipboard is the source's clipboard in the forms that viewers take, each
// made once for all of them. It is owned by the loop.
type clipboard struct {
	there    bool // the source's last word on it was a text
	text     string
	length   int    // of the text on the wire, in bytes
	provided []byte // the message that provides it; nil until needed
	latin1   []byte // the plain message; nil until needed
}

// viewerClipboard is what one viewer may be told of clipboards and what is due
// to it: messages are made when they can be sent, so that nothing queues. It
// is owned by the loop.
type viewerClipboard struct {
	takes wire.ClipboardFlags // formats and actions
	limit uint32              // bytes of text that may come unasked

	caps, news, asked, peeked, want bool
}

// What a viewer takes that has not said (rfbproto 7.8, "Extended Clipboard").
const (
	defaultClipboard      = wire.ClipboardText | wire.ClipboardRequest | wire.ClipboardNotify | wire.ClipboardProvide
	defaultClipboardLimit = 20 << 20
)

// clipboardActions are those that this program takes.
const clipboardActions = wire.ClipboardRequest | wire.ClipboardPeek | wire.ClipboardNotify | wire.ClipboardProvide

// clipboardCaps is what this program takes: any text that it may have, unasked
// too, for it would ask at once.
func clipboardCaps() *wire.Clipboard {
	return &wire.Clipboard{
		Flags: wire.ClipboardCaps | wire.ClipboardText | clipboardActions, Sizes: []uint32{wire.MaxCutText},
	}
}

// clipboardNotice is a message that says whether there is a text.
func clipboardNotice(there bool) *wire.Clipboard {
	m := &wire.Clipboard{Flags: wire.ClipboardNotify}
	if there {
		m.Flags |= wire.ClipboardText
	}
	return m
}

// clipboardLimit is what caps say of text: its size, where text is taken.
func clipboardLimit(m *wire.Clipboard) uint32 {
	if m.Flags&wire.ClipboardText == 0 || len(m.Sizes) == 0 {
		return 0
	}
	return m.Sizes[0] // text is the lowest format
}

// wireLength is the length of text on the wire: with "\r\n" and a zero.
func wireLength(text string) int { return len(text) + strings.Count(text, "\n") + 1 }

// setClipboard tells the viewers of the source's new text; an empty one is
// none.
func (e *engine) setClipboard(text string) {
	e.clip = clipboard{there: text != "", text: text, length: wireLength(text)}
	for v := range e.viewers {
		v.clip.news = true
		e.flush(v)
	}
}

// clipboardListed follows a SetEncodings: each that lists the extension is
// answered with caps.
func (e *engine) clipboardListed(v *viewer, had bool) {
	if !v.can.clipboard {
		return
	}
	if !had {
		v.clip.takes, v.clip.limit = defaultClipboard, defaultClipboardLimit
	}
	v.clip.caps = true
	e.flush(v)
}

// clipboardDue takes the clipboard messages that are due to v.
func (e *engine) clipboardDue(v *viewer) (due [][]byte) {
	c := &v.clip
	if v.cfg.NoClipboard {
		*c = viewerClipboard{}
		return nil
	}
	extended := func(m *wire.Clipboard) {
		due = append(due, wire.ServerCutText{Extended: m}.Append(nil))
	}
	if c.caps {
		caps := clipboardCaps()
		if v.viewOnly() {
			caps.Flags &^= wire.ClipboardNotify | wire.ClipboardProvide // nothing of it is wanted
			caps.Sizes[0] = 0
		}
		extended(caps)
	}
	notifies := v.can.clipboard && c.takes&wire.ClipboardNotify != 0
	provides := v.can.clipboard && c.takes&wire.ClipboardText != 0 && c.takes&wire.ClipboardProvide != 0 && e.clip.there
	if provides && (c.asked || c.news && e.clip.length <= int(c.limit)) {
		due = append(due, e.clip.provide())
		c.news = false
	}
	switch {
	case notifies && (c.news || c.peeked):
		extended(clipboardNotice(e.clip.there))
	case c.news && e.clip.there: // an empty text would only empty the viewer's own
		due = append(due, e.clip.plain())
	}
	if c.want {
		extended(&wire.Clipboard{Flags: wire.ClipboardRequest | wire.ClipboardText})
	}
	c.caps, c.news, c.asked, c.peeked, c.want = false, false, false, false, false
	return due
}

func (c *clipboard) provide() []byte {
	if c.provided == nil {
		c.provided = wire.ServerCutText{Extended: &wire.Clipboard{
			Flags: wire.ClipboardProvide | wire.ClipboardText, Text: c.text,
		}}.Append(nil)
	}
	return c.provided
}

func (c *clipboard) plain() []byte {
	if c.latin1 == nil {
		c.latin1 = wire.ServerCutText{Text: wire.Latin1(c.text)}.Append(nil)
	}
	return c.latin1
}

// cutText handles a viewer's clipboard message on its own goroutine. What it
// provides goes to the source, asked for or not; the rest is the loop's.
func (v *viewer) cutText(m wire.ClientCutText) {
	if m.TooLong {
		v.s.cfg.Log.Info("a viewer's clipboard is too long and was not taken", "viewer", v.cfg.Label, "bytes allowed", wire.MaxCutText)
		return
	}
	text := wire.FromLatin1(m.Text)
	if m.Extended != nil {
		text = m.Extended.Text
		if m.Extended.Flags&wire.ClipboardActions != wire.ClipboardProvide {
			v.s.post(said{v, m})
			return
		}
	}
	if text == "" || !v.mayAct() || !v.s.input.cutText(v, text) {
		return
	}
	v.s.post(clipboardTaken{})
}

// clipboardTaken says that the source's clipboard is a viewer's now.
type clipboardTaken struct{}

func (clipboardTaken) do(e *engine) { e.clip = clipboard{} }

// clipboardSaid handles what a viewer says about its clipboard.
func (e *engine) clipboardSaid(v *viewer, m *wire.Clipboard) {
	switch {
	case m.Flags&wire.ClipboardCaps != 0:
		v.clip.takes, v.clip.limit = m.Flags, clipboardLimit(m)
	case m.Flags&wire.ClipboardRequest != 0:
		v.clip.asked = v.clip.asked || m.Flags&wire.ClipboardText != 0
	case m.Flags&wire.ClipboardPeek != 0:
		v.clip.peeked = true
	case m.Flags&wire.ClipboardNotify != 0:
		_, takes := e.active.src.(Clipboard)
		v.clip.want = takes && !v.viewOnly() && m.Flags&wire.ClipboardText != 0 && v.clip.takes&wire.ClipboardRequest != 0
	}
	e.flush(v)
}
