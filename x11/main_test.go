package x11

import (
	"context"
	"errors"
	"image"
	"log/slog"
	"math"
	"math/bits"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/xproto"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 60 * time.Second

// startXvfb runs an X server for the test.
func startXvfb(t testing.TB, cfg xvfb.Config) *xvfb.Server {
	t.Helper()
	s, err := xvfb.Start(t.Context(), cfg)
	if errors.Is(err, xvfb.ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(err) // a machine without Xvfb cannot run this
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// config is how the server's display is opened.
func config(s *xvfb.Server) Config {
	return Config{Display: s.Display, Auth: s.Auth, Framebuffer: s.Framebuffer, Width: s.Width, Height: s.Height}
}

// open opens the display for the test.
func open(t testing.TB, cfg Config) *Display {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	x, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(p[:max(0, len(p)-1)]))
	return len(p), nil
}

// recorder is a desktop that notes what it is told, and, where it has a
// source, keeps a frame up to date as a server does.
type recorder struct {
	mu       sync.Mutex
	changed  chan struct{} // closed and made anew at every announcement
	damage   pixel.Region
	damages  int
	size     image.Point
	resizes  int
	screens  []rfb.Screen
	layouts  []layout // all that were told
	cursor   *pixel.Cursor
	cursors  int
	pointer  image.Point
	pointers int
	leds     rfb.LEDState
	lights   int // how often they were told
	texts    []string
}

// layout is a size of the picture and the screens that share it.
type layout struct {
	size    image.Point
	screens []rfb.Screen
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{})} }

func (r *recorder) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *recorder) Damage(g *pixel.Region) {
	r.note(func() { r.damage.Union(g); r.damages++ })
}

func (r *recorder) SetScreens(w, h int, screens []rfb.Screen) {
	r.note(func() {
		r.screens = screens
		r.size = image.Pt(w, h)
		r.layouts = append(r.layouts, layout{r.size, screens})
		r.resizes++
		r.damage.Clear()
		r.damage.Add(image.Rect(0, 0, w, h))
	})
}

func (r *recorder) SetCursor(c *pixel.Cursor) { r.note(func() { r.cursor = c; r.cursors++ }) }

func (r *recorder) SetPointer(x, y int) {
	r.note(func() { r.pointer = image.Pt(x, y); r.pointers++ })
}

func (r *recorder) SetLEDState(l rfb.LEDState) { r.note(func() { r.leds = l; r.lights++ }) }
func (r *recorder) CutText(text string)        { r.note(func() { r.texts = append(r.texts, text) }) }

// wait waits until ok, which is called with the recorder locked, is true.
func (r *recorder) wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	timeout := time.After(patience)
	for {
		r.mu.Lock()
		good, changed := ok(), r.changed
		r.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// take empties the damage.
func (r *recorder) take() *pixel.Region {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.damage.Clone()
	r.damage.Clear()
	return d
}

// run runs the display for the test and returns what it announces and a
// function that ends it.
func run(t testing.TB, x *Display) (*recorder, func() error) {
	t.Helper()
	r := newRecorder()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- x.run(ctx, r) }()
	var once sync.Once
	var err error
	stop := func() error {
		once.Do(func() { cancel(); err = <-result })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	r.wait(t, "the first shape of the pointer", func() bool { return r.cursors > 0 && r.lights > 0 })
	return r, stop
}

// painter is an X program that draws.
type painter struct {
	t    testing.TB
	c    *xconn.Conn
	root xproto.Window
	win  xproto.Window
	gc   xproto.Gcontext
	ends chan struct{}

	bits   int // of a pixel in an image
	visual xproto.VisualInfo
}

// newPainter connects a program that draws into a window of its own, which
// covers r and is not managed.
func newPainter(t testing.TB, s *xvfb.Server, r image.Rectangle, events uint32) *painter {
	t.Helper()
	c, err := xconn.Dial(t.Context(), s.Display, s.Auth)
	if err != nil {
		t.Fatal(err)
	}
	p := &painter{t: t, c: c, ends: make(chan struct{})}
	screen := xproto.Setup(c.Conn).DefaultScreen(c.Conn)
	p.root = screen.Root
	for _, f := range xproto.Setup(c.Conn).PixmapFormats {
		if f.Depth == screen.RootDepth {
			p.bits = int(f.BitsPerPixel)
		}
	}
	for _, d := range screen.AllowedDepths {
		for _, v := range d.Visuals {
			if v.VisualId == screen.RootVisual {
				p.visual = v
			}
		}
	}
	if p.win, err = xproto.NewWindowId(c.Conn); err != nil {
		t.Fatal(err)
	}
	if p.gc, err = xproto.NewGcontextId(c.Conn); err != nil {
		t.Fatal(err)
	}
	p.must(xproto.CreateWindowChecked(c.Conn, screen.RootDepth, p.win, p.root, int16(r.Min.X), int16(r.Min.Y), uint16(r.Dx()), uint16(r.Dy()),
		0, xproto.WindowClassInputOutput, screen.RootVisual, xproto.CwBackPixel|xproto.CwOverrideRedirect|xproto.CwEventMask,
		[]uint32{0, 1, events | xproto.EventMaskExposure}).Check())
	p.must(xproto.CreateGCChecked(c.Conn, p.gc, xproto.Drawable(p.win), 0, nil).Check())
	p.must(xproto.MapWindowChecked(c.Conn, p.win).Check())
	t.Cleanup(p.close)
	return p
}

func (p *painter) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *painter) close() {
	p.c.Close()
	for {
		if ev, err := p.c.WaitForEvent(); ev == nil && err == nil {
			return
		}
	}
}

// fill paints r in its window.
func (p *painter) fill(r image.Rectangle, colour uint32) {
	xproto.ChangeGC(p.c.Conn, p.gc, xproto.GcForeground, []uint32{colour})
	xproto.PolyFillRectangle(p.c.Conn, xproto.Drawable(p.win), p.gc, []xproto.Rectangle{
		{X: int16(r.Min.X), Y: int16(r.Min.Y), Width: uint16(r.Dx()), Height: uint16(r.Dy())}})
}

// screen is what the server says the screen shows.
func (p *painter) screen() *pixel.Frame {
	p.t.Helper()
	g, err := xproto.GetGeometry(p.c.Conn, xproto.Drawable(p.root)).Reply()
	p.must(err)
	f := pixel.NewFrame(int(g.Width), int(g.Height))
	colour := p.colours()
	for y := 0; y < f.Height; y += 64 {
		n := min(64, f.Height-y)
		r, err := xproto.GetImage(p.c.Conn, xproto.ImageFormatZPixmap, xproto.Drawable(p.root), 0, int16(y), g.Width, uint16(n), ^uint32(0)).Reply()
		p.must(err)
		stride := 4 * ((f.Width*p.bits + 31) / 32)
		for row := range n {
			for i := range f.Width {
				at := r.Data[row*stride+i*p.bits/8:]
				v := uint32(at[0])
				if p.bits >= 16 {
					v |= uint32(at[1]) << 8
				}
				if p.bits == 32 {
					v |= uint32(at[2])<<16 | uint32(at[3])<<24
				}
				f.Pix[(y+row)*f.Width+i] = colour(v)
			}
		}
	}
	return f
}

// colours says what colour a pixel of the screen has, without any of the
// display's own code. Xvfb's byte order is little-endian on the machines that
// this is tested on.
func (p *painter) colours() func(v uint32) uint32 {
	p.t.Helper()
	if p.visual.Class == xproto.VisualClassTrueColor {
		var parts [3][]uint32 // by value
		masks := [3]uint32{p.visual.RedMask, p.visual.GreenMask, p.visual.BlueMask}
		for i, mask := range masks {
			most := mask >> bits.TrailingZeros32(mask)
			for v := range most + 1 {
				parts[i] = append(parts[i], uint32(math.Round(float64(v)*255/float64(most))))
			}
		}
		part := func(v uint32, i int) uint32 { return parts[i][v&masks[i]>>bits.TrailingZeros32(masks[i])] }
		return func(v uint32) uint32 { return part(v, 0)<<16 | part(v, 1)<<8 | part(v, 2) }
	}
	maps, err := xproto.ListInstalledColormaps(p.c.Conn, p.root).Reply()
	p.must(err)
	var ask []uint32
	for n := range uint32(p.visual.ColormapEntries) {
		ask = append(ask, n)
	}
	r, err := xproto.QueryColors(p.c.Conn, maps.Cmaps[0], ask).Reply()
	p.must(err)
	return func(v uint32) uint32 {
		c := r.Colors[v]
		return uint32(c.Red)&0xff00<<8 | uint32(c.Green)&0xff00 | uint32(c.Blue)>>8
	}
}

// viewer keeps a frame as a server does: from announcements and Grab alone.
type viewer struct {
	x     *Display
	r     *recorder
	frame *pixel.Frame
}

// update looks at all that was announced and reports whether there was any.
func (v *viewer) update(t testing.TB) bool {
	t.Helper()
	v.r.mu.Lock()
	size := v.r.size
	v.r.mu.Unlock()
	if v.frame == nil || v.frame.Width != size.X || v.frame.Height != size.Y {
		v.frame = pixel.NewFrame(size.X, size.Y)
	}
	d := v.r.take()
	if d.Empty() {
		return false
	}
	err := v.x.Grab(d, func(view *pixel.Frame) {
		for r := range d.Rects() {
			pixel.Copy(v.frame, view, r)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// settle looks until the frame is what the server says the screen shows.
func (v *viewer) settle(t testing.TB, p *painter) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		want := p.screen()
		for v.update(t) {
		}
		if v.frame.Equal(want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the picture is not the screen's: %s", differences(v.frame, want))
		}
		v.r.mu.Lock()
		changed, empty := v.r.changed, v.r.damage.Empty()
		v.r.mu.Unlock()
		if empty {
			select {
			case <-changed:
			case <-time.After(time.Until(deadline)):
			}
		}
	}
}

func differences(a, b *pixel.Frame) string {
	if a.Width != b.Width || a.Height != b.Height {
		return image.Pt(a.Width, a.Height).String() + " for " + image.Pt(b.Width, b.Height).String()
	}
	var d pixel.Region
	for y := range a.Height {
		for x := range a.Width {
			if a.Pixel(x, y) != b.Pixel(x, y) {
				d.Add(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return d.Bounds().String()
}

// scroll moves what its window shows up by n pixels.
func (p *painter) scroll(n int) {
	g, err := xproto.GetGeometry(p.c.Conn, xproto.Drawable(p.win)).Reply()
	if err != nil {
		return
	}
	xproto.CopyArea(p.c.Conn, xproto.Drawable(p.win), xproto.Drawable(p.win), p.gc, 0, int16(n), 0, 0, g.Width, g.Height-uint16(n))
}
