package rfb_test

import (
	"context"
	"fmt"
	"image"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// crowd is many viewers with the same Params, who ask for one update at a
// time and count the bytes without decoding them.
type crowd struct {
	conns []net.Conn
	wg    sync.WaitGroup
}

// join connects n viewers over loopback TCP, whose buffers are the system's.
func join(t testing.TB, srv *rfb.Server, n int, list ...wire.Encoding) *crowd {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := new(crowd)
	for range n {
		ours, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.wg.Go(func() { _ = srv.Serve(context.Background(), theirs, rfb.ViewerConfig{}) })
		v, err := rfbtest.NewViewer(ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Send(wire.SetEncodings{Encodings: list}); err != nil {
			t.Fatal(err)
		}
		c.conns = append(c.conns, ours)
	}
	return c
}

// leave ends all of them.
func (c *crowd) leave() {
	for _, conn := range c.conns {
		conn.Close()
	}
	c.wg.Wait()
}

// drain has every viewer throw away what comes, on a goroutine each, until it
// leaves.
func (c *crowd) drain() {
	for _, conn := range c.conns {
		c.wg.Go(func() { _, _ = io.Copy(io.Discard, struct{ io.Reader }{conn}) })
	}
}

// ask has every viewer ask for what has changed of a picture of that size.
func (c *crowd) ask(t testing.TB, size image.Point) {
	t.Helper()
	m := wire.FramebufferUpdateRequest{Incremental: true, Rect: image.Rectangle{Max: size}}.Append(nil)
	for _, conn := range c.conns {
		if _, err := conn.Write(m); err != nil {
			t.Fatal(err)
		}
	}
}

// updates waits until the server has sent so many updates in all.
func updates(t testing.TB, srv *rfb.Server, n uint64) {
	t.Helper()
	for deadline := time.Now().Add(rfbtest.Patience); srv.Stats().Updates < n; {
		if time.Now().After(deadline) {
			t.Fatalf("%d updates were sent, not %d", srv.Stats().Updates, n)
		}
		time.Sleep(time.Millisecond) // the server tells nobody
	}
}

// used is the memory that the program holds for objects and stacks.
func used() uint64 {
	runtime.GC()
	runtime.GC() // what the pools hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// A hundred viewers of the same Params are encoded for once, and each of them
// costs little while nothing happens.
func TestFanout(t *testing.T) {
	const n, w, h = 100, 640, 480
	src := rfbtest.NewSource(w, h)
	src.Draw(func(p *pixel.Frame) *pixel.Region {
		pixel.Copy(p, golden.Desktop(w, h), p.Rect())
		return pixel.RegionOf(p.Rect())
	})
	srv := rfb.NewServer(src, rfb.ServerConfig{FrameInterval: -1})
	defer srv.Close()
	first := join(t, srv, 1, wire.EncodingTight, wire.PseudoCursor)
	defer first.leave()
	first.drain()
	first.ask(t, image.Pt(w, h))
	updates(t, srv, 1)
	before := srv.Stats()
	alone := used()

	rest := join(t, srv, n, wire.EncodingTight, wire.PseudoCursor)
	defer rest.leave()
	rest.drain()
	rest.ask(t, image.Pt(w, h))
	updates(t, srv, before.Updates+n)
	s := srv.Stats()
	// With one viewer nothing is kept, so the first of the crowd has it made.
	if cells := uint64(3 * 8); s.EncodeCalls-before.EncodeCalls > cells {
		t.Errorf("%d rectangles were encoded for %d viewers of one picture, want %d", s.EncodeCalls-before.EncodeCalls, n, cells)
	}
	if !raceEnabled {
		kept := uint64(srv.Stats().CacheBytes)
		each := (used() - alone - kept) / n
		t.Logf("an idle viewer costs %d bytes, both ends", each)
		if each > 64<<10 {
			t.Errorf("an idle viewer costs %d bytes, more than 64 KiB", each)
		}
	}
}

// BenchmarkFanout replaces the picture of 1280x1024 for that many viewers with
// the same Params, who ask again after each update, and reports the rectangles
// encoded, the time it took by the clock, and the processor time of the whole
// program, which sends to each viewer and reads for it.
func BenchmarkFanout(b *testing.B) {
	const w, h = 1280, 1024
	pictures := []*pixel.Frame{golden.Desktop(w, h), golden.TextConsole(w, h)}
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("viewers=%d", n), func(b *testing.B) {
			src := rfbtest.NewSource(w, h)
			srv := rfb.NewServer(src, rfb.ServerConfig{FrameInterval: -1})
			defer srv.Close()
			c := join(b, srv, n, wire.EncodingTight, wire.PseudoCursor)
			defer c.leave()
			c.drain()
			c.ask(b, image.Pt(w, h))
			sent := uint64(n)
			updates(b, srv, sent)
			before, cpu := srv.Stats(), processorTime()
			for i := 0; b.Loop(); i++ {
				c.ask(b, image.Pt(w, h))
				src.Draw(func(p *pixel.Frame) *pixel.Region {
					pixel.Copy(p, pictures[i%len(pictures)], p.Rect())
					return pixel.RegionOf(p.Rect())
				})
				sent += uint64(n)
				updates(b, srv, sent)
			}
			s := srv.Stats()
			b.ReportMetric(float64(s.EncodeCalls-before.EncodeCalls)/float64(b.N), "encodes/op")
			b.ReportMetric(float64((s.EncodeTime-before.EncodeTime).Microseconds())/float64(b.N)/1000, "encode-ms/op")
			b.ReportMetric(float64((processorTime()-cpu).Microseconds())/float64(b.N)/1000, "cpu-ms/op")
		})
	}
}

// BenchmarkIdleViewer reports what a further viewer that does nothing costs.
func BenchmarkIdleViewer(b *testing.B) {
	const n = 100
	src := rfbtest.NewSource(1280, 1024)
	srv := rfb.NewServer(src, rfb.ServerConfig{})
	defer srv.Close()
	first := join(b, srv, 1, wire.EncodingTight, wire.PseudoCursor)
	defer first.leave()
	first.drain()
	first.ask(b, image.Pt(1280, 1024))
	updates(b, srv, 1)
	var each float64
	for b.Loop() {
		alone, sent := used(), srv.Stats().Updates
		c := join(b, srv, n, wire.EncodingTight, wire.PseudoCursor)
		c.drain()
		c.ask(b, image.Pt(1280, 1024))
		updates(b, srv, sent+n)
		each = float64(used()-alone-uint64(srv.Stats().CacheBytes)) / n
		c.leave()
	}
	b.ReportMetric(each/1024, "KiB/viewer")
	b.ReportMetric(0, "ns/op") // of no meaning here
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
