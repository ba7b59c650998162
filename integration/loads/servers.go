package loads

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Ours is the name of the server that the others are measured against.
const Ours = "ironglass"

// Servers are the names of the servers, ours first. "ironglass, attached" is
// ours on an X server that somebody else started, which is not asked for
// unless it is named.
var Servers = []string{Ours, "x11vnc", "X0tigervnc", "Xtigervnc"}

// Attached is Ours on somebody else's X server.
const Attached = "ironglass-attached"

// Proxied is Ours behind the central service, and Websockify is Xtigervnc
// behind websockify; viewers reach both over websockets, as browsers do.
const (
	Proxied    = "ironglass-proxy"
	Websockify = "websockify"
)

// running is a server with its X server and the program that draws.
type running struct {
	all     []*process // in the order of their starts
	address string     // of the RFB server, or the URL of its websocket
	screen  *screen
	// rfb and x are the processes' numbers, the same where the RFB server is
	// the X server. front is that of what stands before the RFB server, 0
	// where nothing does; the processes that it forks for viewers count, too.
	rfb, x, front int
}

// stop ends all that was started, the last first.
func (r *running) stop() error {
	var errs []error
	if r.screen != nil {
		r.screen.close() // ends the program that draws
	}
	for _, p := range slices.Backward(r.all) {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

func (r *running) start(env []string, number *string, name string, args ...string) (int, error) {
	p, err := start(env, number, name, args...)
	if err != nil {
		return 0, err
	}
	r.all = append(r.all, p)
	return p.cmd.Process.Pid, nil
}

// startServer starts what a cell names. dir is an empty folder that belongs to
// it. What was started is in the result even where there is an error.
func startServer(p Programs, c Cell, dir string) (*running, error) {
	r := new(running)
	port, err := freePort()
	if err != nil {
		return r, err
	}
	r.address = "127.0.0.1:" + port
	if r.screen, err = listen(filepath.Join(dir, "control")); err != nil {
		return r, err
	}
	geometry := fmt.Sprintf("%dx%d", c.Size.X, c.Size.Y)
	load := []string{p.Load, "-control", r.screen.path(), "-load", c.Load}

	var display string
	xvfb := func() error {
		r.x, err = r.start(nil, &display, "Xvfb", "-screen", "0", geometry+"x24", "-fbdir", dir, "-noreset", "-nolisten", "tcp")
		return err
	}
	draw := func() error {
		_, err := r.start([]string{"DISPLAY=" + display, "XAUTHORITY=/nonexistent"}, nil, load[0], load[1:]...)
		return err
	}
	serve := func(name string, args ...string) error {
		r.rfb, err = r.start([]string{"DISPLAY=" + display, "XAUTHORITY=/nonexistent", "TMPDIR=" + dir, "XDG_RUNTIME_DIR=" + dir}, nil, name, args...)
		return err
	}
	var steps []func() error
	switch c.Server {
	case Ours:
		steps = append(steps, func() error {
			return serve(p.Supervisor, append([]string{"-listen", r.address, "-geometry", geometry, "--"}, load...)...)
		})
	case Attached:
		steps = append(steps, xvfb, draw, r.screen.ready, func() error {
			return serve(p.Supervisor, "-listen", r.address, "-display", display, "-framebuffer", filepath.Join(dir, "Xvfb_screen0"))
		})
	case "x11vnc":
		steps = append(steps, xvfb, draw, r.screen.ready, func() error {
			return serve("x11vnc", slices.Concat([]string{"-display", display, "-rfbport", port, "-localhost", "-nopw",
				"-forever", "-shared", "-quiet"}, X11vncOptions)...)
		})
	case "X0tigervnc":
		steps = append(steps, xvfb, draw, r.screen.ready, func() error {
			return serve("X0tigervnc", "-display", display, "-rfbport", port, "-localhost", "-SecurityTypes", "None", "-AlwaysShared")
		})
	case "Xtigervnc":
		steps = append(steps, func() error {
			r.rfb, err = r.start(nil, &display, "Xtigervnc", "-rfbport", port, "-localhost", "-SecurityTypes", "None", "-AlwaysShared",
				"-geometry", geometry, "-depth", "24", "-nolisten", "tcp")
			r.x = r.rfb
			return err
		}, draw)
	case Proxied:
		return r, r.explained(r.startProxied(p, c, dir, port, load))
	case Websockify:
		steps = append(steps, func() error {
			r.rfb, err = r.start(nil, &display, "Xtigervnc", "-rfbport", port, "-localhost", "-SecurityTypes", "None", "-AlwaysShared",
				"-geometry", geometry, "-depth", "24", "-nolisten", "tcp")
			r.x = r.rfb
			return err
		}, draw, func() error {
			front, err := freePort()
			if err != nil {
				return err
			}
			r.front, err = r.start(nil, nil, "websockify", "127.0.0.1:"+front, r.address)
			r.address = "ws://127.0.0.1:" + front + "/websockify"
			return err
		})
	default:
		return r, fmt.Errorf("there is no server %q", c.Server)
	}
	for _, step := range append(steps, r.screen.ready, r.listening) {
		if err := step(); err != nil {
			return r, r.explain(err)
		}
	}
	if c.Server == Ours {
		r.x, err = below(r.rfb, "Xvfb")
	}
	return r, err
}

// X11vncOptions are the options that x11vnc is at its best with here: with its
// own, frames are twice as old.
var X11vncOptions = []string{"-wait", "10", "-defer", "5"}

// explained is explain, and nil where there is no error.
func (r *running) explained(err error) error {
	if err != nil {
		err = r.explain(err)
	}
	return err
}

// explain adds what the programs wrote.
func (r *running) explain(err error) error {
	for _, p := range r.all {
		err = fmt.Errorf("%w\n%s wrote:\n%s", err, filepath.Base(p.cmd.Path), strings.TrimSpace(p.output.String()))
	}
	return err
}

// listening waits until the RFB server accepts connections.
func (r *running) listening() error {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", r.host())
		if err == nil {
			return conn.Close()
		}
		for _, p := range r.all {
			if err := p.running(); err != nil {
				return err
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not listen: %w", err)
		}
	}
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
