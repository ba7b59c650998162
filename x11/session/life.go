package session

import (
	"context"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/notice"
	"github.com/ironglass/ironglass/x11"
	"github.com/ironglass/ironglass/x11/kiosk"
	"github.com/ironglass/ironglass/x11/xvfb"
)

const (
	// patience is how long a client's first window is waited for before the
	// display is shown without one.
	patience = 10 * time.Second
	// settle is how long the end of one of X server, connection and client
	// may precede the end of another that it is only the consequence of.
	settle = 200 * time.Millisecond
	// stuckServer is how long an X server that has closed the connection may
	// take to end before it counts as running.
	stuckServer = 2 * time.Second
	// shownLines is how many lines of a client's output a notice has.
	shownLines = 6
)

// life is the life of one X server, or of one attachment to it, with the
// clients in it. One goroutine, run's, owns it.
type life struct {
	*Session
	parent *parent

	xserver *xvfb.Server // nil where it is not ours
	dir     *runtimeDir  // its files; nil where it is not ours
	name    string       // of the display
	auth    string
	fb      string // the framebuffer file, or ""
	opened  time.Time

	picture *picture       // nil while not connected
	manager *kiosk.Manager // of windows; nil where they are not ours

	client  *client // nil while none runs
	ending  bool    // it was asked to end, as nobody is there
	started time.Time
	pace    backoff
	again   *time.Timer // the next start of the client
	waiting *time.Timer // for the client's first window
}

// lived is how long the display was there.
func (l *life) lived() time.Duration {
	if l.opened.IsZero() {
		return 0
	}
	return time.Since(l.opened)
}

func (l *life) lostHeadline() string {
	if l.cfg.Display != "" {
		return "The X display " + l.cfg.Display + " was lost"
	}
	return "The X server ended"
}

// run opens the display and keeps the client running until ctx ends (nil) or
// the X server is gone (why). Nothing of it is left then.
func (l *life) run(ctx context.Context) error {
	l.again, l.waiting = stoppedTimer(), stoppedTimer()
	defer l.again.Stop()
	defer l.waiting.Stop()
	l.name, l.fb = l.cfg.Display, l.cfg.Framebuffer
	if l.name == "" {
		if err := l.startServer(ctx); err != nil {
			return err
		}
	}
	defer l.stopServer()
	if err := l.connect(ctx, l.cfg.Width, l.cfg.Height); err != nil {
		return err
	}
	l.opened = time.Now()
	defer l.disconnect()
	// The windows are managed before anything can open one.
	if err := l.manage(ctx); err != nil {
		return err
	}
	defer l.unmanage()
	switch {
	case len(l.cfg.Command) == 0:
		l.show()
	case l.demand.wants():
		l.startClient()
	default:
		l.standBy()
	}
	err := l.watch(ctx)
	if ctx.Err() != nil {
		// Nobody need see how things come down. Run waits for it; here the
		// display may have to be closed first.
		go l.server.Close()
	} else {
		l.screen.showNotice(notice.Message{Headline: l.lostHeadline(), Lines: []string{reason(err)}, Tone: notice.Warning})
	}
	if l.client != nil {
		l.client.stop()
	}
	return err
}

// watch is the life's loop.
func (l *life) watch(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.serverDone():
			return l.xserver.Err()
		case <-l.picture.Done():
			if err := l.reconnect(ctx, l.picture.Err()); err != nil {
				return err
			}
		case lost := <-l.screen.lost:
			if lost.src != rfb.Source(l.picture) {
				continue // an earlier one
			}
			if err := l.reconnect(ctx, lost.err); err != nil {
				return err
			}
		case <-l.clientEnded():
			if l.ending {
				l.clientRests()
			} else if !l.consequence(ctx) {
				l.restartClient()
			}
		case <-l.demand.changed:
			l.demanded()
		case sig := <-l.signals:
			if l.client != nil {
				l.client.signal(sig)
			}
		case <-l.again.C:
			l.startClient()
		case <-l.mapped():
			if l.client != nil && !l.ending {
				l.show()
			}
		case <-l.managerDone():
			if err := l.manageAgain(ctx); err != nil {
				return err
			}
		case <-l.waiting.C:
			l.log.Warn("the client shows no window; the display is shown without one", "program", l.client.name)
			l.show()
		}
	}
}

// show shows the display where there is something on it to be seen.
func (l *life) show() {
	l.waiting.Stop()
	if l.screen.showDisplay(l.picture) {
		l.log.Debug("the display is shown", "display", l.name)
	}
}

// startServer runs an X server of our own.
func (l *life) startServer(ctx context.Context) error {
	var err error
	if l.dir, err = makeRuntimeDir(l.cfg.RuntimeDir, l.log); err != nil {
		return err
	}
	err = l.parent.start(func() (pid int, err error) {
		l.xserver, err = xvfb.Start(ctx, xvfb.Config{
			Width: l.cfg.Width, Height: l.cfg.Height, Dir: l.dir.path, Log: l.log,
		})
		if err != nil {
			return 0, err
		}
		return l.xserver.Pid(), nil
	})
	if err != nil {
		l.dir.remove()
		return err
	}
	l.name, l.auth, l.fb = l.xserver.Display, l.xserver.Auth, l.xserver.Framebuffer
	return nil
}

// stopServer ends our X server and removes its files.
func (l *life) stopServer() {
	if l.xserver == nil {
		return
	}
	if err := l.xserver.Stop(); err != nil {
		l.log.Warn("what the X server left behind cannot be removed", "err", err)
	}
	l.parent.forget(l.xserver.Pid())
	l.dir.remove()
}

// serverDone is closed when our X server has ended.
func (l *life) serverDone() <-chan struct{} {
	if l.xserver == nil {
		return nil
	}
	return l.xserver.Done()
}

// connect opens the display, and gives it a size where that is not zero.
func (l *life) connect(ctx context.Context, width, height int) error {
	cfg := x11.Config{Display: l.name, Auth: l.auth, Framebuffer: l.fb, ViewOnly: l.cfg.ViewOnly,
		Selections: l.cfg.Selections, Rested: l.cfg.Rested, Log: l.log}
	if l.xserver != nil {
		cfg.Width, cfg.Height, cfg.OwnServer = width, height, true
	}
	d, err := x11.Open(ctx, cfg)
	if err != nil {
		return err
	}
	l.picture = &picture{Display: d}
	l.displayStarts.Add(1)
	return nil
}

// disconnect closes the display, which is not shown any more.
func (l *life) disconnect() { l.picture.close() }

// reconnect follows the loss of the connection. That is the X server's end
// mostly, which is returned then. Else the X server and the client go on, and
// a new connection is made.
func (l *life) reconnect(ctx context.Context, err error) error {
	if err == nil {
		err = x11.ErrLost
	}
	if l.xserver == nil {
		return err
	}
	if gone, err := l.serverEnds(ctx); gone {
		return err
	}
	l.log.Warn("the connection to the X server was lost; making a new one", "err", err)
	shown := !l.screen.showsNotice()
	l.screen.showNotice(notice.Message{Headline: "The connection to the X server was lost", Lines: []string{reason(err)}, Tone: notice.Warning})
	old := l.picture
	if err := l.connect(ctx, 0, 0); err != nil {
		return err
	}
	old.close()
	switch {
	case shown || l.client != nil && !l.ending:
		l.show()
	case !l.demand.wants():
		l.standBy()
	}
	return nil
}

// serverEnds waits a moment for the end of our X server, which has closed a
// connection, and reports whether it came, and why; or whether ctx ended.
func (l *life) serverEnds(ctx context.Context) (bool, error) {
	t := time.NewTimer(stuckServer)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return true, nil
	case <-l.xserver.Done():
		return true, l.xserver.Err()
	case <-t.C:
		return false, nil
	}
}
