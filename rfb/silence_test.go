package rfb_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// lostIn is the time after which nothing that a lost viewer held is down.
const lostIn = 3 * time.Second

const symControl = 0xffe3

// hold makes the viewer hold Control, a key by its scancode, and the left
// button.
func hold(t *testing.T, v *rfbtest.Viewer) {
	t.Helper()
	for _, m := range []wire.ClientMessage{
		wire.KeyEvent{Down: true, Keysym: symControl},
		wire.QEMUExtendedKeyEvent{Down: true, Keysym: 'a', Keycode: 0x1e},
		wire.PointerEvent{X: 5, Y: 6, Buttons: 1},
	} {
		if err := v.Send(m); err != nil {
			t.Fatal(err)
		}
	}
}

// held is what is down after the events.
func held(events []any) (keys []rfb.KeyEvent, buttons uint16) {
	for _, e := range events {
		switch e := e.(type) {
		case rfb.PointerEvent:
			buttons = e.Buttons
		case rfb.KeyEvent:
			if e.Down {
				keys = append(keys, e)
				continue
			}
			e.Down = true
			keys = slices.DeleteFunc(keys, func(k rfb.KeyEvent) bool { return k == e })
		}
	}
	return keys, buttons
}

// What a viewer holds that is gone is let go: at once where its connection
// ends, within three seconds where nothing is heard of it any more.
func TestLostViewerLetsGo(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(v *rfbtest.Viewer)
		in   time.Duration
	}{
		{"connection ends", func(v *rfbtest.Viewer) { v.Conn.Close() }, 0},
		{"silence", func(*rfbtest.Viewer) {}, lostIn},
		{"half a message", func(v *rfbtest.Viewer) { v.Conn.Write([]byte{4, 1, 0}) }, lostIn},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := rfbtest.NewSource(100, 100)
				srv := rfb.NewServer(src, rfb.ServerConfig{Linger: -1})
				defer srv.Close() // never fails
				ours, theirs := net.Pipe()
				defer ours.Close()
				go srv.Serve(t.Context(), theirs, rfb.ViewerConfig{}) //nolint:errcheck // ends with the test
				v, err := rfbtest.NewViewer(ours)
				if err != nil {
					t.Fatal(err)
				}
				if err := v.Send(wire.SetEncodings{Encodings: []wire.Encoding{wire.PseudoFence, wire.PseudoQEMUExtendedKeyEvent}}); err != nil {
					t.Fatal(err)
				}
				await(t, v, src.Picture())
				hold(t, v)
				synctest.Wait()
				if keys, buttons := held(src.Events(t.Context(), 3)); len(keys) != 2 || buttons != 1 {
					t.Fatalf("the keys %v and the buttons %b are down", keys, buttons)
				}
				c.lose(v)
				time.Sleep(c.in)
				synctest.Wait()
				if keys, buttons := held(src.Events(t.Context(), 3)); len(keys) != 0 || buttons != 0 {
					t.Errorf("the keys %v and the buttons %b are down still", keys, buttons)
				}
			})
		})
	}
}

// A viewer that answers may hold a key for as long as it likes, and one that
// holds nothing is asked nothing.
func TestHoldingViewerStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(100, 100)
		srv := rfb.NewServer(src, rfb.ServerConfig{Linger: -1})
		defer srv.Close() // never fails
		ours, theirs := net.Pipe()
		go srv.Serve(t.Context(), theirs, rfb.ViewerConfig{}) //nolint:errcheck // ends with the test
		v, err := rfbtest.NewViewer(ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Send(wire.SetEncodings{Encodings: []wire.Encoding{wire.PseudoFence}}); err != nil {
			t.Fatal(err)
		}
		await(t, v, src.Picture())
		read := make(chan int)
		go func() {
			fences := 0
			for {
				kind, err := v.ReadMessage()
				if err != nil {
					read <- fences
					return
				}
				if kind == wire.TypeServerFence {
					fences++
				}
			}
		}()
		hold(t, v)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if keys, buttons := held(src.Events(t.Context(), 3)); len(keys) != 2 || buttons != 1 {
			t.Errorf("after a while the keys %v and the buttons %b are down", keys, buttons)
		}
		for _, m := range []wire.ClientMessage{
			wire.KeyEvent{Keysym: symControl}, wire.QEMUExtendedKeyEvent{Keysym: 'a', Keycode: 0x1e}, wire.PointerEvent{X: 5, Y: 6},
		} {
			if err := v.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(30 * time.Second)
		ours.Close()
		if n := <-read; n < 20 || n > 40 {
			t.Errorf("%d fences came, want one for each second of thirty", n)
		}
	})
}

// Keys that are let go by another name do not fill the list of those held.
func TestKeysLetGoByAnotherName(t *testing.T) {
	src := rfbtest.NewSource(100, 100)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.viewer()
	await(t, v, src.Picture())
	const names = 200
	for n := range uint32(names) {
		for _, m := range []wire.KeyEvent{{Down: true, Keysym: 0x4e00 + n}, {Keysym: 0x14e00 + n}} {
			if err := v.Send(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), rfbtest.Patience)
	defer cancel()
	downs := 0
	for want := 2 * names; downs < names && ctx.Err() == nil; want++ {
		downs = 0
		for _, e := range src.Events(ctx, want) {
			if k, ok := e.(rfb.KeyEvent); ok && k.Down {
				downs++
			}
		}
	}
	if downs != names {
		t.Errorf("of %d keys %d went down", names, downs)
	}
	if keys, _ := held(src.Events(ctx, 0)); len(keys) > 64 {
		t.Errorf("%d keys are down", len(keys))
	}
}
