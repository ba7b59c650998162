package session

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jezek/xgb/xproto"

	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/ironglass/ironglass/x11/xvfb"
)

// startXvfb runs an X server with a given number until the test's end or end
// is called.
func startXvfb(t *testing.T, number int) (display, dir string, end func()) {
	t.Helper()
	dir = t.TempDir()
	display = fmt.Sprintf(":%d", number)
	cmd := exec.Command("Xvfb", display, "-screen", "0", "1024x768x24", "-fbdir", dir, "-noreset", "-nolisten", "tcp")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			// Asked to end, it removes its lock file and its socket.
			_ = cmd.Process.Signal(syscall.SIGTERM)
			hung := time.AfterFunc(long, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			if !hung.Stop() {
				t.Errorf("the X server %s does not end", display)
			}
		}
	}
	t.Cleanup(end)
	eventually(t, "the X server "+display, func() bool {
		c, err := xconn.Dial(t.Context(), display, "")
		if err != nil {
			return false
		}
		paint(c)
		c.Close()
		return true
	})
	return display, dir, end
}

// paint gives the root window the colour that the tests look for.
func paint(c *xconn.Conn) {
	root := xproto.Setup(c.Conn).DefaultScreen(c.Conn).Root
	xproto.ChangeWindowAttributes(c.Conn, root, xproto.CwBackPixel, []uint32{colour})
	_ = xproto.ClearAreaChecked(c.Conn, false, root, 0, 0, 0, 0).Check()
}

func TestAttachedDisplay(t *testing.T) {
	need(t, "Xvfb", "xterm")
	number := 20000 + rand.IntN(30000)
	display, dir, end := startXvfb(t, number)
	r := run(t, Config{Display: display, Framebuffer: filepath.Join(dir, "Xvfb_screen0")})
	r.watch()
	r.sees()
	r.logged("showing X display", "mapped framebuffer")
	if f := r.picture(); f.Width != 1024 || f.Height != 768 {
		t.Errorf("the picture has %dx%d pixels, want the display's 1024x768", f.Width, f.Height)
	}
	end()
	r.seesNotice()
	r.logged("the display is lost", display)
	// Back with the same number, but its file is another one, and the old one
	// is no longer right.
	startXvfb(t, number)
	r.sees()
	if n := r.dials.Load(); n != 1 {
		t.Errorf("the viewer connected %d times", n)
	}
}

func TestCommandOnAnAttachedDisplay(t *testing.T) {
	need(t, "Xvfb", "xterm")
	x, err := xvfb.Start(t.Context(), xvfb.Config{MaxWidth: 1280, MaxHeight: 1024})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Stop() })
	t.Setenv("XAUTHORITY", x.Auth)
	r := run(t, Config{Display: x.Display, Command: terminal(endless)})
	r.watch()
	r.sees()
	r.leave()
	r.stop()
	if err := <-r.result; err == nil {
		t.Error("Run returned nil")
	}
	r.result <- nil
	select {
	case <-x.Done():
		t.Error("the X server was ended with the session that was attached to it")
	default:
	}
}

func TestConnectionLostWhileTheXServerRuns(t *testing.T) {
	r := run(t, Config{Command: terminal(endless)})
	r.watch()
	r.sees()
	auth, err := filepath.Glob(filepath.Join(r.dir, "*", "Xauthority"))
	if err != nil || len(auth) != 1 {
		t.Fatalf("X authority files: %v, %v", auth, err)
	}
	client := child(t, "xterm")
	c, err := xconn.Dial(t.Context(), display(t, r), auth[0])
	if err != nil {
		t.Fatal(err)
	}
	// What the session's two connections, the server's first clients, have
	// made lies in the first of their numbers. Killing the owner of one closes
	// the connection; numbers that mean nothing are an error.
	clientBits := xproto.Setup(c.Conn).ResourceIdMask + 1
	for owner := uint32(1); owner <= 2; owner++ {
		for n := range uint32(100) {
			_ = xproto.KillClientChecked(c.Conn, owner*clientBits+n).Check()
		}
	}
	c.Close()
	r.logged("the connection to the X server was lost")
	r.logged("the connection of the window manager was lost")
	eventually(t, "a new connection", func() bool { return r.session.Stats().DisplayStarts == 2 })
	r.sees()
	if s := r.session.Stats(); s.ClientStarts != 1 || child(t, "xterm") != client {
		t.Errorf("the client was not left alone: %+v", s)
	}
}

// display is the display of the session's own X server.
func display(t *testing.T, r *running) string {
	t.Helper()
	var name string
	eventually(t, "the display's name", func() bool {
		_, err := fmt.Sscanf(after(r.log.String(), "display="), "%s", &name)
		return err == nil
	})
	return name
}
