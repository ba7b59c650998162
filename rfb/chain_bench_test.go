package rfb_test

import (
	"context"
	"fmt"
	"image"
	"net"
	"path/filepath"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// BenchmarkChain is the way of a frame from a supervisor to the proxy: a
// server, a unix socket, a client. Each operation replaces the whole picture
// of 1280x1024 pixels; MB/s is of pixels.
func BenchmarkChain(b *testing.B) {
	type picture struct {
		name string
		a, b *pixel.Frame
	}
	const w, h = 1280, 1024
	flip := func(f *pixel.Frame) *pixel.Frame { // the same content, elsewhere
		g := pixel.NewFrame(w, h)
		for y := range h {
			copy(g.Row(y, 0, w), f.Row((y+37)%h, 0, w))
		}
		return g
	}
	var pictures []picture
	for _, p := range []struct {
		name string
		f    *pixel.Frame
	}{{"text", golden.TextConsole(w, h)}, {"desktop", golden.Desktop(w, h)}, {"photo", golden.Photo(w, h)}} {
		pictures = append(pictures, picture{p.name, p.f, flip(p.f)})
	}
	for _, p := range pictures {
		for _, enc := range []wire.Encoding{wire.EncodingTight, wire.EncodingZRLE, wire.EncodingHextile, wire.EncodingRaw} {
			b.Run(fmt.Sprintf("%s/%v", p.name, enc), func(b *testing.B) { benchmarkChain(b, p.a, p.b, enc) })
		}
	}
}

func benchmarkChain(b *testing.B, first, second *pixel.Frame, enc wire.Encoding) {
	path := filepath.Join(b.TempDir(), "rfb")
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	src := rfbtest.NewSource(first.Width, first.Height)
	upstream := rfb.NewServer(src, rfb.ServerConfig{FrameInterval: -1})
	defer upstream.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			_ = upstream.Serve(context.Background(), conn, rfb.ViewerConfig{})
		}
	}()
	client := rfb.NewClient(rfb.ClientConfig{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
		Encodings: []wire.Encoding{enc},
	})
	front := rfb.NewServer(client, rfb.ServerConfig{FrameInterval: -1, Linger: -1})
	defer front.Close()
	if _, err := front.Snapshot(b.Context()); err != nil {
		b.Fatal(err)
	}
	// A viewer of one pixel sees when a frame is through, and costs nothing.
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() { _ = front.Serve(context.Background(), theirs, rfb.ViewerConfig{}) }()
	v, err := rfbtest.NewViewer(ours)
	if err != nil {
		b.Fatal(err)
	}
	mark := image.Rect(0, 0, 1, 1)
	b.SetBytes(int64(4 * first.Width * first.Height))
	before := upstream.Stats().BytesSent
	n := uint32(0)
	for b.Loop() {
		n++
		src.Draw(func(p *pixel.Frame) *pixel.Region {
			from := first
			if n%2 == 0 {
				from = second
			}
			pixel.Copy(p, from, p.Rect())
			p.Fill(mark, n&pixel.Mask)
			return pixel.RegionOf(p.Rect())
		})
		for v.Frame.Pixel(0, 0) != n&pixel.Mask {
			if err := v.Send(wire.FramebufferUpdateRequest{Incremental: true, Rect: mark}); err != nil {
				b.Fatal(err)
			}
			if err := v.ReadUpdate(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(upstream.Stats().BytesSent-before)/float64(b.N), "wire-B/op")
}
