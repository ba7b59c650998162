package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jezek/xgb/xproto"
	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/x11/xconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// long is how long a test waits for what must happen.
const long = 60 * time.Second

// need fails the test where programs are missing under CI=true, and skips it
// elsewhere.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", p)
		}
		t.Skipf("%s is not installed, and this test is about it", p)
	}
}

// log collects what a session logs.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// eventually waits until ok, and fails the test with what where it does not
// come to that.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(long)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain for: %s", long, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// running is a session that runs, and one viewer of it.
type running struct {
	t       *testing.T
	session *Session
	log     *log
	dir     string // its runtime folder
	stop    context.CancelFunc
	result  chan error
	viewer  *rfb.Server
	serving sync.WaitGroup // the viewer's connections
	dials   atomic.Int32
}

// run starts a session. It is stopped, and what it leaves behind looked for,
// at the test's end.
func run(t *testing.T, cfg Config) *running {
	t.Helper()
	need(t, "Xvfb", "xterm")
	t.Setenv("TMPDIR", t.TempDir()) // an xterm that is killed leaves files
	r := &running{t: t, log: new(log), dir: t.TempDir(), result: make(chan error, 1)}
	cfg.Name = t.Name()
	cfg.RuntimeDir = r.dir
	cfg.Log = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if r.session, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	// Not the test's own context, which ends before the viewer leaves.
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() { r.result <- r.session.Run(ctx) }()
	t.Cleanup(func() {
		r.leave()
		stop()
		select {
		case err := <-r.result:
			t.Logf("Run returned %v", err)
		case <-time.After(long):
			t.Errorf("the session does not end")
		}
		if left, _ := os.ReadDir(r.dir); len(left) > 0 {
			t.Errorf("%d files are left in the runtime folder, such as %s", len(left), left[0].Name())
		}
		if t.Failed() {
			t.Logf("the session's log:\n%s", r.log)
		}
	})
	return r
}

// watch connects the viewer, which stays connected.
func (r *running) watch() {
	client := rfb.NewClient(rfb.ClientConfig{Dial: func(context.Context) (net.Conn, error) {
		r.dials.Add(1)
		here, there := net.Pipe()
		r.serving.Go(func() { _ = r.session.Server().Serve(context.Background(), there, rfb.ViewerConfig{Label: "test"}) })
		return here, nil
	}})
	r.viewer = rfb.NewServer(client, rfb.ServerConfig{
		Linger: -1,
		SourceEnded: func(_ rfb.Source, err error) rfb.Source {
			r.t.Errorf("the viewer lost its connection: %v", err)
			return nil
		},
	})
}

// leave disconnects the viewer.
func (r *running) leave() {
	if r.viewer != nil {
		_ = r.viewer.Close()
		r.serving.Wait()
	}
}

// picture is what the viewer sees now.
func (r *running) picture() *pixel.Frame {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), long)
	defer cancel()
	f, err := r.viewer.Snapshot(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

// corner is the colour far away from the text of a terminal and the card of a
// notice.
func (r *running) corner() uint32 {
	f := r.picture()
	return f.Pixel(f.Width-20, f.Height-60)
}

// colour is the ground of the terminal in these tests.
const colour = 0x2468ac

// terminal is a command that shows a terminal in which script runs.
func terminal(script string) []string {
	return []string{"xterm", "-geometry", "300x100+0+0", "-b", "0", "-bw", "0", "-bg", fmt.Sprintf("#%06x", colour),
		"-e", "sh", "-c", script}
}

// endless is a script that waits until it is ended.
const endless = "exec sleep 1000000"

// sees waits until the viewer sees the terminal.
func (r *running) sees() {
	r.t.Helper()
	eventually(r.t, "the terminal in the picture", func() bool { return r.corner() == colour })
}

// dimmed is what a notice makes of colour. Over a black screen its ground is
// another one.
const dimmed = 0x14202c

// seesNotice waits until the viewer sees something else over the dimmed
// terminal.
func (r *running) seesNotice() {
	r.t.Helper()
	eventually(r.t, "a notice over the dimmed terminal", func() bool { return r.corner() == dimmed })
}

// logged waits until the log has all of texts on one line.
func (r *running) logged(texts ...string) {
	r.t.Helper()
	eventually(r.t, "a line in the log with "+strings.Join(texts, ", "), func() bool {
	lines:
		for l := range strings.Lines(r.log.String()) {
			for _, text := range texts {
				if !strings.Contains(l, text) {
					continue lines
				}
			}
			return true
		}
		return false
	})
}

// child returns the one running child of this process with a name.
func child(t *testing.T, name string) process {
	t.Helper()
	var found process
	eventually(t, "a process "+name, func() bool {
		table, err := processes()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range table {
			if p.name == name && p.parent == os.Getpid() && p.state != 'Z' {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

func kill(t *testing.T, p process) {
	t.Helper()
	proc, err := os.FindProcess(p.pid)
	if err == nil {
		err = proc.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// pathOf makes $PATH a folder with links to programs, and returns it.
func pathOf(t *testing.T, programs ...string) string {
	t.Helper()
	need(t, programs...)
	dir := t.TempDir()
	for _, name := range programs {
		target, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(target, filepath.Join(dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	return dir
}

func TestShowsTheProgram(t *testing.T) {
	r := run(t, Config{Command: terminal(endless)})
	r.watch()
	r.sees()
	f := r.picture()
	if f.Width != 1280 || f.Height != 1024 {
		t.Errorf("the picture has %dx%d pixels, want the default 1280x1024", f.Width, f.Height)
	}
	if s := r.session.Stats(); s != (Stats{DisplayStarts: 1, ClientStarts: 1, Live: true}) {
		t.Errorf("the totals are %+v", s)
	}
}

func TestANoticeIsThereBeforeAnythingElse(t *testing.T) {
	need(t, "Xvfb", "xterm")
	s, err := New(Config{Command: terminal(endless), Width: 800, Height: 600})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	f, err := s.Server().Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if f.Width != 800 || f.Height != 600 {
		t.Errorf("the notice has %dx%d pixels, want 800x600", f.Width, f.Height)
	}
	colours := make(map[uint32]bool)
	for _, p := range f.Pix {
		colours[p] = true
	}
	if len(colours) < 10 {
		t.Errorf("the notice has %d colours only: nothing is written on it", len(colours))
	}
}

func TestXServerKilled(t *testing.T) {
	path := pathOf(t, "Xvfb", "xterm", "sh", "sleep", "xkbcomp")
	r := run(t, Config{Command: terminal(endless)})
	r.watch()
	r.sees()
	// Without its program it stays away until that is back.
	xvfb, err := os.Readlink(filepath.Join(path, "Xvfb"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(path, "Xvfb")); err != nil {
		t.Fatal(err)
	}
	number := display(t, r)[1:]
	kill(t, child(t, "Xvfb"))
	r.seesNotice()
	r.logged("the display is lost", "signal: killed")
	r.logged("the display is lost", "Xvfb is not installed")
	// By now what the first one left behind is gone, unless somebody else's
	// server has taken the number over, and the socket with it.
	if c, err := net.Dial("unix", "/tmp/.X11-unix/X"+number); err == nil {
		c.Close()
	} else if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket of the killed X server: %v", err)
	}
	if err := os.Symlink(xvfb, filepath.Join(path, "Xvfb")); err != nil {
		t.Fatal(err)
	}
	r.sees()
	if s := r.session.Stats(); s.DisplayStarts != 2 || s.ClientStarts != 2 {
		t.Errorf("the totals are %+v", s)
	}
	if n := r.dials.Load(); n != 1 {
		t.Errorf("the viewer connected %d times", n)
	}
}

func TestClientKilled(t *testing.T) {
	r := run(t, Config{Command: terminal(endless)})
	r.watch()
	r.sees()
	for n := uint64(1); n < 4; n++ {
		kill(t, child(t, "xterm"))
		eventually(t, "another start of the client", func() bool { return r.session.Stats().ClientStarts == n+1 })
		r.sees()
	}
	r.logged("xterm", "killed by signal SIGKILL", "pause=200ms")
	r.logged("xterm", "killed by signal SIGKILL", "pause=800ms")
	if s := r.session.Stats(); s.DisplayStarts != 1 {
		t.Errorf("the display was started %d times", s.DisplayStarts)
	}
}

// script writes a program.
func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "client")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestClientEndsByItself(t *testing.T) {
	// The first run fails and leaves a program behind, the second one works.
	mark := filepath.Join(t.TempDir(), "mark")
	file := script(t, fmt.Sprintf("if [ -e %[1]s ]; then exec xterm -geometry 300x100+0+0 -b 0 -bw 0 -bg '#%06[2]x' -e sh -c '%[3]s'; fi\n"+
		"sleep 1000000 & echo $! > %[1]s\necho no licence; echo -n ask for one >&2; exit 3\n", mark, colour, endless))
	r := run(t, Config{Command: []string{file}})
	r.watch()
	r.sees()
	r.logged("client says", "no licence")
	r.logged("client ended", "exit status 3", "no licence", "ask for one")
	pid, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of what the client left behind", func() bool {
		b, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		p, _ := parseStat(b)
		return err != nil || p.state == 'Z' || p.name != "sleep"
	})
}

func TestMissingProgramAtTheStart(t *testing.T) {
	need(t, "Xvfb")
	for command, want := range map[string]string{
		"no-such-program":          "no-such-program is not installed or not in PATH: install it or correct the node's command",
		"/no/such/program":         "/no/such/program does not exist: install it or correct the node's command",
		"/usr":                     "/usr is not an executable file: make it one (chmod +x) or correct the node's command",
		"/proc/self/mounts":        "/proc/self/mounts is not an executable file: make it one (chmod +x) or correct the node's command",
		"no such/program\x00there": "no such/program\x00there does not exist: install it or correct the node's command",
	} {
		_, err := New(Config{Command: []string{command}})
		if !errors.Is(err, ErrNoProgram) || err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := New(Config{}); !errors.Is(err, ErrNoProgram) || !strings.HasPrefix(err.Error(), "Xvfb is not installed") {
		t.Errorf("error %q, want that Xvfb is not installed", err)
	}
}

// Viewers see what a client showed last until the notice of its end comes, and
// below that, and at no time the black screen that it leaves.
func TestTheLastPictureStays(t *testing.T) {
	file := script(t, "exec xterm -geometry 300x100+0+0 -b 0 -bw 0 -bg '"+fmt.Sprintf("#%06x", colour)+"' -e sh -c '"+endless+"'\n")
	r := run(t, Config{Command: []string{file}})
	r.watch()
	r.sees()
	if err := os.Remove(file); err != nil { // so that the notice stays
		t.Fatal(err)
	}
	kill(t, child(t, "xterm"))
	for deadline := time.Now().Add(long); ; {
		switch c := r.corner(); {
		case c == dimmed:
			return
		case c != colour:
			t.Fatalf("the viewer sees %06x", c)
		case time.Now().After(deadline):
			t.Fatal("no notice comes")
		}
	}
}

func TestMissingProgramLater(t *testing.T) {
	file := script(t, "exec xterm -geometry 300x100+0+0 -b 0 -bw 0 -bg '"+fmt.Sprintf("#%06x", colour)+"' -e sh -c '"+endless+"'\n")
	r := run(t, Config{Command: []string{file}})
	r.watch()
	r.sees()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	kill(t, child(t, "xterm"))
	r.logged("client cannot be started", "pause=30s", file+" does not exist")
	r.seesNotice()
}

func TestStopEndsAClientThatDoesNotWantTo(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	file := script(t, "trap '' TERM HUP\nsleep 1000000 & echo $$ $! > "+mark+".new; mv "+mark+".new "+mark+"\nwhile :; do wait; done\n")
	r := run(t, Config{Command: []string{file}})
	var pids []byte
	eventually(t, "the client's numbers", func() (ok bool) {
		var err error
		pids, err = os.ReadFile(mark)
		return err == nil
	})
	xvfb := child(t, "Xvfb")
	r.stop()
	if err := <-r.result; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	r.result <- nil
	for _, pid := range append(strings.Fields(string(pids)), fmt.Sprint(xvfb.pid)) {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		if p, _ := parseStat(b); err == nil && p.state != 'Z' {
			t.Errorf("process %s (%s) is left", pid, p.name)
		}
	}
}

func TestIdleSessionEnds(t *testing.T) {
	r := run(t, Config{Command: terminal(endless), IdleExit: 500 * time.Millisecond})
	select {
	case err := <-r.result:
		if !errors.Is(err, ErrIdle) {
			t.Errorf("Run returned %v, want %v", err, ErrIdle)
		}
	case <-time.After(long):
		t.Fatal("the session does not end")
	}
	r.result <- nil
}

func TestAttachedDisplayThatIsNotThere(t *testing.T) {
	s, err := New(Config{Display: ":59001"})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), ":59001") {
		t.Errorf("Run returned %v, want an error that names the display", err)
	}
}

// after is what follows the first mark in text.
func after(text, mark string) string {
	_, rest, _ := strings.Cut(text, mark)
	return rest
}

func TestStopWithAnXServerThatHangs(t *testing.T) {
	r := run(t, Config{Command: terminal(endless)})
	r.watch()
	r.sees()
	xvfb := child(t, "Xvfb")
	if err := syscall.Kill(xvfb.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.leave()
	r.stop()
	if err := <-r.result; !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v", err)
	}
	r.result <- nil
	r.logged("Xvfb does not end; killing it")
}

// The session's own X server keeps no keys from the client.
func TestKeysOfTheOwnServer(t *testing.T) {
	r := run(t, Config{Command: terminal(endless)})
	r.watch()
	r.sees()
	auth, err := filepath.Glob(filepath.Join(r.dir, "*", "Xauthority"))
	if err != nil || len(auth) != 1 {
		t.Fatalf("the cookie is in %v, %v", auth, err)
	}
	c, err := xconn.Dial(t.Context(), display(t, r), auth[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		c.Close()
		for ev, err := c.WaitForEvent(); ev != nil || err != nil; ev, err = c.WaitForEvent() {
		}
	}()
	m, err := xproto.GetKeyboardMapping(c.Conn, 68, 1).Reply()
	if err != nil {
		t.Fatal(err)
	}
	const f2 = 0xffbf
	for _, sym := range m.Keysyms {
		if sym != f2 && sym != 0 {
			t.Errorf("F2 has the symbols %x", m.Keysyms)
			break
		}
	}
}
