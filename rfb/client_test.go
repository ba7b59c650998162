package rfb_test

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// dialer connects a Client to a server through a pipe.
func (h *host) dialer() func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) { return h.pipe(rfb.ViewerConfig{}), nil }
}

// A Client is a Source: what it decodes from one server another server shows,
// exactly, in every encoding, with the moves as moves.
func TestClientBehindServer(t *testing.T) {
	for _, row := range encoding.All() {
		if row.Encode == nil || row.Lossy {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(row.Number), 3))
			src := rfbtest.NewSource(400, 130)
			upstream := serve(t, src, rfb.ServerConfig{Name: "node"})
			live := make(chan struct{}, 8)
			client := rfb.NewClient(rfb.ClientConfig{
				Dial: upstream.dialer(), Encodings: []wire.Encoding{wire.EncodingCopyRect, row.Number},
				Live: func() { live <- struct{}{} },
			})
			front := serve(t, client, rfb.ServerConfig{})
			v := front.viewer(wire.EncodingTight, wire.EncodingCopyRect, wire.PseudoCursor, wire.PseudoExtendedDesktopSize, wire.PseudoDesktopName)
			await(t, v, src.Picture())
			for i := range 120 {
				scribble(rnd, src)
				if i%6 == 0 {
					await(t, v, src.Picture())
				}
				if i%40 == 20 {
					f := pixel.NewFrame(100+rnd.IntN(300), 100+rnd.IntN(300))
					f.Fill(f.Rect().Inset(9), rnd.Uint32()&pixel.Mask)
					src.Show(f)
				}
			}
			await(t, v, src.Picture())
			if v.Count[wire.EncodingCopyRect] == 0 {
				t.Error("no move came through as CopyRect")
			}
			if v.Name != "node" {
				t.Errorf("name %q", v.Name)
			}
			if len(live) != 1 {
				t.Errorf("Live was called %d times", len(live))
			}
		})
	}
}

// Any number of viewers cost the upstream one session.
func TestOneUpstreamSession(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	src.Fill(image.Rect(0, 0, 200, 100), 0x445566)
	upstream := serve(t, src, rfb.ServerConfig{})
	front := serve(t, rfb.NewClient(rfb.ClientConfig{Dial: upstream.dialer()}), rfb.ServerConfig{})
	for range 4 {
		await(t, front.viewer(wire.EncodingZRLE, wire.PseudoDesktopSize), src.Picture())
	}
	if n := upstream.Stats().Viewers; n != 1 {
		t.Errorf("%d upstream sessions for 4 viewers", n)
	}
}

func TestClientInput(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	src.Fill(image.Rect(0, 0, 200, 100), 0x445566)
	upstream := serve(t, src, rfb.ServerConfig{})
	front := serve(t, rfb.NewClient(rfb.ClientConfig{Dial: upstream.dialer()}), rfb.ServerConfig{})
	v := front.viewer(wire.EncodingZRLE, wire.PseudoExtendedDesktopSize)
	await(t, v, src.Picture())
	for _, m := range []wire.ClientMessage{
		wire.QEMUExtendedKeyEvent{Down: true, Keysym: 'a', Keycode: 0x1e},
		wire.KeyEvent{Down: true, Keysym: 0xffe1},
		wire.PointerEvent{X: 20, Y: 30, Buttons: 0x84},
		wire.ClientCutText{Text: []byte("text")},
		wire.SetDesktopSize{Width: 320, Height: 240},
	} {
		if err := v.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	want := []any{
		rfb.KeyEvent{Down: true, Keysym: 'a', Keycode: 0x1e}, rfb.KeyEvent{Down: true, Keysym: 0xffe1},
		rfb.PointerEvent{X: 20, Y: 30, Buttons: 0x84}, "text",
	}
	if got := src.Events(patience(t), len(want)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	await(t, v, pixel.NewFrame(320, 240))
}

// When the upstream session is lost, viewers keep what they see and go on
// with the next one.
func TestClientLost(t *testing.T) {
	src := rfbtest.NewSource(200, 100)
	src.Fill(image.Rect(0, 0, 200, 100), 0x445566)
	upstream := serve(t, src, rfb.ServerConfig{})
	var mu sync.Mutex
	var conns []net.Conn
	reasons := make(chan error, 4)
	var next func(rfb.Source, error) rfb.Source
	dial := func(context.Context) (net.Conn, error) {
		c := upstream.pipe(rfb.ViewerConfig{})
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, c)
		return c, nil
	}
	next = func(_ rfb.Source, err error) rfb.Source {
		reasons <- err
		return rfb.NewClient(rfb.ClientConfig{Dial: dial})
	}
	front := serve(t, rfb.NewClient(rfb.ClientConfig{Dial: dial}), rfb.ServerConfig{SourceEnded: next})
	v := front.viewer(wire.EncodingTight)
	await(t, v, src.Picture())
	mu.Lock()
	conns[0].Close() // as a network does
	mu.Unlock()
	if err := <-reasons; err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("the client ended with %v", err)
	}
	src.Fill(image.Rect(20, 20, 70, 70), 0xffffff)
	await(t, v, src.Picture())
}

func TestClientDialFails(t *testing.T) {
	refused := errors.New("connection refused")
	client := rfb.NewClient(rfb.ClientConfig{Dial: func(context.Context) (net.Conn, error) { return nil, refused }})
	front := serve(t, client, rfb.ServerConfig{})
	ctx := patience(t)
	if _, err := front.Snapshot(ctx); !errors.Is(err, refused) {
		t.Errorf("Snapshot returned %v", err)
	}
	client.KeyEvent(rfb.KeyEvent{Down: true, Keysym: 'a'}) // to nobody
	if err := client.SetDesktopSize(ctx, 10, 10); !errors.Is(err, rfb.ErrNotRunning) {
		t.Errorf("SetDesktopSize returned %v", err)
	}
}

// A server that answers nonsense ends the client's run with a reason and
// nothing else.
func TestClientAgainstGarbage(t *testing.T) {
	init := wire.ServerInit{Width: 64, Height: 64, Format: pixel.RGB888, Name: "bad"}
	for name, after := range map[string][]byte{
		"unknown message":      {99},
		"rectangle outside":    wire.RectangleHeader{Rect: image.Rect(60, 60, 90, 90)}.Append([]byte{0, 0, 0, 1}),
		"encoding not known":   wire.RectangleHeader{Rect: image.Rect(0, 0, 9, 9), Encoding: 12345}.Append([]byte{0, 0, 0, 1}),
		"size of nothing":      wire.RectangleHeader{Encoding: wire.PseudoDesktopSize}.Append([]byte{0, 0, 0, 1}),
		"huge clipboard":       {3, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff},
		"end in mid-rectangle": wire.RectangleHeader{Rect: image.Rect(0, 0, 64, 64)}.Append([]byte{0, 0, 0, 1}),
		"end in mid-message":   {0, 0},
		"huge desktop name":    append(wire.RectangleHeader{Encoding: wire.PseudoDesktopName}.Append([]byte{0, 0, 0, 1}), 0xff, 0xff, 0xff, 0xff),
		"fence with long tail": {248, 0, 0, 0, 0x80, 0, 0, 0, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := net.Pipe()
			defer ours.Close() // the test is over
			script := make(chan error, 1)
			go func() { script <- badServer(ours, init, after) }()
			client := rfb.NewClient(rfb.ClientConfig{Dial: func(context.Context) (net.Conn, error) { return theirs, nil }})
			front := serve(t, client, rfb.ServerConfig{})
			_, err := front.Snapshot(patience(t))
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Snapshot returned %v", err)
			}
			if err := <-script; err != nil {
				t.Error(err)
			}
		})
	}
}

// badServer shakes hands as a server does, then writes what it is given and
// closes.
func badServer(c net.Conn, init wire.ServerInit, after []byte) error {
	defer c.Close()                                 // as a peer does
	c.SetDeadline(time.Now().Add(rfbtest.Patience)) // the reads tell
	b := make([]byte, 64)
	for _, step := range []struct {
		say  []byte
		read int
	}{{wire.Version38.Append(nil), 12}, {[]byte{1, 1}, 1}, {make([]byte, 4), 1}, {init.Append(nil), 20}} {
		if _, err := c.Write(step.say); err != nil {
			return err
		}
		if _, err := c.Read(b[:step.read]); err != nil {
			return err
		}
	}
	go func() {
		for { // what the client says further on
			if _, err := c.Read(make([]byte, 256)); err != nil {
				return
			}
		}
	}()
	_, err := c.Write(after)
	return err
}
