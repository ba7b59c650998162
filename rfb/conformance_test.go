package rfb_test

import (
	"context"
	"errors"
	"image"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

var conformanceSizes = []image.Point{{200, 150}, {320, 33}, {1, 1}, {64, 300}, {240, 160}}

// scripted is a subject over a scripted source.
func scripted(src *rfbtest.Source) *rfbtest.Subject {
	src.SetCursor(pixel.DefaultCursor())
	return &rfbtest.Subject{
		Source: src, Cursors: true, Sizes: conformanceSizes,
		Draw:  func(rnd *rand.Rand) { scribble(rnd, src) },
		Truth: src.Picture,
		Resize: func(width, height int) {
			f := pixel.NewFrame(width, height)
			f.Fill(f.Rect().Inset(3), uint32(width*height)&pixel.Mask)
			src.Show(f)
		},
	}
}

var errUnplugged = errors.New("somebody pulled the plug")

func TestScriptedSourceConforms(t *testing.T) {
	rfbtest.TestSource(t, func(*testing.T) *rfbtest.Subject {
		src := rfbtest.NewSource(240, 160)
		s := scripted(src)
		s.Lose, s.Lost = func() { src.Fail(errUnplugged) }, errUnplugged
		return s
	})
}

// halting is a connection that can be made to carry nothing any more.
type halting struct {
	net.Conn
	halt   <-chan struct{} // closed when it carries nothing
	closed chan struct{}
	once   sync.Once
}

func (c *halting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return c.wait(n, err)
}

func (c *halting) Write(b []byte) (int, error) {
	if n, err := c.wait(0, nil); err != nil {
		return n, err
	}
	return c.Conn.Write(b)
}

func (c *halting) wait(n int, err error) (int, error) {
	select {
	case <-c.halt:
		<-c.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (c *halting) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// A Client conforms behind a server, with each encoding as with all.
func TestClientConforms(t *testing.T) {
	lists := map[string][]wire.Encoding{"all": nil}
	for _, row := range encoding.All() {
		if row.Encode != nil && !row.Lossy {
			lists[row.Name] = []wire.Encoding{wire.EncodingCopyRect, row.Number}
		}
	}
	for name, list := range lists {
		t.Run(name, func(t *testing.T) {
			rfbtest.TestSource(t, func(t *testing.T) *rfbtest.Subject {
				src := rfbtest.NewSource(240, 160)
				upstream := serve(t, src, rfb.ServerConfig{Linger: -1})
				halt := make(chan struct{})
				dial := upstream.dialer()
				s := scripted(src)
				s.Source = rfb.NewClient(rfb.ClientConfig{Encodings: list, Exact: true, Dial: func(ctx context.Context) (net.Conn, error) {
					conn, err := dial(ctx)
					return &halting{Conn: conn, halt: halt, closed: make(chan struct{})}, err
				}})
				s.Hang = func() { close(halt) }
				s.Lose = func() { upstream.Close() }
				return s
			})
		})
	}
}
