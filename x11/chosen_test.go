package x11

import (
	"bytes"
	"fmt"
	"image"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/x11/xvfb"
)

// Each way of reading is chosen by itself where it is the best there is, and
// the log tells which, and the screen's depth.
func TestLogTellsDepthAndReader(t *testing.T) {
	opened := func(cfg Config) string {
		t.Helper()
		var b bytes.Buffer
		cfg.Log = slog.New(slog.NewTextHandler(&b, nil))
		x := open(t, cfg)
		_ = x.Close()
		return b.String()
	}
	for _, depth := range depths {
		s := startXvfb(t, xvfb.Config{Width: 320, Height: 200, Depth: depth})
		local := config(s)
		local.Framebuffer = ""
		far := local
		far.Display = overTCP(t, s)
		for way, cfg := range map[string]Config{ways[0]: config(s), ways[1]: local, ways[2]: far} {
			got := opened(cfg)
			want := fmt.Sprintf("width=320 height=200 depth=%d reader=%s\n", depth, way)
			if !strings.Contains(strings.ReplaceAll(got, `"`, ""), want) {
				t.Errorf("depth %d, %s: the log is %s", depth, way, got)
			}
			if warned := strings.Contains(got, "slower"); warned != (way == ways[2]) {
				t.Errorf("depth %d, %s: the log is %s", depth, way, got)
			}
		}
	}
}

// Where the way in use cannot follow a new size another is chosen, and told.
func TestReaderIsChosenAnew(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	var b bytes.Buffer
	cfg := config(s)
	cfg.Log = slog.New(slog.NewTextHandler(&b, nil))
	x := open(t, cfg)
	x.cfg.Framebuffer = "" // gone, as it were
	x.picture.reader.close()
	x.picture.reader = brokenReader{x.picture.reader}
	if err := x.picture.resize(x, 300, 200); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.Contains(got, "choosing how to read the screen anew") || !strings.Contains(got, `level=INFO msg="reading the screen" reader=MIT-SHM`) {
		t.Errorf("the log is %s", got)
	}
}

// brokenReader cannot be resized.
type brokenReader struct{ reader }

func (brokenReader) resize(int, int) error { return os.ErrInvalid }
func (brokenReader) close()                {}

// What is drawn in two places is told as two places.
func TestDamageIsARegion(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	p := newPainter(t, s, image.Rect(0, 0, 640, 480), 0)
	r, _ := run(t, x)
	(&viewer{x: x, r: r}).settle(t, p)
	for i := range uint32(20) {
		places := pixel.RegionOf(rect(3, 5, 10, 7))
		places.Add(rect(600, 450, 20, 9))
		p.fill(rect(3, 5, 10, 7), i+1)
		p.fill(rect(600, 450, 20, 9), i+1)
		r.wait(t, "the damage", func() bool { return r.damage.Equal(places) })
		r.take()
	}
}
