package fbs_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// What was recorded is played exactly and at its time, in every encoding.
func TestRoundTrip(t *testing.T) {
	for name, list := range map[string][]wire.Encoding{
		"default": nil,
		"ZRLE":    {wire.EncodingZRLE, wire.EncodingCopyRect, wire.PseudoExtendedDesktopSize, wire.PseudoVMwareCursor, wire.PseudoDesktopName, wire.PseudoFence, wire.PseudoContinuousUpdates},
		"Hextile": {wire.EncodingHextile, wire.PseudoDesktopSize, wire.PseudoCursor},
		"Raw":     {wire.EncodingRaw, wire.PseudoDesktopSize, wire.PseudoCursor},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := take(t, fbs.RecorderConfig{Encodings: list}, scenes()...)
				p, srv := stage(t, fbs.PlayerConfig{Recording: fbs.Stream(reopen(r.data))})
				sees(t, srv, r.pictures[0], "beginning")
				time.Sleep(step / 2) // a new size and its picture are two frames
				for i, want := range r.pictures {
					sees(t, srv, want, i)
					time.Sleep(step)
				}
				synctest.Wait()
				if got := p.State().Position; !p.State().Finished || got != r.length {
					t.Errorf("at the end, %v, the position is %v, finished %v", r.length, got, p.State().Finished)
				}
				time.Sleep(time.Hour)
				sees(t, srv, r.pictures[len(r.pictures)-1], "afterwards")
			})
		})
	}
}

// The pointer's shape, the name and the like of a recording reach a viewer.
func TestExtras(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := take(t, fbs.RecorderConfig{}, scenes()[:4]...)
		_, srv := stage(t, fbs.PlayerConfig{Recording: fbs.Stream(reopen(r.data)), Speed: -1})
		ours, theirs := net.Pipe()
		var serving sync.WaitGroup
		serving.Go(func() { _ = srv.Serve(t.Context(), theirs, rfb.ViewerConfig{}) })
		defer serving.Wait()
		defer ours.Close()
		v, err := rfbtest.NewViewer(ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Send(wire.SetEncodings{Encodings: []wire.Encoding{wire.EncodingTight, wire.PseudoCursor}}); err != nil {
			t.Fatal(err)
		}
		if err := v.Await(r.pictures[len(r.pictures)-1]); err != nil {
			t.Fatal(err)
		}
		if v.Name != "node" {
			t.Errorf("the name is %q", v.Name)
		}
		if v.Cursor == nil || v.Cursor.Width == 0 {
			t.Errorf("the pointer is %v", v.Cursor)
		}
	})
}

func TestSpeedPauseSeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := take(t, fbs.RecorderConfig{}, scenes()...)
		p, srv := stage(t, fbs.PlayerConfig{Recording: fbs.Stream(reopen(r.data)), Speed: 2})
		at := func(i int) time.Duration { return time.Duration(i)*step + step/2 }
		sees(t, srv, r.pictures[0], "beginning")
		time.Sleep(at(3) / 2)
		sees(t, srv, r.pictures[3], "at twice the speed")
		if got := p.State().Position; got != at(3) {
			t.Errorf("the position is %v instead of %v", got, at(3))
		}

		p.Pause()
		time.Sleep(time.Hour)
		sees(t, srv, r.pictures[3], "paused")
		p.Resume()
		time.Sleep(step / 2)
		sees(t, srv, r.pictures[4], "resumed")

		p.SetSpeed(0.5)
		time.Sleep(2*step - time.Millisecond)
		sees(t, srv, r.pictures[5], "at half the speed")

		p.Pause()
		for _, i := range []int{8, 2, 6, 6, 0, 10} { // over sizes, to and fro
			p.Seek(at(i))
			sees(t, srv, r.pictures[i], i)
			if got := p.State().Position; got != at(i) {
				t.Errorf("the position is %v instead of %v", got, at(i))
			}
			time.Sleep(time.Hour)
			sees(t, srv, r.pictures[i], i)
		}
		p.Resume()
		p.SetSpeed(1)
		p.Seek(at(4))
		time.Sleep(step)
		sees(t, srv, r.pictures[5], "going on from there")

		p.Seek(time.Hour)
		sees(t, srv, r.pictures[len(r.pictures)-1], "past the end")
		if got := p.State().Position; got != r.length || !p.State().Finished {
			t.Errorf("the position is %v instead of %v", got, r.length)
		}
		p.Seek(2 * time.Hour)
		sees(t, srv, r.pictures[len(r.pictures)-1], "past the end again")
		p.Seek(at(1))
		sees(t, srv, r.pictures[1], "back from the end")
		p.Seek(-1)
		sees(t, srv, r.pictures[0], "before the beginning")
		p.SetSpeed(-1)
		sees(t, srv, r.pictures[len(r.pictures)-1], "without waiting")
	})
}

func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := take(t, fbs.RecorderConfig{}, scenes()...)
		p, srv := stage(t, fbs.PlayerConfig{Recording: fbs.Stream(reopen(r.data)), Loop: true})
		last := len(r.pictures) - 1
		sees(t, srv, r.pictures[0], "beginning")
		time.Sleep(r.length + step)
		sees(t, srv, r.pictures[last], "end")
		time.Sleep(time.Second)
		sees(t, srv, r.pictures[1], "the second time")
		time.Sleep(r.length)
		sees(t, srv, r.pictures[last], "the second end")
		p.Pause()
		time.Sleep(time.Hour)
		sees(t, srv, r.pictures[last], "paused")
		p.Resume()
		sees(t, srv, r.pictures[0], "the third time")
	})
}

// Each Run begins anew, and where Seek said.
func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := take(t, fbs.RecorderConfig{}, scenes()...)
		p := fbs.NewPlayer(fbs.PlayerConfig{Recording: fbs.Stream(reopen(r.data))})
		srv := rfb.NewServer(p, rfb.ServerConfig{Linger: time.Millisecond, FrameInterval: -1})
		defer srv.Close()
		for _, i := range []int{0, 0, 6, 0} {
			time.Sleep(time.Hour)
			if i > 0 {
				p.Seek(time.Duration(i)*step + step/2)
			}
			if _, err := srv.Snapshot(t.Context()); err != nil { // which begins
				t.Fatal(err)
			}
			sees(t, srv, r.pictures[i], i)
		}
	})
}

// A recording that is over at once is shown, whenever the server looks.
func TestOverAtOnce(t *testing.T) {
	data := seeds()[0]
	for range 1000 {
		ctx, cancel := context.WithTimeout(t.Context(), rfbtest.Patience)
		srv := rfb.NewServer(fbs.NewPlayer(fbs.PlayerConfig{Recording: fbs.Stream(reopen(data)), Speed: -1}), rfb.ServerConfig{})
		_, err := srv.Snapshot(ctx)
		srv.Close()
		cancel()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// What cannot be played says why.
func TestUnplayable(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  fbs.PlayerConfig
		want string
	}{
		"nothing there": {fbs.PlayerConfig{Recording: fbs.Stream(func() (_ ioReadCloser, err error) { return nil, errors.New("no such file") })}, "no such file"},
		"no recording":  {fbs.PlayerConfig{Recording: fbs.Stream(reopen([]byte("\x89PNG\r\n\x1a\n1234")))}, "no FBS recording"},
		"damaged": {fbs.PlayerConfig{Recording: fbs.Stream(reopen(append(header(wire.ServerInit{Width: 9, Height: 9, Format: rgb}),
			0, 0, 0, 1, 99, 0, 0, 0, 0, 0, 0, 0)))}, "message type 99"},
		"colour map": {fbs.PlayerConfig{Recording: fbs.Stream(reopen(header(wire.ServerInit{Width: 9, Height: 9, Format: mapped})))}, "colour map"},
	} {
		t.Run(name, func(t *testing.T) {
			_, srv := stage(t, c.cfg)
			_, err := srv.Snapshot(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Snapshot returned %v", err)
			}
		})
	}
}
