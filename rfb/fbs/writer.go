package fbs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
)

// Writer writes a recording. It holds back nothing and keeps no more than one
// block in memory, so that what a crash leaves behind is whole up to then. Its
// first error stays. It is used from one goroutine at a time.
type Writer struct {
	w     io.Writer
	start time.Time
	last  uint32 // milliseconds
	size  int64
	buf   []byte
	err   error
}

var errWriterClosed = errors.New("the recording is closed")

// NewWriter begins a recording of a server that said init at start. An error
// is that of the next call.
func NewWriter(w io.Writer, start time.Time, init wire.ServerInit) *Writer {
	r := &Writer{w: w, start: start}
	r.buf = append(r.buf, magic...)
	r.block(handshake(init))
	r.flush()
	return r
}

// Append adds what the server said at now, in whole messages.
func (r *Writer) Append(now time.Time, messages ...[]byte) error {
	if r.err != nil {
		return r.err
	}
	at := now.Sub(r.start)
	if at > MaxTime {
		r.err = fmt.Errorf("a recording cannot be longer than %v", MaxTime.Round(time.Hour))
		return r.err
	}
	if at > 0 {
		r.last = max(r.last, uint32(at.Milliseconds()))
	}
	var parts [][]byte
	room := writtenBlock
	for _, m := range messages {
		for len(m) > 0 {
			n := min(len(m), room)
			parts, m, room = append(parts, m[:n]), m[n:], room-n
			if room == 0 {
				r.block(parts...)
				r.flush()
				parts, room = parts[:0], writtenBlock
			}
		}
	}
	if len(parts) > 0 {
		r.block(parts...)
		r.flush()
	}
	return r.err
}

// KeyFrame marks the place of a key frame: what is appended next, at the same
// time, must be all that a player needs who begins here with a picture of that
// size in pixels.
func (r *Writer) KeyFrame(now time.Time, width, height int) (KeyFrame, error) {
	at := r.size
	err := r.Append(now, appendKeyMark(nil, width, height))
	return KeyFrame{Time: time.Duration(r.last) * time.Millisecond, Offset: at, Width: width, Height: height}, err
}

// block puts a block into the buffer.
func (r *Writer) block(parts ...[]byte) {
	at := len(r.buf)
	r.buf = append(r.buf, 0, 0, 0, 0)
	for _, p := range parts {
		r.buf = append(r.buf, p...)
	}
	n := len(r.buf) - at - 4
	binary.BigEndian.PutUint32(r.buf[at:], uint32(n))
	r.buf = append(r.buf, make([]byte, -n&3)...)
	r.buf = binary.BigEndian.AppendUint32(r.buf, r.last)
}

// flush writes the buffer.
func (r *Writer) flush() {
	if r.err != nil {
		return
	}
	n, err := r.w.Write(r.buf)
	r.size += int64(n)
	if err != nil {
		r.err = fmt.Errorf("writing the recording: %w", err)
	}
	r.buf = r.buf[:0]
}

// Size is how long the recording is so far, in bytes.
func (r *Writer) Size() int64 { return r.size }

// endMark is an update without rectangles: what a recording ends with, so
// that how long the last picture stayed is known. An empty block would do, but
// other players take it for damage.
var endMark = wire.FramebufferUpdate{}.Append(nil)

// endSize is the length of the last block in bytes.
const endSize = 4 + 4 + 4

// Close ends the recording at now and returns the first error that there was.
// It does not close what is written to.
func (r *Writer) Close(now time.Time) error {
	if errors.Is(r.err, errWriterClosed) {
		return nil
	}
	if err := r.Append(now, endMark); err != nil {
		return err
	}
	r.err = errWriterClosed
	return nil
}
