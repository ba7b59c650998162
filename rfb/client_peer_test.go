package rfb_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// peer is a server that does what a test tells it.
type peer struct {
	t    *testing.T
	conn net.Conn
	in   *wire.ClientReader
}

// newPeer shakes hands as a server of a black picture of 64x48 pixels does.
func newPeer(t *testing.T, conn net.Conn, name string) *peer {
	t.Helper()
	p := &peer{t, conn, wire.NewClientReader(wire.NewReader(conn, 4096))}
	p.conn.SetDeadline(time.Now().Add(rfbtest.Patience)) // the reads tell
	for _, step := range []struct {
		say  []byte
		read int
	}{{wire.Version38.Append(nil), 12}, {[]byte{1, 1}, 1}, {make([]byte, 4), 1}} {
		p.say(step.say)
		if _, err := io.ReadFull(conn, make([]byte, step.read)); err != nil {
			t.Fatal(err)
		}
	}
	p.say(wire.ServerInit{Width: 64, Height: 48, Format: pixel.RGB888, Name: name}.Append(nil))
	return p
}

func (p *peer) say(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// rects says an update of these rectangles.
func (p *peer) rects(rects ...[]byte) {
	p.t.Helper()
	p.say(append(wire.FramebufferUpdate{Rects: len(rects)}.Append(nil), bytes.Join(rects, nil)...))
}

// picture is all of the peer's picture, as a rectangle.
func picture(width, height int) []byte {
	r := wire.RectangleHeader{Rect: image.Rect(0, 0, width, height), Encoding: wire.EncodingRaw}
	return append(r.Append(nil), make([]byte, 4*width*height)...)
}

// hear reads the client's messages up to the next one of that kind.
func hear[M wire.ClientMessage](p *peer) M {
	p.t.Helper()
	for {
		m, err := p.in.Read()
		if err != nil {
			p.t.Fatalf("waiting for a %T: %v", *new(M), err)
		}
		if m, ok := m.(M); ok {
			return m
		}
	}
}

// clientOf returns a client of a new peer, running behind a server.
func clientOf(t *testing.T, name string, cfg rfb.ClientConfig) (*peer, *rfb.Client, *host) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() }) // the test is over
	cfg.Dial = func(context.Context) (net.Conn, error) { return theirs, nil }
	client := rfb.NewClient(cfg)
	front := serve(t, client, rfb.ServerConfig{Linger: -1})
	go front.Snapshot(t.Context()) //nolint:errcheck // it starts the client
	p := newPeer(t, ours, name)
	hear[wire.SetEncodings](p)
	p.rects(picture(64, 48))
	hear[wire.FramebufferUpdateRequest](p)
	return p, client, front
}

// A server as QEMU is: it wants motion, and says so by the offset. Buttons
// that it does not know are not sent.
func TestClientSendsMotion(t *testing.T) {
	p, client, _ := clientOf(t, "qemu", rfb.ClientConfig{})
	client.PointerEvent(rfb.PointerEvent{X: 10, Y: 20, Buttons: 0x181})
	if m := hear[wire.PointerEvent](p); m != (wire.PointerEvent{X: 10, Y: 20, Buttons: 1}) {
		t.Errorf("sent %+v", m)
	}
	p.rects(wire.AppendPointerMotion(nil, true), wire.RectangleHeader{Encoding: wire.PseudoExtendedMouseButtons}.Append(nil))
	hear[wire.FramebufferUpdateRequest](p) // so it was read
	for _, c := range []struct {
		event rfb.PointerEvent
		want  wire.PointerEvent
	}{
		{rfb.PointerEvent{Relative: true, X: -3, Y: 4, Buttons: 2}, wire.PointerEvent{X: 0x7fff - 3, Y: 0x7fff + 4, Buttons: 2}},
		{rfb.PointerEvent{Relative: true, Buttons: 0x100}, wire.PointerEvent{X: 0x7fff, Y: 0x7fff, Buttons: 0x100, Extended: true}},
		// What came late as a position is made motion: it was at (7,24).
		{rfb.PointerEvent{X: 9, Y: 20}, wire.PointerEvent{X: 0x7fff + 2, Y: 0x7fff - 4}},
		{rfb.PointerEvent{Relative: true, X: 1 << 20, Y: -1 << 20}, wire.PointerEvent{X: 0x7fff + 16383, Y: 0x7fff - 16383}},
	} {
		client.PointerEvent(c.event)
		if m := hear[wire.PointerEvent](p); m != c.want {
			t.Errorf("%+v is sent as %+v, not %+v", c.event, m, c.want)
		}
	}
}

// A server may say nonsense of its screens: it is shown as one.
func TestClientOfBadScreens(t *testing.T) {
	p, _, front := clientOf(t, "screens", rfb.ClientConfig{})
	v := front.viewer(wire.PseudoExtendedDesktopSize)
	for i, screens := range [][]wire.Screen{
		{}, {{ID: 1}}, {{ID: 1, Rect: image.Rect(0, 0, 9999, 9999)}},
		{{ID: 1, Rect: image.Rect(0, 0, 9, 9)}, {ID: 1, Rect: image.Rect(9, 0, 19, 9)}},
	} {
		width, height := 30+i, 40
		p.rects(wire.ExtendedDesktopSize{Width: width, Height: height, Screens: screens}.Append(nil))
		p.rects(picture(width, height))
		go io.Copy(io.Discard, io.LimitReader(p.conn, 20)) //nolint:errcheck // a request, which may not be waited for
		until(t, v, "the size", func() bool { return v.Frame.Width == width })
		last := v.Sizes[len(v.Sizes)-1]
		if want := []wire.Screen{{ID: 1, Rect: image.Rect(0, 0, width, height)}}; !reflect.DeepEqual(last.Screens, want) {
			t.Errorf("%v is shown as %v", screens, last.Screens)
		}
	}
}

// Names in Latin-1, as some servers send them, are made UTF-8.
func TestClientOfLatin1Name(t *testing.T) {
	_, _, front := clientOf(t, "gr\xfcn", rfb.ClientConfig{})
	if v := front.viewer(); v.Name != "grün" {
		t.Errorf("name %q", v.Name)
	}
}

// Where a server has no fences, silence is success; what it says too late is
// in the log.
func TestClientPowerWithoutFences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := new(syncBuffer)
		p, client, front := clientOf(t, "power", rfb.ClientConfig{Log: slog.New(slog.NewTextHandler(log, nil))})
		defer front.Close() // inside the bubble
		if err := client.Power(t.Context(), rfb.PowerReset); !errors.Is(err, rfb.ErrNoPower) {
			t.Errorf("before it is offered: %v", err)
		}
		p.say(wire.ServerXVP{Version: 1, Code: wire.XVPInit}.Append(nil))
		synctest.Wait()
		result := make(chan error)
		ask := func() { result <- client.Power(t.Context(), rfb.PowerReset) }

		began := time.Now()
		go ask()
		if m := hear[wire.ClientXVP](p); m != (wire.ClientXVP{Version: 1, Code: wire.XVPReset}) {
			t.Errorf("sent %+v", m)
		}
		if err := <-result; err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		p.say(wire.ServerXVP{Version: 1, Code: wire.XVPFail}.Append(nil))
		synctest.Wait()
		if !strings.Contains(log.String(), "has failed") {
			t.Errorf("a late failure is not in the log: %s", log)
		}

		go ask()
		hear[wire.ClientXVP](p)
		p.say(wire.ServerXVP{Version: 1, Code: wire.XVPFail}.Append(nil))
		if err := <-result; !errors.Is(err, rfb.ErrNoPower) {
			t.Errorf("a failure is %v", err)
		}

		// With fences an answer is waited for, as long as the caller does.
		p.say(wire.Fence{Flags: wire.FenceRequest}.Append(nil))
		hear[wire.Fence](p)
		go ask()
		f := hear[wire.Fence](p)
		time.Sleep(5 * time.Second)
		p.say(wire.Fence{Payload: []byte("other")}.Append(nil))
		p.say(wire.Fence{Payload: f.Payload}.Append(nil))
		if err := <-result; err != nil {
			t.Error(err)
		}
		go ask()
		hear[wire.ClientXVP](p)
		p.conn.Close() // is lost
		if err := <-result; !errors.Is(err, rfb.ErrNotRunning) {
			t.Errorf("after the connection was lost: %v", err)
		}
	})
}

// A server that asks on and on and does not read loses the connection, before
// much has queued.
func TestClientFlooded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	long := make([]rune, wire.MaxCutText/4)
	for i := range long {
		long[i] = 0x20000 + rnd.Int32N(0xa000) // hardly to be compressed
	}
	for name, c := range map[string]struct {
		m    []byte
		most int // that can be asked before the client has had enough
	}{
		"fences":    {wire.Fence{Flags: wire.FenceRequest}.Append(nil), 500},
		"clipboard": {wire.ServerCutText(clip(wire.ClipboardRequest|clipText, "")).Append(nil), 30},
		"caps":      {wire.ServerCutText(clip(wire.ClipboardCaps|clipAll, "", 0)).Append(nil), 500},
	} {
		t.Run(name, func(t *testing.T) {
			p, client, _ := clientOf(t, "flood", rfb.ClientConfig{})
			p.say(wire.ServerCutText(clip(wire.ClipboardCaps|clipAll, "", 0)).Append(nil))
			hear[wire.ClientCutText](p)
			client.SetCutText(string(long))
			if m := hear[wire.ClientCutText](p); m.Extended == nil || m.Extended.Flags != wire.ClipboardNotify|clipText {
				t.Errorf("a text is announced by %+v", m)
			}
			sent := 0
			for ; sent < c.most; sent++ {
				if _, err := p.conn.Write(c.m); err != nil {
					break
				}
			}
			if sent == c.most {
				t.Errorf("the client kept %d answers", sent)
			}
		})
	}
}
