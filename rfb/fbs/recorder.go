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

// errKeyFrame ends a session of the recorder where a key frame is due.
var errKeyFrame = errors.New("a key frame is due")

// RecorderConfig is how Record records. The zero value is the default.
type RecorderConfig struct {
	// Encodings are asked of the server, the best first, and decide who can
	// play the recording; nil is Tight, lossless, with CopyRect, Cursor and
	// DesktopSize, which all players know. The pointer's shape is recorded
	// with Cursor, its place never; without Cursor it is painted into the
	// picture wherever another than the viewer moves it. What would bring
	// other messages into the recording than FramebufferUpdate,
	// SetColourMapEntries and Bell is not asked for, nor LastRect, by which an
	// update may come in several writes: a block holds whole messages.
	Encodings []wire.Encoding
	// KeyFrames is how old a key frame becomes before the next change makes
	// another; 0 is 60 s, negative is never. There are none with encodings
	// whose rectangles need those before (Zlib, ZRLE).
	KeyFrames time.Duration
	// KeyFrame, if not nil, is told each key frame as soon as what belongs to
	// it is about to be written. Its error ends the recording.
	KeyFrame func(KeyFrame) error
	// Rate is how much is recorded in the long run, in bytes a second; 0 is no
	// bound. Changes are recorded as they come until a second's worth is used
	// up, and then as often as there is room for them again, once a second at
	// least; so a film is recorded with fewer pictures, and text as it is.
	Rate int64
	// MaxSize ends the recording before it is longer, in bytes; 0 is never.
	MaxSize int64
	// MaxTime ends the recording with the first change after so long, which is
	// not in it; 0 is never.
	MaxTime time.Duration
	// Silent makes the recorder a viewer who is nobody: it neither starts the
	// source nor keeps it running (rfb.ViewerConfig).
	Silent bool
	// Label names the recording viewer in the server's log; default
	// "recording".
	Label string
}

func (c RecorderConfig) withDefaults() RecorderConfig {
	if c.Encodings == nil {
		c.Encodings = []wire.Encoding{
			wire.EncodingTight, wire.EncodingCopyRect,
			wire.PseudoCursor, wire.PseudoDesktopSize,
		}
	}
	c.Encodings = slices.DeleteFunc(slices.Clone(c.Encodings), talkative)
	if c.KeyFrames == 0 {
		c.KeyFrames = time.Minute
	}
	if slices.ContainsFunc(c.Encodings, historic) {
		c.KeyFrames = -1
	}
	if c.Label == "" {
		c.Label = "recording"
	}
	return c
}

// talkative tells the pseudo-encodings that make a server send messages that
// players do not know, or parts of messages.
func talkative(e wire.Encoding) bool {
	switch e {
	case wire.PseudoFence, wire.PseudoContinuousUpdates, wire.PseudoXVP, wire.PseudoExtendedClipboard,
		wire.PseudoLastRect:
		return true
	default:
		return false
	}
}

// historic tells the encodings whose rectangles need those before.
func historic(e wire.Encoding) bool {
	switch e {
	case wire.EncodingZlib, wire.EncodingZRLE:
		return true
	default:
		return false
	}
}

// Record records to w what srv shows, as one more of its viewers that shares
// what is encoded for others, until ctx ends (nil), a limit is reached
// (ErrLimit) or the server or writing fails. A w that is slow costs frames of
// the recording and nothing else. What was recorded until then can be played
// in each case. Neither keys nor the clipboard are in it.
//
// Each key frame is the first picture of a viewer's session, which has all
// that a viewer needs to begin; so the recorder leaves and comes back for it.
func Record(ctx context.Context, srv *rfb.Server, w io.Writer, cfg RecorderConfig) error {
	r := &recording{w: w, cfg: cfg.withDefaults()}
	err := errKeyFrame
	for errors.Is(err, errKeyFrame) && ctx.Err() == nil {
		err = r.session(ctx, srv)
	}
	if failed := r.finish(time.Now()); failed != nil {
		return failed
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was to end
	}
	return err
}

// recording is what the sessions of one Record share. It is used by one of
// them at a time.
type recording struct {
	w     io.Writer
	cfg   RecorderConfig
	rec   *Writer   // nil before the first ServerInit
	began time.Time // when that was
	keyed time.Time // when the last key frame was
	spent int64     // bytes that were recorded and that Rate has not made up for since
	since time.Time // of spent
}

// mostWait is the longest that Rate lets a change wait.
const mostWait = time.Second

// wait is how long after now there is room for the next update, n bytes having
// been recorded at now.
func (r *recording) wait(n int64, now time.Time) time.Duration {
	if r.cfg.Rate <= 0 {
		return 0
	}
	allowed := int64(now.Sub(r.since).Seconds() * float64(r.cfg.Rate))
	r.spent, r.since = max(0, r.spent-allowed)+n, now
	over := float64(r.spent-r.cfg.Rate) / float64(r.cfg.Rate)
	return min(max(0, time.Duration(over*float64(time.Second))), mostWait)
}

// session is one session with the server; errKeyFrame asks for another.
func (r *recording) session(ctx context.Context, srv *rfb.Server) error {
	session, end := context.WithCancelCause(ctx)
	defer end(nil)
	t := &tap{r: r, end: end, wake: make(chan struct{}, 1), closed: make(chan struct{})}
	err := srv.Serve(session, t, rfb.ViewerConfig{
		ViewOnly: true, Label: r.cfg.Label, Security: []security.Type{security.None{}},
		Silent: r.cfg.Silent, NoClipboard: true,
	})
	t.rest()
	if cause := context.Cause(session); cause != nil {
		return cause
	}
	return err
}

// begin takes the ServerInit of a session, the first of which begins the
// recording.
func (r *recording) begin(init wire.ServerInit, now time.Time) {
	if r.rec == nil {
		r.rec, r.began = NewWriter(r.w, now, init), now
	}
}

// over is why a change must not be recorded any more, or not before a key
// frame.
func (r *recording) over(now time.Time) error {
	switch {
	case r.cfg.MaxTime > 0 && now.Sub(r.began) >= r.cfg.MaxTime:
		return ErrLimit
	case r.cfg.KeyFrames > 0 && now.Sub(r.keyed) >= r.cfg.KeyFrames:
		return errKeyFrame
	default:
		return nil
	}
}

// fits reports whether there is room for bufs, a key frame's mark and the end
// of the recording.
func (r *recording) fits(bufs net.Buffers) bool {
	if r.cfg.MaxSize <= 0 {
		return true
	}
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	blocks := n/writtenBlock + 1
	return r.rec.Size()+int64(n+blocks*(4+3+4)+keyMarkSize+endSize) <= r.cfg.MaxSize
}

// keyFrame marks what comes next as a key frame.
func (r *recording) keyFrame(now time.Time, width, height int) error {
	r.keyed = now
	k, err := r.rec.KeyFrame(now, width, height)
	if err == nil && r.cfg.KeyFrame != nil {
		err = r.cfg.KeyFrame(k)
	}
	return err
}

// finish ends the recording where there is one.
func (r *recording) finish(now time.Time) error {
	if r.rec == nil {
		return nil
	}
	return r.rec.Close(now)
}

// tap is the server's connection to the viewer that records, for one session.
// What the server writes goes into the recording on the goroutine that writes
// it; it reads what a viewer that wants all updates says.
type tap struct {
	r    *recording
	end  context.CancelCauseFunc
	wake chan struct{} // holds a token while there is something to read

	closeOnce sync.Once
	closed    chan struct{}

	mu    sync.Mutex
	says  []byte          // what the server has not read yet
	step  int             // of the handshake, its messages so far
	init  wire.ServerInit // once the handshake is over
	begun bool            // the session's first message was recorded
	next  *time.Timer     // asks for the next update; nil before there was a wait
}

// handshakes is how many messages the server's part of the handshake has.
const handshakes = 3

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

// request asks for the next update, on the timer's goroutine.
func (t *tap) request() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requestLocked(true)
}

// rest asks no more.
func (t *tap) rest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.next != nil {
		t.next.Stop()
	}
}

// requestLaterLocked asks for the next update when there is room for it.
func (t *tap) requestLaterLocked(wait time.Duration) {
	switch {
	case wait == 0:
		t.requestLocked(true)
	case t.next == nil:
		t.next = time.AfterFunc(wait, t.request)
	default:
		t.next.Reset(wait)
	}
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
	if t.step < handshakes {
		return t.handshakeLocked(slices.Concat(bufs...))
	}
	now, before := time.Now(), t.r.rec.Size()
	err := t.recordLocked(bufs, now)
	if err != nil {
		t.end(err)
		return err
	}
	t.requestLaterLocked(t.r.wait(t.r.rec.Size()-before, now))
	return nil
}

// recordLocked puts messages into the recording.
func (t *tap) recordLocked(bufs net.Buffers, now time.Time) error {
	r := t.r
	if t.begun && isUpdate(bufs) {
		if err := r.over(now); err != nil {
			return err
		}
	}
	switch size, resized := keyMark(bufs); {
	case !r.fits(bufs):
		return ErrLimit
	case resized && r.cfg.KeyFrames > 0 && t.begun:
		return errKeyFrame // which says the size and all else
	case resized && r.cfg.KeyFrames > 0:
		t.init.Width, t.init.Height = size.X, size.Y // before anything was recorded
		return nil
	}
	first := !t.begun
	t.begun = true
	if first && r.cfg.KeyFrames > 0 {
		if err := r.keyFrame(now, t.init.Width, t.init.Height); err != nil {
			return err
		}
	}
	return r.rec.Append(now, bufs...)
}

// isUpdate reports whether the first of the messages is a FramebufferUpdate.
func isUpdate(bufs net.Buffers) bool {
	for _, b := range bufs {
		if len(b) > 0 {
			return b[0] == byte(wire.TypeFramebufferUpdate)
		}
	}
	return false
}

// handshakeLocked answers the server's part of the handshake, of which each
// message is one write, as a viewer of version 3.3 does. ServerInit begins the
// recording.
func (t *tap) handshakeLocked(p []byte) error {
	t.step++
	switch t.step {
	case 1: // ProtocolVersion
		t.sayLocked(wire.Version33.Append(nil))
	case 2: // the security type, None being the only one offered
		t.sayLocked([]byte{1}) // ClientInit: shared
	default:
		rd := wire.NewReader(bytes.NewReader(p), len(p))
		t.init = wire.ReadServerInit(rd)
		if rd.Err() != nil {
			return fmt.Errorf("the server's ServerInit: %w", rd.Err())
		}
		t.r.begin(t.init, time.Now())
		t.sayLocked(wire.SetEncodings{Encodings: t.r.cfg.Encodings}.Append(nil))
		t.requestLocked(false)
	}
	return nil
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
