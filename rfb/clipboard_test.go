package rfb_test

import (
	"image"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// clip is a viewer's message in the extended form.
func clip(flags wire.ClipboardFlags, text string, sizes ...uint32) wire.ClientCutText {
	return wire.ClientCutText{Extended: &wire.Clipboard{Flags: flags, Text: text, Sizes: sizes}}
}

// clips are the extended messages that came, but for caps.
func clips(v *rfbtest.Viewer) (list []wire.Clipboard) {
	for _, m := range v.CutTexts {
		if m.Extended != nil && m.Extended.Flags&wire.ClipboardCaps == 0 {
			list = append(list, *m.Extended)
		}
	}
	return list
}

// awaitClip waits for the next extended message after n of them.
func awaitClip(t *testing.T, v *rfbtest.Viewer, n int) wire.Clipboard {
	t.Helper()
	until(t, v, "a clipboard message", func() bool { return len(clips(v)) > n })
	return clips(v)[n]
}

func cut(text string) func(d *rfb.Desktop) {
	return func(d *rfb.Desktop) { d.CutText(text) }
}

const (
	clipText    = wire.ClipboardText
	clipAll     = wire.ClipboardText | wire.ClipboardRequest | wire.ClipboardPeek | wire.ClipboardNotify | wire.ClipboardProvide
	umlautsEtc  = "grüße\n€ 😀\n\n"
	theirPlural = "Größen\n漢字\n"
)

// The source's text comes unasked to viewers that take as much, else it is
// announced and comes when it is asked for; viewers without the extension get
// Latin-1.
func TestClipboardFromSource(t *testing.T) {
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		eager := h.watching(src, wire.PseudoExtendedClipboard)
		until(t, eager, "caps", func() bool { return len(eager.CutTexts) == 1 })
		if m := eager.CutTexts[0].Extended; m == nil || m.Flags != wire.ClipboardCaps|clipAll || len(m.Sizes) != 1 || m.Sizes[0] != wire.MaxCutText {
			t.Errorf("caps are %+v", eager.CutTexts[0])
		}
		shy := h.watching(src, wire.PseudoExtendedClipboard)
		send(t, shy, clip(wire.ClipboardCaps|clipAll, "", 5), clip(wire.ClipboardPeek, ""))
		if m := awaitClip(t, shy, 0); m.Flags != wire.ClipboardNotify {
			t.Errorf("before there is a text a peek is answered by %+v", m)
		}
		old := h.watching(src)

		src.Desktop(cut(umlautsEtc))
		if m := awaitClip(t, eager, 0); m.Flags != wire.ClipboardProvide|clipText || m.Text != umlautsEtc {
			t.Errorf("came %+v", m)
		}
		if m := awaitClip(t, shy, 1); m.Flags != wire.ClipboardNotify|clipText {
			t.Errorf("came %+v", m)
		}
		send(t, shy, clip(wire.ClipboardRequest|clipText|wire.ClipboardHTML, ""))
		if m := awaitClip(t, shy, 2); m.Flags != wire.ClipboardProvide|clipText || m.Text != umlautsEtc {
			t.Errorf("came %+v", m)
		}
		until(t, old, "the text", func() bool { return len(old.CutTexts) > 0 })
		if m := old.CutTexts[0]; m.Extended != nil || string(m.Text) != "gr\xfc\xdfe\n? ?\n\n" {
			t.Errorf("in Latin-1 came %+v", m)
		}

		// "ab\n" is five bytes on the wire: "ab\r\n" and the zero.
		src.Desktop(cut("ab\n"))
		if m := awaitClip(t, shy, 3); m.Text != "ab\n" {
			t.Errorf("a short text comes as %+v", m)
		}
		// Where text is not taken at all, only the notice comes.
		send(t, shy, clip(wire.ClipboardCaps|wire.ClipboardHTML|wire.ClipboardNotify|wire.ClipboardProvide, "", 1<<20), clip(wire.ClipboardPeek, ""))
		awaitClip(t, shy, 4)
		src.Desktop(cut("abc"))
		if m := awaitClip(t, shy, 5); m.Flags != wire.ClipboardNotify|clipText {
			t.Errorf("came %+v", m)
		}
		src.Desktop(cut(""))
		if m := awaitClip(t, shy, 6); m.Flags != wire.ClipboardNotify {
			t.Errorf("an empty clipboard is %+v", m)
		}
		// An old viewer keeps what it has: it is told of none but real texts.
		src.Desktop(cut("last"))
		until(t, old, "the last text", func() bool { return string(old.CutTexts[len(old.CutTexts)-1].Text) == "last" })
		for _, m := range old.CutTexts {
			if len(m.Text) == 0 {
				t.Error("an empty text came in Latin-1")
			}
		}
	})
}

// What a viewer provides, asked for or not, reaches the source.
func TestClipboardFromViewer(t *testing.T) {
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		v := h.watching(src, wire.PseudoExtendedClipboard)
		send(t, v, clip(wire.ClipboardProvide|clipText, umlautsEtc), clip(wire.ClipboardNotify|clipText, ""))
		if m := awaitClip(t, v, 0); m.Flags != wire.ClipboardRequest|clipText {
			t.Errorf("a notice is answered by %+v", m)
		}
		long := strings.Repeat("0123456789abcde\n", wire.MaxCutText/16)
		send(t, v, clip(wire.ClipboardProvide|clipText, theirPlural))
		came(t, src, umlautsEtc, theirPlural)
		// What is no text is passed over, what is too long too.
		send(t, v,
			clip(wire.ClipboardNotify|wire.ClipboardHTML, ""), clip(wire.ClipboardNotify, ""),
			clip(wire.ClipboardProvide|wire.ClipboardHTML, ""), clip(wire.ClipboardProvide|clipText, ""),
			clip(1<<30|clipText, ""), clip(wire.ClipboardRequest|wire.ClipboardDIB, ""),
			clip(wire.ClipboardProvide|clipText, long+"!"),
			wire.ClientCutText{Text: []byte(long + "!")},
			wire.ClientCutText{Text: []byte("caf\xe9")},
			clip(wire.ClipboardProvide|clipText, long))
		came(t, src, umlautsEtc, theirPlural, "café", long)
		if n := len(clips(v)); n != 1 {
			t.Errorf("%d messages came: %+v", n, clips(v))
		}
	})
}

// A text of the largest size goes all the way, and what is more is cut off
// between two characters.
func TestClipboardLong(t *testing.T) {
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		v := h.watching(src, wire.PseudoExtendedClipboard)
		send(t, v, clip(wire.ClipboardCaps|clipAll, "", 4<<20), clip(wire.ClipboardPeek, ""))
		awaitClip(t, v, 0)
		long := strings.Repeat("zwölf Bytes\n", wire.MaxCutText/13)
		long += strings.Repeat(".", wire.MaxCutText-1-len(long))
		src.Desktop(cut(long + "ü and more"))
		for n := 1; ; n++ {
			m := awaitClip(t, v, n)
			if m.Flags == wire.ClipboardNotify|clipText { // on the wire it is longer than what is taken unasked
				send(t, v, clip(wire.ClipboardRequest|clipText, ""))
				continue
			}
			if m.Text != long {
				t.Errorf("%d of %d bytes came", len(m.Text), len(long))
			}
			return
		}
	})
}

// A viewer that may only watch sees the clipboard and cannot write it.
func TestClipboardViewOnly(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	src.Fill(image.Rect(0, 0, 200, 100), 0x445566)
	h := serve(t, src, rfb.ServerConfig{})
	v, err := rfbtest.NewViewer(h.pipe(rfb.ViewerConfig{ViewOnly: true}))
	if err != nil {
		t.Fatal(err)
	}
	send(t, v, wire.SetEncodings{Encodings: []wire.Encoding{wire.EncodingRaw, wire.PseudoExtendedClipboard}})
	await(t, v, src.Picture())
	until(t, v, "caps", func() bool { return len(v.CutTexts) > 0 })
	if m := v.CutTexts[0].Extended; m.Flags&(wire.ClipboardNotify|wire.ClipboardProvide) != 0 || m.Sizes[0] != 0 {
		t.Errorf("caps invite to write: %+v", m)
	}
	send(t, v, clip(wire.ClipboardProvide|clipText, "no"), clip(wire.ClipboardNotify|clipText, ""),
		wire.ClientCutText{Text: []byte("no")}, clip(wire.ClipboardPeek, ""))
	if m := awaitClip(t, v, 0); m.Flags != wire.ClipboardNotify {
		t.Errorf("came %+v", m)
	}
	src.Desktop(cut("yes"))
	if m := awaitClip(t, v, 1); m.Text != "yes" {
		t.Errorf("came %+v", m)
	}
	other := h.watching(src)
	send(t, other, wire.KeyEvent{Down: true, Keysym: 'k'})
	came(t, src, rfb.KeyEvent{Down: true, Keysym: 'k'})
}

// A display's clipboard is not the next one's.
func TestClipboardOfNextSource(t *testing.T) {
	src, next := rfbtest.NewSource(200, 100), rfbtest.NewSource(200, 100)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.watching(src, wire.PseudoExtendedClipboard)
	src.Desktop(cut("secret"))
	awaitClip(t, v, 0)
	h.SetSource(next)
	if !next.AwaitRunning(patience(t), true) {
		t.Fatal("the next source does not run")
	}
	send(t, v, clip(wire.ClipboardRequest|clipText, ""), clip(wire.ClipboardPeek, ""))
	if m := awaitClip(t, v, 1); m.Flags != wire.ClipboardNotify {
		t.Errorf("came %+v", m)
	}
}

// A viewer that asks on and on and does not read makes nothing queue: it gets
// the newest answer once it reads, or is ended.
func TestFloods(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	src.OfferPower(true)
	h := serve(t, src, rfb.ServerConfig{})
	t.Run("clipboard", func(t *testing.T) {
		v := h.watching(src, wire.PseudoExtendedClipboard)
		send(t, v, clip(wire.ClipboardCaps|clipAll, "", 0))
		src.Desktop(cut(strings.Repeat("text", 1000)))
		awaitClip(t, v, 0)
		for range 5000 {
			send(t, v, clip(wire.ClipboardRequest|clipText, ""), clip(wire.ClipboardPeek, ""), clip(wire.ClipboardNotify|clipText, ""))
		}
		src.Desktop(cut("the last"))
		for n := 0; ; n++ {
			if awaitClip(t, v, n); strings.HasSuffix(clips(v)[n].Text, "the last") {
				break
			}
			send(t, v, clip(wire.ClipboardRequest|clipText, ""))
		}
		if n := len(clips(v)); n > 20 {
			t.Errorf("%d answers were kept for a viewer that did not read", n)
		}
		v.Conn.Close() // leaves
		<-h.results    //nolint:errcheck // maybe in the middle of an answer
	})
	for name, m := range map[string]wire.ClientMessage{
		"fences":         wire.Fence{Flags: wire.FenceRequest, Payload: make([]byte, wire.MaxFencePayload)},
		"SetDesktopSize": wire.SetDesktopSize{},
		"power":          wire.ClientXVP{Version: 2},
	} {
		t.Run(name, func(t *testing.T) {
			v := h.watching(src, wire.PseudoExtendedDesktopSize)
			b := m.Append(nil)
			for range 10 {
				b = append(b, b...)
			}
			for { // until the server has had enough
				if _, err := v.Conn.Write(b); err != nil {
					break
				}
			}
			if err := <-h.results; err == nil || !strings.Contains(err.Error(), "does not take") {
				t.Errorf("Serve returned %v", err)
			}
		})
	}
}
