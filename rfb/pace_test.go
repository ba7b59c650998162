package rfb_test

import (
	"context"
	"image"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// arrival is a frame as a viewer sees it.
type arrival struct {
	number int
	age    time.Duration // since it was drawn
	at     time.Time
}

// film is a source that draws a numbered picture of 200x200 pixels every so
// often, 160 kB each in Raw.
type film struct {
	src      *rfbtest.Source
	interval time.Duration
	drawn    []time.Time // by number; read when it has ended
}

const filmBytes = 200 * 200 * 4

// run draws n pictures.
func (f *film) run(n int) {
	for i := range n {
		f.drawn = append(f.drawn, time.Now())
		f.src.Fill(image.Rect(0, 0, 200, 200), uint32(i+1))
		time.Sleep(f.interval)
	}
}

// paced is what a viewer with fences and continuous updates lists.
var paced = []wire.Encoding{wire.EncodingRaw, wire.PseudoFence, wire.PseudoContinuousUpdates, wire.PseudoCursor}

// continuous is a viewer at the end of conn that lists the encodings and has
// continuous updates of the whole picture.
func continuous(t *testing.T, conn net.Conn, list []wire.Encoding) *rfbtest.Viewer {
	t.Helper()
	v, err := rfbtest.NewViewer(conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []wire.ClientMessage{
		wire.SetEncodings{Encodings: list},
		wire.EnableContinuousUpdates{Enable: true, Rect: v.Frame.Rect()},
	} {
		if err := v.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// watch shows n pictures of a film over a path to a viewer with fences and
// continuous updates, and returns what arrived.
func watch(t *testing.T, n int, interval time.Duration, rate float64, latency time.Duration, during func(p *rfbtest.Path, i int)) []arrival {
	t.Helper()
	f := &film{src: rfbtest.NewSource(200, 200), interval: interval}
	srv := rfb.NewServer(f.src, rfb.ServerConfig{})
	path, theirs, ours := rfbtest.NewPath(rate, latency)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.Background(), theirs, rfb.ViewerConfig{}) }()
	v := continuous(t, ours, paced)
	if err := v.ReadUpdate(); err != nil {
		t.Fatal(err)
	}
	go f.run(n)
	var seen []arrival
	for last := 0; last < n; {
		if _, err := v.ReadMessage(); err != nil {
			t.Fatal(err)
		}
		number := int(v.Frame.Pixel(0, 0))
		if number == last {
			continue
		}
		last = number
		seen = append(seen, arrival{number: number, at: time.Now()})
		if during != nil {
			during(path, len(seen))
		}
	}
	for i := range seen {
		seen[i].age = seen[i].at.Sub(f.drawn[seen[i].number-1])
	}
	ours.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	srv.Close()
	synctest.Wait()
	return seen
}

// transfer is how long a frame takes on a path of that rate.
func transfer(rate float64) time.Duration {
	return time.Duration(filmBytes / rate * float64(time.Second))
}

// A viewer on a slow path sees the newest picture as often as the path
// carries it, and none waits behind another.
func TestSlowPath(t *testing.T) {
	for _, c := range []struct {
		name     string
		rate     float64
		latency  time.Duration
		interval time.Duration
	}{
		{"narrow", 1e6, 5 * time.Millisecond, 33 * time.Millisecond},
		{"narrow and long", 1e6, 100 * time.Millisecond, 33 * time.Millisecond},
		{"very narrow", 100e3, 30 * time.Millisecond, 33 * time.Millisecond},
		{"frames quicker than the clock", 2e6, 20 * time.Millisecond, 10 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 600
				seen := watch(t, n, c.interval, c.rate, c.latency, nil)
				// The first ones measure the path, and the last one is the newest
				// for as long as the one before it takes.
				steady := seen[3 : len(seen)-2]
				var oldest time.Duration
				for _, a := range steady {
					oldest = max(oldest, a.age)
				}
				carried := float64(len(steady)-1) * filmBytes / steady[len(steady)-1].at.Sub(steady[0].at).Seconds()
				t.Logf("%d of %d frames, oldest %v (transfer %v), %.0f %% of the path",
					len(seen), n, oldest, transfer(c.rate), 100*carried/c.rate)
				if most := c.interval + 17*time.Millisecond + transfer(c.rate)*11/10 + c.latency; oldest > most {
					t.Errorf("a frame was %v old when it arrived, more than %v", oldest, most)
				}
				if carried < 0.9*c.rate {
					t.Errorf("the path carried %.0f of %.0f bytes a second", carried, c.rate)
				}
			})
		})
	}
}

// A long path that carries enough is kept full: every frame arrives, as old as
// the path is long.
func TestLongPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const latency = 150 * time.Millisecond
		seen := watch(t, 300, 33*time.Millisecond, 20e6, latency, nil)
		if len(seen) < 290 {
			t.Errorf("%d of 300 frames arrived", len(seen))
		}
		for _, a := range seen[10:] {
			if a.age > latency+transfer(20e6)+40*time.Millisecond {
				t.Errorf("frame %d was %v old", a.number, a.age)
			}
		}
	})
}

// A path that becomes narrow, and wide again, is followed.
func TestPathChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var narrowAt, wideAt int
		seen := watch(t, 1500, 33*time.Millisecond, 8e6, 20*time.Millisecond, func(p *rfbtest.Path, i int) {
			switch i {
			case 300:
				narrowAt = i
				p.SetRate(500e3)
			case 320:
				wideAt = i
				p.SetRate(8e6)
			}
		})
		// Two frames are what it takes to notice.
		for _, a := range seen[narrowAt+3 : wideAt] {
			if a.age > transfer(500e3)*5/4+90*time.Millisecond {
				t.Errorf("on the narrow path frame %d was %v old", a.number, a.age)
			}
		}
		after := seen[wideAt+10:]
		for _, a := range after {
			if a.age > 110*time.Millisecond {
				t.Errorf("on the wide path frame %d was %v old", a.number, a.age)
			}
		}
		if took := after[len(after)-1].at.Sub(after[0].at); float64(len(after)) < 0.95*took.Seconds()/0.033 {
			t.Errorf("%d frames in %v on the wide path", len(after), took)
		}
	})
}

// A viewer on a narrow path costs another nothing.
func TestSlowPathBesideFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(200, 200)
		srv := rfb.NewServer(src, rfb.ServerConfig{})
		defer srv.Close()
		var conns []func() error
		viewer := func(rate float64) *rfbtest.Viewer {
			_, theirs, ours := rfbtest.NewPath(rate, 10*time.Millisecond)
			go func() { _ = srv.Serve(context.Background(), theirs, rfb.ViewerConfig{}) }()
			conns = append(conns, ours.Close)
			return continuous(t, ours, paced)
		}
		slow, fast := viewer(20e3), viewer(100e6)
		final := pixel.NewFrame(200, 200)
		final.Fill(final.Rect(), 0x123456)
		ended := make(chan error, 1)
		go func() { // reads whatever comes, seconds behind
			for !slow.Frame.Equal(final) {
				if _, err := slow.ReadMessage(); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
		for i := range uint32(100) {
			began := time.Now()
			src.Fill(image.Rect(0, 0, 200, 200), i+1)
			for fast.Frame.Pixel(0, 0) != i+1 {
				if _, err := fast.ReadMessage(); err != nil {
					t.Fatal(err)
				}
			}
			if age := time.Since(began); age > 50*time.Millisecond {
				t.Errorf("frame %d reached the fast viewer after %v", i, age)
			}
			time.Sleep(33 * time.Millisecond)
		}
		src.Fill(image.Rect(0, 0, 200, 200), 0x123456)
		if err := <-ended; err != nil {
			t.Errorf("the slow viewer: %v", err)
		}
		for _, c := range conns {
			_ = c()
		}
		srv.Close()
		synctest.Wait()
	})
}
