package rfb_test

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"io"
	"net"
	"sync"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// lamp is a picture that is switched between black and white: the least that
// a Source can be.
type lamp struct {
	mu    sync.Mutex
	frame *pixel.Frame
	d     *rfb.Desktop // while Run runs
}

func newLamp() *lamp { return &lamp{frame: pixel.NewFrame(64, 48)} }

// Run says the size, and nothing more until somebody no longer looks.
func (l *lamp) Run(ctx context.Context, d *rfb.Desktop) error {
	l.mu.Lock()
	l.d = d
	l.mu.Unlock()
	d.Resize(l.frame.Width, l.frame.Height)
	<-ctx.Done()
	l.mu.Lock()
	l.d = nil
	l.mu.Unlock()
	return ctx.Err()
}

// Grab lends the pixels.
func (l *lamp) Grab(_ *pixel.Region, use func(view *pixel.Frame)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	use(l.frame)
	return nil
}

// KeyEvent makes the lamp an rfb.Input: any key switches it on.
func (l *lamp) KeyEvent(e rfb.KeyEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Down {
		l.frame.Fill(l.frame.Rect(), 0xffffff)
	}
	if l.d != nil {
		l.d.Damage(pixel.RegionOf(l.frame.Rect()))
	}
}

// PointerEvent is the other half of rfb.Input.
func (l *lamp) PointerEvent(rfb.PointerEvent) {}

// A Server shows a Source to VNC viewers.
func ExampleServer() {
	server := rfb.NewServer(newLamp(), rfb.ServerConfig{Name: "lamp"})
	defer server.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = server.Serve(context.Background(), conn, rfb.ViewerConfig{}) }()
		}
	}()
	// Viewers connect to l.Addr() now.
	l.Close()
}

// A Client is a Source too: what another RFB server shows can be looked at,
// or served again.
func ExampleClient() {
	lamps := rfb.NewServer(newLamp(), rfb.ServerConfig{})
	defer lamps.Close()
	client := rfb.NewClient(rfb.ClientConfig{Dial: func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe() // or net.Dial
		go func() { _ = lamps.Serve(context.Background(), theirs, rfb.ViewerConfig{}) }()
		return ours, nil
	}})
	server := rfb.NewServer(client, rfb.ServerConfig{Linger: -1})
	defer server.Close()
	picture, err := server.Snapshot(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(picture.Rect().Size() == image.Pt(64, 48), png.Encode(io.Discard, picture))
	// Output: true <nil>
}
