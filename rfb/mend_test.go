package rfb_test

import (
	"context"
	"image"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// lossy is what a viewer lists that allows loss as noVNC does.
var lossy = []wire.Encoding{
	wire.EncodingTight, wire.EncodingCopyRect, wire.PseudoQualityLevel0 + 6, wire.PseudoCursor,
	wire.PseudoFence, wire.PseudoContinuousUpdates,
}

// paste copies a picture into the source at p.
func paste(s *rfbtest.Source, f *pixel.Frame, p image.Point) {
	s.Draw(func(dst *pixel.Frame) *pixel.Region {
		r := f.Rect().Add(p).Intersect(dst.Rect())
		for y := r.Min.Y; y < r.Max.Y; y++ {
			copy(dst.Row(y, r.Min.X, r.Max.X), f.Row(y-p.Y, r.Min.X-p.X, r.Max.X-p.X))
		}
		return pixel.RegionOf(r)
	})
}

// onlooker connects a viewer with fences and continuous updates over a path.
func onlooker(t *testing.T, srv *rfb.Server, rate float64, list []wire.Encoding) *rfbtest.Viewer {
	t.Helper()
	_, theirs, ours := rfbtest.NewPath(rate, 5*time.Millisecond)
	go func() { _ = srv.Serve(context.Background(), theirs, rfb.ViewerConfig{}) }()
	v := continuous(t, ours, list)
	if err := v.ReadUpdate(); err != nil {
		t.Fatal(err)
	}
	return v
}

// A photograph comes at a loss at once and exactly after a rest; then nothing
// more is sent.
func TestMend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(512, 256)
		srv := rfb.NewServer(src, rfb.ServerConfig{})
		defer srv.Close()
		v := onlooker(t, srv, 10e6, lossy)
		defer v.Conn.Close()
		began := time.Now()
		paste(src, golden.Photo(512, 256), image.Point{})
		want := src.Picture()
		for v.Frame.Pixel(10, 10) == 0 {
			if err := v.ReadUpdate(); err != nil {
				t.Fatal(err)
			}
		}
		if first := time.Since(began); first > 100*time.Millisecond {
			t.Errorf("the photograph was there after %v", first)
		}
		if v.Frame.Equal(want) {
			t.Error("the photograph came exactly where loss was allowed")
		}
		for !v.Frame.Equal(want) {
			if _, err := v.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 250*time.Millisecond || took > time.Second {
			t.Errorf("it was exact after %v", took)
		}
		if srv.Stats().Mended == 0 {
			t.Error("nothing was counted as mended")
		}
		time.Sleep(time.Second)
		sent := srv.Stats().Updates
		time.Sleep(time.Minute)
		if more := srv.Stats().Updates - sent; more > 0 {
			t.Errorf("%d updates were sent while nothing happened", more)
		}
	})
}

// A source that tells of a change which is none, as one does that draws the
// same again, does not keep what was lost from being mended.
func TestMendAfterNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(512, 256)
		srv := rfb.NewServer(src, rfb.ServerConfig{})
		defer srv.Close()
		v := onlooker(t, srv, 10e6, lossy)
		defer v.Conn.Close()
		began := time.Now()
		paste(src, golden.Photo(512, 256), image.Point{})
		want := src.Picture()
		time.AfterFunc(150*time.Millisecond, func() {
			src.Draw(func(dst *pixel.Frame) *pixel.Region { return pixel.RegionOf(dst.Rect()) })
		})
		for !v.Frame.Equal(want) {
			if _, err := v.ReadMessage(); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it was exact after %v", took)
		}
	})
}

// Without a quality level nothing is ever lost.
func TestNoLossUnasked(t *testing.T) {
	src := rfbtest.NewSource(300, 200)
	paste(src, golden.Photo(300, 200), image.Point{})
	h := serve(t, src, rfb.ServerConfig{})
	v := h.viewer(wire.EncodingTight, wire.EncodingJPEG, wire.PseudoCursor)
	if err := v.Request(false); err != nil {
		t.Fatal(err)
	}
	for v.Frame.Pixel(299, 199) == 0 {
		if err := v.ReadUpdate(); err != nil {
			t.Fatal(err)
		}
	}
	if d := rfbtest.Difference(v.Frame, src.Picture()); d != "none" {
		t.Error(d)
	}
}

// What rests is mended although something else never does, and that does not
// wait for it.
func TestMendBesideVideo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const w, h = 1024, 512
		src := rfbtest.NewSource(w, h)
		srv := rfb.NewServer(src, rfb.ServerConfig{})
		defer srv.Close()
		v := onlooker(t, srv, 4e6, lossy)
		defer v.Conn.Close()
		film := golden.Photo(512, 256)
		still := golden.Photo(512, 512)
		paste(src, still, image.Pt(512, 0))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for i := range 300 { // ten seconds
				frame := pixel.NewFrame(256, 256)
				pixel.Copy(frame, &pixel.Frame{Pix: film.Pix[i%200:], Stride: film.Stride, Width: 256, Height: 255}, frame.Rect())
				frame.Fill(image.Rect(0, 0, 16, 16), uint32(i)) // its number
				paste(src, frame, image.Point{})
				time.Sleep(33 * time.Millisecond)
			}
		}()
		began := time.Now()
		exact, frames, last := time.Duration(0), 0, uint32(0)
		for time.Since(began) < 9*time.Second {
			if _, err := v.ReadMessage(); err != nil {
				t.Fatal(err)
			}
			if n := v.Frame.Pixel(8, 8); n != last {
				last = n
				frames++
			}
			part := pixel.Frame{Pix: v.Frame.Pix[512:], Stride: v.Frame.Stride, Width: 512, Height: 512}
			if exact == 0 && part.Equal(still) {
				exact = time.Since(began)
			}
		}
		if exact == 0 || exact > 6*time.Second {
			t.Errorf("what rested beside a video was exact after %v", exact)
		}
		if frames < 9*30*85/100 {
			t.Errorf("%d of %d frames of the video were seen", frames, 9*30)
		}
		<-ended
	})
}

// Whatever happens to a picture of all kinds, viewers that allow loss end with
// it exactly, whether they ask for updates or are sent them.
func TestMendIsExact(t *testing.T) {
	for _, main := range []wire.Encoding{wire.EncodingTight, wire.EncodingTightPNG, wire.EncodingZRLE, wire.EncodingHextile, wire.EncodingRaw} {
		t.Run(main.String(), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(uint64(uint32(main)), 3))
			src := rfbtest.NewSource(600, 200)
			photo := golden.Photo(600, 200)
			h := serve(t, src, rfb.ServerConfig{})
			list := []wire.Encoding{main, wire.EncodingCopyRect, wire.EncodingJPEG, wire.PseudoQualityLevel0 + 3, wire.PseudoCursor}
			asks, painted := h.viewer(list...), h.viewer(list[:4]...)
			for range 30 {
				for range rnd.IntN(3) {
					scribble(rnd, src)
				}
				paste(src, photo, image.Pt(rnd.IntN(600), rnd.IntN(200)))
				for _, v := range []*rfbtest.Viewer{asks, painted} {
					if err := v.Request(rnd.IntN(10) > 0); err != nil {
						t.Fatal(err)
					}
					if err := v.ReadUpdate(); err != nil {
						t.Fatal(err)
					}
				}
			}
			await(t, asks, src.Picture())
			await(t, painted, src.Picture())
			if h.Stats().Mended == 0 {
				t.Error("nothing was mended")
			}
			if main != wire.EncodingTight && main != wire.EncodingTightPNG && asks.Count[wire.EncodingJPEG] == 0 {
				t.Error("no JPEG rectangle came")
			}
		})
	}
}
