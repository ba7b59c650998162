// Package wire holds one type per message of the RFB protocol and the tables
// of its numbers. It decides nothing and starts nothing: a type is read with
// a Reader and appended to a byte slice.
//
// Section numbers are those of the community's RFB specification (rfbproto).
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrProtocol is wrapped by every error that says that the peer broke the
// protocol, as against errors of the connection.
var ErrProtocol = errors.New("RFB protocol error")

// Errorf returns an error that wraps ErrProtocol.
func Errorf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrProtocol}, args...)...)
}

// Reader reads big-endian fields. Its error is sticky: after the first one
// every field is zero, and Err names the field that failed. It is owned by
// the goroutine that reads the connection.
type Reader struct {
	br  *bufio.Reader
	err error
	buf [8]byte
}

// NewReader returns a Reader that buffers size bytes of r.
func NewReader(r io.Reader, size int) *Reader {
	return &Reader{br: bufio.NewReaderSize(r, size)}
}

// Err is the first error; nil so far.
func (r *Reader) Err() error { return r.err }

// Fail makes err the reader's error where it has none yet, and returns the
// reader's error.
func (r *Reader) Fail(err error) error {
	if r.err == nil {
		r.err = err
	}
	return r.err
}

// Failf is Fail with a protocol error.
func (r *Reader) Failf(format string, args ...any) error {
	return r.Fail(Errorf(format, args...))
}

func (r *Reader) fail(field string, err error) {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	r.err = fmt.Errorf("reading %s: %w", field, err)
}

// Bytes fills p, the field of that name.
func (r *Reader) Bytes(field string, p []byte) {
	if r.err != nil {
		clear(p)
		return
	}
	if _, err := io.ReadFull(r.br, p); err != nil {
		clear(p)
		r.fail(field, err)
	}
}

// U8 reads an unsigned byte.
func (r *Reader) U8(field string) uint8 {
	if r.err != nil {
		return 0
	}
	b, err := r.br.ReadByte()
	if err != nil {
		r.fail(field, err)
		return 0
	}
	return b
}

// Bool reads a byte that is 0 for false.
func (r *Reader) Bool(field string) bool { return r.U8(field) != 0 }

// U16 reads an unsigned 16-bit number.
func (r *Reader) U16(field string) uint16 {
	r.Bytes(field, r.buf[:2])
	return binary.BigEndian.Uint16(r.buf[:2])
}

// U32 reads an unsigned 32-bit number.
func (r *Reader) U32(field string) uint32 {
	r.Bytes(field, r.buf[:4])
	return binary.BigEndian.Uint32(r.buf[:4])
}

// S32 reads a signed 32-bit number.
func (r *Reader) S32(field string) int32 { return int32(r.U32(field)) }

// Skip passes over n bytes of padding or of what is not understood.
func (r *Reader) Skip(field string, n int) {
	if r.err != nil {
		return
	}
	if _, err := r.br.Discard(n); err != nil {
		r.fail(field, err)
	}
}

// Chunk reads the n bytes of a field into memory taken for them, and fails
// without taking any where n is over limit.
func (r *Reader) Chunk(field string, n uint32, limit int) []byte {
	if r.err != nil {
		return nil
	}
	if uint64(n) > uint64(limit) {
		r.Failf("%s has %d bytes, more than the %d allowed", field, n, limit)
		return nil
	}
	p := make([]byte, n)
	r.Bytes(field, p)
	return p
}

// Limited returns a plain reader of the field's next n bytes, for
// decompressors. What is not read of it must be skipped by the caller.
func (r *Reader) Limited(n int64) *io.LimitedReader {
	return &io.LimitedReader{R: r.br, N: n}
}

// Next reads the first byte of a message. A clean end of the stream there is
// io.EOF as it is, which every other field turns into io.ErrUnexpectedEOF.
func (r *Reader) Next() uint8 {
	if r.err != nil {
		return 0
	}
	b, err := r.br.ReadByte()
	if err != nil {
		r.err = err
		return 0
	}
	return b
}

// Buffered is the number of bytes that can be read without waiting.
func (r *Reader) Buffered() int { return r.br.Buffered() }
