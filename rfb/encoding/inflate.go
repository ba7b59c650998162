package encoding

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/ironglass/ironglass/rfb/wire"
)

// inflateBuffer is the size of the buffer of compressed bytes, and so the
// most that may be left over of one rectangle's data: a flush marker and, at
// the end of a stream, a checksum are a few bytes.
const inflateBuffer = 4096

// inflater is a zlib stream (RFC 1950) that arrives in chunks, each part of
// one rectangle. It is owned by its decoder. The zero inflater is a stream
// that has not begun.
type inflater struct {
	src   chunk
	br    *bufio.Reader
	fl    io.ReadCloser
	begun bool // the header has been read
}

// chunk is what the connection still has of the present chunk.
type chunk struct {
	*io.LimitedReader
	// err is the connection's error, as against an end of the chunk.
	err error
}

func (c *chunk) Read(p []byte) (int, error) {
	n, err := c.LimitedReader.Read(p)
	if err != nil && c.N > 0 {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		c.err = err
	}
	return n, err
}

// reset makes the inflater a stream that has not begun.
func (z *inflater) reset() {
	z.begun = false
	if z.br != nil {
		z.br.Reset(&z.src)
	}
}

// chunk makes the connection's next n bytes the stream's next ones. The
// caller reads what it expects with Read and calls end.
func (z *inflater) chunk(rd *wire.Reader, n int64) {
	z.src.LimitedReader = rd.Limited(n)
	if z.br == nil {
		z.br = bufio.NewReaderSize(&z.src, inflateBuffer)
	}
}

// Read makes an inflater an io.Reader of what the chunks given so far
// contain. After an error it needs a reset.
func (z *inflater) Read(p []byte) (int, error) {
	if !z.begun {
		if err := z.begin(); err != nil {
			return 0, err
		}
	}
	return z.fl.Read(p)
}

// rows reads the present chunk, named what in errors, as rows of len(row)
// bytes into row, calls use after each of the n, and ends the chunk. Errors
// are those of rd, use's among them.
func (z *inflater) rows(rd *wire.Reader, what string, row []byte, n int, use func(y int)) {
	for y := 0; y < n && rd.Err() == nil; y++ {
		if _, err := io.ReadFull(z, row); err != nil {
			_ = z.fail(rd, what, err)
			return
		}
		use(y)
	}
	if rd.Err() == nil {
		if err := z.end(); err != nil {
			_ = z.fail(rd, what, err)
		}
	}
}

// begin reads the two bytes CMF and FLG (RFC 1950, 2.2) and gets ready for
// the blocks after them.
func (z *inflater) begin() error {
	var h [2]byte
	if _, err := io.ReadFull(z.br, h[:]); err != nil {
		return err
	}
	switch {
	case h[0]&0x0f != 8 || h[0]>>4 > 7:
		return wire.Errorf("zlib stream begins with 0x%02x, which is not deflate with a window of at most 32 KiB", h[0])
	case (int(h[0])<<8|int(h[1]))%31 != 0:
		return wire.Errorf("zlib header 0x%02x%02x fails its check", h[0], h[1])
	case h[1]&0x20 != 0:
		return wire.Errorf("zlib stream asks for a preset dictionary")
	}
	if z.fl == nil {
		// Deliver at the end of every block: servers may flush partially.
		// (The library's Reset forgets this, which is no loss: who resets
		// streams as they go makes chunks that end with a flush or need
		// none.)
		z.fl = flate.NewReaderOpts(z.br, flate.WithPartialBlock())
	} else if err := z.fl.(flate.Resetter).Reset(z.br, nil); err != nil {
		return err
	}
	z.begun = true
	return nil
}

// end keeps what was not read of the chunk for the next one, such as the end
// of a flush, which the decompressor reads only when it needs more.
func (z *inflater) end() error {
	left := int64(z.br.Buffered()) + z.src.N
	if left > inflateBuffer {
		return wire.Errorf("zlib data has %d bytes more than the rectangle needs", left)
	}
	_, err := z.br.Peek(int(left))
	return err
}

// fail makes err, from reading z, the error of rd: the connection's own where
// that is the reason, otherwise a protocol error.
func (z *inflater) fail(rd *wire.Reader, what string, err error) error {
	switch {
	case z.src.err != nil:
		return rd.Fail(fmt.Errorf("reading %s: %w", what, z.src.err))
	case errors.Is(err, wire.ErrProtocol):
		return rd.Fail(fmt.Errorf("%s: %w", what, err))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return rd.Failf("%s: the compressed data is shorter than the rectangle", what)
	default:
		return rd.Failf("%s: %v", what, err)
	}
}
