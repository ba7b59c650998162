package rfb_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Whatever a source does, viewers that read at their own pace end with its
// picture exactly, in every encoding, with and without CopyRect.
func TestServerIsExact(t *testing.T) {
	for _, row := range encoding.All() {
		if row.Encode == nil || row.Lossy {
			continue
		}
		for _, copyRect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/copyrect=%v", row.Name, copyRect), func(t *testing.T) {
				t.Parallel()
				rnd := rand.New(rand.NewPCG(uint64(row.Number), 7))
				src := rfbtest.NewSource(400, 130)
				h := serve(t, src, rfb.ServerConfig{})
				list := []wire.Encoding{row.Number}
				if copyRect {
					// CopyRect needs a viewer that draws the pointer itself.
					list = append(list, wire.EncodingCopyRect, wire.PseudoCursor)
				}
				viewers := []*rfbtest.Viewer{h.viewer(list...), h.viewer(list...)}
				for range 40 {
					for range rnd.IntN(4) {
						scribble(rnd, src)
					}
					v := viewers[rnd.IntN(len(viewers))]
					if err := v.Request(rnd.IntN(20) > 0); err != nil {
						t.Fatal(err)
					}
					src.Fill(image.Rect(0, 0, 1, 1), rnd.Uint32()&pixel.Mask) // something always comes
					if err := v.ReadUpdate(); err != nil {
						t.Fatal(err)
					}
				}
				for i, v := range viewers {
					await(t, v, src.Picture())
					if got := v.Count[wire.EncodingCopyRect]; copyRect != (got > 0) {
						t.Errorf("viewer %d got %d CopyRects", i, got)
					}
					if v.Count[row.Number] == 0 {
						t.Errorf("viewer %d got nothing in %s", i, row.Name)
					}
				}
			})
		}
	}
}

func TestServerPixelFormats(t *testing.T) {
	rgb565 := pixel.PixelFormat{BitsPerPixel: 16, Depth: 16, TrueColour: true, RedMax: 31, GreenMax: 63, BlueMax: 31, RedShift: 11, GreenShift: 5}
	src := rfbtest.NewSource(100, 70)
	src.Fill(image.Rect(10, 10, 60, 60), 0xff0000)
	src.Fill(image.Rect(30, 30, 99, 65), 0x00ffff)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.viewer(wire.EncodingTight)
	await(t, v, src.Picture())
	// In mid-session the format changes: what comes later is in the new one.
	if err := v.Send(wire.SetPixelFormat{Format: rgb565}); err != nil {
		t.Fatal(err)
	}
	src.Fill(image.Rect(0, 0, 100, 20), 0xffff00)
	if err := v.Request(false); err != nil {
		t.Fatal(err)
	}
	if err := v.ReadUpdate(); err != nil {
		t.Fatal(err)
	}
	await(t, v, src.Picture())
}

// What one viewer had encoded for it is not encoded again for another.
func TestEncodeOnce(t *testing.T) {
	src := rfbtest.NewSource(1024, 768)
	src.Fill(image.Rect(100, 100, 900, 700), 0x336699)
	h := serve(t, src, rfb.ServerConfig{})
	var viewers []*rfbtest.Viewer
	for range 5 {
		v := h.viewer(wire.EncodingZRLE, wire.PseudoCursor)
		await(t, v, src.Picture())
		viewers = append(viewers, v)
	}
	before := h.Stats()
	src.Fill(image.Rect(0, 0, 1024, 768), 0x996633)
	for _, v := range viewers {
		await(t, v, src.Picture())
	}
	encoded := h.Stats().EncodeCalls - before.EncodeCalls
	if cells := uint64(4 * 12); encoded != cells {
		t.Errorf("%d rectangles were encoded for 5 viewers of one picture, want %d", encoded, cells)
	}
	if hits := h.Stats().CacheHits - before.CacheHits; hits != 4*4*12 {
		t.Errorf("%d rectangles came from the cache, want %d", hits, 4*4*12)
	}
	// Who joins late is served from there too.
	before = h.Stats()
	await(t, h.viewer(wire.EncodingZRLE, wire.PseudoCursor), src.Picture())
	if encoded := h.Stats().EncodeCalls - before.EncodeCalls; encoded != 0 {
		t.Errorf("%d rectangles were encoded anew for a late viewer", encoded)
	}
}

// A viewer that does not read costs the others nothing, and is exact when it
// reads again.
func TestStalledViewer(t *testing.T) {
	src := rfbtest.NewSource(640, 480)
	h := serve(t, src, rfb.ServerConfig{})
	stalled, quick := h.viewer(wire.EncodingTight), h.viewer(wire.EncodingTight)
	await(t, stalled, src.Picture())
	if err := stalled.Request(true); err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		scribble(rnd, src)
		await(t, quick, src.Picture())
	}
	await(t, stalled, src.Picture())
}

func TestResize(t *testing.T) {
	for _, c := range []struct {
		name string
		list []wire.Encoding
		size wire.Encoding
	}{
		{"DesktopSize", []wire.Encoding{wire.EncodingZRLE, wire.PseudoDesktopSize}, wire.PseudoDesktopSize},
		{"ExtendedDesktopSize", []wire.Encoding{wire.EncodingZRLE, wire.PseudoExtendedDesktopSize}, wire.PseudoExtendedDesktopSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := rfbtest.NewSource(300, 200)
			src.Fill(image.Rect(0, 0, 300, 200), 0x123456)
			h := serve(t, src, rfb.ServerConfig{})
			v := h.viewer(c.list...)
			await(t, v, src.Picture())
			for _, size := range []image.Point{{500, 300}, {77, 99}, {301, 64}} {
				f := pixel.NewFrame(size.X, size.Y)
				f.Fill(f.Rect().Inset(5), 0xfedcba)
				src.Show(f)
				await(t, v, f)
			}
			if v.Count[c.size] < 3 {
				t.Errorf("%d %v rectangles", v.Count[c.size], c.size)
			}
		})
	}
}

// A size that changes before the viewer has said what it can follow reaches it
// all the same.
func TestResizeBeforeSetEncodings(t *testing.T) {
	for _, can := range []wire.Encoding{wire.PseudoDesktopSize, wire.PseudoExtendedDesktopSize} {
		src := rfbtest.NewSource(300, 200)
		h := serve(t, src, rfb.ServerConfig{})
		v, other := h.viewer(), h.viewer(wire.EncodingRaw, can)
		f := pixel.NewFrame(90, 80)
		f.Fill(f.Rect(), 0x998877)
		src.Show(f)
		await(t, other, f) // so it has happened
		if err := v.Send(wire.SetEncodings{Encodings: []wire.Encoding{wire.EncodingRaw, can}}); err != nil {
			t.Fatal(err)
		}
		await(t, v, f)
	}
}

// A viewer that knows nothing of sizes keeps its own, is shown what fits, and
// black where there is nothing any more.
func TestResizeOfViewerWithoutDesktopSize(t *testing.T) {
	src := rfbtest.NewSource(300, 200)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.viewer(wire.EncodingHextile)
	await(t, v, src.Picture())
	for _, size := range []image.Point{{200, 300}, {400, 100}, {300, 200}, {10, 10}} {
		f := pixel.NewFrame(size.X, size.Y)
		f.Fill(f.Rect(), 0x00ff00|uint32(size.X))
		src.Show(f)
		want := pixel.NewFrame(300, 200)
		pixel.Copy(want, f, f.Rect())
		await(t, v, want)
	}
}

func TestSetDesktopSize(t *testing.T) {
	src := rfbtest.NewSource(300, 200)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.viewer(wire.EncodingRaw, wire.PseudoExtendedDesktopSize)
	await(t, v, src.Picture())
	ask := func(width, height int) wire.ExtendedDesktopSize {
		t.Helper()
		had := len(v.Sizes)
		if err := v.Send(wire.SetDesktopSize{Width: width, Height: height}); err != nil {
			t.Fatal(err)
		}
		for {
			if err := v.Request(true); err != nil {
				t.Fatal(err)
			}
			if err := v.ReadUpdate(); err != nil {
				t.Fatal(err)
			}
			for _, m := range v.Sizes[had:] {
				if m.Reason == wire.ResizeByThisClient {
					return m
				}
			}
		}
	}
	if m := ask(640, 400); m.Result != wire.ResizeDone || m.Width != 640 || m.Height != 400 || len(m.Screens) != 1 || m.Screens[0].ID == 0 {
		t.Errorf("answer %+v", m)
	}
	await(t, v, pixel.NewFrame(640, 400))
	if m := ask(0, 400); m.Result != wire.ResizeInvalid || m.Width != 640 {
		t.Errorf("answer to an invalid size: %+v", m)
	}
}

// The pointer is sent as a shape to those who can show one, and painted into
// the picture of the others alone, with nothing left behind.
func TestCursor(t *testing.T) {
	src := rfbtest.NewSource(400, 300)
	rnd := rand.New(rand.NewPCG(8, 9))
	cursor := &pixel.Cursor{Width: 9, Height: 7, HotX: 3, HotY: 2, Pix: make([]uint32, 63)}
	for i := range cursor.Pix {
		cursor.Pix[i] = uint32(i*4)<<24 | rnd.Uint32()&pixel.Mask
	}
	src.SetCursor(cursor)
	h := serve(t, src, rfb.ServerConfig{})
	painted := h.viewer(wire.EncodingTight, wire.EncodingCopyRect)
	shaped := h.viewer(wire.EncodingTight, wire.PseudoVMwareCursor, wire.PseudoCursor)
	for shaped.Cursor == nil {
		if err := shaped.Request(false); err != nil {
			t.Fatal(err)
		}
		if err := shaped.ReadUpdate(); err != nil {
			t.Fatal(err)
		}
	}
	if c := shaped.Cursor; c == nil || c.Width != 9 || c.HotX != 3 || c.HotY != 2 {
		t.Fatalf("cursor %+v", c)
	}
	for i, p := range shaped.Cursor.Pix {
		if a := cursor.Pix[i] >> 24; p>>24 != a || a > 0 && p != cursor.Pix[i] {
			t.Fatalf("pixel %d of the cursor is %08x instead of %08x", i, p, cursor.Pix[i])
		}
	}
	for range 40 {
		at := image.Pt(rnd.IntN(400), rnd.IntN(300))
		if err := painted.Send(wire.PointerEvent{X: at.X, Y: at.Y}); err != nil {
			t.Fatal(err)
		}
		if rnd.IntN(3) == 0 {
			scribble(rnd, src)
		}
		want := src.Picture()
		cursor.Blend(want, at)
		await(t, painted, want)
		await(t, shaped, src.Picture())
	}
}

func TestContinuousUpdatesAndFence(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.viewer(wire.EncodingRaw, wire.PseudoFence, wire.PseudoContinuousUpdates, wire.PseudoQEMUExtendedKeyEvent, wire.PseudoCursor)
	for v.Messages[wire.TypeServerFence] == 0 || v.Messages[wire.TypeEndOfContinuousUpdates] == 0 {
		if _, err := v.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.Send(wire.EnableContinuousUpdates{Enable: true, Rect: v.Frame.Rect()}); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(20) {
		src.Fill(image.Rect(0, 0, 50, 50), i*0x010203)
		for want := src.Picture(); !v.Frame.Equal(want); { // without any request
			if _, err := v.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if st := h.Stats(); st.RoundTrips == 0 || st.RoundTripTime <= 0 || st.RoundTripTime > time.Duration(st.RoundTrips)*time.Minute {
		t.Errorf("%d round trips took %v", st.RoundTrips, st.RoundTripTime)
	}
	if v.Count[wire.PseudoQEMUExtendedKeyEvent] != 1 {
		t.Errorf("QEMUExtendedKeyEvent was said %d times", v.Count[wire.PseudoQEMUExtendedKeyEvent])
	}
	// The answer to a fence comes back with its payload and without flags
	// that are not known.
	if err := v.Send(wire.Fence{Flags: wire.FenceRequest | wire.FenceSyncNext | 1<<20, Payload: []byte("abc")}); err != nil {
		t.Fatal(err)
	}
	if err := v.Send(wire.EnableContinuousUpdates{}); err != nil {
		t.Fatal(err)
	}
	had := v.Messages[wire.TypeEndOfContinuousUpdates]
	for v.Messages[wire.TypeEndOfContinuousUpdates] == had {
		if _, err := v.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
}

// Keys and the pointer arrive in order, and what is held when a viewer goes is
// let go of.
func TestInput(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.viewer()
	if !src.AwaitRunning(patience(t), true) {
		t.Fatal("the source does not run")
	}
	await(t, v, src.Picture())
	for _, m := range []wire.ClientMessage{
		wire.KeyEvent{Down: true, Keysym: 'a'},
		wire.KeyEvent{Keysym: 'a'},
		wire.QEMUExtendedKeyEvent{Down: true, Keysym: 0xffe1, Keycode: 0x2a},
		wire.PointerEvent{X: 500, Y: 20, Buttons: 1},
		wire.ClientCutText{Text: []byte("caf\xe9")},
	} {
		if err := v.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	src.Events(patience(t), 5)
	v.Conn.Close() // leaves
	want := []any{
		rfb.KeyEvent{Down: true, Keysym: 'a'}, rfb.KeyEvent{Keysym: 'a'},
		rfb.KeyEvent{Down: true, Keysym: 0xffe1, Keycode: 0x2a},
		rfb.PointerEvent{X: 199, Y: 20, Buttons: 1}, "café",
		rfb.KeyEvent{Keysym: 0xffe1, Keycode: 0x2a},
		rfb.PointerEvent{X: 199, Y: 20},
	}
	if got := src.Events(patience(t), len(want)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestViewOnly(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	h := serve(t, src, rfb.ServerConfig{})
	looker, err := rfbtest.NewViewer(h.pipe(rfb.ViewerConfig{ViewOnly: true}))
	if err != nil {
		t.Fatal(err)
	}
	worker := h.viewer()
	await(t, looker, src.Picture())
	for _, m := range []wire.ClientMessage{
		wire.KeyEvent{Down: true, Keysym: 'x'}, wire.PointerEvent{X: 1}, wire.ClientCutText{Text: []byte("x")},
	} {
		if err := looker.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	await(t, looker, src.Picture()) // what was sent before was read
	src.Fill(image.Rect(0, 0, 5, 5), 0xffffff)
	await(t, looker, src.Picture())
	if err := worker.Send(wire.KeyEvent{Down: true, Keysym: 'y'}); err != nil {
		t.Fatal(err)
	}
	if got := src.Events(patience(t), 1); fmt.Sprint(got) != fmt.Sprint([]any{rfb.KeyEvent{Down: true, Keysym: 'y'}}) {
		t.Errorf("events %v", got)
	}
}

// The source runs from the first viewer until Linger after the last.
func TestSourceLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(100, 100)
		srv := rfb.NewServer(src, rfb.ServerConfig{Linger: time.Minute})
		defer srv.Close() // never fails
		synctest.Wait()
		if src.Running() {
			t.Error("the source runs without a viewer")
		}
		connect := func() (*rfbtest.Viewer, func()) {
			ours, theirs := net.Pipe()
			done := make(chan error)
			go func() { done <- srv.Serve(t.Context(), theirs, rfb.ViewerConfig{}) }()
			v, err := rfbtest.NewViewer(ours)
			if err != nil {
				t.Fatal(err)
			}
			return v, func() {
				ours.Close() // leaves
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		_, leave := connect()
		synctest.Wait()
		if !src.Running() {
			t.Error("the source does not run with a viewer")
		}
		leave()
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if !src.Running() {
			t.Error("the source ended before Linger")
		}
		_, leave = connect()
		leave()
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if src.Running() || src.Runs() != 1 {
			t.Errorf("after Linger: running %v, %d runs", src.Running(), src.Runs())
		}
		if _, err := srv.Snapshot(t.Context()); err != nil || src.Runs() != 2 {
			t.Errorf("a snapshot starts it again: %v, %d runs", err, src.Runs())
		}
	})
}

// A source that cannot be read for a while costs nothing meanwhile and is
// exact afterwards.
func TestGrabFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(100, 100)
		srv := rfb.NewServer(src, rfb.ServerConfig{})
		defer srv.Close() // never fails
		ours, theirs := net.Pipe()
		defer ours.Close()                                    // the test is over
		go srv.Serve(t.Context(), theirs, rfb.ViewerConfig{}) //nolint:errcheck // ends with the test
		v, err := rfbtest.NewViewer(ours)
		if err != nil {
			t.Fatal(err)
		}
		await(t, v, src.Picture())
		src.Refuse(errors.New("not now"))
		src.Fill(image.Rect(0, 0, 50, 50), 0xff00ff)
		if err := v.Request(true); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := src.Grabs()
		time.Sleep(10 * time.Second)
		if n := src.Grabs() - before; n != 0 {
			t.Errorf("Grab was tried %d times in vain", n)
		}
		src.Refuse(nil)
		src.Desktop(func(d *rfb.Desktop) { d.Damage(new(pixel.Region)) })
		if err := v.ReadUpdate(); err != nil {
			t.Fatal(err)
		}
		await(t, v, src.Picture())
	})
}

// Before the source's picture could be looked at nothing is sent, no black
// either.
func TestNothingBeforeThePicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(100, 100)
		src.Fill(image.Rect(0, 0, 100, 100), 0x224466)
		src.Refuse(errors.New("not painted yet"))
		srv := rfb.NewServer(src, rfb.ServerConfig{})
		defer srv.Close()
		ours, theirs := net.Pipe()
		defer ours.Close()
		go srv.Serve(t.Context(), theirs, rfb.ViewerConfig{}) //nolint:errcheck // ends with the test
		v, err := rfbtest.NewViewer(ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Request(false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if n := srv.Stats().Updates; n != 0 {
			t.Errorf("%d updates without a picture", n)
		}
		src.Refuse(nil)
		src.Desktop(func(d *rfb.Desktop) { d.Damage(new(pixel.Region)) })
		if err := v.ReadUpdate(); err != nil {
			t.Fatal(err)
		}
		if !v.Frame.Equal(src.Picture()) {
			t.Error("the first update is not the picture")
		}
	})
}

// A quiet display's change is sent at once; a busy one's at the frame rate,
// and the last one always.
func TestFrameClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(100, 100)
		srv := rfb.NewServer(src, rfb.ServerConfig{FrameInterval: 20 * time.Millisecond})
		defer srv.Close() // never fails
		ours, theirs := net.Pipe()
		defer ours.Close()                                    // the test is over
		go srv.Serve(t.Context(), theirs, rfb.ViewerConfig{}) //nolint:errcheck // ends with the test
		v, err := rfbtest.NewViewer(ours)
		if err != nil {
			t.Fatal(err)
		}
		await(t, v, src.Picture())
		draw := func(c uint32) { src.Fill(image.Rect(0, 0, 9, 9), c) }
		for i := range 5 {
			time.Sleep(time.Second)
			draw(uint32(i + 1))
			began := time.Now()
			await(t, v, src.Picture())
			if d := time.Since(began); d != 0 {
				t.Errorf("a quiet display's change took %v", d)
			}
		}
		// A frame that is out of step does not put the next ones out of step.
		time.Sleep(time.Second)
		start := time.Now()
		for i, at := range []int{0, 10, 20, 40, 45, 80} {
			time.Sleep(time.Until(start.Add(time.Duration(at) * time.Millisecond)))
			draw(uint32(100 + i))
			await(t, v, src.Picture())
			want := at
			if at == 45 {
				want = 60 // the rate is kept all the same
			}
			if d := time.Since(start); d != time.Duration(want)*time.Millisecond {
				t.Errorf("what was drawn at %d ms was there at %v", at, d)
			}
		}
		before := src.Grabs()
		for i := range uint32(1000) { // a second of change at 1 kHz
			time.Sleep(time.Millisecond)
			draw(i)
			if i%5 == 0 {
				if err := v.Request(true); err != nil {
					t.Fatal(err)
				}
				if err := v.ReadUpdate(); err != nil {
					t.Fatal(err)
				}
			}
		}
		await(t, v, src.Picture())
		if n := src.Grabs() - before; n < 40 || n > 60*20 {
			t.Errorf("looked %d times", n)
		}
	})
}

func TestSourceEnded(t *testing.T) {
	t.Run("replaced", func(t *testing.T) {
		first, second := rfbtest.NewSource(100, 100), rfbtest.NewSource(120, 90)
		first.Fill(image.Rect(0, 0, 100, 100), 0xff0000)
		second.Fill(image.Rect(0, 0, 120, 90), 0x0000ff)
		lost := errors.New("lost")
		h := serve(t, first, rfb.ServerConfig{SourceEnded: func(ended rfb.Source, err error) rfb.Source {
			if ended != first || !errors.Is(err, lost) {
				t.Errorf("%v ended with %v", ended, err)
			}
			return second
		}})
		v := h.viewer(wire.EncodingRaw, wire.PseudoDesktopSize)
		await(t, v, first.Picture())
		if err := v.Send(wire.KeyEvent{Down: true, Keysym: 'k'}); err != nil {
			t.Fatal(err)
		}
		first.Events(patience(t), 1)
		first.Fail(lost)
		await(t, v, second.Picture())
		// And back again, by hand.
		first.Fill(image.Rect(5, 5, 50, 50), 0x00ff00)
		h.SetSource(first)
		await(t, v, first.Picture())
		if second.Running() {
			t.Error("the replaced source still runs")
		}
	})
	t.Run("not replaced", func(t *testing.T) {
		src := rfbtest.NewSource(100, 100)
		h := serve(t, src, rfb.ServerConfig{})
		v := h.viewer()
		await(t, v, src.Picture())
		lost := errors.New("the X server went away")
		src.Fail(lost)
		if err := v.ReadUpdate(); err == nil {
			t.Error("the viewer is still served")
		}
		if err := <-h.results; !errors.Is(err, rfb.ErrSourceEnded) || !errors.Is(err, lost) {
			t.Errorf("Serve returned %v", err)
		}
	})
}

// slowEnd is a source whose Run returns only when it may.
type slowEnd struct {
	*rfbtest.Source
	may chan struct{}
}

func (s slowEnd) Run(ctx context.Context, d *rfb.Desktop) error {
	err := s.Source.Run(ctx, d)
	<-s.may
	return err
}

// Who comes while a replaced source has not ended yet, and was never shown it,
// sees the next one first of all.
func TestReplacedWhileNobodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := slowEnd{rfbtest.NewSource(100, 100), make(chan struct{})}, rfbtest.NewSource(100, 100)
		first.Fill(image.Rect(0, 0, 100, 100), 0xff0000)
		second.Fill(image.Rect(0, 0, 100, 100), 0x0000ff)
		s := rfb.NewServer(first, rfb.ServerConfig{Linger: time.Hour})
		defer s.Close() // never fails
		if f, err := s.Snapshot(t.Context()); err != nil || f.Pixel(5, 5) != 0xff0000 {
			t.Fatalf("the first picture: %v", err)
		}
		s.SetSource(second)
		synctest.Wait()
		pictures := make(chan *pixel.Frame, 1)
		go func() {
			f, err := s.Snapshot(t.Context())
			if err != nil {
				t.Error(err)
			}
			pictures <- f
		}()
		synctest.Wait()
		close(first.may)
		if f := <-pictures; f != nil && f.Pixel(5, 5) != 0x0000ff {
			t.Errorf("the picture after that is %06x", f.Pixel(5, 5))
		}
	})
}

func TestNews(t *testing.T) {
	src := rfbtest.NewSource(100, 100)
	h := serve(t, src, rfb.ServerConfig{Name: "rack1-u12"})
	v := h.viewer(wire.EncodingRaw, wire.PseudoDesktopName, wire.PseudoQEMULEDState)
	if v.Name != "rack1-u12" {
		t.Errorf("name %q", v.Name)
	}
	await(t, v, src.Picture())
	src.Desktop(func(d *rfb.Desktop) {
		d.Bell()
		d.CutText("grüße €")
		d.SetName("rack1-u13")
		d.SetLEDState(rfb.LEDCapsLock)
	})
	for v.Messages[wire.TypeBell] == 0 || v.Messages[wire.TypeServerCutText] == 0 ||
		v.Count[wire.PseudoDesktopName] == 0 || v.Count[wire.PseudoQEMULEDState] == 0 {
		if err := v.Request(true); err != nil {
			t.Fatal(err)
		}
		if _, err := v.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	if v.Name != "rack1-u13" {
		t.Errorf("name %q", v.Name)
	}
}

// Each peer that breaks the protocol loses its own connection, with a reason,
// and nobody else's.
func TestGarbage(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	h := serve(t, src, rfb.ServerConfig{})
	good := h.viewer()
	await(t, good, src.Picture())
	for name, break_ := range map[string]func(t *testing.T){
		"before the version": func(t *testing.T) {
			c := h.pipe(rfb.ViewerConfig{})
			go io.Copy(io.Discard, c)   //nolint:errcheck // until the server closes
			rfbtest.Garbage(c, 1, 4096) //nolint:errcheck // it may be cut off
		},
		"after the handshake": func(t *testing.T) {
			v := h.viewer()
			go io.Copy(io.Discard, v.Conn)     //nolint:errcheck // until the server closes
			rfbtest.Garbage(v.Conn, 99, 65536) //nolint:errcheck // it may be cut off
		},
		"illegal pixel format": func(t *testing.T) {
			v := h.viewer()
			v.Send(wire.SetPixelFormat{Format: pixel.PixelFormat{BitsPerPixel: 13}}) //nolint:errcheck // may be cut off
		},
		"unknown message": func(t *testing.T) {
			v := h.viewer()
			v.Conn.Write([]byte{77}) // may be cut off
		},
		"huge clipboard": func(t *testing.T) {
			v := h.viewer()
			v.Conn.Write([]byte{6, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff}) // may be cut off
		},
		"security type not offered": func(t *testing.T) {
			c := h.pipe(rfb.ViewerConfig{})
			b := make([]byte, 12)
			io.ReadFull(c, b)     //nolint:errcheck // then the write fails
			c.Write(b)            // likewise
			io.ReadFull(c, b[:2]) //nolint:errcheck // likewise
			c.Write([]byte{200})  // likewise
		},
	} {
		t.Run(name, func(t *testing.T) {
			break_(t)
			select {
			case err := <-h.results:
				if !errors.Is(err, wire.ErrProtocol) {
					t.Errorf("Serve returned %v", err)
				}
			case <-patience(t).Done():
				t.Error("the connection was not ended")
			}
		})
	}
	src.Fill(image.Rect(0, 0, 100, 100), 0xabcdef)
	await(t, good, src.Picture())
}

// Looking whether a server is there is no viewer and no error.
func TestProbe(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	seen := make(chan int, 16)
	h := serve(t, src, rfb.ServerConfig{ViewersChanged: func(n int) { seen <- n }})
	for _, n := range []int{0, 12} {
		c := h.pipe(rfb.ViewerConfig{})
		if _, err := io.ReadFull(c, make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		c.Close() // the probe's end
		if err := <-h.results; err != nil {
			t.Errorf("a probe that reads %d bytes: %v", n, err)
		}
	}
	if len(seen) != 0 || src.Runs() != 0 {
		t.Errorf("a probe counted as a viewer")
	}
}

func TestHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rfb.NewServer(rfbtest.NewSource(10, 10), rfb.ServerConfig{})
		defer srv.Close() // never fails
		ours, theirs := net.Pipe()
		defer ours.Close()           // the test is over
		go io.Copy(io.Discard, ours) //nolint:errcheck // until the server closes
		began := time.Now()
		err := srv.Serve(t.Context(), theirs, rfb.ViewerConfig{})
		if err == nil || !strings.Contains(err.Error(), "took too long") || time.Since(began) != 10*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// A viewer that takes nothing at all is dropped in the end.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rfb.NewServer(rfbtest.NewSource(100, 100), rfb.ServerConfig{WriteTimeout: time.Minute})
		defer srv.Close() // never fails
		ours, theirs := net.Pipe()
		defer ours.Close() // the test is over
		done := make(chan error)
		go func() { done <- srv.Serve(t.Context(), theirs, rfb.ViewerConfig{}) }()
		v, err := rfbtest.NewViewer(ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Request(false); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err == nil || !strings.Contains(err.Error(), "does not take") {
			t.Errorf("Serve returned %v", err)
		}
	})
}

func TestOldVersions(t *testing.T) {
	src := rfbtest.NewSource(20, 10)
	h := serve(t, src, rfb.ServerConfig{})
	for version, afterSecurity := range map[string]int{"RFB 003.003\n": 4, "RFB 003.005\n": 4, "RFB 003.007\n": 0, "RFB 003.889\n": 4} {
		c := h.pipe(rfb.ViewerConfig{})
		c.SetDeadline(time.Now().Add(rfbtest.Patience)) // the reads tell
		b := make([]byte, 24+len("ironglass"))
		io.ReadFull(c, b[:12])   //nolint:errcheck // the next tells
		c.Write([]byte(version)) // the next tells
		if strings.HasPrefix(version, "RFB 003.003") || strings.HasPrefix(version, "RFB 003.005") {
			if _, err := io.ReadFull(c, b[:4]); err != nil || b[3] != 1 {
				t.Fatalf("%q: security type %v, %v", version, b[:4], err)
			}
		} else {
			if _, err := io.ReadFull(c, b[:2]); err != nil || b[0] != 1 || b[1] != 1 {
				t.Fatalf("%q: security types %v, %v", version, b[:2], err)
			}
			c.Write([]byte{1}) // the next tells
			if _, err := io.ReadFull(c, b[:afterSecurity]); err != nil {
				t.Fatalf("%q: SecurityResult: %v", version, err)
			}
		}
		c.Write([]byte{0}) // the next tells
		if _, err := io.ReadFull(c, b); err != nil || int(b[0])<<8|int(b[1]) < 20 {
			t.Fatalf("%q: ServerInit %v, %v", version, b, err)
		}
		c.Close() // done
		if err := <-h.results; err != nil {
			t.Errorf("%q: %v", version, err)
		}
	}
}

func TestClosedServer(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.viewer()
	await(t, v, src.Picture())
	h.Close() // never fails
	if err := <-h.results; !errors.Is(err, rfb.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if src.Running() {
		t.Error("the source still runs")
	}
	if _, err := h.Snapshot(context.Background()); !errors.Is(err, rfb.ErrClosed) {
		t.Errorf("Snapshot returned %v", err)
	}
	if f := h.LastFrame(); f != nil {
		t.Error("there is a last frame")
	}
}
