package fbs

import (
	"encoding/binary"
	"image"
	"net"
	"slices"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
)

// KeyFrame is a place in a recording where a player can begin: the block there
// says the size of the picture, and what follows all that is in it.
type KeyFrame struct {
	// Time is since the beginning of the recording, in whole milliseconds.
	Time time.Duration
	// Offset is where the block begins in the file, in bytes.
	Offset int64
	// Width and Height are of the picture, in pixels.
	Width, Height int
}

// keyMarkLen is the length of the message that marks a key frame: an update
// with one rectangle, DesktopSize (rfbproto 7.8.2). A block with that message
// and nothing else is a mark; a server's own change of the size makes a key
// frame too.
const keyMarkLen = 4 + 12

// keyMarkSize is the length of the mark's block in bytes.
const keyMarkSize = 4 + keyMarkLen + 4

func appendKeyMark(b []byte, width, height int) []byte {
	b = wire.FramebufferUpdate{Rects: 1}.Append(b)
	return wire.RectangleHeader{Rect: image.Rect(0, 0, width, height), Encoding: wire.PseudoDesktopSize}.Append(b)
}

// parseKeyMark reads the size from the data of a block that may be a mark.
func parseKeyMark(b []byte) (size image.Point, ok bool) {
	if len(b) != keyMarkLen {
		return image.Point{}, false
	}
	size = image.Pt(int(binary.BigEndian.Uint16(b[8:])), int(binary.BigEndian.Uint16(b[10:])))
	ok = size.X > 0 && size.Y > 0 && size.X <= wire.MaxSide && size.Y <= wire.MaxSide &&
		slices.Equal(b, appendKeyMark(nil, size.X, size.Y))
	return size, ok
}

// keyMark is parseKeyMark of what a server writes.
func keyMark(bufs net.Buffers) (size image.Point, ok bool) {
	n := 0
	for _, b := range bufs {
		n += len(b)
	}
	if n != keyMarkLen {
		return image.Point{}, false
	}
	return parseKeyMark(slices.Concat(bufs...))
}
