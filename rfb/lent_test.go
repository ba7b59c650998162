package rfb_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// lending is a client that lends its picture.
func lending(dial func(context.Context) (net.Conn, error)) *rfb.Client {
	return rfb.NewClient(rfb.ClientConfig{Dial: dial, Exact: true})
}

// Whatever changes at the source, viewers of every kind, those that stay and
// those that join, end with its picture where that is lent.
func TestLentPictureIsExact(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 77))
			src := rfbtest.NewSource(300, 200)
			src.SetCursor(pixel.DefaultCursor())
			front := serve(t, lending(serve(t, src, rfb.ServerConfig{}).dialer()), rfb.ServerConfig{})
			kinds := [][]wire.Encoding{
				{wire.EncodingTight, wire.EncodingCopyRect, wire.PseudoCursor, wire.PseudoExtendedDesktopSize, wire.PseudoLastRect},
				{wire.EncodingZRLE, wire.PseudoCursor, wire.PseudoDesktopSize},
				{wire.EncodingTight, wire.EncodingCopyRect, wire.PseudoCursor, wire.PseudoDesktopSize, wire.PseudoQualityLevel0 + 5},
			}
			var viewers []*rfbtest.Viewer
			for i := range 60 {
				if i%20 == 0 {
					viewers = append(viewers, front.viewer(kinds[i/20%len(kinds)]...))
				}
				scribble(rnd, src)
				if rnd.IntN(20) == 0 {
					f := pixel.NewFrame(100+rnd.IntN(300), 100+rnd.IntN(200))
					f.Fill(f.Rect().Inset(9), rnd.Uint32()&pixel.Mask)
					src.Show(f)
				}
				if i%5 == 0 {
					await(t, viewers[rnd.IntN(len(viewers))], src.Picture())
				}
			}
			for _, v := range viewers {
				await(t, v, src.Picture())
			}
			late := front.viewer(kinds[0]...)
			await(t, late, src.Picture())
			for name, look := range map[string]func() *pixel.Frame{
				"Snapshot": func() *pixel.Frame {
					f, err := front.Snapshot(patience(t))
					if err != nil {
						t.Fatal(err)
					}
					return f
				},
				"LastFrame": front.LastFrame,
			} {
				if f := look(); !f.Equal(src.Picture()) {
					t.Errorf("%s is not the picture: %s", name, rfbtest.Difference(f, src.Picture()))
				}
			}
			if moved := viewers[0].Count[wire.EncodingCopyRect]; moved == 0 {
				t.Error("no move came through as CopyRect")
			}
		})
	}
}

// A source that paints all of its picture in one colour at a time is seen in
// one colour always.
func TestLentPictureIsWhole(t *testing.T) {
	src := rfbtest.NewSource(200, 300)
	front := serve(t, lending(serve(t, src, rfb.ServerConfig{}).dialer()), rfb.ServerConfig{})
	const last = 0xfefefe
	var drawing sync.WaitGroup
	stop := make(chan struct{})
	drawing.Go(func() {
		for i := uint32(1); ; i++ {
			select {
			case <-stop:
				src.Fill(image.Rect(0, 0, 200, 300), last)
				return
			default:
				src.Fill(image.Rect(0, 0, 200, 300), i&0xffff)
			}
		}
	})
	defer drawing.Wait()
	v := front.viewer(wire.EncodingTight, wire.EncodingRaw, wire.PseudoCursor, wire.PseudoLastRect)
	seen := make(map[uint32]bool)
	for ended := false; v.Frame.Pixel(0, 0) != last; {
		if err := errors.Join(v.Request(true), v.ReadUpdate()); err != nil {
			t.Fatal(err)
		}
		one := v.Frame.Clone()
		one.Fill(one.Rect(), v.Frame.Pixel(0, 0))
		if !one.Equal(v.Frame) {
			t.Fatal("a picture is torn: ", rfbtest.Difference(v.Frame, one))
		}
		if seen[v.Frame.Pixel(0, 0)] = true; len(seen) >= 40 && !ended {
			ended = true
			close(stop)
		}
	}
}

// halfUpdate is the beginning of an update of all of a peer's picture in one
// colour, with that many of its 48 rows.
func halfUpdate(colour uint32, rows int) []byte {
	b := wire.FramebufferUpdate{Rects: 1}.Append(nil)
	b = wire.RectangleHeader{Rect: image.Rect(0, 0, 64, 48), Encoding: wire.EncodingRaw}.Append(b)
	return append(b, coloured(colour, rows)...)
}

// grey is a first picture that is not what viewers begin with.
func grey() *pixel.Frame {
	f := pixel.NewFrame(64, 48)
	f.Fill(f.Rect(), 0x777777)
	return f
}

func coloured(colour uint32, rows int) (b []byte) {
	for range 64 * rows {
		b = binary.LittleEndian.AppendUint32(b, colour)
	}
	return b
}

// A server that hangs in the middle of an update keeps nobody from seeing the
// picture, and its end goes to everybody.
func TestLenderHangs(t *testing.T) {
	ours, theirs := net.Pipe()
	front := serve(t, lending(func(context.Context) (net.Conn, error) { return theirs, nil }), rfb.ServerConfig{})
	v := make(chan *rfbtest.Viewer, 1)
	go func() { v <- front.viewer(wire.EncodingRaw) }()
	p := newPeer(t, ours, "hangs")
	go func() { // what the client says
		for {
			if _, err := p.in.Read(); err != nil {
				return
			}
		}
	}()
	p.say(append(halfUpdate(0x777777, 24), coloured(0x777777, 24)...))
	early := <-v
	await(t, early, grey())

	p.say(halfUpdate(0x00aa00, 24))
	late := front.viewer(wire.EncodingRaw)
	if err := errors.Join(late.Request(false), late.ReadUpdate()); err != nil {
		t.Fatal(err)
	}
	if f, err := front.Snapshot(patience(t)); err != nil || f.Pixel(60, 47) != 0x777777 {
		t.Errorf("a snapshot is %v, and %v", f, err)
	}
	if f := front.LastFrame(); f.Pixel(60, 47) != 0x777777 {
		t.Error("the last frame is of nothing")
	}
	p.say(coloured(0x00aa00, 24))
	want := pixel.NewFrame(64, 48)
	want.Fill(want.Rect(), 0x00aa00)
	await(t, early, want)
	await(t, late, want)
}

// When a session is lost in the middle of an update, the last picture is there
// for who asks what to show next, and what is shown next is exact even where
// it equals what was never announced.
func TestLenderLost(t *testing.T) {
	ours, theirs := net.Pipe()
	next := rfbtest.NewSource(64, 48)
	next.Fill(image.Rect(0, 0, 64, 24), 0x00aa00)
	next.Fill(image.Rect(0, 24, 64, 48), 0x0000bb)
	var front *host
	backdrop := make(chan *pixel.Frame, 1)
	front = serve(t, lending(func(context.Context) (net.Conn, error) { return theirs, nil }), rfb.ServerConfig{
		SourceEnded: func(rfb.Source, error) rfb.Source {
			backdrop <- front.LastFrame()
			return next
		},
	})
	joined := make(chan *rfbtest.Viewer, 1)
	go func() { joined <- front.viewer(wire.EncodingTight, wire.EncodingCopyRect, wire.PseudoCursor) }()
	p := newPeer(t, ours, "cut off")
	go func() { // what the client says
		for {
			if _, err := p.in.Read(); err != nil {
				return
			}
		}
	}()
	p.say(append(halfUpdate(0x777777, 24), coloured(0x777777, 24)...))
	v := <-joined
	await(t, v, grey())
	p.say(halfUpdate(0x00aa00, 24))
	ours.Close() // as a network does
	if f := <-backdrop; f == nil || f.Pixel(60, 47) != 0x777777 {
		t.Errorf("the last frame is %v", f)
	}
	await(t, v, next.Picture())
	// And what was lent is compared with no more.
	next.Fill(image.Rect(10, 10, 20, 20), 0xffffff)
	await(t, v, next.Picture())
	if f := front.LastFrame(); !f.Equal(next.Picture()) {
		t.Error("the last frame is not the picture")
	}
}

// Sources that lend and such that do not follow each other, while changes come
// all the time.
func TestLenderAndOthers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	a, b, own := rfbtest.NewSource(120, 90), rfbtest.NewSource(120, 90), rfbtest.NewSource(120, 90)
	for i, src := range []*rfbtest.Source{a, b, own} {
		src.Fill(image.Rect(0, 0, 120, 90), 0x333333*uint32(i+1))
	}
	client := lending(serve(t, a, rfb.ServerConfig{}).dialer())
	chain := []struct {
		src  rfb.Source
		draw *rfbtest.Source
	}{{client, a}, {own, own}, {lending(serve(t, b, rfb.ServerConfig{}).dialer()), b}, {client, a}, {own, own}}
	front := serve(t, chain[0].src, rfb.ServerConfig{})
	v := front.viewer(wire.EncodingTight, wire.EncodingCopyRect, wire.PseudoCursor, wire.PseudoDesktopSize)
	for round := range 12 {
		for _, link := range chain {
			front.SetSource(link.src)
			for range rnd.IntN(8) {
				scribble(rnd, link.draw)
			}
			if rnd.IntN(4) == 0 {
				f := pixel.NewFrame(100+rnd.IntN(30), 80+rnd.IntN(20))
				f.Fill(f.Rect(), rnd.Uint32()&pixel.Mask)
				link.draw.Show(f)
			}
			if round%2 == 0 {
				await(t, v, link.draw.Picture())
				if f := front.LastFrame(); !f.Equal(link.draw.Picture()) {
					t.Fatal("the last frame is not the picture: ", rfbtest.Difference(f, link.draw.Picture()))
				}
			}
		}
	}
	last := chain[len(chain)-1].draw
	await(t, v, last.Picture())
}
