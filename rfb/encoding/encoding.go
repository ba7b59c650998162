// Package encoding is the table of RFB's rectangle encodings, one file each
// with the encoder and the decoder together, and the cursor
// pseudo-encodings.
package encoding

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"image"
	"slices"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Piece is one encoded rectangle. It is shared between viewers and must not
// change.
type Piece struct {
	Rect     image.Rectangle
	Encoding wire.Encoding
	// Data is what follows the rectangle's header; where Deflate is set, what
	// follows the length and the zlib header as well.
	Data []byte
	// Deflate says that Data is deflate blocks without history, ended by a
	// sync flush, to be spliced into the viewer's one zlib stream of this
	// encoding (RFC 1950 and 1951).
	Deflate bool
	// Lossy says that the viewer's pixels inside Rect may differ afterwards
	// from the frame's in its format.
	Lossy bool
}

// Decoder turns rectangles of one encoding on one connection into pixels. It
// keeps what the encoding keeps between rectangles, such as zlib streams, and
// is owned by the goroutine that reads the connection.
type Decoder interface {
	// Decode reads the data of rectangle r, which lies inside dst, and writes
	// its pixels with zero pad bytes. The error is the Reader's or wraps
	// wire.ErrProtocol; the connection is of no use after it.
	Decode(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, f pixel.PixelFormat) error
}

// Encoding is a row of the table.
type Encoding struct {
	Number wire.Encoding
	Name   string
	// Rank orders what a Client asks for, the best first (lowest); a server
	// follows the viewer's order.
	Rank int
	// Lossy says that the encoding cannot be exact. Such a row is never the
	// main one of a viewer.
	Lossy bool
	// Encode appends to out pieces that together are the pixels of r, exact
	// unless the row is Lossy. It is a pure function of the frame inside r and
	// of p, whose Format is valid, and safe for concurrent use. nil where an
	// encoding is not made from a frame alone (CopyRect) or not made at all.
	Encode func(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece
	// NewDecoder returns a decoder for a new connection.
	NewDecoder func() Decoder
}

var table = map[wire.Encoding]*Encoding{}

// register adds a row at start-up; a number that is there already panics.
func register(e Encoding) {
	if _, dup := table[e.Number]; dup {
		panic(fmt.Sprintf("encoding: %v is registered twice", e.Number))
	}
	table[e.Number] = &e
}

// ByNumber returns the row with that number, nil where there is none.
func ByNumber(n wire.Encoding) *Encoding { return table[n] }

// All returns the rows ordered by Rank.
func All() []*Encoding {
	all := make([]*Encoding, 0, len(table))
	for _, e := range table {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *Encoding) int { return cmp.Compare(a.Rank, b.Rank) })
	return all
}

// Streams is the state that one viewer's connection adds to shared pieces:
// which zlib streams have begun. It is owned by the server's loop.
type Streams struct {
	begun map[wire.Encoding]bool
}

// AppendHeader appends the rectangle's header (rfbproto 7.6.1) and what else
// must come before p.Data on this viewer's connection.
func (s *Streams) AppendHeader(b []byte, p *Piece) []byte {
	b = wire.RectangleHeader{Rect: p.Rect, Encoding: p.Encoding}.Append(b)
	if !p.Deflate {
		return b
	}
	if s.begun[p.Encoding] {
		return binary.BigEndian.AppendUint32(b, uint32(len(p.Data)))
	}
	if s.begun == nil {
		s.begun = make(map[wire.Encoding]bool)
	}
	s.begun[p.Encoding] = true
	b = binary.BigEndian.AppendUint32(b, uint32(len(p.Data)+2))
	return append(b, 0x78, 0x9c) // deflate, 32 KiB window, default level
}
