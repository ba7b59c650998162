package x11

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/randr"
)

// ways are the readers, by the name they have in the log.
var ways = []string{"mapped framebuffer", "MIT-SHM", "GetImage"}

// openWay opens the display with one reader.
func openWay(t testing.TB, s *xvfb.Server, way string) *Display {
	t.Helper()
	cfg := config(s)
	if way != "mapped framebuffer" {
		cfg.Framebuffer = ""
	}
	x := open(t, cfg)
	if way == "GetImage" {
		x.picture.reader.close()
		x.picture.reader = newPlain(x, s.Width, s.Height)
	}
	if got := x.picture.reader.name(); got != way {
		t.Fatalf("reads by %s, not by %s", got, way)
	}
	return x
}

func TestPictureIsExact(t *testing.T) {
	for _, depth := range depths {
		// A width that fills no row.
		s := startXvfb(t, xvfb.Config{Width: 501, Height: 400, Depth: depth})
		for _, way := range ways {
			t.Run(fmt.Sprint(depth, "/", way), func(t *testing.T) {
				x := openWay(t, s, way)
				r, _ := run(t, x)
				if r.size != image.Pt(501, 400) {
					t.Fatalf("size %v", r.size)
				}
				p := newPainter(t, s, image.Rect(40, 30, 461, 380), 0)
				v := &viewer{x: x, r: r}
				v.settle(t, p)
				rnd := rand.New(rand.NewPCG(1, 1))
				for range 20 {
					a := image.Pt(rnd.IntN(420), rnd.IntN(350))
					p.fill(image.Rectangle{a, a.Add(image.Pt(1+rnd.IntN(200), 1+rnd.IntN(200)))}, rnd.Uint32())
					v.settle(t, p)
				}
			})
		}
	}
}

func rect(x, y, w, h int) image.Rectangle { return image.Rect(x, y, x+w, y+h) }

// A program that draws as fast as it can is seen half-drawn now and then; the
// last frame must be exact all the same.
func TestLastFrameIsExact(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 1024, Height: 768})
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			x := openWay(t, s, way)
			r, _ := run(t, x)
			p := newPainter(t, s, image.Rect(0, 0, 1024, 768), 0)
			v := &viewer{x: x, r: r}
			v.settle(t, p)
			for round := range 10 {
				drawn := make(chan struct{})
				go func() {
					defer close(drawn)
					rnd := rand.New(rand.NewPCG(uint64(round), 2))
					for i := range 1500 {
						a := image.Pt(rnd.IntN(1024), rnd.IntN(768))
						p.fill(image.Rectangle{a, a.Add(image.Pt(1+rnd.IntN(300), 1+rnd.IntN(300)))}, rnd.Uint32()&pixel.Mask)
						if i%10 == 0 {
							p.scroll(rnd.IntN(60))
						}
					}
				}()
				looks := 0
				for done := false; !done; {
					select {
					case <-drawn:
						done = true
					default:
						if v.update(t) {
							looks++
						}
					}
				}
				if looks == 0 {
					t.Error("nothing was seen while it was drawn")
				}
				v.settle(t, p)
			}
		})
	}
}

// A size that an X program gives the screen reaches the viewers, and so does
// one that a viewer asks for; the picture is exact at each.
func TestResize(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 800, Height: 600, MaxWidth: 1000, MaxHeight: 900})
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			x := openWay(t, s, way)
			other := open(t, config(s))
			r, _ := run(t, x)
			p := newPainter(t, s, image.Rect(0, 0, 1000, 900), 0)
			v := &viewer{x: x, r: r}
			rnd := rand.New(rand.NewPCG(1, 3))
			for i, size := range []image.Point{{640, 480}, {1000, 900}, {1000, 480}, {333, 777}, {1, 1}, {640, 480}, {800, 600}} {
				by := x
				if i%2 == 1 {
					by = other
				}
				if err := by.SetDesktopSize(t.Context(), size.X, size.Y, nil); err != nil {
					t.Fatal(err)
				}
				r.wait(t, "the new size", func() bool { return r.size == size })
				for range 20 {
					a := image.Pt(rnd.IntN(1000), rnd.IntN(900))
					p.fill(image.Rectangle{a, a.Add(image.Pt(100, 100))}, rnd.Uint32()&pixel.Mask)
				}
				v.settle(t, p)
			}
			if got := x.picture.reader.name(); got != way {
				t.Errorf("the resizes made it read by %s", got)
			}
			for _, size := range []image.Point{{1001, 600}, {800, 901}, {0, 600}, {800, -1}, {100000, 100000}} {
				if err := x.SetDesktopSize(t.Context(), size.X, size.Y, nil); !errors.Is(err, ErrSize) || !strings.Contains(err.Error(), "1000x900") {
					t.Errorf("resizing to %v: %v", size, err)
				}
			}
		})
	}
	// No modes of ours pile up.
	x := open(t, config(s))
	res, err := randr.GetScreenResources(x.conn.Conn, x.root).Reply()
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Modes) > 8 {
		t.Errorf("%d modes are left", len(res.Modes))
	}
}

// The screen may shrink while it is looked at.
func TestResizeWhileLookedAt(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 800, Height: 600})
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			x := openWay(t, s, way)
			other := open(t, config(s))
			r, _ := run(t, x)
			p := newPainter(t, s, image.Rect(0, 0, 800, 600), 0)
			resized := make(chan error, 1)
			go func() {
				for i := range 20 {
					if err := other.SetDesktopSize(t.Context(), 800-i%3*100, 600-i%2*200, nil); err != nil {
						resized <- err
						return
					}
					p.fill(image.Rect(0, 0, 800, 600), uint32(i))
				}
				resized <- nil
			}()
			for done := false; !done; {
				select {
				case err := <-resized:
					if err != nil {
						t.Fatal(err)
					}
					done = true
				default:
				}
				all := pixel.RegionOf(image.Rect(0, 0, 1920, 1200))
				err := x.Grab(all, func(view *pixel.Frame) {
					sum := uint32(0)
					for y := range view.Height {
						sum += view.Pixel(view.Width-1, y)
					}
					_ = sum
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			v := &viewer{x: x, r: r}
			v.settle(t, p)
		})
	}
}

// Nothing is announced, and no event comes, while nothing happens or nothing
// runs.
func TestQuietWhenIdle(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	p := newPainter(t, s, image.Rect(0, 0, 640, 480), 0)
	r, stop := run(t, x)
	v := &viewer{x: x, r: r}
	v.settle(t, p)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	x.conn.Sync()
	x.takeMail()
	for i := range 100 {
		p.fill(image.Rect(0, 0, 640, 480), uint32(i))
	}
	p.c.Sync()
	x.conn.Sync()
	if m := x.takeMail(); m != (mail{}) {
		t.Errorf("events came while nothing ran: %+v", m)
	}
	// A second run finds what changed meanwhile.
	r, _ = run(t, x)
	v = &viewer{x: x, r: r}
	v.settle(t, p)
}

// Drawing without pause must not be told of without pause.
func TestDamageIsGathered(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	p := newPainter(t, s, image.Rect(0, 0, 640, 480), 0)
	r, _ := run(t, x)
	v := &viewer{x: x, r: r}
	v.settle(t, p)
	r.mu.Lock()
	before := r.damages
	r.mu.Unlock()
	const drawings = 20000
	for i := range drawings {
		p.fill(image.Rect(i%600, i%400, i%600+9, i%400+9), uint32(i))
	}
	v.settle(t, p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.damages - before; n > drawings/10 {
		t.Errorf("%d announcements of %d drawings", n, drawings)
	}
}

func TestServerIsLost(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	ended := make(chan error, 1)
	r := newRecorder()
	go func() { ended <- x.run(context.Background(), r) }()
	r.wait(t, "the first shape of the pointer", func() bool { return r.cursors > 0 })
	if err := x.Err(); err != nil {
		t.Error("an error while all is well:", err)
	}
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, ErrLost) {
			t.Errorf("Run ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Run goes on without a server")
	}
	<-x.Done()
	if err := x.Err(); !errors.Is(err, ErrLost) {
		t.Errorf("the display's error is %v", err)
	}
	// Nothing of this may hang or panic.
	x.KeyEvent(rfb.KeyEvent{Down: true, Keysym: 'a'})
	x.PointerEvent(rfb.PointerEvent{X: 1, Y: 1, Buttons: 1})
	if err := x.SetDesktopSize(t.Context(), 320, 200, nil); !errors.Is(err, ErrLost) {
		t.Errorf("a resize failed with %v", err)
	}
	if err := x.run(t.Context(), r); !errors.Is(err, ErrLost) {
		t.Errorf("a second Run ended with %v", err)
	}
	_ = x.Close()
	_ = x.Close()
}

// A server that hangs holds nothing up but what asks it.
func TestServerHangs(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	_, stop := run(t, x)
	if err := syscall.Kill(s.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(s.Pid(), syscall.SIGCONT) }()
	for i := range 100000 {
		x.PointerEvent(rfb.PointerEvent{X: i, Y: i, Buttons: uint16(i % 2)})
		x.KeyEvent(rfb.KeyEvent{Down: i%2 == 0, Keysym: 'a'})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, config(s)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("opening it gave %v", err)
	}
	// Nor does it keep a Run from ending.
	if err := stop(); err != nil && !errors.Is(err, ErrLost) {
		t.Errorf("Run ended with %v", err)
	}
	_ = x.Close()
}

func TestOpenErrors(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	for _, c := range []struct {
		name string
		cfg  Config
		want error
		says string
	}{
		{"no such display", Config{Display: ":59000"}, nil, ":59000"},
		{"no display's name", Config{Display: "nonsense"}, xconn.ErrDisplay, "nonsense"},
		{"no cookie", Config{Display: s.Display, Auth: os.DevNull}, nil, "authentication refused"},
		{"no authority file", Config{Display: s.Display, Auth: "/nonexistent"}, os.ErrNotExist, "/nonexistent"},
		{"no such screen", Config{Display: s.Display + ".7", Auth: s.Auth}, nil, "screen 7"},
		{"too large", Config{Display: s.Display, Auth: s.Auth, Width: 4000, Height: 4000}, ErrSize, "1920x1200"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := Open(t.Context(), c.cfg)
			if err == nil {
				_ = x.Close()
				t.Fatal("it was opened")
			}
			if c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	bare := startXvfb(t, xvfb.Config{Width: 64, Height: 48, Args: []string{"-extension", "DAMAGE"}})
	if _, err := Open(t.Context(), config(bare)); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "DAMAGE") {
		t.Errorf("without DAMAGE: %v", err)
	}
}

// A framebuffer file that cannot be used costs speed, not the picture.
func TestFallsBack(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	other := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	open(t, config(other)) // a change of size clears all windows
	blue := newPainter(t, other, image.Rect(0, 0, 640, 480), 0)
	blue.fill(image.Rect(0, 0, 640, 480), 0x123456)
	blue.c.Sync()
	garbage := t.TempDir() + "/garbage"
	if err := os.WriteFile(garbage, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"none": "/nonexistent", "garbage": garbage, "another display's": other.Framebuffer, "a folder": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			cfg := config(s)
			cfg.Framebuffer = file
			p := newPainter(t, s, image.Rect(0, 0, 640, 480), 0)
			x := open(t, cfg)
			if got := x.picture.reader.name(); got != "MIT-SHM" {
				t.Errorf("reads by %s", got)
			}
			r, _ := run(t, x)
			(&viewer{x: x, r: r}).settle(t, p)
		})
	}
	t.Run("another machine", func(t *testing.T) {
		cfg := config(s)
		cfg.Framebuffer = ""
		cfg.Display = overTCP(t, s)
		p := newPainter(t, s, image.Rect(0, 0, 640, 480), 0)
		x := open(t, cfg)
		if got := x.picture.reader.name(); got != "GetImage" {
			t.Errorf("reads by %s", got)
		}
		r, _ := run(t, x)
		(&viewer{x: x, r: r}).settle(t, p)
	})
}

// overTCP makes the server reachable as if from another machine, and returns
// the display's name for that.
func overTCP(t *testing.T, s *xvfb.Server) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", "/tmp/.X11-unix/X"+strings.TrimPrefix(s.Display, ":"))
			if err != nil {
				t.Error(err)
				return
			}
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				all.Go(func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				})
			}
		}
	})
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	return fmt.Sprintf("127.0.0.1:%d", l.Addr().(*net.TCPAddr).Port-6000)
}

// Memory that was looked at is given back after a while, and comes back.
func TestTrim(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	for _, way := range ways {
		x := openWay(t, s, way)
		r, stop := run(t, x)
		p := newPainter(t, s, image.Rect(0, 0, 640, 480), 0)
		v := &viewer{x: x, r: r}
		v.settle(t, p)
		x.picture.trimNow()
		p.fill(image.Rect(10, 10, 20, 20), 0xabcdef)
		v.settle(t, p)
		_ = stop()
		_ = x.Close()
		x.picture.trimNow()
		if err := x.Grab(new(pixel.Region), func(*pixel.Frame) {}); !errors.Is(err, ErrLost) {
			t.Errorf("%s: a look after Close gave %v", way, err)
		}
	}
}

// The whole way to a viewer: through a server, which looks when it will.
func TestWithServer(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	x := open(t, config(s))
	p := newPainter(t, s, image.Rect(0, 0, 640, 480), 0)
	server := rfb.NewServer(x, rfb.ServerConfig{Linger: -1})
	defer func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}()
	rnd := rand.New(rand.NewPCG(5, 5))
	for range 30 {
		p.fill(image.Rect(rnd.IntN(640), rnd.IntN(480), 640, 480), rnd.Uint32()&pixel.Mask)
		want := p.screen()
		for deadline := time.Now().Add(patience); ; {
			got, err := server.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.Equal(want) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the server's picture is not the screen's: ", differences(got, want))
			}
		}
	}
}

// Displays that were opened, run, lost and closed leave nothing behind.
func TestNothingIsLeft(t *testing.T) {
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	segments := func() int {
		b, err := os.ReadFile("/proc/sysvipc/shm")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(b)) {
			// The fifth column is the process that made the segment.
			if f := strings.Fields(line); len(f) > 4 && f[4] == fmt.Sprint(os.Getpid()) {
				n++
			}
		}
		return n
	}
	once := func(kill bool) {
		s, err := xvfb.Start(t.Context(), xvfb.Config{Width: 320, Height: 200})
		if err != nil {
			t.Fatal(err)
		}
		for _, way := range ways {
			x := openWay(t, s, way)
			r, stop := run(t, x)
			x.KeyEvent(rfb.KeyEvent{Down: true, Keysym: 'é'})
			if kill && way == "GetImage" {
				_ = syscall.Kill(s.Pid(), syscall.SIGKILL)
				<-x.Done()
			} else {
				_ = x.Grab(r.take(), func(*pixel.Frame) {})
			}
			_ = stop()
			_ = x.Close()
		}
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	startXvfb(t, xvfb.Config{}) // is it there at all?
	once(true)
	before, had := descriptors(), segments()
	for i := range 10 {
		once(i%2 == 0)
	}
	if after := descriptors(); after > before {
		t.Errorf("%d descriptors became %d", before, after)
	}
	if have := segments(); have > had {
		t.Errorf("%d shared memory segments became %d", had, have)
	}
}
