package x11

import (
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// driver carries a clipboard without its goroutine, at a time of its own.
type driver struct {
	*clipboard
	t   testing.TB
	r   *recorder
	now time.Time
}

func newDriver(t testing.TB, x *Display) *driver {
	t.Helper()
	r := newRecorder()
	c, err := x.newClipboard(r)
	if err != nil {
		t.Fatal(err)
	}
	d := &driver{clipboard: c, t: t, r: r, now: time.Now()}
	t.Cleanup(func() {
		c.leave()
		x.selections.admit(false)
	})
	return d
}

// until handles what comes until ok is true.
func (d *driver) until(what string, ok func() bool) {
	d.t.Helper()
	timeout := time.After(patience)
	for !ok() {
		select {
		case <-d.x.selections.wake:
			events, text := d.x.selections.take()
			for _, ev := range events {
				d.event(ev, d.now)
			}
			if text != nil {
				d.setText(*text, d.now)
			}
		case <-time.After(10 * time.Millisecond): // what is not an event may be so
		case <-timeout:
			d.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// pass lets time pass.
func (d *driver) pass(by time.Duration) {
	d.now = d.now.Add(by)
	d.tick(d.now)
}

// ripe waits until an owner's news is there, and lets it rest.
func (d *driver) ripe() {
	d.t.Helper()
	d.until("an owner", func() bool { return d.fetches[0].fresh })
	d.pass(selectionRest)
}

func (d *driver) told() []string {
	d.r.mu.Lock()
	defer d.r.mu.Unlock()
	return append([]string(nil), d.r.texts...)
}

func (d *driver) idle() bool { return !d.fetches[0].asking && !d.fetches[0].fresh }

// expect waits for the viewers' only text.
func (d *driver) expect(want string) {
	d.t.Helper()
	d.until("a text", func() bool { return len(d.told()) > 0 })
	if got := d.told(); len(got) != 1 || got[0] != want {
		d.t.Fatalf("the viewers were told %d texts, %.80q", len(got), got)
	}
	d.r.note(func() { d.r.texts = nil })
}

// Owners of every kind.
func TestClipboardOwners(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	x := open(t, config(s))
	for name, c := range map[string]struct {
		play func(*driver, *peer)
		want string // "" is none
	}{
		"old": {func(d *driver, p *peer) {
			for range 2 {
				req := p.asked()
				p.refuse(req)
				d.until("the next form", func() bool { return d.fetches[0].targets()[d.fetches[0].target] != req.Target })
			}
			if req := p.asked(); req.Target == xproto.AtomString {
				p.give(req, "STRING", 8, []byte("Gr\xfc\xdfe\x00"))
			}
		}, "Grüße"},
		"by type": {func(d *driver, p *peer) {
			p.refuse(p.asked())
			d.until("the next form", func() bool { return d.fetches[0].target == 1 })
			p.give(p.asked(), "text/plain;charset=utf-8", 8, []byte("Grüße"))
		}, "Grüße"},
		"not UTF-8": {func(d *driver, p *peer) { p.give(p.asked(), "UTF8_STRING", 8, []byte("a\xffb")) }, "a\uFFFDb"},
		"no text": {func(d *driver, p *peer) {
			for n := range 3 {
				d.until("the next form", func() bool { return d.fetches[0].target == n })
				p.refuse(p.asked())
			}
			d.until("the end", d.idle)
		}, ""},
		"wrong property": {func(d *driver, p *peer) {
			req := p.asked()
			p.answer(req, p.atom("WM_NAME"))
			d.until("the next form", func() bool { return d.fetches[0].target == 1 })
			p.give(p.asked(), "UTF8_STRING", 8, []byte("right"))
		}, "right"},
		"nothing in the property": {func(d *driver, p *peer) {
			req := p.asked()
			p.answer(req, req.Property)
			d.until("the next form", func() bool { return d.fetches[0].target == 1 })
			p.give(p.asked(), "UTF8_STRING", 8, []byte("right"))
		}, "right"},
		"wrong types": {func(d *driver, p *peer) {
			p.give(p.asked(), "UTF8_STRING", 32, []byte("abcd"))
			d.until("the next form", func() bool { return d.fetches[0].target == 1 })
			p.give(p.asked(), "PIXMAP", 8, []byte("abcd"))
			d.until("the next form", func() bool { return d.fetches[0].target == 2 })
			p.give(p.asked(), "STRING", 8, []byte("right"))
		}, "right"},
		"answers to other questions": {func(d *driver, p *peer) {
			req := p.asked()
			for _, wrong := range []func(*xproto.SelectionRequestEvent){
				func(r *xproto.SelectionRequestEvent) { r.Time-- },
				func(r *xproto.SelectionRequestEvent) { r.Target = p.atom("PIXMAP") },
				func(r *xproto.SelectionRequestEvent) { r.Selection = p.atom("SECONDARY") },
			} {
				other := req
				wrong(&other)
				p.refuse(other)
			}
			p.give(req, "UTF8_STRING", 8, []byte("right"))
		}, "right"},
		"pieces": {func(d *driver, p *peer) {
			req := p.asked()
			p.begin(req, 7)
			for _, piece := range []string{"a\xf0\x9f", "\x98\x80", "\xc3", "\xbc", ""} {
				d.until("the wish for it", func() bool { return len(d.fetches[0].got) > 0 || d.fetches[0].incr })
				p.wanted(req)
				p.write(req, "UTF8_STRING", 8, []byte(piece))
				n := len(d.fetches[0].got)
				d.until("the piece", func() bool { return len(d.fetches[0].got) == n+len(piece) && piece != "" || !d.fetches[0].asking })
			}
		}, "a😀ü"},
		"never answers": {func(d *driver, p *peer) {
			late := p.asked()
			d.pass(answerLimit - 1)
			if d.idle() {
				d.t.Error("given up too early")
			}
			d.pass(1)
			if !d.idle() {
				d.t.Error("not given up")
			}
			p.answer(late, late.Property) // comes to nothing
			p.owns("CLIPBOARD")
			d.ripe()
			p.give(p.asked(), "UTF8_STRING", 8, []byte("the next"))
		}, "the next"},
		"superseded": {func(d *driver, p *peer) {
			p.asked()
			q := newPeer(p.t, s)
			q.owns("CLIPBOARD")
			d.until("the other", func() bool { return !d.fetches[0].asking })
			d.pass(selectionRest)
			q.give(q.asked(), "UTF8_STRING", 8, []byte("the other's"))
		}, "the other's"},
		"stops amid": {func(d *driver, p *peer) {
			req := p.asked()
			p.begin(req, 7)
			d.until("pieces", func() bool { return d.fetches[0].incr })
			p.wanted(req)
			p.write(req, "UTF8_STRING", 8, []byte("abc"))
			d.until("a piece", func() bool { return len(d.fetches[0].got) == 3 })
			d.pass(answerLimit)
			if !d.idle() {
				d.t.Error("not given up")
			}
		}, ""},
		"drips": {func(d *driver, p *peer) {
			req := p.asked()
			p.begin(req, 7)
			d.until("pieces", func() bool { return d.fetches[0].incr })
			for n := 1; d.fetches[0].asking; n++ {
				p.wanted(req)
				p.write(req, "UTF8_STRING", 8, []byte("a"))
				d.until("a piece", func() bool { return len(d.fetches[0].got) == n })
				d.pass(answerLimit - 1)
				if n > 20 {
					d.t.Fatal("not given up")
				}
			}
		}, ""},
		"dies amid": {func(d *driver, p *peer) {
			req := p.asked()
			p.begin(req, 7)
			d.until("pieces", func() bool { return d.fetches[0].incr })
			p.close()
			d.until("the end", d.idle)
		}, ""},
		"dies at once": {func(d *driver, p *peer) {
			p.close()
			d.until("the end", d.idle)
		}, ""},
		"gives and dies": {func(d *driver, p *peer) {
			p.give(p.asked(), "UTF8_STRING", 8, []byte("its last"))
			p.close()
		}, "its last"},
		"promises too much": {func(d *driver, p *peer) {
			p.begin(p.asked(), 1<<20+1)
			d.until("the end", d.idle)
		}, ""},
		"gives more than promised": {func(d *driver, p *peer) {
			req := p.asked()
			p.begin(req, 0)
			for n := 1; d.fetches[0].asking; n++ {
				n0 := len(d.fetches[0].got)
				d.until("pieces", func() bool { return d.fetches[0].incr })
				p.wanted(req)
				p.write(req, "UTF8_STRING", 8, make([]byte, 250_000))
				d.until("a piece", func() bool { return len(d.fetches[0].got) > n0 || !d.fetches[0].asking })
				if n > 5 {
					d.t.Fatal("not given up")
				}
			}
		}, ""},
		"changes its form amid": {func(d *driver, p *peer) {
			req := p.asked()
			p.begin(req, 0)
			d.until("pieces", func() bool { return d.fetches[0].incr })
			p.wanted(req)
			p.write(req, "PIXMAP", 32, make([]byte, 4))
			d.until("the end", d.idle)
		}, ""},
		// Latin-1 that is too long as UTF-8.
		"grows": {func(d *driver, p *peer) {
			req := p.asked()
			p.begin(req, 0)
			d.until("pieces", func() bool { return d.fetches[0].incr })
			for range 3 {
				p.wanted(req)
				n := len(d.fetches[0].got)
				p.write(req, "STRING", 8, []byte(strings.Repeat("\xfc", 200_000)))
				d.until("a piece", func() bool { return len(d.fetches[0].got) > n })
			}
			p.wanted(req)
			p.write(req, "STRING", 8, nil)
			d.until("the end", d.idle)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d, p := newDriver(t, x), newPeer(t, s)
			p.owns("CLIPBOARD")
			d.ripe()
			c.play(d, p)
			if c.want != "" {
				d.expect(c.want)
			}
			if got := d.told(); len(got) != 0 {
				t.Errorf("viewers were told %.80q", got)
			}
			// Whatever it was, the next program's text comes.
			q := newPeer(t, s)
			q.owns("CLIPBOARD")
			d.ripe()
			q.give(q.asked(), "UTF8_STRING", 8, []byte("next"))
			d.expect("next")
			if next := d.next(); !next.IsZero() {
				t.Error("something is still due")
			}
		})
	}
}

// What changes all the time is asked for when it rests, and not while the
// owner has not answered yet.
func TestClipboardRests(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	d, p := newDriver(t, open(t, config(s))), newPeer(t, s)
	f := d.fetches[0]
	change := func() {
		before := f.rested
		p.owns("CLIPBOARD")
		d.until("the change", func() bool { return f.rested != before })
	}
	for range 20 {
		change()
		d.pass(selectionRest - 1)
		if f.asking {
			t.Fatal("asked before it rested")
		}
	}
	d.pass(1)
	req := p.asked()
	change()
	d.pass(2 * selectionRest)
	if !f.fresh {
		t.Fatal("asked again before it answered")
	}
	p.give(req, "UTF8_STRING", 8, []byte("first"))
	d.expect("first")
	d.pass(0)
	p.give(p.asked(), "UTF8_STRING", 8, []byte("second"))
	d.expect("second")
	for len(p.events) > 0 {
		if req, ok := (<-p.events).(xproto.SelectionRequestEvent); ok {
			t.Errorf("asked once more: %+v", req)
		}
	}
}

// A clipboard manager that takes a viewer's text over does not make the
// viewers lose what else their own clipboards have of it.
func TestClipboardEcho(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	d, p := newDriver(t, open(t, config(s))), newPeer(t, s)
	for _, c := range []struct {
		text  string
		after time.Duration
		told  bool
	}{{"theirs", 0, false}, {"another", 0, true}, {"theirs", echoLimit, true}} {
		d.setText("theirs", d.now)
		d.until("owning", func() bool { return d.fetches[0].ours && !d.claiming })
		p.owns("CLIPBOARD")
		d.ripe()
		d.pass(c.after)
		p.give(p.asked(), "UTF8_STRING", 8, []byte(c.text))
		if c.told {
			d.expect(c.text)
		} else {
			d.until("the answer", d.idle)
			if got := d.told(); len(got) > 0 {
				t.Errorf("viewers were told %q", got)
			}
		}
	}
}

// Programs that paste in every way.
func TestClipboardRequestors(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	x := open(t, config(s))
	r, _ := run(t, x)
	p := newPeer(t, s)
	x.SetCutText("Grüße")
	awaitPasted(t, s, "clipboard", "UTF8_STRING", "Grüße")

	if got := p.convert("CLIPBOARD", "PIXMAP", "PASTE"); got != xproto.AtomNone {
		t.Error("there is a picture")
	}
	if p.convert("CLIPBOARD", "TIMESTAMP", "PASTE") == xproto.AtomNone {
		t.Error("there is no time")
	}
	if kind, b := p.get("PASTE", true); kind != xproto.AtomInteger || len(b) != 4 || xgb.Get32(b) == 0 {
		t.Errorf("the time is %d %x", kind, b)
	}

	// MULTIPLE: what there is not becomes none.
	words := []xproto.Atom{p.atom("UTF8_STRING"), p.atom("ONE"), p.atom("PIXMAP"), p.atom("TWO"), p.atom("STRING"), p.atom("THREE"), p.atom("MULTIPLE"), p.atom("FOUR"), p.atom("TEXT"), 0}
	multiple := func(words []xproto.Atom, format byte) xproto.Atom {
		b := make([]byte, 4*len(words))
		for i, w := range words {
			xgb.Put32(b[4*i:], uint32(w))
		}
		p.must(xproto.ChangePropertyChecked(p.c.Conn, xproto.PropModeReplace, p.win, p.atom("PAIRS"), p.atom("ATOM_PAIR"), format, uint32(len(b))*8/uint32(format), b).Check())
		return p.convert("CLIPBOARD", "MULTIPLE", "PAIRS")
	}
	if multiple(words, 32) == xproto.AtomNone {
		t.Error("MULTIPLE was refused")
	}
	_, pairs := p.get("PAIRS", true)
	for i, want := range []xproto.Atom{p.atom("ONE"), 0, p.atom("THREE"), 0, 0} {
		if got := xproto.Atom(xgb.Get32(pairs[8*i+4:])); got != want {
			t.Errorf("pair %d has property %d, not %d", i, got, want)
		}
	}
	if _, b := p.get("ONE", true); string(b) != "Grüße" {
		t.Errorf("the first is %q", b)
	}
	if _, b := p.get("THREE", true); string(b) != "Gr\xfc\xdfe" {
		t.Errorf("the third is %q", b)
	}
	for name, got := range map[string]xproto.Atom{
		"an odd number": multiple(words[:3], 32), "bytes": multiple(words, 8), "too many": multiple(make([]xproto.Atom, 2*mostPairs+2), 32),
		"no list": p.convert("CLIPBOARD", "MULTIPLE", "NOTHING"),
	} {
		if got != xproto.AtomNone {
			t.Errorf("MULTIPLE with %s was answered", name)
		}
	}

	// Programs of before ICCCM name no property.
	xproto.ConvertSelection(p.c.Conn, p.win, p.atom("CLIPBOARD"), p.atom("UTF8_STRING"), xproto.AtomNone, xproto.TimeCurrentTime)
	p.await("an answer", func(ev any) bool { _, ok := ev.(xproto.SelectionNotifyEvent); return ok })
	if _, b := p.get("UTF8_STRING", true); string(b) != "Grüße" {
		t.Errorf("without a property it is %q", b)
	}

	// The root window is no program's: its events are the display's.
	x.SetCutText(texts["long"])
	awaitPasted(t, s, "clipboard", "UTF8_STRING", texts["long"])
	xproto.ConvertSelection(p.c.Conn, p.root, p.atom("CLIPBOARD"), p.atom("UTF8_STRING"), p.atom("PASTE"), xproto.TimeCurrentTime)
	awaitPasted(t, s, "clipboard", "UTF8_STRING", texts["long"])
	other := open(t, config(s))
	if err := other.SetDesktopSize(t.Context(), 300, 180, nil); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "the new size", func() bool { return r.size.X == 300 })
}

// Programs that do not go on pasting are given up, and so is one that asks
// for too much at a time.
func TestClipboardStalledRequestors(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	d, p := newDriver(t, open(t, config(s))), newPeer(t, s)
	d.setText(texts["longest"], d.now)
	d.until("owning", func() bool { return d.fetches[0].ours && !d.claiming })
	ask := func(n int) {
		for i := range n {
			xproto.ConvertSelection(p.c.Conn, p.win, p.atom("CLIPBOARD"), p.atom("UTF8_STRING"), p.atom("P"+strings.Repeat("x", i)), xproto.TimeCurrentTime)
		}
	}
	ask(mostTransfers)
	d.until("the transfers", func() bool { return len(d.transfers) == mostTransfers })
	answer := func(property xproto.Atom) func(any) bool {
		return func(ev any) bool {
			e, ok := ev.(xproto.SelectionNotifyEvent)
			return ok && e.Property == property
		}
	}
	p.await("the last answer", answer(p.atom("P"+strings.Repeat("x", mostTransfers-1))))
	xproto.ConvertSelection(p.c.Conn, p.win, p.atom("CLIPBOARD"), p.atom("UTF8_STRING"), p.atom("ONE TOO MANY"), xproto.TimeCurrentTime)
	refused := answer(xproto.AtomNone)
	d.until("the refusal", func() (ok bool) {
		for len(p.events) > 0 && !ok {
			ok = refused(<-p.events)
		}
		return ok
	})
	d.pass(answerLimit)
	if n := len(d.transfers); n != 0 || !d.next().IsZero() {
		t.Errorf("%d transfers are left", n)
	}
	mask := func() uint32 {
		r, err := xproto.GetWindowAttributes(d.x.conn.Conn, p.win).Reply()
		p.must(err)
		return r.YourEventMask
	}
	if m := mask(); m != 0 {
		t.Errorf("its events %x are still selected", m)
	}
	ask(1)
	d.until("a transfer", func() bool { return len(d.transfers) == 1 })
	if mask() == 0 {
		t.Error("its events are not selected")
	}
	p.close()
	d.until("its end", func() bool { return len(d.transfers) == 0 })
}
