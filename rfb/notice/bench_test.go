package notice

import (
	"image"
	"testing"
)

// BenchmarkPaint is what a new message costs, with the memory that is let go
// of after it; huge is more text than fits, which is tried in several sizes.
func BenchmarkPaint(b *testing.B) {
	for _, name := range []string{"countdown", "huge"} {
		b.Run(name, func(b *testing.B) {
			s := newScreen(1280, 1024, nil)
			b.ReportAllocs()
			for b.Loop() {
				s.paint(messages[name], then, then)
			}
		})
	}
}

// BenchmarkTick is what each second of a countdown, or each step of the dots,
// costs.
func BenchmarkTick(b *testing.B) {
	for _, name := range []string{"countdown", "info"} {
		b.Run(name, func(b *testing.B) {
			s := painted(image.Pt(1280, 1024), nil, messages[name])
			b.ReportAllocs()
			for b.Loop() {
				s.tick(then)
			}
		})
	}
}
