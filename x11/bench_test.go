package x11

import (
	"context"
	"image"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/x11/xvfb"
)

// BenchmarkGrab looks at a whole screen in each way, and at a line of text,
// copying what it sees.
func BenchmarkGrab(b *testing.B) {
	s := startXvfb(b, xvfb.Config{Width: 1280, Height: 1024})
	for _, way := range ways {
		for name, r := range map[string]image.Rectangle{"whole": image.Rect(0, 0, 1280, 1024), "line": image.Rect(0, 500, 1280, 516)} {
			b.Run(way+"/"+name, func(b *testing.B) {
				x := openWay(b, s, way)
				run(b, x)
				frame := pixel.NewFrame(1280, 1024)
				b.SetBytes(int64(4 * r.Dx() * r.Dy()))
				b.ReportAllocs()
				for b.Loop() {
					err := x.Grab(pixel.RegionOf(r), func(view *pixel.Frame) {
						for y := r.Min.Y; y < r.Max.Y; y++ {
							copy(frame.Row(y, r.Min.X, r.Max.X), view.Row(y, r.Min.X, r.Max.X))
						}
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// signal is a desktop that tells of damage.
type signal struct {
	*recorder
	damaged chan struct{}
}

func (s *signal) Damage(*pixel.Region) {
	select {
	case s.damaged <- struct{}{}:
	default:
	}
}

// BenchmarkDamage is how long it takes from a drawing request until its damage
// is announced.
func BenchmarkDamage(b *testing.B) {
	s := startXvfb(b, xvfb.Config{Width: 640, Height: 480})
	x := open(b, config(s))
	p := newPainter(b, s, image.Rect(0, 0, 640, 480), 0)
	d := &signal{newRecorder(), make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- x.run(ctx, d) }()
	<-d.damaged
	b.ReportAllocs()
	for b.Loop() {
		p.fill(image.Rect(5, 5, 10, 10), 1)
		<-d.damaged
	}
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

// BenchmarkPointer is the cost of a movement of the pointer, as far as a
// viewer has to wait for it.
func BenchmarkPointer(b *testing.B) {
	s := startXvfb(b, xvfb.Config{Width: 640, Height: 480})
	x := open(b, config(s))
	run(b, x)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		x.PointerEvent(rfb.PointerEvent{X: n % 640, Y: n % 480})
	}
}
