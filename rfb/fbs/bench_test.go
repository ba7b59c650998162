package fbs_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// signalled is a recording in memory that tells of each write.
type signalled struct {
	bytes.Buffer
	told chan struct{}
}

func (s *signalled) Write(b []byte) (int, error) {
	s.told <- struct{}{}
	return s.Buffer.Write(b)
}

// recordConsole records a text console of 1280x800 pixels that prints lines.
func recordConsole(b *testing.B, lines int) []byte {
	const width, height, line = 1280, 800, 16
	src := rfbtest.NewSource(width, height)
	src.Show(golden.TextConsole(width, height))
	srv := rfb.NewServer(src, rfb.ServerConfig{FrameInterval: -1})
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	out := &signalled{told: make(chan struct{}, 1)}
	recorded := make(chan error, 1)
	go func() { recorded <- fbs.Record(ctx, srv, out, fbs.RecorderConfig{KeyFrames: -1}) }()
	<-out.told // the handshake
	<-out.told // the first picture
	for i := range lines {
		if i%10 == 9 {
			src.Move(image.Rect(0, 0, width, height-line), image.Pt(0, line))
			<-out.told
		}
		src.Draw(func(p *pixel.Frame) *pixel.Region {
			r := image.Rect(0, height-line, width, height)
			p.Fill(r, 0)
			golden.Text(p, 8, r.Min.Y, 0xaaaaaa, false, fmt.Sprintf("[%12.6f] usb 1-1: new high-speed USB device number %d", float64(i)/7, i))
			return pixel.RegionOf(r)
		})
		<-out.told
	}
	cancel()
	go func() { <-out.told }() // the end
	if err := <-recorded; err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// BenchmarkPlay decodes a recording without waiting, as Seek does.
func BenchmarkPlay(b *testing.B) {
	const lines = 2000
	data := recordConsole(b, lines)
	for b.Loop() {
		p := fbs.NewPlayer(fbs.PlayerConfig{Recording: fbs.Stream(reopen(data)), Speed: -1})
		srv := rfb.NewServer(p, rfb.ServerConfig{Linger: -1})
		if _, err := srv.Snapshot(b.Context()); err != nil {
			b.Fatal(err)
		}
		for !p.State().Finished {
			time.Sleep(time.Millisecond)
		}
		srv.Close()
	}
	b.ReportMetric(float64(len(data))/lines, "bytes/line")
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/lines, "ns/line")
}
