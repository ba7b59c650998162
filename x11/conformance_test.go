package x11

import (
	"fmt"
	"image"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/x11/xvfb"
)

func TestDisplayConforms(t *testing.T) {
	// TestPictureIsExact has each depth in each way.
	for _, c := range []struct {
		way   string
		depth int
	}{{ways[0], 24}, {ways[1], 24}, {ways[2], 24}, {ways[0], 8}, {ways[1], 16}, {ways[2], 30}} {
		t.Run(fmt.Sprint(c.way, "/", c.depth), func(t *testing.T) {
			rfbtest.TestSource(t, func(t *testing.T) *rfbtest.Subject { return newSubject(t, c.way, c.depth) })
		})
	}
}

// newSubject is a display of an X server of its own, read in one way.
func newSubject(t *testing.T, way string, depth int) *rfbtest.Subject {
	const width, height = 500, 400
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 240, MaxWidth: width, MaxHeight: height, Depth: depth})
	other := open(t, config(s))
	x := openWay(t, s, way)
	p := newPainter(t, s, image.Rect(0, 0, width, height), 0)
	signal := func(g syscall.Signal) { p.must(syscall.Kill(s.Pid(), g)) }
	return &rfbtest.Subject{
		Source: x, Cursors: true, Lost: ErrLost,
		Sizes: []image.Point{{400, 300}, {500, 400}, {333, 257}, {1, 1}, {320, 240}},
		Draw: func(rnd *rand.Rand) {
			a := image.Pt(rnd.IntN(width), rnd.IntN(height))
			p.fill(image.Rectangle{a, a.Add(image.Pt(1+rnd.IntN(200), 1+rnd.IntN(150)))}, rnd.Uint32())
			if rnd.IntN(4) == 0 {
				p.scroll(rnd.IntN(60))
			}
		},
		Truth:  p.screen,
		Resize: func(width, height int) { p.must(other.SetDesktopSize(t.Context(), width, height, nil)) },
		Lose:   func() { signal(syscall.SIGKILL) },
		Hang: func() {
			signal(syscall.SIGSTOP)
			t.Cleanup(func() { signal(syscall.SIGCONT) })
		},
	}
}
