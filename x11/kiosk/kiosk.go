// Package kiosk manages the windows of an X display that is one program's
// console: its windows fill the screen and follow its size, its dialogues
// stand in the middle, and the newest window has the keyboard. Nothing is
// decorated and nothing can be moved away or made small.
package kiosk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// Config is how a display's windows are managed.
type Config struct {
	// Display is the display's name, such as ":1"; empty is $DISPLAY.
	Display string
	// Auth is the X authority file; empty is $XAUTHORITY or ~/.Xauthority.
	Auth string
	// Keep is how long the picture of the last window stays when that is
	// gone; default 3 s, negative is not at all.
	Keep time.Duration
	// Log takes what happens; nil is discarded.
	Log *slog.Logger
}

// Manager manages a display's windows from Start until Close or the X
// server's end.
//
// It has a connection of its own: it asks the server much, and gets errors for
// windows that are gone by then, which must neither delay nor be mixed with
// what the connection that follows the picture does; and it can be given up
// alone. Its goroutines are receive, which takes events off the connection at
// once, for replies wait behind them, and manage, which owns all fields
// without another owner.
type Manager struct {
	log     *slog.Logger
	conn    *xconn.Conn
	root    xproto.Window
	check   xproto.Window // our own window, by which we are known
	atoms   map[string]xproto.Atom
	windows []*window // in the order of their stacking, the topmost last
	width   int       // of the screen in pixels
	height  int
	active  xproto.Window // the window that has the keyboard
	// wanted is to have the keyboard as soon as the server's time is known.
	wanted xproto.Window
	keeper keeper
	// aside says that another window manager runs, so we only look on.
	aside bool

	mapped chan struct{} // capacity 1: a window was mapped

	mu    sync.Mutex // guards what follows
	queue []xgb.Event
	wake  chan struct{} // capacity 1: the queue is not empty
	lost  chan struct{} // closed by receive at its end
	done  chan struct{} // closed by manage at its end
}

// queueLimit bounds the events that wait to be looked at. A program that
// causes more of them in a moment gets less attention.
const queueLimit = 1 << 16

// Start takes over the display's windows, those that are there and those that
// come. Where another window manager runs, it leaves them to that one and
// says so in the log. ctx ends the starting only.
func Start(ctx context.Context, cfg Config) (*Manager, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	conn, err := xconn.Dial(ctx, cfg.Display, cfg.Auth)
	if err != nil {
		return nil, err
	}
	m := &Manager{
		log: cfg.Log, conn: conn, mapped: make(chan struct{}, 1),
		wake: make(chan struct{}, 1), lost: make(chan struct{}), done: make(chan struct{}),
	}
	m.keeper.keep = cmp.Or(cfg.Keep, 3*time.Second)
	m.keeper.end = time.NewTimer(time.Hour)
	m.keeper.end.Stop()
	go m.receive()
	stop := context.AfterFunc(ctx, conn.Close)
	err = m.takeOver()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		<-m.lost
		return nil, fmt.Errorf("managing the windows of X display %s: %w", cfg.Display, err)
	}
	go m.manage()
	return m, nil
}

// Mapped has a token when a window was mapped since the last was taken.
func (m *Manager) Mapped() <-chan struct{} { return m.mapped }

// Done is closed when the manager has ended: after Close, or because the X
// server is gone.
func (m *Manager) Done() <-chan struct{} { return m.done }

// Close ends the management and leaves the windows as they are. It may be
// called more than once.
func (m *Manager) Close() error {
	m.conn.Close()
	<-m.done
	return nil
}

// receive takes the connection's events until it ends.
func (m *Manager) receive() {
	defer close(m.lost)
	for {
		ev, xerr := m.conn.WaitForEvent()
		if ev == nil && xerr == nil {
			return
		}
		if xerr != nil {
			// A window went away before our request arrived.
			m.log.Debug("X error", "error", xerr)
			continue
		}
		m.mu.Lock()
		if len(m.queue) < queueLimit {
			m.queue = append(m.queue, ev)
		}
		m.mu.Unlock()
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

// manage handles the events until the connection ends.
func (m *Manager) manage() {
	defer close(m.done)
	defer m.keeper.end.Stop()
	for {
		select {
		case <-m.lost:
			return
		case <-m.keeper.end.C:
			m.letGo()
			continue
		case <-m.wake:
		}
		m.mu.Lock()
		events := m.queue
		m.queue = nil
		m.mu.Unlock()
		for _, ev := range events {
			m.handle(ev)
		}
	}
}

// takeOver makes us the display's window manager.
func (m *Manager) takeOver() error {
	c := m.conn.Conn
	screen := xproto.Setup(c).DefaultScreen(c)
	m.root = screen.Root
	if err := m.internAtoms(); err != nil {
		return err
	}
	const watch = xproto.EventMaskSubstructureNotify
	const rule = watch | xproto.EventMaskSubstructureRedirect | xproto.EventMaskStructureNotify
	err := xproto.ChangeWindowAttributesChecked(c, m.root, xproto.CwEventMask, []uint32{rule}).Check()
	var access xproto.AccessError
	if errors.As(err, &access) {
		m.aside = true
		m.log.Info("another window manager runs; the windows are left to it")
		err = xproto.ChangeWindowAttributesChecked(c, m.root, xproto.CwEventMask, []uint32{watch}).Check()
	}
	if err != nil {
		return err
	}
	if m.aside {
		return nil
	}
	g, err := xproto.GetGeometry(c, xproto.Drawable(m.root)).Reply()
	if err != nil {
		return err
	}
	m.width, m.height = int(g.Width), int(g.Height)
	if err := m.announce(); err != nil {
		return err
	}
	m.arrow()
	if err := m.makeKeeper(); err != nil {
		return err
	}
	return m.adopt()
}

// arrow gives the background the usual pointer, in place of X's cross. Where
// the server has no cursor font the cross stays.
func (m *Manager) arrow() {
	c := m.conn.Conn
	font, err := xproto.NewFontId(c)
	if err != nil {
		return
	}
	cursor, err := xproto.NewCursorId(c)
	if err != nil {
		return
	}
	const name, leftPointer = "cursor", 68
	const white = 0xffff
	xproto.OpenFont(c, font, uint16(len(name)), name)
	xproto.CreateGlyphCursor(c, cursor, font, font, leftPointer, leftPointer+1, 0, 0, 0, white, white, white)
	xproto.ChangeWindowAttributes(c, m.root, xproto.CwCursor, []uint32{uint32(cursor)})
	xproto.FreeCursor(c, cursor)
	xproto.CloseFont(c, font)
}

// adopt manages the windows that are there already.
func (m *Manager) adopt() error {
	tree, err := xproto.QueryTree(m.conn.Conn, m.root).Reply()
	if err != nil {
		return err
	}
	for _, w := range tree.Children {
		a, err := xproto.GetWindowAttributes(m.conn.Conn, w).Reply()
		if err == nil && !a.OverrideRedirect && a.MapState == xproto.MapStateViewable {
			m.add(w)
		}
	}
	return nil
}

// handle handles one event.
func (m *Manager) handle(ev xgb.Event) {
	if ev, ok := ev.(xproto.MapNotifyEvent); ok && ev.Window != m.check && ev.Window != m.keeper.id {
		select {
		case m.mapped <- struct{}{}:
		default:
		}
	}
	if m.aside {
		return
	}
	switch ev := ev.(type) {
	case xproto.MapRequestEvent:
		m.add(ev.Window)
	case xproto.ConfigureRequestEvent:
		m.configure(ev)
	case xproto.UnmapNotifyEvent:
		m.remove(ev.Window)
	case xproto.DestroyNotifyEvent:
		m.remove(ev.Window)
	case xproto.ConfigureNotifyEvent:
		if ev.Window == m.root && (int(ev.Width) != m.width || int(ev.Height) != m.height) {
			m.width, m.height = int(ev.Width), int(ev.Height)
			m.announceSize()
			m.resizeKeeper()
			for _, w := range m.windows {
				m.fit(w)
			}
			m.keep()
		}
	case xproto.PropertyNotifyEvent:
		m.property(ev)
	case xproto.ClientMessageEvent:
		m.message(ev)
	}
}
