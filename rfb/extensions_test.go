package rfb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// eachHop runs a test before a server that shows src itself, and before one
// that shows it through one and through two clients.
func eachHop(t *testing.T, f func(t *testing.T, src *rfbtest.Source, h *host)) {
	for hops := range 3 {
		t.Run(fmt.Sprintf("%d hops", hops), func(t *testing.T) {
			src := rfbtest.NewSource(200, 100)
			src.Fill(image.Rect(0, 0, 200, 100), 0x445566)
			h := serve(t, src, rfb.ServerConfig{Name: "node"})
			for range hops {
				h = serve(t, rfb.NewClient(rfb.ClientConfig{Dial: h.dialer()}), rfb.ServerConfig{})
			}
			f(t, src, h)
		})
	}
}

// watching connects a viewer that lists the given pseudo-encodings and sees
// the picture, so that whatever lies between has been set up.
func (h *host) watching(src *rfbtest.Source, pseudos ...wire.Encoding) *rfbtest.Viewer {
	h.t.Helper()
	v := h.viewer(append([]wire.Encoding{wire.EncodingZRLE}, pseudos...)...)
	until(h.t, v, "the picture", func() bool { return v.Count[wire.EncodingZRLE] > 0 && v.Frame.Equal(src.Picture()) })
	return v
}

func until(t *testing.T, v *rfbtest.Viewer, what string, cond func() bool) {
	t.Helper()
	if err := v.Until(cond); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

func send(t *testing.T, v *rfbtest.Viewer, messages ...wire.ClientMessage) {
	t.Helper()
	for _, m := range messages {
		if err := v.Send(m); err != nil {
			t.Fatal(err)
		}
	}
}

// came checks the events that reached the source.
func came(t *testing.T, src *rfbtest.Source, want ...any) {
	t.Helper()
	if got := src.Events(patience(t), len(want)); !reflect.DeepEqual(got, want) {
		t.Errorf("came %v\nwant %v", got, want)
	}
}

// Nine buttons reach the source from viewers that can say so.
func TestExtendedMouseButtons(t *testing.T) {
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		v := h.watching(src, wire.PseudoExtendedMouseButtons)
		until(t, v, "the extension", func() bool { return v.Count[wire.PseudoExtendedMouseButtons] > 0 })
		send(t, v,
			wire.PointerEvent{X: 3, Y: 4, Buttons: 0x181, Extended: true},
			wire.PointerEvent{X: 3, Y: 4, Buttons: 0x100, Extended: true},
			wire.PointerEvent{X: 5, Y: 4, Buttons: 0x41})
		came(t, src,
			rfb.PointerEvent{X: 3, Y: 4, Buttons: 0x181}, rfb.PointerEvent{X: 3, Y: 4, Buttons: 0x100},
			rfb.PointerEvent{X: 5, Y: 4, Buttons: 0x41})
		if n := v.Count[wire.PseudoExtendedMouseButtons]; n != 1 {
			t.Errorf("it was said %d times", n)
		}
	})
}

// The lights of the keyboard come in either form, QEMU's where both are known.
func TestLEDs(t *testing.T) {
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		viewers := map[wire.Encoding]*rfbtest.Viewer{
			wire.PseudoQEMULEDState:   h.watching(src, wire.PseudoVMwareLEDState, wire.PseudoQEMULEDState),
			wire.PseudoVMwareLEDState: h.watching(src, wire.PseudoVMwareLEDState),
		}
		for _, lights := range []rfb.LEDState{rfb.LEDCapsLock | rfb.LEDScrollLock, 0, rfb.LEDNumLock} {
			src.Desktop(func(d *rfb.Desktop) { d.SetLEDState(lights) })
			for form, v := range viewers {
				before := v.Count[form]
				until(t, v, "the lights", func() bool { return v.Count[form] > before })
				if v.LEDs != uint8(lights) {
					t.Errorf("%v says %d, not %d", form, v.LEDs, lights)
				}
			}
		}
		if n := viewers[wire.PseudoQEMULEDState].Count[wire.PseudoVMwareLEDState]; n != 0 {
			t.Error("one viewer was told in both forms")
		}
	})
}

// A source that wants motion gets it, from viewers that can send it and, made
// of their positions, from others; while either side does not know yet, what
// it sends is taken for what it is.
func TestPointerMotion(t *testing.T) {
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		v := h.watching(src, wire.PseudoQEMUPointerMotion)
		plain := h.watching(src)
		send(t, v, wire.PointerEvent{X: 50, Y: 60})
		came(t, src, rfb.PointerEvent{X: 50, Y: 60})
		src.SetPointerRelative(true)
		until(t, v, "the change to motion", func() bool { return v.Relative })
		send(t, v,
			wire.PointerEvent{X: 52, Y: 59}, // sent before the change was known
			wire.PointerMotion(1, image.Pt(500, -300)),
			wire.PointerMotion(0, image.Point{}))
		want := []any{
			rfb.PointerEvent{X: 50, Y: 60},
			rfb.PointerEvent{Relative: true, X: 2, Y: -1},
			rfb.PointerEvent{Relative: true, X: 500, Y: -300, Buttons: 1},
			rfb.PointerEvent{Relative: true},
		}
		came(t, src, want...)
		send(t, plain, wire.PointerEvent{X: 10, Y: 10}, wire.PointerEvent{X: 15, Y: 7, Buttons: 4})
		want = append(want, rfb.PointerEvent{Relative: true}, rfb.PointerEvent{Relative: true, X: 5, Y: -3, Buttons: 4})
		came(t, src, want...)
		plain.Conn.Close() // leaves with a button held
		want = append(want, rfb.PointerEvent{Relative: true})
		came(t, src, want...)

		src.SetPointerRelative(false)
		until(t, v, "the change to positions", func() bool { return !v.Relative })
		send(t, v, wire.PointerEvent{X: 30, Y: 40}, wire.PointerMotion(0, image.Pt(5, -50)), wire.PointerEvent{X: 31, Y: 41})
		came(t, src, append(want, rfb.PointerEvent{X: 30, Y: 40}, rfb.PointerEvent{X: 35}, rfb.PointerEvent{X: 31, Y: 41})...)
	})
}

// A source's motion is said to those who join later, and ends with its run.
func TestPointerMotionOfLateViewer(t *testing.T) {
	src, next := rfbtest.NewSource(200, 100), rfbtest.NewSource(120, 90)
	src.SetPointerRelative(true)
	h := serve(t, src, rfb.ServerConfig{})
	h.watching(src)
	v := h.watching(src, wire.PseudoQEMUPointerMotion, wire.PseudoDesktopSize)
	until(t, v, "motion", func() bool { return v.Relative })
	h.SetSource(next)
	until(t, v, "positions", func() bool { return !v.Relative })
	await(t, v, next.Picture())
	send(t, v, wire.PointerEvent{X: 7, Y: 8})
	came(t, next, rfb.PointerEvent{X: 7, Y: 8})
}

// Where the source put the pointer is told, where a viewer put it is not.
func TestPointerWarp(t *testing.T) {
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		v := h.watching(src, wire.PseudoVMwareCursorPosition, wire.PseudoCursor)
		other := h.watching(src, wire.PseudoCursor)
		send(t, v, wire.PointerEvent{X: 20, Y: 30})
		came(t, src, rfb.PointerEvent{X: 20, Y: 30})
		src.Desktop(func(d *rfb.Desktop) { d.SetPointer(20, 30) }) // a source that says what it was told
		src.Fill(image.Rect(0, 0, 9, 9), 0xff0000)
		await(t, v, src.Picture())
		src.Desktop(func(d *rfb.Desktop) { d.SetPointer(70, 80) })
		until(t, v, "the pointer's place", func() bool { return len(v.Pointers) > 0 })
		if !reflect.DeepEqual(v.Pointers, []image.Point{{X: 70, Y: 80}}) {
			t.Errorf("the pointer was put at %v", v.Pointers)
		}
		await(t, other, src.Picture()) // and is not disturbed
	})
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

// Power is offered when the source offers it, carried out for those who may
// act, and its failure is told.
func TestPower(t *testing.T) {
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		early := h.watching(src, wire.PseudoXVP)
		if len(early.XVP) > 0 {
			t.Error("power was offered before the source did")
		}
		// Asked all the same it fails.
		send(t, early, wire.ClientXVP{Version: 1, Code: wire.XVPReset})
		until(t, early, "a refusal", func() bool { return len(early.XVP) == 1 })
		src.OfferPower(true)
		until(t, early, "the offer", func() bool { return len(early.XVP) == 2 })
		v := h.watching(src, wire.PseudoXVP)
		until(t, v, "the offer", func() bool { return len(v.XVP) == 1 })
		send(t, v, wire.ClientXVP{Version: 1, Code: wire.XVPReboot}, wire.ClientXVP{Version: 1, Code: wire.XVPShutdown})
		came(t, src, rfb.PowerReboot, rfb.PowerShutdown)
		src.Deny(errors.New("the BMC does not answer"))
		send(t, v, wire.ClientXVP{Version: 1, Code: wire.XVPReset})
		until(t, v, "the failure", func() bool { return len(v.XVP) == 2 })
		send(t, v, wire.ClientXVP{Version: 1, Code: 77}, wire.ClientXVP{Version: 9, Code: wire.XVPReset})
		until(t, v, "the failures", func() bool { return len(v.XVP) == 4 })
		came(t, src, rfb.PowerReboot, rfb.PowerShutdown, rfb.PowerReset)
		want := []wire.ServerXVP{{Version: 1, Code: wire.XVPInit}, {Version: 1}, {Version: 1}, {Version: 9}}
		if !reflect.DeepEqual(v.XVP, want) {
			t.Errorf("came %v, want %v", v.XVP, want)
		}
		if want := []wire.ServerXVP{{Version: 1}, {Version: 1, Code: wire.XVPInit}}; !reflect.DeepEqual(early.XVP, want) {
			t.Errorf("came %v, want %v", early.XVP, want)
		}
	})
}

// Who asked for what is in the log; who may only watch is not offered power
// and asks in vain.
func TestPowerLogAndViewOnly(t *testing.T) {
	log := new(syncBuffer)
	src := rfbtest.NewSource(20, 20)
	src.Fill(image.Rect(0, 0, 20, 20), 0x445566)
	src.OfferPower(true)
	h := serve(t, src, rfb.ServerConfig{Log: slog.New(slog.NewTextHandler(log, nil))})
	looker, err := rfbtest.NewViewer(h.pipe(rfb.ViewerConfig{ViewOnly: true, Label: "looker"}))
	if err != nil {
		t.Fatal(err)
	}
	worker, err := rfbtest.NewViewer(h.pipe(rfb.ViewerConfig{Label: "worker"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*rfbtest.Viewer{looker, worker} {
		send(t, v, wire.SetEncodings{Encodings: []wire.Encoding{wire.PseudoXVP}})
		await(t, v, src.Picture())
	}
	send(t, looker, wire.ClientXVP{Version: 1, Code: wire.XVPReset})
	until(t, looker, "an answer", func() bool { return len(looker.XVP) > 0 })
	if looker.XVP[0].Code != wire.XVPFail {
		t.Error("a viewer that may only watch was offered power")
	}
	send(t, worker, wire.ClientXVP{Version: 1, Code: wire.XVPReboot}, wire.Fence{Flags: wire.FenceRequest})
	until(t, worker, "the end of it", func() bool { return worker.Messages[wire.TypeServerFence] > 0 })
	came(t, src, rfb.PowerReboot)
	text := log.String()
	for _, want := range []string{"asks for a power action", "was carried out", "viewer=worker", "action=reboot"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the log:\n%s", want, text)
		}
	}
	if strings.Contains(text, "looker") {
		t.Errorf("what was refused fills the log:\n%s", text)
	}
}

// two is a layout of two screens side by side.
func two(width, height int) []rfb.Screen {
	return []rfb.Screen{
		{ID: 7, Rect: image.Rect(0, 0, width/2, height), Flags: 1},
		{ID: 9, Rect: image.Rect(width/2, 0, width, height)},
	}
}

func onWire(screens []rfb.Screen) (w []wire.Screen) {
	for _, s := range screens {
		w = append(w, wire.Screen(s))
	}
	return w
}

// Several screens go through both ways, and every viewer is told whose wish a
// new size was and what came of it.
func TestScreens(t *testing.T) {
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		asks := h.watching(src, wire.PseudoExtendedDesktopSize)
		other := h.watching(src, wire.PseudoExtendedDesktopSize)
		last := func(v *rfbtest.Viewer) wire.ExtendedDesktopSize { return v.Sizes[len(v.Sizes)-1] }
		is := func(v *rfbtest.Viewer, want wire.ExtendedDesktopSize) func() bool {
			return func() bool { return len(v.Sizes) > 0 && reflect.DeepEqual(last(v), want) }
		}

		f := pixel.NewFrame(300, 120)
		f.Fill(f.Rect(), 0x123456)
		src.Show(f, two(300, 120)...)
		bySource := wire.ExtendedDesktopSize{Width: 300, Height: 120, Screens: onWire(two(300, 120))}
		until(t, asks, "the source's screens", is(asks, bySource))
		until(t, other, "the source's screens", is(other, bySource))
		await(t, asks, f)
		await(t, other, f)

		for _, screens := range [][]rfb.Screen{two(400, 150), two(400, 150)[:1], nil} {
			had := len(asks.Sizes)
			send(t, asks, wire.SetDesktopSize{Width: 400, Height: 150, Screens: onWire(screens)})
			want := wire.ExtendedDesktopSize{Reason: wire.ResizeByThisClient, Width: 400, Height: 150, Screens: onWire(screens)}
			if screens == nil {
				want.Screens = []wire.Screen{{ID: 1, Rect: image.Rect(0, 0, 400, 150)}}
			}
			until(t, asks, "the answer", is(asks, want))
			if n := len(asks.Sizes) - had; n != 1 {
				t.Errorf("%d answers to one wish: %+v", n, asks.Sizes[had:])
			}
			want.Reason = wire.ResizeByOtherClient
			until(t, other, "another's wish", is(other, want))
			await(t, asks, src.Picture())
			await(t, other, src.Picture())
		}

		had := len(other.Sizes)
		for err, result := range map[error]int{
			rfb.ErrProhibited:     wire.ResizeProhibited,
			rfb.ErrLayout:         wire.ResizeInvalid,
			errors.New("too big"): wire.ResizeOutOfResource,
		} {
			src.Deny(err)
			before := len(asks.Sizes)
			send(t, asks, wire.SetDesktopSize{Width: 100, Height: 100})
			until(t, asks, "a refusal", func() bool { return len(asks.Sizes) > before })
			if m := last(asks); m.Reason != wire.ResizeByThisClient || m.Result != result || m.Width != 400 {
				t.Errorf("the source says %v, the viewer is told %+v", err, m)
			}
		}
		src.Deny(nil)
		for name, m := range map[string]wire.SetDesktopSize{
			"no size":           {Height: 100},
			"too large":         {Width: wire.MaxSide + 1, Height: 100},
			"screen outside":    {Width: 100, Height: 100, Screens: onWire(two(400, 100))},
			"screen of nothing": {Width: 100, Height: 100, Screens: []wire.Screen{{ID: 1}}},
			"two of one number": {Width: 100, Height: 100, Screens: append(onWire(two(100, 100))[:1], onWire(two(100, 100))[0])},
		} {
			before := len(asks.Sizes)
			send(t, asks, m)
			until(t, asks, "a refusal", func() bool { return len(asks.Sizes) > before })
			if m := last(asks); m.Result != wire.ResizeInvalid {
				t.Errorf("%s: %+v", name, m)
			}
		}
		if n := len(other.Sizes) - had; n != 0 {
			t.Errorf("others were told of %d refusals", n)
		}
	})
}

// slowSource announces a size and takes its time before it says that it has.
type slowSource struct {
	*rfbtest.Source
	answer chan struct{}
}

func (s slowSource) SetDesktopSize(ctx context.Context, width, height int, screens []rfb.Screen) error {
	err := s.Source.SetDesktopSize(ctx, width, height, screens)
	<-s.answer
	return err
}

// What a viewer is told of the new size before the source has answered is the
// answer: there is no second one.
func TestOneAnswerToSetDesktopSize(t *testing.T) {
	src := slowSource{rfbtest.NewSource(200, 100), make(chan struct{})}
	src.Fill(image.Rect(0, 0, 200, 100), 0x445566)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.watching(src.Source, wire.PseudoExtendedDesktopSize)
	had := len(v.Sizes)
	send(t, v, wire.FramebufferUpdateRequest{Incremental: true, Rect: v.Frame.Rect()}, wire.SetDesktopSize{Width: 300, Height: 50})
	for len(v.Sizes) == had { // until it is answered nothing more is read of it
		if _, err := v.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	if m := v.Sizes[had]; m.Reason != wire.ResizeByThisClient || m.Width != 300 {
		t.Errorf("the first answer is %+v", m)
	}
	close(src.answer)
	send(t, v, wire.Fence{Flags: wire.FenceRequest})
	until(t, v, "what comes after it", func() bool { return v.Messages[wire.TypeServerFence] > 0 })
	src.Fill(image.Rect(0, 0, 9, 9), 0xffffff)
	await(t, v, src.Picture())
	if n := len(v.Sizes) - had; n != 1 {
		t.Errorf("%d answers: %+v", n, v.Sizes[had:])
	}
}

// A viewer that has the whole picture sent again is told the screens too, in
// an update without pixels.
func TestScreensOnRequest(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.watching(src, wire.PseudoExtendedDesktopSize)
	before := len(v.Sizes)
	if err := v.Request(false); err != nil {
		t.Fatal(err)
	}
	rects := v.Count[wire.EncodingZRLE]
	if err := v.ReadUpdate(); err != nil {
		t.Fatal(err)
	}
	if len(v.Sizes) != before+1 || v.Count[wire.EncodingZRLE] != rects {
		t.Errorf("%d sizes and %d rectangles of pixels came", len(v.Sizes)-before, v.Count[wire.EncodingZRLE]-rects)
	}
	if err := v.ReadUpdate(); err != nil || v.Count[wire.EncodingZRLE] == rects {
		t.Errorf("no pixels came after it: %v", err)
	}
}

// A viewer that lists nothing is sent what every viewer understands.
func TestViewerListsNothing(t *testing.T) {
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		v := h.viewer()
		await(t, v, src.Picture())
		src.OfferPower(true)
		src.SetPointerRelative(true)
		src.Desktop(func(d *rfb.Desktop) {
			d.SetLEDState(rfb.LEDNumLock)
			d.SetName("other")
			d.SetPointer(5, 5)
			d.Bell()
			d.CutText("grüße €\n")
		})
		src.Fill(image.Rect(0, 0, 50, 50), 0x00ff00)
		until(t, v, "the clipboard", func() bool { return len(v.CutTexts) > 0 })
		await(t, v, src.Picture())
		for n := range v.Count {
			if n != wire.EncodingRaw {
				t.Errorf("a rectangle in %v came", n)
			}
		}
		if got := string(v.CutTexts[0].Text); got != "gr\xfc\xdfe ?\n" || v.Messages[wire.TypeBell] != 1 || len(v.XVP) != 0 {
			t.Errorf("came the text %q, messages %v", got, v.Messages)
		}
	})
}

// The pointer's shape comes in the form that keeps most of those listed,
// whatever their order.
func TestCursorForms(t *testing.T) {
	forms := []wire.Encoding{wire.PseudoXCursor, wire.PseudoCursor, wire.PseudoCursorWithAlpha, wire.PseudoVMwareCursor}
	shape := &pixel.Cursor{Width: 2, Height: 2, HotX: 1, Pix: []uint32{0xff000000, 0xffffffff, 0, 0xff000000}}
	eachHop(t, func(t *testing.T, src *rfbtest.Source, h *host) {
		src.SetCursor(shape)
		for i, best := range forms {
			v := h.watching(src, forms[:i+1]...)
			until(t, v, "the pointer's shape", func() bool { return v.Cursor != nil && v.Cursor.Width == 2 })
			if !reflect.DeepEqual(v.Cursor, shape) {
				t.Errorf("%v shows %+v", best, v.Cursor)
			}
			for _, other := range forms {
				if n := v.Count[other]; (n > 0) != (other == best) {
					t.Errorf("where %v is the best, %v came %d times", best, other, n)
				}
			}
		}
	})
}
