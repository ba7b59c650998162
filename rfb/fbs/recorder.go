package fbs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/wire"
)

// ErrLimit is what Record returns when the recording has become as large or
// as long as it may be.
var ErrLimit = errors.New("the recording has reached its limit")

// RecorderConfig is how Record records. The zero value is the default.
type RecorderConfig struct {
	// Encodings are asked of the server, the best first, and decide who can
	// play the recording; nil is Tight, lossless, with CopyRect, Cursor,
	// DesktopSize and LastRect, which all players know. The pointer's shape is
	// recorded with Cursor, its place never; without Cursor it is painted into
	// the picture wherever another than the viewer moves it. What would bring
	// other messages into the recording than FramebufferUpdate,
	// SetColourMapEntries, Bell and ServerCutText is not asked for.
	Encodings []wire.Encoding
	// KeyFrames is how often the whole picture is recorded where it has
	// changed meanwhile, for players that begin in the middle; 0 is 60 s,
	// negative is never.
	KeyFrames time.Duration
	// MaxSize ends the recording before it is longer, in bytes; 0 is never.
	MaxSize int64
	// MaxTime ends the recording after so long; 0 is never.
	MaxTime time.Duration
	// Label names the recording viewer in the server's log; default
	// "recording".
	Label string
}

func (c RecorderConfig) withDefaults() RecorderConfig {
	if c.Encodings == nil {
		c.Encodings = []wire.Encoding{
			wire.EncodingTight, wire.EncodingCopyRect,
			wire.PseudoCursor, wire.PseudoDesktopSize, wire.PseudoLastRect,
		}
	}
	c.Encodings = slices.DeleteFunc(slices.Clone(c.Encodings), talkative)
	if c.KeyFrames == 0 {
		c.KeyFrames = time.Minute
	}
	if c.Label == "" {
		c.Label = "recording"
	}
	return c
}

// talkative tells the pseudo-encodings that make a server send messages that
// players do not know.
func talkative(e wire.Encoding) bool {
	switch e {
	case wire.PseudoFence, wire.PseudoContinuousUpdates, wire.PseudoXVP, wire.PseudoExtendedClipboard:
		return true
	default:
		return false
	}
}

// Record records to w what srv shows, as one more of its viewers that shares
// what is encoded for others, until ctx ends (nil), a limit is reached
// (ErrLimit) or the server or writing fails. A w that is slow costs frames of
// the recording and nothing else. What was recorded until then can be played
// in each case.
func Record(ctx context.Context, srv *rfb.Server, w io.Writer, cfg RecorderConfig) error {
	cfg = cfg.withDefaults()
	session, end := context.WithCancelCause(ctx)
	defer end(nil)
	if cfg.MaxTime > 0 {
		var stop context.CancelFunc
		session, stop = context.WithTimeoutCause(session, cfg.MaxTime, ErrLimit)
		defer stop()
	}
	t := &tap{w: w, cfg: cfg, end: end, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	var keys sync.WaitGroup
	if cfg.KeyFrames > 0 {
		keys.Go(t.keyFrames)
	}
	err := srv.Serve(session, t, rfb.ViewerConfig{
		ViewOnly: true, Label: cfg.Label, Security: []security.Type{security.None{}},
	})
	keys.Wait() // Serve has closed t
	if failed := t.finish(time.Now()); failed != nil {
		return failed
	}
	switch cause := context.Cause(session); {
	case errors.Is(cause, ErrLimit):
		return ErrLimit
	case ctx.Err() != nil:
		return nil
	default:
		return err
	}
}

// tap is the server's connection to the viewer that records. What the server
// writes goes into the recording on the goroutine that writes it; it reads
// what a viewer that wants all updates says.
type tap struct {
	w    io.Writer
	cfg  RecorderConfig
	end  context.CancelCauseFunc
	wake chan struct{} // holds a token while there is something to read

	closeOnce sync.Once
	closed    chan struct{}

	mu      sync.Mutex
	says    []byte  // what the server has not read yet
	step    int     // of the handshake, its messages so far
	rec     *Writer // nil during it
	changed bool    // since the last key frame
	asked   bool    // for a key frame, which comes next
}

// keyFrames asks for the whole picture from time to time. It ends when t is
// closed.
func (t *tap) keyFrames() {
	tick := time.NewTicker(t.cfg.KeyFrames)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.mu.Lock()
			if t.rec != nil && t.changed {
				t.asked = true
				t.requestLocked(false)
			}
			t.mu.Unlock()
		case <-t.closed:
			return
		}
	}
}

// sayLocked lets the server read m.
func (t *tap) sayLocked(m []byte) {
	t.says = append(t.says, m...)
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// requestLocked asks for an update of the picture, whatever size it has.
func (t *tap) requestLocked(incremental bool) {
	all := image.Rect(0, 0, wire.MaxSide, wire.MaxSide)
	t.sayLocked(wire.FramebufferUpdateRequest{Incremental: incremental, Rect: all}.Append(nil))
}

// Read gives the server what the viewer says.
func (t *tap) Read(p []byte) (int, error) {
	for {
		t.mu.Lock()
		n := copy(p, t.says)
		t.says = t.says[:copy(t.says, t.says[n:])]
		t.mu.Unlock()
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		select {
		case <-t.wake:
		case <-t.closed:
			return 0, io.EOF
		}
	}
}

// Write takes what the server says.
func (t *tap) Write(p []byte) (int, error) {
	if err := t.WriteBuffers(net.Buffers{p}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteBuffers takes whole messages once the handshake is over.
func (t *tap) WriteBuffers(bufs net.Buffers) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rec == nil {
		return t.handshakeLocked(slices.Concat(bufs...))
	}
	if t.overLocked(bufs) {
		t.end(ErrLimit)
		return ErrLimit
	}
	t.changed, t.asked = !t.asked, false
	if err := t.rec.Append(time.Now(), bufs...); err != nil {
		return err
	}
	t.requestLocked(true)
	return nil
}

// overLocked reports whether bufs and the end of the recording are too much.
func (t *tap) overLocked(bufs net.Buffers) bool {
	if t.cfg.MaxSize <= 0 {
		return false
	}
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	blocks := n/writtenBlock + 1
	return t.rec.Size()+int64(n+blocks*(4+3+4)+endSize) > t.cfg.MaxSize
}

// handshakeLocked answers the server's part of the handshake, of which each
// message is one write, as a viewer of version 3.3 does, and begins the
// recording with ServerInit.
func (t *tap) handshakeLocked(p []byte) error {
	t.step++
	switch t.step {
	case 1: // ProtocolVersion
		t.sayLocked(wire.Version33.Append(nil))
	case 2: // the security type, None being the only one offered
		t.sayLocked([]byte{1}) // ClientInit: shared
	default:
		rd := wire.NewReader(bytes.NewReader(p), len(p))
		init := wire.ReadServerInit(rd)
		if rd.Err() != nil {
			return fmt.Errorf("the server's ServerInit: %w", rd.Err())
		}
		t.rec = NewWriter(t.w, time.Now(), init)
		t.sayLocked(wire.SetEncodings{Encodings: t.cfg.Encodings}.Append(nil))
		t.requestLocked(false)
	}
	return nil
}

// finish ends the recording where there is one.
func (t *tap) finish(now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rec == nil {
		return nil
	}
	return t.rec.Close(now)
}

// Close ends the reads.
func (t *tap) Close() error {
	t.closeOnce.Do(func() { close(t.closed) })
	return nil
}

// What else a connection has. Nobody waits for a viewer in the same program.

func (t *tap) LocalAddr() net.Addr              { return nil }
func (t *tap) RemoteAddr() net.Addr             { return nil }
func (t *tap) SetDeadline(time.Time) error      { return nil }
func (t *tap) SetReadDeadline(time.Time) error  { return nil }
func (t *tap) SetWriteDeadline(time.Time) error { return nil }
