package rfb_test

import (
	"image"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// A silent viewer starts nothing, keeps nothing running and is not counted; it
// is shown what the others are, over all their comings and goings.
func TestSilentViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(64, 48)
		var counts []int
		srv := rfb.NewServer(src, rfb.ServerConfig{
			Linger: time.Second, ViewersChanged: func(n int) { counts = append(counts, n) },
		})
		var served sync.WaitGroup
		join := func(cfg rfb.ViewerConfig) (*rfbtest.Viewer, net.Conn) {
			t.Helper()
			ours, theirs := net.Pipe()
			served.Go(func() { _ = srv.Serve(t.Context(), theirs, cfg) })
			v, err := rfbtest.NewViewer(ours)
			if err != nil {
				t.Fatal(err)
			}
			err = v.Send(wire.SetEncodings{Encodings: []wire.Encoding{wire.EncodingRaw, wire.PseudoDesktopSize, wire.PseudoCursor}})
			if err != nil {
				t.Fatal(err)
			}
			return v, ours
		}
		silent, end := join(rfb.ViewerConfig{Silent: true, NoClipboard: true})
		time.Sleep(time.Minute)
		if runs := src.Runs(); runs != 0 {
			t.Fatalf("a silent viewer started the source %d times", runs)
		}
		src.Fill(image.Rect(0, 0, 64, 48), 0x336699)
		for round, colour := range []uint32{0x112233, 0xffffff, 0x445566} {
			v, leave := join(rfb.ViewerConfig{})
			if n := srv.Stats().Viewers; n != 1 {
				t.Errorf("round %d: %d viewers are counted", round, n)
			}
			for _, r := range []image.Rectangle{image.Rect(3, 3, 20, 20), image.Rect(0, 0, 64, 40)} {
				src.Fill(r, colour)
				if err := v.Await(src.Picture()); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				if err := silent.Await(src.Picture()); err != nil {
					t.Fatalf("round %d, the silent viewer: %v", round, err)
				}
			}
			src.Desktop(func(d *rfb.Desktop) { d.CutText("text") })
			leave.Close()
			time.Sleep(time.Minute)
			src.Fill(image.Rect(0, 0, 64, 48), 0)
			if runs := src.Runs(); runs != round+1 {
				t.Errorf("round %d: the source ran %d times", round, runs)
			}
			if src.Running() {
				t.Errorf("round %d: a silent viewer keeps the source running", round)
			}
		}
		if n := srv.Stats().Viewers; n != 0 {
			t.Errorf("%d viewers are counted", n)
		}
		if len(silent.CutTexts) > 0 {
			t.Errorf("it was told the clipboard: %v", silent.CutTexts)
		}
		end.Close()
		srv.Close()
		served.Wait()
		for _, n := range counts {
			if n > 1 {
				t.Errorf("viewers were counted as %v", counts)
				break
			}
		}
	})
}
