// Package rfb is an RFB (VNC) server and client (RFC 6143 and the community's
// rfbproto) around one idea: a Source is a picture that changes, a Server
// shows one Source to any number of viewers, and a Client, which decodes
// another RFB server, is itself a Source.
package rfb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/ironglass/ironglass/rfb/direct"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/wire"
)

// ErrClosed is what Serve and Snapshot return once the server was closed.
var ErrClosed = errors.New("the RFB server was closed")

// ErrSourceEnded is wrapped by what Serve returns when the source ended and
// nothing was there to show instead.
var ErrSourceEnded = errors.New("the display was lost")

// ServerConfig is how a Server behaves. The zero value is the default; it must
// not change once a Server has it.
type ServerConfig struct {
	// Name is the desktop's name until the source sets one; default
	// "ironglass".
	Name string
	// Width and Height are the size, in pixels, that viewers are given before
	// the source has said its own; default 1280x1024.
	Width, Height int
	// FrameInterval is the shortest time between two frames; 0 is 16 ms,
	// negative is none. A little less than what displays of 60 Hz take lets
	// frames that were late catch up.
	FrameInterval time.Duration
	// Linger is how long the source goes on running after the last viewer; 0
	// is not at all, negative for as long as the server lives.
	Linger time.Duration
	// ViewOnly drops every viewer's input.
	ViewOnly bool
	// HandshakeTimeout drops a peer that has not finished the handshake in
	// time; 0 is 10 s, negative is never.
	HandshakeTimeout time.Duration
	// WriteTimeout drops a viewer that takes nothing for so long; 0 is 60 s,
	// negative is never.
	WriteTimeout time.Duration
	// Security lists the security types offered, in the order offered; nil
	// is None alone. Many viewers take the first that they know, so what is
	// safer goes before None.
	Security []security.Type
	// CacheBytes bounds the memory of encoded pieces kept for further
	// viewers; 0 is 16 MiB, negative keeps none.
	CacheBytes int
	// Heavy, if not nil, is called on the loop before (true) and after (false)
	// it encodes a frame that is worth every processor. A program that keeps
	// to one processor otherwise takes the others meanwhile.
	Heavy func(begins bool)
	// Log takes what happens; nil discards it.
	Log *slog.Logger
	// SourceEnded is called on the source's goroutine when its Run returned
	// of itself. What it returns is shown next; nil ends all viewers with
	// err. Where SourceEnded is nil they end too.
	SourceEnded func(ended Source, err error) Source
	// ViewersChanged is told the number of viewers that have finished the
	// handshake, without silent ones, whenever one comes or goes. It is called on the server's loop and
	// must return at once.
	ViewersChanged func(n int)
}

func (c ServerConfig) withDefaults() ServerConfig {
	if c.Name == "" {
		c.Name = "ironglass"
	}
	if c.Width <= 0 || c.Height <= 0 {
		c.Width, c.Height = 1280, 1024
	}
	if c.FrameInterval == 0 {
		c.FrameInterval = 16 * time.Millisecond
	}
	if c.HandshakeTimeout == 0 {
		c.HandshakeTimeout = 10 * time.Second
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = time.Minute
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = 16 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Security == nil {
		c.Security = []security.Type{security.None{}}
	}
	return c
}

// ViewerConfig is what differs between the viewers of one server.
type ViewerConfig struct {
	// ViewOnly drops this viewer's input, its clipboard and its wishes.
	ViewOnly bool
	// Permission, if not nil, is where ViewOnly is changed while the viewer is
	// served. It is for this viewer alone.
	Permission *Permission
	// Acts, if not nil, is called each time that the viewer sends something
	// that it may: a key, its pointer, its clipboard, a size, a power action.
	// It is called before that is carried out, on the viewer's goroutine, and
	// must return at once.
	Acts func()
	// Entered, if not nil, is called once the handshake is over, before the
	// viewer counts as one; its error ends the connection. Who connects to see
	// whether a server is there never gets so far.
	Entered func() error
	// Label names the viewer in the log; default its network address.
	Label string
	// Security lists the security types offered to this viewer, in the order
	// offered; nil is those of the server. A viewer inside the program needs
	// none.
	Security []security.Type
	// Silent makes it a viewer that is nobody, such as a recorder: it is not
	// counted, and neither starts the source nor keeps it running. It is sent
	// what the others are while the source runs for them, and nothing else.
	Silent bool
	// NoClipboard keeps the source's clipboard from this viewer.
	NoClipboard bool
}

// Server shows one Source to any number of viewers. Its methods may be called
// from any goroutine.
//
// One goroutine, the loop, owns the frame, the viewers' state and the encoded
// pieces (engine). Each viewer has two more: its Serve call reads, and a
// writer writes. The source has one that runs it.
type Server struct {
	cfg    ServerConfig
	events chan event
	mail   mailbox
	input  input
	stats  counters

	limiter limiter

	life    context.Context // ends with Close; so do the loop and handshakes
	end     context.CancelFunc
	closing <-chan struct{} // life's
	done    chan struct{}   // closed when the loop has ended
}

// NewServer returns a server that shows src, which starts to run with the
// first viewer. Close must be called when the server is no longer needed.
func NewServer(src Source, cfg ServerConfig) *Server {
	s := &Server{cfg: cfg.withDefaults(), events: make(chan event, 16), done: make(chan struct{})}
	s.life, s.end = context.WithCancel(context.Background())
	s.closing = s.life.Done()
	s.mail.wake = make(chan struct{}, 1)
	go newEngine(s, src).run()
	return s
}

// SetSource shows another source from now on. The viewers stay connected and
// keep the last frame until the new source has announced its size. The old
// source's Run is ended first.
func (s *Server) SetSource(src Source) { s.post(setSource{src}) }

// Close ends all viewers and the source and returns when they are gone.
func (s *Server) Close() error {
	s.end()
	<-s.done
	return nil
}

// Snapshot returns a copy of the picture. It starts the source if need be, as
// a viewer does, and waits until the picture has been looked at once.
func (s *Server) Snapshot(ctx context.Context) (*pixel.Frame, error) {
	w := &watcher{result: make(chan snapshot, 1)}
	if !s.post(watch{w}) {
		return nil, ErrClosed
	}
	defer s.post(unwatch{w})
	select {
	case r := <-w.result:
		return r.frame, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for a picture: %w", ctx.Err())
	case <-s.done:
		return nil, ErrClosed
	}
}

// LastFrame returns a copy of what viewers see now, nil where the source has
// not shown anything or the server is closed. It starts nothing.
func (s *Server) LastFrame() *pixel.Frame {
	reply := make(chan *pixel.Frame, 1)
	if !s.post(lastFrame{reply}) {
		return nil
	}
	select {
	case f := <-reply:
		return f
	case <-s.done:
		return nil
	}
}

// post hands an event to the loop; false once the loop has ended.
func (s *Server) post(e event) bool {
	select {
	case s.events <- e:
		return true
	case <-s.done:
		return false
	}
}

// Serve speaks RFB with one viewer until the viewer leaves (nil), ctx ends,
// the server is closed (ErrClosed) or something fails, and closes conn. A
// peer that reads the version and goes away is no viewer and no error. An
// error that wraps security.ErrRefused is of a viewer with a wrong password or
// certificate; such answers are slowed, by the host of conn's RemoteAddr.
func (s *Server) Serve(ctx context.Context, conn net.Conn, cfg ViewerConfig) error {
	conn = direct.Wrap(conn)
	defer conn.Close() // the connection is done with
	if cfg.Label == "" && conn.RemoteAddr() != nil {
		cfg.Label = conn.RemoteAddr().String()
	}
	// Whatever ends first unblocks the reads and writes below.
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // only to unblock
	defer stop()

	if cfg.Security == nil {
		cfg.Security = s.cfg.Security
	}
	p, err := s.handshake(ctx, conn, cfg.Security)
	if err != nil || p == nil {
		return s.reason(ctx, err)
	}
	if cfg.Entered != nil {
		if err := cfg.Entered(); err != nil {
			return s.reason(ctx, err)
		}
	}
	boundQueue(p.conn)
	cfg.ViewOnly = cfg.ViewOnly || p.viewOnly
	v := newViewer(s, p.conn, cfg)
	if local := unixConn(p.conn); local != nil {
		v.pace.local = true
		local.SetWriteBuffer(localBytes) //nolint:errcheck // costs fluency and nothing else
	}
	v.tight = p.tight
	cfg.Permission.attach(v)
	defer cfg.Permission.attach(nil)
	joined := make(chan wire.ServerInit, 1)
	if !s.post(join{v, joined}) {
		return ErrClosed
	}
	defer s.leave(v)
	var init wire.ServerInit
	select {
	case init = <-joined:
	case <-s.done:
		return ErrClosed
	}
	if err := v.begin(init, s.cfg.HandshakeTimeout); err != nil {
		return s.reason(ctx, err)
	}
	go v.write()
	err = v.read()
	if v.why.Load() != nil {
		err = *v.why.Load() // the loop or the writer ended it and knows better
	}
	return s.reason(ctx, err)
}

// reason puts what ended the whole viewer before what it looked like on the
// connection.
func (s *Server) reason(ctx context.Context, err error) error {
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	return err
}

// leave takes v out of the server and waits for its writer.
func (s *Server) leave(v *viewer) {
	s.input.release(v)
	v.conn.Close() // ends the writer
	if s.post(leave{v}) {
		select {
		case <-v.gone:
		case <-s.done:
		}
	}
	v.writer.Wait()
}
