// Package session shows an X program to any number of RFB viewers for as long
// as they like: it runs an X server and the program in it, starts again what
// ends, and tells the viewers meanwhile, in the picture, what is going on.
package session

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/x11"
)

// ErrIdle is the cause of Run's end after Config.IdleExit without a viewer.
var ErrIdle = errors.New("no viewer was there for the time given")

// cacheBytes bounds what is kept encoded for a second viewer. A session has
// one mostly, the proxy, which fans out itself.
const cacheBytes = 4 << 20

// Config is how a session behaves. The zero value shows an empty X server; it
// must not change once a Session has it.
type Config struct {
	// Name is the desktop's name, and the title of notices.
	Name string
	// Width and Height are the size in pixels of the session's own X server,
	// default 1280x1024, and of notices before there is any picture.
	Width, Height int
	// Display, where not empty, is a running X server to attach to (":1");
	// the session then has no X server of its own and manages no windows.
	Display string
	// Framebuffer is the file that an Xvfb at Display keeps its screen in
	// (-fbdir), or empty.
	Framebuffer string
	// Command is the program to run on the display with its arguments, or
	// empty for none.
	Command []string
	// OnDemand, where not 0, lets the command start with the first viewer, and
	// ends it so long after the last one has left; 0 runs it always.
	OnDemand time.Duration
	// RuntimeDir is where the X server's files lie while it runs; default
	// $XDG_RUNTIME_DIR, else the system's folder for temporary files.
	RuntimeDir string
	// ViewOnly drops all viewers' input.
	ViewOnly bool
	// Selections says which of X's selections are the viewers' clipboard.
	Selections x11.Selections
	// Security lists what viewers are offered; nil is None alone.
	Security []security.Type
	// IdleExit ends the session, with ErrIdle, after so long without any
	// viewer, from its start too; 0 is never.
	IdleExit time.Duration
	// Reap makes this program the parent of what the command's programs leave
	// behind, collects it when it ends, and ends it with the session. It is
	// for programs whose only children are the session's.
	Reap bool
	// Log takes what happens; nil is discarded.
	Log *slog.Logger
	// Heavy is the server's (rfb.ServerConfig).
	Heavy func(begins bool)
	// Rested is the display's (x11.Config).
	Rested func()
	// Changed, if not nil, is called when the viewers or what they see have
	// changed. It must return at once.
	Changed func()
}

// Stats are running totals of a session.
type Stats struct {
	// DisplayStarts counts connections made to X servers, ClientStarts the
	// times that the command was started.
	DisplayStarts, ClientStarts uint64
	// Live says that viewers see the display and no notice.
	Live bool
}

// Session is an X session behind an RFB server. Its methods may be called
// from any goroutine.
type Session struct {
	cfg    Config
	log    *slog.Logger
	server *rfb.Server
	screen *screen
	idle   *idle
	demand *demand
	// signals are for the command.
	signals chan syscall.Signal
	// end ends Run with a cause; it is set before Run waits for anything.
	end atomic.Pointer[context.CancelCauseFunc]

	displayStarts, clientStarts atomic.Uint64
}

// New returns a session whose server can be served from at once; it shows a
// notice until Run has more. Run or Close must be called. The error wraps
// ErrNoProgram where Xvfb or the command is missing.
func New(cfg Config) (*Session, error) {
	if cfg.Width <= 0 || cfg.Height <= 0 {
		cfg.Width, cfg.Height = 1280, 1024
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Display == "" {
		if _, err := exec.LookPath("Xvfb"); err != nil {
			return nil, &missingError{"Xvfb is not installed or not in PATH: install it (apt-get install xvfb), or attach to a running X server (-display)"}
		}
	}
	if len(cfg.Command) > 0 {
		if _, err := findProgram(cfg.Command[0]); err != nil {
			return nil, err
		}
	}
	s := &Session{cfg: cfg, log: cfg.Log, demand: newDemand(cfg.OnDemand), signals: make(chan syscall.Signal, pendingSignals)}
	s.idle = &idle{after: cfg.IdleExit, expired: func() { s.endWith(ErrIdle) }}
	screen, first := newScreen(cfg.Name, cfg.Width, cfg.Height, starting("the X server"))
	screen.changed = s.changed
	s.screen = screen
	s.server = rfb.NewServer(first, rfb.ServerConfig{
		Name: cfg.Name, Width: cfg.Width, Height: cfg.Height,
		ViewOnly: cfg.ViewOnly, Security: cfg.Security, CacheBytes: cacheBytes, Heavy: cfg.Heavy, Log: cfg.Log,
		SourceEnded: screen.ended,
		ViewersChanged: func(n int) {
			s.idle.set(n)
			s.demand.set(n)
			s.changed()
		},
	})
	screen.server = s.server
	return s, nil
}

// Server is what shows the session. Run closes it.
func (s *Session) Server() *rfb.Server { return s.server }

// Close ends the server of a session that Run was not called for.
func (s *Session) Close() error {
	s.demand.stop()
	return s.server.Close()
}

// pendingSignals is how many signals may wait for the command.
const pendingSignals = 16

// Signal passes a signal on to the command's process, where one runs. Of more
// than can wait some are lost.
func (s *Session) Signal(sig syscall.Signal) {
	select {
	case s.signals <- sig:
	default:
	}
}

// Stats returns the totals so far.
func (s *Session) Stats() Stats {
	return Stats{
		DisplayStarts: s.displayStarts.Load(),
		ClientStarts:  s.clientStarts.Load(),
		Live:          !s.screen.showsNotice(),
	}
}

func (s *Session) changed() {
	if s.cfg.Changed != nil {
		s.cfg.Changed()
	}
}

func (s *Session) endWith(cause error) {
	if end := s.end.Load(); end != nil {
		(*end)(cause)
	}
}

// Run keeps the X server and the command running until ctx ends, whose cause
// it returns, until the session is idle (ErrIdle), or until the display cannot
// be had the first time. It is called once. When it returns nothing is left:
// no viewer, no process, no file.
func (s *Session) Run(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	s.end.Store(&end)
	defer s.server.Close()
	defer s.demand.stop()
	if s.cfg.IdleExit > 0 {
		s.idle.start()
		defer s.idle.stop()
	}
	var reap *reaper
	if s.cfg.Reap {
		var err error
		if reap, err = newReaper(s.log); err != nil {
			return err
		}
		stop := reap.begin()
		defer stop()
	}
	p := newParent(reap)
	defer p.close()
	return s.keepDisplay(ctx, p)
}

// keepDisplay runs one display after the other.
func (s *Session) keepDisplay(ctx context.Context, p *parent) error {
	var pace backoff
	for {
		l := &life{Session: s, parent: p}
		err := l.run(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if s.displayStarts.Load() == 0 {
			return err // what was never there is no fault that passes
		}
		pause := pace.next(l.lived())
		s.log.Warn("the display is lost and will be started again", "pause", pause, "err", err)
		s.screen.showNotice(again(l.lostHeadline(), []string{reason(err)}, time.Now().Add(pause)))
		if !sleep(ctx, pause) {
			return context.Cause(ctx)
		}
		s.screen.showNotice(starting("the X server"))
	}
}

// sleep waits for d; false says that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
