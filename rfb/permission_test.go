package rfb_test

import (
	"context"
	"image"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// permitted connects a viewer whose permission p is.
func (h *host) permitted(p *rfb.Permission, acts func(), encodings ...wire.Encoding) *rfbtest.Viewer {
	h.t.Helper()
	v, err := rfbtest.NewViewer(h.pipe(rfb.ViewerConfig{Permission: p, Acts: acts}))
	if err != nil {
		h.t.Fatal(err)
	}
	send(h.t, v, wire.SetEncodings{Encodings: encodings})
	return v
}

// A viewer that may no more has let go of everything when that is said, and
// whatever it sends then goes nowhere, until it may again.
func TestPermission(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	src.Fill(image.Rect(0, 0, 200, 100), 0x445566)
	src.OfferPower(true)
	h := serve(t, src, rfb.ServerConfig{})
	var p rfb.Permission
	var acts atomic.Int64
	v := h.permitted(&p, func() { acts.Add(1) }, wire.EncodingRaw, wire.PseudoExtendedDesktopSize, wire.PseudoXVP)
	await(t, v, src.Picture())
	send(t, v, wire.KeyEvent{Down: true, Keysym: 'a'}, wire.QEMUExtendedKeyEvent{Down: true, Keysym: 'b', Keycode: 0x30}, wire.PointerEvent{X: 7, Y: 8, Buttons: 5})
	if got := src.Events(patience(t), 3); len(got) != 3 {
		t.Fatalf("events %v", got)
	}
	p.SetViewOnly(true)
	now, cancel := context.WithCancel(context.Background())
	cancel()
	all := src.Events(now, 1<<20) // what is there already
	held := map[uint32]bool{}
	for _, e := range all {
		if k, ok := e.(rfb.KeyEvent); ok {
			held[k.Keysym] = k.Down
		}
	}
	if last := all[len(all)-1]; len(all) != 6 || held['a'] || held['b'] || last != (rfb.PointerEvent{X: 7, Y: 8}) {
		t.Errorf("when it may no more, the source was told %v", all)
	}

	seen, failed := len(v.Sizes), len(v.XVP)
	send(t, v, wire.KeyEvent{Down: true, Keysym: 'x'}, wire.KeyEvent{Keysym: 'a'}, wire.PointerEvent{X: 1, Buttons: 1},
		wire.ClientCutText{Text: []byte("x")}, wire.ClientXVP{Version: 1, Code: wire.XVPReset}, wire.SetDesktopSize{Width: 64, Height: 64})
	until(t, v, "an answer about the power", func() bool { return len(v.XVP) > failed && v.XVP[len(v.XVP)-1].Code == wire.XVPFail })
	if err := v.Request(true); err != nil {
		t.Fatal(err)
	}
	until(t, v, "an answer about the size", func() bool { return len(v.Sizes) > seen })
	if got := v.Sizes[len(v.Sizes)-1]; got.Result != wire.ResizeProhibited || got.Width != 200 {
		t.Errorf("the size is answered by %+v", got)
	}
	if n := acts.Load(); n != 3 {
		t.Errorf("it acted %d times, not 3", n)
	}

	p.SetViewOnly(false)
	send(t, v, wire.KeyEvent{Down: true, Keysym: 'c'})
	if got := src.Events(patience(t), 7); len(got) != 7 || got[6] != (rfb.KeyEvent{Down: true, Keysym: 'c'}) {
		t.Errorf("after it may again the source was told %v", got)
	}
	if n := acts.Load(); n != 4 {
		t.Errorf("it acted %d times, not 4", n)
	}
}

// A viewer that may not at first is told of power and clipboard when it may,
// and what it holds then is let go as others' is.
func TestPermissionLater(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	src.Fill(image.Rect(0, 0, 200, 100), 0x445566)
	src.OfferPower(true)
	h := serve(t, src, rfb.ServerConfig{})
	var p rfb.Permission
	p.SetViewOnly(true)
	v := h.permitted(&p, nil, wire.EncodingRaw, wire.PseudoXVP, wire.PseudoExtendedClipboard)
	await(t, v, src.Picture())
	until(t, v, "caps", func() bool { return len(v.CutTexts) == 1 })
	if m := v.CutTexts[0].Extended; m.Flags&wire.ClipboardProvide != 0 || len(v.XVP) > 0 {
		t.Errorf("before it may, it is told %+v and %+v", m, v.XVP)
	}
	p.SetViewOnly(false)
	until(t, v, "caps and an offer", func() bool { return len(v.CutTexts) == 2 && len(v.XVP) == 1 })
	if m := v.CutTexts[1].Extended; m.Flags&wire.ClipboardProvide == 0 || v.XVP[0].Code != wire.XVPInit {
		t.Errorf("when it may, it is told %+v and %+v", m, v.XVP)
	}
	send(t, v, wire.KeyEvent{Down: true, Keysym: 'k'})
	came(t, src, rfb.KeyEvent{Down: true, Keysym: 'k'})
	v.Conn.Close() // leaves
	if got := src.Events(patience(t), 2); len(got) != 2 || got[1] != (rfb.KeyEvent{Keysym: 'k'}) {
		t.Errorf("after it has left the source was told %v", got)
	}
	p.SetViewOnly(true) // nobody's any more
}

// However a change falls between a viewer's keys, nothing stays down.
func TestPermissionRaces(t *testing.T) {
	src := rfbtest.NewSource(64, 48)
	h := serve(t, src, rfb.ServerConfig{})
	var p rfb.Permission
	v := h.permitted(&p, nil, wire.EncodingRaw)
	await(t, v, src.Picture())
	over, typed := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-over:
				typed <- nil
				return
			default:
			}
			if err := v.Send(wire.KeyEvent{Down: i%3 > 0, Keysym: 'a'}); err != nil {
				typed <- err
				return
			}
		}
	}()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	down, late := 0, 0
	for i := range 2000 {
		p.SetViewOnly(false)
		if i%100 == 0 {
			src.Events(patience(t), len(src.Events(now, 1<<30))+3) // some get through
		}
		runtime.Gosched()
		p.SetViewOnly(true)
		all := src.Events(now, 1<<30)
		if n := len(all); n > 0 && all[n-1].(rfb.KeyEvent).Down {
			down++
		}
		runtime.Gosched()
		if len(src.Events(now, 1<<30)) > len(all) {
			late++
		}
	}
	close(over)
	if err := <-typed; err != nil {
		t.Fatal(err)
	}
	if down > 0 || late > 0 {
		t.Errorf("%d times a key was still down when the viewer might not press it, %d times one came afterwards", down, late)
	}
}
