// Package xvfb runs Xvfb, an X server that draws into memory: on a display
// number of its own choice, with a cookie of its own, and with its picture in
// a file that can be mapped.
package xvfb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ironglass/ironglass/x11/xconn"
)

// ErrMissing is wrapped where the Xvfb program is not installed.
var ErrMissing = errors.New("the X server Xvfb is not installed")

// Config is how an X server is started. The zero value works.
type Config struct {
	// Width and Height are the screen's first size in pixels; default
	// 1280x1024. The server itself starts at the largest size: x11.Open
	// sets this one.
	Width, Height int
	// MaxWidth and MaxHeight are the largest size that the screen can be
	// given, and so the size of the framebuffer file; default 1920x1200, and
	// never less than Width and Height.
	MaxWidth, MaxHeight int
	// Depth is the depth of the screen in bits; default 24.
	Depth int
	// Dir is an existing private directory for this server's framebuffer and
	// cookie. Empty is a new one, which Stop removes.
	Dir string
	// Program is the program to run; default Xvfb, looked up in $PATH.
	Program string
	// Args are further arguments for it.
	Args []string
	// StartTimeout is how long the server may take to be ready; default 30 s.
	StartTimeout time.Duration
	// StopTimeout is how long it may take to end before it is killed; default
	// 5 s.
	StopTimeout time.Duration
	// Log takes what happens; nil is discarded.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Width == 0 {
		c.Width = 1280
	}
	if c.Height == 0 {
		c.Height = 1024
	}
	if c.MaxWidth == 0 {
		c.MaxWidth = 1920
	}
	if c.MaxHeight == 0 {
		c.MaxHeight = 1200
	}
	c.MaxWidth, c.MaxHeight = max(c.MaxWidth, c.Width), max(c.MaxHeight, c.Height)
	if c.Depth == 0 {
		c.Depth = 24
	}
	if c.Program == "" {
		c.Program = "Xvfb"
	}
	if c.StartTimeout == 0 {
		c.StartTimeout = 30 * time.Second
	}
	if c.StopTimeout == 0 {
		c.StopTimeout = 5 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// sizeLimit is the largest side of a screen in X, whose coordinates are
// signed 16-bit numbers.
const sizeLimit = 32767

func (c Config) validate() error {
	if c.Width < 1 || c.Height < 1 || c.MaxWidth < 1 || c.MaxHeight < 1 || c.MaxWidth > sizeLimit || c.MaxHeight > sizeLimit {
		return fmt.Errorf("starting Xvfb: a screen of %dx%d (largest %dx%d) is not from 1x1 to %dx%d pixels",
			c.Width, c.Height, c.MaxWidth, c.MaxHeight, sizeLimit, sizeLimit)
	}
	return nil
}

// Server is a running Xvfb. The fields do not change; the methods may be used
// from any goroutine.
type Server struct {
	// Display is the display's name, such as ":1".
	Display string
	// Auth is the X authority file that clients need as $XAUTHORITY.
	Auth string
	// Framebuffer is the file that holds the picture, in XWD format.
	Framebuffer string
	// Width and Height are the size that the screen is meant to have in
	// pixels, until somebody resizes it.
	Width, Height int

	cfg    Config
	cmd    *exec.Cmd
	dir    string      // of the framebuffer and the cookie
	stderr *tail       // what it says
	socket os.FileInfo // of the display's socket file, nil where there is none

	done chan struct{} // closed by run when the process has ended
	err  error         // why, set before done is closed
}

// Start runs a server and returns when it takes connections. ctx ends the
// waiting only: the server lives until Stop. An error wraps ErrMissing where
// there is no such program; else it has the server's own last words.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	program, err := exec.LookPath(cfg.Program)
	if err != nil {
		return nil, fmt.Errorf("%w (apt-get install xvfb): %w", ErrMissing, err)
	}
	s := &Server{cfg: cfg, Width: cfg.Width, Height: cfg.Height, done: make(chan struct{})}
	if s.dir = cfg.Dir; s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "ironglass-x-"); err != nil {
			return nil, fmt.Errorf("starting Xvfb: %w", err)
		}
	}
	s.Auth = filepath.Join(s.dir, "Xauthority")
	s.Framebuffer = filepath.Join(s.dir, "Xvfb_screen0")
	if err := s.launch(ctx, program); err != nil {
		_ = s.removeFiles()
		return nil, err
	}
	return s, nil
}

// launch runs the program and waits for the number of its display.
func (s *Server) launch(ctx context.Context, program string) error {
	// A new file in any case: an earlier server's may still be mapped by those
	// who show its last picture.
	if err := removeFile(s.Framebuffer); err != nil {
		return fmt.Errorf("starting Xvfb: %w", err)
	}
	if err := xconn.WriteAuthority(s.Auth, xconn.NewCookie()); err != nil {
		return fmt.Errorf("starting Xvfb: %w", err)
	}
	numberR, numberW, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting Xvfb: %w", err)
	}
	defer func() { _ = numberR.Close() }()
	var stderrW *os.File
	if s.stderr, stderrW, err = newTail(); err != nil {
		_ = numberW.Close()
		return fmt.Errorf("starting Xvfb: %w", err)
	}
	s.cmd = exec.Command(program, append([]string{
		"-displayfd", "3", // the first free display, found by binding it
		"-screen", "0", fmt.Sprintf("%dx%dx%d", s.cfg.MaxWidth, s.cfg.MaxHeight, s.cfg.Depth),
		"-fbdir", s.dir,
		"-auth", s.Auth,
		"-nolisten", "tcp",
		"-noreset",
		"-s", "0", "-dpms", // a console is looked at, not saved
		"-dpi", "96",
	}, s.cfg.Args...)...)
	s.cmd.ExtraFiles = []*os.File{numberW}
	s.cmd.Stderr = stderrW
	s.cmd.SysProcAttr = &syscall.SysProcAttr{
		// Should we be killed the server ends by itself, and a server that
		// was asked to end removes its socket.
		Pdeathsig: syscall.SIGTERM,
		// Ctrl-C in a terminal is for us: we end the server in good order.
		Setpgid: true,
	}
	started := make(chan error, 1)
	go s.run(started)
	err = <-started
	_ = numberW.Close()
	_ = stderrW.Close()
	if err != nil {
		_ = s.stderr.r.Close()
		return fmt.Errorf("starting Xvfb: %w", err)
	}
	number, err := s.readNumber(ctx, numberR)
	if err != nil {
		select {
		case <-s.done: // it said why
			return fmt.Errorf("starting Xvfb: %w", s.err)
		default:
		}
		_ = s.Stop()
		return fmt.Errorf("starting Xvfb: %w", err)
	}
	// Until now it complained of display numbers in use, which would be taken
	// for the reason of its end.
	s.stderr.forget()
	s.Display = ":" + strconv.Itoa(number)
	s.socket, _ = os.Lstat(s.socketPath())
	s.cfg.Log.Info("Xvfb is ready", "display", s.Display, "pid", s.cmd.Process.Pid)
	return nil
}

// lastWords is how long what the server said is waited for after its end,
// where a helper of it (xkbcomp) keeps the pipe open.
const lastWords = time.Second

// run starts the process and waits for its end. The kernel sends the parent
// death signal when the thread that started a process ends, not when the
// whole parent does, so the goroutine keeps its thread until then.
func (s *Server) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := s.cmd.Start(); err != nil {
		close(s.done)
		started <- err
		return
	}
	go s.stderr.read()
	started <- nil
	err := s.cmd.Wait()
	_ = s.stderr.r.SetReadDeadline(time.Now().Add(lastWords)) // a pipe can have one
	<-s.stderr.ended
	if said := s.stderr.String(); said != "" {
		s.err = fmt.Errorf("the X server Xvfb ended (%s) saying: %s", s.cmd.ProcessState, said)
	} else {
		s.err = fmt.Errorf("the X server Xvfb ended (%s)", s.cmd.ProcessState)
	}
	s.cfg.Log.Info("Xvfb ended", "pid", s.cmd.Process.Pid, "error", err)
	close(s.done)
}

// readNumber waits for the display number, which the server writes as a line
// once it takes connections.
func (s *Server) readNumber(ctx context.Context, r *os.File) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.StartTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var line []byte
	for b := make([]byte, 16); len(line) < 16; {
		n, err := r.Read(b)
		line = append(line, b[:n]...)
		if text, _, ok := strings.Cut(string(line), "\n"); ok {
			number, err := strconv.Atoi(text)
			if err != nil {
				return 0, fmt.Errorf("it named its display %q", text)
			}
			return number, nil
		}
		switch {
		case errors.Is(err, io.EOF):
			// It closed the pipe unwritten: it is ending.
			select {
			case <-s.done:
			case <-ctx.Done():
			}
			return 0, errors.New("it ended at once")
		case err != nil && ctx.Err() != nil:
			return 0, fmt.Errorf("it was not ready in time: %w", ctx.Err())
		case err != nil:
			return 0, err
		}
	}
	return 0, fmt.Errorf("it named its display %q", line)
}

// Done is closed when the server has ended, for whatever reason.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says why the server ended: its exit status and its last words. It is
// nil while it runs.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Wait waits for the server's end and says why it came.
func (s *Server) Wait() error {
	<-s.done
	return s.err
}

// Pid is the process id of the server.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Environ is what clients of this display need in their environment.
func (s *Server) Environ() []string {
	return []string{"DISPLAY=" + s.Display, "XAUTHORITY=" + s.Auth}
}

// Stop ends the server, waits for it, and removes what it left behind. It may
// be called more than once, and must be called also after the server ended by
// itself.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	t := time.NewTimer(s.cfg.StopTimeout)
	defer t.Stop()
	select {
	case <-s.done:
	case <-t.C:
		s.cfg.Log.Warn("Xvfb does not end; killing it", "display", s.Display)
		_ = s.cmd.Process.Kill()
		<-s.done
	}
	return s.cleanUp()
}

func (s *Server) socketPath() string { return "/tmp/.X11-unix/X" + strings.TrimPrefix(s.Display, ":") }

// cleanUp removes what a killed server could not: its socket, a lock file that
// names it, and the files of its directory.
func (s *Server) cleanUp() error {
	if s.Display != "" {
		if now, err := os.Lstat(s.socketPath()); err == nil && s.ours(now) {
			_ = os.Remove(s.socketPath())
		}
		lock := "/tmp/.X" + strings.TrimPrefix(s.Display, ":") + "-lock"
		if b, err := os.ReadFile(lock); err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(s.Pid()) {
			_ = os.Remove(lock)
		}
	}
	return s.removeFiles()
}

// ours reports whether a socket file is the one that this server made. Another
// server may have taken the number over since, and the file system may have
// given its socket the number of the file that was ours, but not its time.
func (s *Server) ours(file os.FileInfo) bool {
	return s.socket != nil && os.SameFile(file, s.socket) && file.ModTime().Equal(s.socket.ModTime())
}

func (s *Server) removeFiles() error {
	if s.cfg.Dir == "" {
		return os.RemoveAll(s.dir)
	}
	return errors.Join(removeFile(s.Auth), removeFile(s.Framebuffer))
}

func removeFile(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
