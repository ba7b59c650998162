package xvfb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/jezek/xgb/xproto"
	"go.uber.org/goleak"
)

// orphanVariable makes the test program one that starts a server, says its
// process id and display, and waits to be killed.
const orphanVariable = "XVFB_TEST_ORPHAN"

func TestMain(m *testing.M) {
	if os.Getenv(orphanVariable) != "" {
		s, err := Start(context.Background(), Config{Width: 64, Height: 48, Dir: os.Getenv(orphanVariable)})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(s.Pid(), s.Display)
		select {}
	}
	goleak.VerifyTestMain(m)
}

const patience = 60 * time.Second

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Start(t.Context(), cfg)
	if errors.Is(err, ErrMissing) && os.Getenv("CI") != "true" {
		t.Skip(err) // a machine without Xvfb cannot run this
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// geometry asks the server for the size of its screen.
func geometry(t *testing.T, display, auth string) (w, h int, err error) {
	t.Helper()
	c, err := xconn.Dial(t.Context(), display, auth)
	if err != nil {
		return 0, 0, err
	}
	screen := xproto.Setup(c.Conn).DefaultScreen(c.Conn)
	c.Close()
	for {
		if ev, err := c.WaitForEvent(); ev == nil && err == nil {
			return int(screen.WidthInPixels), int(screen.HeightInPixels), nil
		}
	}
}

// gone fails the test where anything is left of a server.
func gone(t *testing.T, s *Server) {
	t.Helper()
	number := strings.TrimPrefix(s.Display, ":")
	for _, file := range []string{"/tmp/.X11-unix/X" + number, s.Auth, s.Framebuffer} {
		if st, err := os.Lstat(file); err == nil {
			if file == s.socketPath() && !s.ours(st) {
				continue // another server took the number over already
			}
			t.Errorf("%s is left", file)
		}
	}
	if b, err := os.ReadFile("/tmp/.X" + number + "-lock"); err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(s.Pid()) {
		t.Error("the lock file is left")
	}
	if err := syscall.Kill(s.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process is left: %v", err)
	}
}

func TestStartAndStop(t *testing.T) {
	s := start(t, Config{Width: 800, Height: 600})
	if w, h, err := geometry(t, s.Display, s.Auth); err != nil || w != 1920 || h != 1200 {
		t.Errorf("the screen is %dx%d, %v", w, h, err)
	}
	st, err := os.Stat(s.Framebuffer)
	if err != nil || st.Size() < 1920*1200*4 {
		t.Errorf("the framebuffer is %v, %v", st, err)
	}
	if dir, err := os.Stat(filepath.Dir(s.Auth)); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v", dir, err)
	}
	if err := s.Err(); err != nil {
		t.Errorf("an error while it runs: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if s.Err() == nil || s.Wait() == nil {
		t.Error("no reason for its end")
	}
	gone(t, s)
	if _, err := os.Stat(filepath.Dir(s.Auth)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the folder is left")
	}
	if err := s.Stop(); err != nil {
		t.Error("stopping it again:", err)
	}
}

func TestNeedsTheCookie(t *testing.T) {
	s := start(t, Config{})
	if _, _, err := geometry(t, s.Display, os.DevNull); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("without a cookie: %v", err)
	}
	other := filepath.Join(t.TempDir(), "Xauthority")
	if err := xconn.WriteAuthority(other, xconn.NewCookie()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := geometry(t, s.Display, other); err == nil {
		t.Error("any cookie will do")
	}
}

// Nobody reaches the server but over its socket, with the cookie, which is for
// its user alone.
func TestListensOnNoPort(t *testing.T) {
	s := start(t, Config{})
	if info, err := os.Stat(s.Auth); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the cookie's file is %v, %v", info, err)
	}
	own := make(map[string]bool) // the server's sockets, as socket:[INODE]
	dir := fmt.Sprintf("/proc/%d/fd/", s.Pid())
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sockets := 0
	for _, f := range files {
		if to, err := os.Readlink(dir + f.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			own[strings.Trim(to, "socket:[]")] = true
			sockets++
		}
	}
	if sockets == 0 {
		t.Fatal("the server has no socket at all: nothing is looked at")
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if errors.Is(err, os.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 9 && own[f[9]] {
				t.Errorf("a socket of the server is in %s: %s", table, line)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	dir := t.TempDir()
	s := start(t, Config{Dir: dir, MaxWidth: 640, MaxHeight: 400, Width: 700, Height: 300})
	if filepath.Dir(s.Framebuffer) != dir || filepath.Dir(s.Auth) != dir {
		t.Errorf("its framebuffer is %s", s.Framebuffer)
	}
	if w, h, err := geometry(t, s.Display, s.Auth); err != nil || w != 700 || h != 400 {
		t.Errorf("the screen is %dx%d, %v", w, h, err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}

// Killed, it cannot tidy up itself.
func TestKilled(t *testing.T) {
	s := start(t, Config{})
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("its end was not noticed")
	}
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the reason is %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	gone(t, s)
}

func TestHangs(t *testing.T) {
	s := start(t, Config{StopTimeout: 10 * time.Millisecond})
	if err := syscall.Kill(s.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	gone(t, s)
}

// Many at once must not get in each other's way.
func TestManyAtOnce(t *testing.T) {
	const many = 6
	servers := make([]*Server, many)
	var all sync.WaitGroup
	for i := range servers {
		all.Go(func() {
			var err error
			if servers[i], err = Start(t.Context(), Config{Width: 64, Height: 48, MaxWidth: 64, MaxHeight: 48}); err != nil {
				if !errors.Is(err, ErrMissing) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	seen := make(map[string]bool)
	for _, s := range servers {
		if s == nil {
			continue
		}
		if seen[s.Display] {
			t.Errorf("display %s twice", s.Display)
		}
		seen[s.Display] = true
		if w, h, err := geometry(t, s.Display, s.Auth); err != nil || w != 64 || h != 48 {
			t.Errorf("%s: %dx%d, %v", s.Display, w, h, err)
		}
	}
	for _, s := range servers {
		if s != nil {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			gone(t, s)
		}
	}
}

func TestErrors(t *testing.T) {
	start(t, Config{}) // is it there at all?
	for _, c := range []struct {
		name string
		cfg  Config
		want error
		says string
	}{
		{"not installed", Config{Program: "Xvfb-not-installed"}, ErrMissing, "apt-get install xvfb"},
		{"bad argument", Config{Args: []string{"-nonsense"}}, nil, "nonsense"},
		{"bad depth", Config{Depth: 77}, nil, "Xvfb ended"},
		{"bad size", Config{Width: -3}, nil, "-3x1024"},
		{"too large", Config{Width: 40000}, nil, "32767"},
		{"no folder", Config{Dir: "/nonexistent"}, os.ErrNotExist, "/nonexistent"},
		{"not an X server", Config{Program: "true"}, nil, "ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Start(t.Context(), c.cfg)
			if err == nil {
				_ = s.Stop()
				t.Fatal("it started")
			}
			if c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	t.Run("never ready", func(t *testing.T) {
		script := filepath.Join(t.TempDir(), "silent")
		if err := os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 1000\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := Start(ctx, Config{Program: script}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
}

// The server ends with the process that started it, however that ends.
func TestEndsWithItsParent(t *testing.T) {
	start(t, Config{}) // is it there at all?
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), orphanVariable+"="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	var display string
	if _, err := fmt.Sscan(line, &pid, &display); err != nil {
		t.Fatalf("it said %q", line)
	}
	_ = cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	for deadline := time.Now().Add(patience); ; {
		// In a container the orphan may stay behind as a zombie.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the server lives on")
		}
	}
}

func TestTail(t *testing.T) {
	b, w, err := newTail()
	if err != nil {
		t.Fatal(err)
	}
	go b.read()
	say := func(text string) {
		t.Helper()
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	// Whatever was said before is forgotten, read already or not.
	for i := range 300 {
		say(fmt.Sprintf("early %d\n", i))
		b.forget()
		if got := b.String(); got != "" {
			t.Fatalf("%q is not forgotten", got)
		}
	}
	for i := range 5000 {
		say(fmt.Sprintf("(EE) line %d\n(EE) \n", i))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	<-b.ended
	if got, want := b.String(), "line 4997; line 4998; line 4999"; got != want {
		t.Errorf("%q", got)
	}
	if len(b.b) > tailSize {
		t.Errorf("%d bytes are kept", len(b.b))
	}
	b.forget() // after the end nothing is left to forget, and no harm done
}

// What a server said about display numbers that are in use is not why it
// ended later.
func TestLastWords(t *testing.T) {
	first := start(t, Config{Width: 64, Height: 48})
	_ = first // holds a number, so that the second one has something to say
	s := start(t, Config{Width: 64, Height: 48})
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(); err == nil || !strings.Contains(err.Error(), "killed") || strings.Contains(err.Error(), "saying") {
		t.Errorf("the reason is %v", err)
	}
	// What it says when it fails is.
	script := filepath.Join(t.TempDir(), "server")
	const text = "#!/bin/sh\ntrap 'kill $!; echo out of memory >&2; exit 3' TERM\nsleep 1000 >&- 2>&- 3>&- &\n" +
		"echo server already running >&2\necho 59999 >&3\nwait\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	s = start(t, Config{Program: script})
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := s.Err(); err == nil || !strings.HasSuffix(err.Error(), "(exit status 3) saying: out of memory") {
		t.Errorf("the reason is %v", err)
	}
}

// The socket of a server that took over the number of one that was killed is
// left alone, also where its file has the number of the one before.
func TestNumberTakenOver(t *testing.T) {
	s := start(t, Config{Width: 64, Height: 48})
	if err := syscall.Kill(s.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if err := os.Remove(s.socketPath()); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", s.socketPath())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(s.socketPath()); err != nil {
		t.Errorf("the socket of the server that followed is gone: %v", err)
	}
}
