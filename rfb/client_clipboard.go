package rfb

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ironglass/ironglass/rfb/wire"
)

// sessionClipboard is what is known of the server's clipboard, and the text
// that it was told of. Messages come on Run's goroutine, texts from any.
type sessionClipboard struct {
	mu    sync.Mutex
	takes wire.ClipboardFlags // formats and actions; 0 until the server says caps
	limit uint32              // bytes of text that may go unasked
	there bool                // the last word on the clipboard was our text
	text  string
}

// SetCutText sends the clipboard on: as UTF-8 to servers with the Extended
// Clipboard, otherwise in Latin-1. Of a text of more than 1 MiB the rest is
// dropped.
func (c *Client) SetCutText(text string) {
	s := c.current()
	if s == nil {
		return
	}
	text = clipString(text, wire.MaxCutText)
	k := &s.clip
	k.mu.Lock()
	takes, limit := k.takes, k.limit
	k.there, k.text = text != "", text
	k.mu.Unlock()
	switch {
	case text != "" && takes&wire.ClipboardText != 0 && takes&wire.ClipboardProvide != 0 && wireLength(text) <= int(limit):
		s.provide(text)
	case takes&wire.ClipboardNotify != 0:
		s.sendClipboard(clipboardNotice(text != ""))
	default:
		s.send(wire.ClientCutText{Text: wire.Latin1(text)})
	}
}

func (s *session) sendClipboard(m *wire.Clipboard) { s.send(wire.ClientCutText{Extended: m}) }

func (s *session) provide(text string) {
	s.sendClipboard(&wire.Clipboard{Flags: wire.ClipboardProvide | wire.ClipboardText, Text: text})
}

// cutText handles the server's clipboard message.
func (s *session) cutText(m wire.ServerCutText) {
	switch {
	case m.TooLong:
		s.c.cfg.Log.Info("the server's clipboard is too long and was not taken", "bytes allowed", wire.MaxCutText)
	case m.Extended == nil:
		s.serverText(wire.FromLatin1(m.Text))
	default:
		s.extendedClipboard(m.Extended)
	}
}

// serverText is the server's clipboard, which is not ours any more.
func (s *session) serverText(text string) {
	s.clip.mu.Lock()
	s.clip.there, s.clip.text = false, ""
	s.clip.mu.Unlock()
	s.d.CutText(text)
}

func (s *session) extendedClipboard(m *wire.Clipboard) {
	k := &s.clip
	k.mu.Lock()
	if m.Flags&wire.ClipboardCaps != 0 {
		k.takes, k.limit = m.Flags, clipboardLimit(m)
	}
	takes, there, text := k.takes, k.there, k.text
	k.mu.Unlock()
	switch {
	case m.Flags&wire.ClipboardCaps != 0:
		s.sendClipboard(clipboardCaps())
	case m.Flags&wire.ClipboardRequest != 0:
		if there && m.Flags&wire.ClipboardText != 0 && takes&wire.ClipboardProvide != 0 {
			s.provide(text)
		}
	case m.Flags&wire.ClipboardPeek != 0:
		if takes&wire.ClipboardNotify != 0 {
			s.sendClipboard(clipboardNotice(there))
		}
	case m.Flags&wire.ClipboardNotify != 0:
		if m.Flags&wire.ClipboardText == 0 {
			s.serverText("")
		} else if takes&wire.ClipboardRequest != 0 {
			s.sendClipboard(&wire.Clipboard{Flags: wire.ClipboardRequest | wire.ClipboardText})
		}
	case m.Flags&wire.ClipboardProvide != 0 && m.Flags&wire.ClipboardText != 0:
		s.serverText(m.Text)
	}
}

// validName is a desktop's name as UTF-8: servers that do not send it send
// Latin-1.
func validName(name string) string {
	if utf8.ValidString(name) {
		return strings.TrimRight(name, "\x00")
	}
	return wire.FromLatin1([]byte(name))
}
