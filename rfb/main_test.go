package rfb_test

import (
	"context"
	"image"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host runs a server for the length of a test.
type host struct {
	*rfb.Server
	t       *testing.T
	wg      sync.WaitGroup
	results chan error // of Serve calls
}

func serve(t *testing.T, src rfb.Source, cfg rfb.ServerConfig) *host {
	t.Helper()
	if cfg.FrameInterval == 0 {
		cfg.FrameInterval = time.Millisecond
	}
	h := &host{Server: rfb.NewServer(src, cfg), t: t, results: make(chan error, 64)}
	t.Cleanup(func() {
		h.Close() // never fails
		h.wg.Wait()
	})
	return h
}

// pipe connects a new viewer's end to the server.
func (h *host) pipe(cfg rfb.ViewerConfig) net.Conn {
	ours, theirs := net.Pipe()
	h.wg.Go(func() { h.results <- h.Serve(context.Background(), theirs, cfg) })
	h.t.Cleanup(func() { ours.Close() }) // the test is over
	return ours
}

// viewer connects a scripted viewer that lists the given encodings.
func (h *host) viewer(encodings ...wire.Encoding) *rfbtest.Viewer {
	h.t.Helper()
	v, err := rfbtest.NewViewer(h.pipe(rfb.ViewerConfig{}))
	if err != nil {
		h.t.Fatal(err)
	}
	if len(encodings) > 0 {
		if err := v.Send(wire.SetEncodings{Encodings: encodings}); err != nil {
			h.t.Fatal(err)
		}
	}
	return v
}

func await(t *testing.T, v *rfbtest.Viewer, want *pixel.Frame) {
	t.Helper()
	if err := v.Await(want); err != nil {
		t.Fatal(err)
	}
}

func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), rfbtest.Patience)
	t.Cleanup(cancel)
	return ctx
}

// scribble makes one random change of the kinds that screens see.
func scribble(rnd *rand.Rand, s *rfbtest.Source) {
	var size image.Point
	s.Draw(func(p *pixel.Frame) *pixel.Region { size = image.Pt(p.Width, p.Height); return new(pixel.Region) })
	rect := func() image.Rectangle {
		return image.Rect(rnd.IntN(size.X+1), rnd.IntN(size.Y+1), rnd.IntN(size.X+1), rnd.IntN(size.Y+1))
	}
	switch r := rect(); rnd.IntN(5) {
	case 0:
		s.Fill(r, rnd.Uint32()&pixel.Mask)
	case 1: // few colours, as text
		s.Draw(func(p *pixel.Frame) *pixel.Region {
			for y := r.Min.Y; y < r.Max.Y; y++ {
				for x := range p.Row(y, r.Min.X, r.Max.X) {
					p.Row(y, r.Min.X, r.Max.X)[x] = [...]uint32{0, 0xaaaaaa, 0xaa5500}[rnd.IntN(3)]
				}
			}
			return pixel.RegionOf(r)
		})
	case 2: // noise
		s.Draw(func(p *pixel.Frame) *pixel.Region {
			r = r.Intersect(image.Rect(r.Min.X, r.Min.Y, r.Min.X+40, r.Min.Y+40))
			for y := r.Min.Y; y < r.Max.Y; y++ {
				for x := range p.Row(y, r.Min.X, r.Max.X) {
					p.Row(y, r.Min.X, r.Max.X)[x] = rnd.Uint32() & pixel.Mask
				}
			}
			return pixel.RegionOf(r)
		})
	default: // scrolls and moves are common
		if !r.Empty() {
			s.Move(r, image.Pt(rnd.IntN(size.X-r.Dx()+1), rnd.IntN(size.Y-r.Dy()+1)))
		}
	}
}
