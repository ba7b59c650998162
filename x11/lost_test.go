package x11

import (
	"net"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/xproto"
)

// A viewer that is lost lets go of what it held on the display, though another
// one stays: at once where its connection breaks, after a while where it only
// says nothing more.
func TestLostViewerLetsGo(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 640, Height: 480})
	y := &typing{x: open(t, config(s)), p: newPainter(t, s, rect(600, 440, 40, 40), 0), xev: &xev{t: t}}
	server := rfb.NewServer(y.x, rfb.ServerConfig{Linger: -1})
	var serving sync.WaitGroup
	defer func() { _ = server.Close(); serving.Wait() }()
	view := func() *rfbtest.Viewer {
		ours, theirs := net.Pipe()
		serving.Go(func() { _ = server.Serve(t.Context(), theirs, rfb.ViewerConfig{}) })
		t.Cleanup(func() { _ = ours.Close() })
		v, err := rfbtest.NewViewer(ours)
		y.p.must(err)
		// SetEncodings with Fence (-312).
		_, err = v.Conn.Write([]byte{2, 0, 0, 1, 0xff, 0xff, 0xfe, 0xc8})
		y.p.must(err)
		y.p.must(v.Request(false))
		y.p.must(v.ReadUpdate())
		return v
	}
	view()
	buttons := func() uint16 {
		q, err := xproto.QueryPointer(y.p.c.Conn, y.p.root).Reply()
		y.p.must(err)
		return q.Mask & 0x1f00
	}
	for what, lose := range map[string]func(*rfbtest.Viewer){
		"breaks":  func(v *rfbtest.Viewer) { _ = v.Conn.Close() },
		"silence": func(*rfbtest.Viewer) {},
	} {
		v := view()
		for _, m := range [][]byte{
			{4, 1, 0, 0, 0, 0, 0xff, 0xe3},              // KeyEvent: Control_L
			{255, 0, 0, 1, 0, 0, 0, 'a', 0, 0, 0, 0x1e}, // QEMU Extended Key Event
			{5, 1, 0, 50, 0, 60},                        // PointerEvent: the left button
		} {
			_, err := v.Conn.Write(m)
			y.p.must(err)
		}
		y.eventually("keys and a button down", func() bool { return y.keysDown() == 2 && buttons() == xproto.ButtonMask1 })
		lose(v)
		y.eventually(what+": keys and buttons up", func() bool { return y.keysDown() == 0 && buttons() == 0 })
	}
}
