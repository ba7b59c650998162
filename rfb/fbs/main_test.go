package fbs_test

import (
	"bytes"
	"context"
	"image"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// step is the time between two changes of the recorded picture.
const step = 100 * time.Millisecond

// scenes are what tests record, one after the other: whole pictures, areas,
// moves, other sizes, pointers.
func scenes() []func(s *rfbtest.Source) {
	draw := func(p *pixel.Frame, at image.Point) func(s *rfbtest.Source) {
		return func(s *rfbtest.Source) {
			s.Draw(func(f *pixel.Frame) *pixel.Region {
				r := p.Rect().Add(at).Intersect(f.Rect())
				for y := r.Min.Y; y < r.Max.Y; y++ {
					copy(f.Row(y, r.Min.X, r.Max.X), p.Row(y-at.Y, r.Min.X-at.X, r.Max.X-at.X))
				}
				return pixel.RegionOf(r)
			})
		}
	}
	small := golden.Desktop(200, 90)
	return []func(s *rfbtest.Source){
		draw(golden.TextConsole(320, 200), image.Point{}),
		func(s *rfbtest.Source) { s.Move(image.Rect(0, 0, 320, 184), image.Pt(0, 16)) },
		func(s *rfbtest.Source) { s.SetCursor(pixel.DefaultCursor()) },
		draw(golden.Photo(90, 70), image.Pt(40, 50)),
		func(s *rfbtest.Source) { s.Fill(image.Rect(7, 9, 211, 44), 0x336699) },
		func(s *rfbtest.Source) { s.Show(small) },
		draw(golden.Photo(20, 20), image.Pt(100, 50)),
		func(s *rfbtest.Source) { s.SetCursor(&pixel.Cursor{}) },
		func(s *rfbtest.Source) { s.Show(golden.BIOS(410, 155)) },
		func(s *rfbtest.Source) { s.Move(image.Rect(100, 20, 300, 120), image.Pt(110, 30)) },
	}
}

// taken is a recording and what was to be seen: pictures[i] from times[i] on.
type taken struct {
	data     []byte
	pictures []*pixel.Frame
	length   time.Duration
}

// take records the scenes, from within a bubble. The first picture is black.
func take(t *testing.T, cfg fbs.RecorderConfig, scenes ...func(s *rfbtest.Source)) taken {
	t.Helper()
	src := rfbtest.NewSource(320, 200)
	srv := rfb.NewServer(src, rfb.ServerConfig{Name: "node"})
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	var recorder sync.WaitGroup
	recorder.Go(func() {
		if err := fbs.Record(ctx, srv, &out, cfg); err != nil {
			t.Errorf("Record returned %v", err)
		}
	})
	r := taken{}
	for _, scene := range append([]func(*rfbtest.Source){func(*rfbtest.Source) {}}, scenes...) {
		scene(src)
		r.pictures = append(r.pictures, src.Picture())
		time.Sleep(step)
		r.length += step
	}
	cancel()
	recorder.Wait()
	r.data = out.Bytes()
	return r
}

// reopen is a PlayerConfig.Open for a recording in memory.
func reopen(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

// stage shows a player on a server for as long as the test runs.
func stage(t *testing.T, cfg fbs.PlayerConfig) (*fbs.Player, *rfb.Server) {
	t.Helper()
	p := fbs.NewPlayer(cfg)
	// Without a frame interval no time passes while a picture is looked at.
	srv := rfb.NewServer(p, rfb.ServerConfig{Linger: -1, FrameInterval: -1})
	t.Cleanup(func() { srv.Close() })
	return p, srv
}

// sees fails the test unless the server shows want now.
func sees(t *testing.T, srv *rfb.Server, want *pixel.Frame, when any) {
	t.Helper()
	synctest.Wait()
	got, err := srv.Snapshot(t.Context())
	if err != nil {
		t.Fatalf("%v: %v", when, err)
	}
	if !got.Equal(want) {
		t.Fatalf("%v: %s", when, rfbtest.Difference(got, want))
	}
}
