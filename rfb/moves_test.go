package rfb_test

import (
	"image"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// scroll moves r's content by d inside r, fills what that uncovers with c, and
// announces all of r as damage and nothing as moved.
func scroll(s *rfbtest.Source, r image.Rectangle, d image.Point, c uint32) {
	s.Draw(func(p *pixel.Frame) *pixel.Region {
		to := r.Add(d).Intersect(r)
		p.Move(to, to.Min.Sub(d))
		uncovered := pixel.RegionOf(r)
		uncovered.Subtract(pixel.RegionOf(to))
		for u := range uncovered.Rects() {
			p.Fill(u, c)
		}
		return pixel.RegionOf(r)
	})
}

// countedConn counts what is read from a connection.
type countedConn struct {
	net.Conn
	read int
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read += n
	return n, err
}

// A scroll that nobody announced reaches viewers with CopyRect as such: Raw
// shows that no more than the new lines are sent besides.
func TestUnannouncedScroll(t *testing.T) {
	const width, height = 800, 600
	src := rfbtest.NewSource(width, height)
	src.Show(golden.TextConsole(width, height))
	h := serve(t, src, rfb.ServerConfig{})
	conn := &countedConn{Conn: h.pipe(rfb.ViewerConfig{})}
	v, err := rfbtest.NewViewer(conn)
	if err != nil {
		t.Fatal(err)
	}
	list := []wire.Encoding{wire.EncodingRaw, wire.EncodingCopyRect, wire.PseudoCursor}
	if err := v.Send(wire.SetEncodings{Encodings: list}); err != nil {
		t.Fatal(err)
	}
	await(t, v, src.Picture())
	for i, c := range []struct {
		r image.Rectangle
		d image.Point
	}{
		{image.Rect(0, 0, width, height), image.Pt(0, -16)},
		{image.Rect(0, 0, width, height-40), image.Pt(0, -48)},
		{image.Rect(0, 0, width, height), image.Pt(0, 32)},
		{image.Rect(50, 30, 500, 500), image.Pt(-20, 0)},
		{image.Rect(20, 30, 600, 500), image.Pt(13, 24)},
	} {
		before, copies := conn.read, v.Count[wire.EncodingCopyRect]
		scroll(src, c.r, c.d, 0x445566)
		await(t, v, src.Picture())
		if n := v.Count[wire.EncodingCopyRect] - copies; n != 1 {
			t.Errorf("scroll %d: %d CopyRects", i, n)
		}
		to := c.r.Add(c.d).Intersect(c.r)
		fresh := c.r.Dx()*c.r.Dy() - to.Dx()*to.Dy()
		// Cells with several changes are sent whole.
		if sent := conn.read - before; sent > 4*fresh+4*c.r.Dx()*c.r.Dy()/10 {
			t.Errorf("scroll %d: %d bytes were sent for %d new pixels", i, sent, fresh)
		}
	}
}

// After a film, in which nothing moves, a scroll is found again, if not at
// once.
func TestUnannouncedScrollAfterFilm(t *testing.T) {
	const width, height = 400, 300
	src := rfbtest.NewSource(width, height)
	src.Show(golden.Noise(width, height, 0))
	h := serve(t, src, rfb.ServerConfig{})
	v := h.viewer(wire.EncodingRaw, wire.EncodingCopyRect, wire.PseudoCursor)
	await(t, v, src.Picture())
	show := func(f *pixel.Frame) {
		src.Draw(func(p *pixel.Frame) *pixel.Region {
			pixel.Copy(p, f, p.Rect())
			return pixel.RegionOf(p.Rect())
		})
		await(t, v, src.Picture())
	}
	for i := range uint64(20) {
		show(golden.Noise(width, height, 1+i))
	}
	show(golden.TextConsole(width, height))
	for i := range 12 {
		copies := v.Count[wire.EncodingCopyRect]
		scroll(src, image.Rect(0, 0, width, height), image.Pt(0, -16), 0x445566+uint32(i))
		await(t, v, src.Picture())
		if i >= 4 && v.Count[wire.EncodingCopyRect] == copies {
			t.Errorf("scroll %d came without CopyRect", i)
		}
	}
}

// So does a dragged window, of which the two places are announced.
func TestUnannouncedDrag(t *testing.T) {
	const width, height = 1024, 768
	ground, other := golden.Photo(width, height), golden.Desktop(width, height)
	src := rfbtest.NewSource(width, height)
	window := image.Rect(0, 0, 500, 400)
	at := image.Pt(100, 80)
	draw := func(to image.Point) {
		src.Draw(func(p *pixel.Frame) *pixel.Region {
			pixel.Copy(p, ground, p.Rect())
			for y := range window.Dy() {
				copy(p.Row(to.Y+y, to.X, to.X+window.Dx()), other.Row(200+y, 250, 250+window.Dx()))
			}
			return pixel.RegionOf(window.Add(at), window.Add(to))
		})
		at = to
	}
	src.Show(ground)
	draw(at)
	h := serve(t, src, rfb.ServerConfig{})
	v := h.viewer(wire.EncodingZRLE, wire.EncodingCopyRect, wire.PseudoCursor)
	await(t, v, src.Picture())
	for i, d := range []image.Point{{30, 10}, {-60, 100}, {200, -40}, {0, 1}} {
		copies := v.Count[wire.EncodingCopyRect]
		draw(at.Add(d))
		await(t, v, src.Picture())
		if v.Count[wire.EncodingCopyRect] == copies {
			t.Errorf("drag %d came without CopyRect", i)
		}
	}
}

// Whatever is announced as a move, found to be one or neither, and whoever can
// follow: the pictures are exact.
func TestMovesAreExact(t *testing.T) {
	const width, height = 400, 300
	rnd := rand.New(rand.NewPCG(11, 12))
	src := rfbtest.NewSource(width, height)
	pictures := golden.All(width, height)
	src.Show(pictures[0].Frame)
	h := serve(t, src, rfb.ServerConfig{})
	viewers := []*rfbtest.Viewer{
		h.viewer(wire.EncodingTight, wire.EncodingCopyRect, wire.PseudoCursor),
		h.viewer(wire.EncodingZRLE, wire.EncodingCopyRect, wire.PseudoCursor),
		h.viewer(wire.EncodingHextile, wire.EncodingCopyRect), // with the pointer painted in
		h.viewer(wire.EncodingZlib, wire.PseudoCursor),
	}
	for i := range 120 {
		switch rnd.IntN(5) {
		case 0:
			scribble(rnd, src)
		case 1:
			p := pictures[rnd.IntN(len(pictures))].Frame
			src.Draw(func(f *pixel.Frame) *pixel.Region {
				r := image.Rect(rnd.IntN(width), rnd.IntN(height), width, height)
				pixel.Copy(f, p, r)
				return pixel.RegionOf(r)
			})
		default:
			x, y := rnd.IntN(200), rnd.IntN(100)
			scroll(src, image.Rect(x, y, x+100+rnd.IntN(100), y+100+rnd.IntN(100)),
				image.Pt(rnd.IntN(41)-20, rnd.IntN(41)-20), rnd.Uint32()&pixel.Mask)
		}
		// Not everybody asks each time, so some are behind.
		v := viewers[rnd.IntN(len(viewers))]
		src.Fill(image.Rect(i%width, 0, i%width+1, 1), rnd.Uint32()&pixel.Mask)
		if err := v.Request(rnd.IntN(10) > 0); err != nil {
			t.Fatal(err)
		}
		if err := v.ReadUpdate(); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			await(t, v, src.Picture())
		}
	}
	for i, v := range viewers {
		await(t, v, src.Picture())
		if got := v.Count[wire.EncodingCopyRect]; (got > 0) != (i < 2) {
			t.Errorf("viewer %d got %d CopyRects", i, got)
		}
	}
}

// What of a scroll was told by hashes alone is compared pixel by pixel soon
// after, here with a change that nothing announced; then nothing is looked at
// any more.
func TestDoubtIsDispelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const width, height = 400, 300
		src := rfbtest.NewSource(width, height)
		src.Show(golden.TextConsole(width, height))
		srv := rfb.NewServer(src, rfb.ServerConfig{})
		defer srv.Close()
		v := onlooker(t, srv, 10e6, []wire.Encoding{wire.EncodingTight, wire.EncodingCopyRect, wire.PseudoCursor,
			wire.PseudoFence, wire.PseudoContinuousUpdates})
		defer v.Conn.Close()
		show := func() {
			t.Helper()
			for want := src.Picture(); !v.Frame.Equal(want); {
				if _, err := v.ReadMessage(); err != nil {
					t.Fatal(err)
				}
			}
		}
		show()
		for i := range 40 {
			scroll(src, image.Rect(0, 0, width, height), image.Pt(0, -16), uint32(i))
			show()
			time.Sleep(20 * time.Millisecond)
		}
		src.Draw(func(p *pixel.Frame) *pixel.Region {
			p.Fill(image.Rect(50, 100, 60, 110), 0xff0000)
			return new(pixel.Region)
		})
		began := time.Now()
		show()
		if took := time.Since(began); took > 600*time.Millisecond {
			t.Errorf("a change that nothing announced was found after %v", took)
		}
		grabs := src.Grabs()
		time.Sleep(time.Minute)
		if n := src.Grabs() - grabs; n > 0 {
			t.Errorf("the picture was looked at %d times more", n)
		}
	})
}
