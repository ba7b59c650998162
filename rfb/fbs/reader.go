package fbs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Reader reads a recording. It takes no more memory than the data that is
// there, whatever lengths it claims. It is used from one goroutine at a time.
type Reader struct {
	r     io.Reader
	init  wire.ServerInit
	first *Block // that Next returns first: what came in one with the handshake
	last  time.Duration
	buf   []byte
	err   error // of the next call
}

// readStep is how much memory is taken before the data for it is there.
const readStep = 64 << 10

// NewReader reads the beginning of a recording, up to ServerInit.
func NewReader(r io.Reader) (*Reader, error) {
	f := &Reader{r: bufio.NewReaderSize(r, readStep)}
	var m [len(magic)]byte
	switch n, err := io.ReadFull(f.r, m[:]); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if string(m[:n]) != magic[:n] || n == 0 {
			return nil, fmt.Errorf("this is no FBS recording: it is %d bytes long", n)
		}
		return nil, fmt.Errorf("%w in its first line", ErrTruncated)
	case err != nil:
		return nil, fmt.Errorf("reading the recording: %w", err)
	case string(m[:4]) != magic[:4]:
		return nil, fmt.Errorf("this is no FBS recording: it begins with %q", m)
	case string(m[:]) != magic:
		return nil, fmt.Errorf("the recording is of the version %q; only %q can be played", m, magic)
	}
	if err := f.handshake(); err != nil {
		return nil, err
	}
	return f, nil
}

// ServerInit is what the recorded server said of its picture: its first size,
// the format of all pixels and the name.
func (f *Reader) ServerInit() wire.ServerInit { return f.init }

// Next returns the next block, whose data is valid until the next call. At the
// end of the recording the error is io.EOF. Where the file is cut off, what is
// there of the last block comes first and ErrTruncated after it.
func (f *Reader) Next() (Block, error) {
	if b := f.first; b != nil {
		f.first = nil
		return *b, nil
	}
	if f.err != nil {
		return Block{}, f.err
	}
	b, err := f.block()
	if err != nil {
		f.err = err
		if len(b.Data) == 0 {
			return Block{}, err
		}
	}
	return b, nil
}

// block reads a block; with an error, as much of it as there is.
func (f *Reader) block() (Block, error) {
	var word [4]byte
	if _, err := io.ReadFull(f.r, word[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return Block{}, io.EOF
		}
		return Block{}, f.failed(err)
	}
	size := binary.BigEndian.Uint32(word[:])
	if size > MaxBlock {
		return Block{}, fmt.Errorf("the recording is damaged: a block of %d bytes, more than the %d allowed", size, MaxBlock)
	}
	n, padded := int(size), int(size+3)&^3
	f.buf = f.buf[:0]
	for len(f.buf) < padded {
		have := len(f.buf)
		step := min(padded-have, readStep)
		f.buf = slices.Grow(f.buf, step)[:have+step]
		if got, err := io.ReadFull(f.r, f.buf[have:]); err != nil {
			return Block{f.last, f.buf[:min(have+got, n)]}, f.failed(err)
		}
	}
	if _, err := io.ReadFull(f.r, word[:]); err != nil {
		return Block{f.last, f.buf[:n]}, f.failed(err)
	}
	// Time does not run backwards, whatever a recorder's clock did.
	f.last = max(f.last, time.Duration(binary.BigEndian.Uint32(word[:]))*time.Millisecond)
	return Block{f.last, f.buf[:n]}, nil
}

func (f *Reader) failed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w %v after its beginning", ErrTruncated, f.last)
	}
	return fmt.Errorf("reading the recording: %w", err)
}

// stream is the data of the blocks one after the other.
type stream struct {
	f     *Reader
	block Block
}

func (s *stream) Read(p []byte) (int, error) {
	for len(s.block.Data) == 0 {
		b, err := s.f.Next()
		if err != nil {
			return 0, err
		}
		s.block = b
	}
	n := copy(p, s.block.Data)
	s.block.Data = s.block.Data[n:]
	return n, nil
}

// handshake reads all up to ServerInit (rfbproto 7.1 to 7.3.2). Recorders
// differ in what they keep of it. All write down None for what was really
// asked, but some keep the challenge of VNC Authentication.
func (f *Reader) handshake() error {
	s := &stream{f: f}
	const size = 512
	br := bufio.NewReaderSize(s, size)
	rd := wire.NewReader(br, size) // reads br itself, being of the same size
	f.init = readHandshake(rd, br)
	switch err := rd.Err(); {
	case err == nil:
	case errors.Is(err, ErrTruncated):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w in the handshake (%w)", ErrTruncated, err)
	default:
		return fmt.Errorf("the recording cannot be played: %w", err)
	}
	left, _ := br.Peek(br.Buffered()) // which is there
	if data := slices.Concat(left, s.block.Data); len(data) > 0 {
		f.first = &Block{s.block.Time, data}
	}
	return nil
}

// readHandshake reads with rd, whose buffer is br. Errors are rd's.
func readHandshake(rd *wire.Reader, br *bufio.Reader) wire.ServerInit {
	var hello [wire.VersionLen]byte
	rd.Bytes("version", hello[:])
	if rd.Err() != nil {
		return wire.ServerInit{}
	}
	version, err := wire.ParseVersion(hello[:])
	if err != nil {
		rd.Fail(err)
		return wire.ServerInit{}
	}
	if version == wire.Version33 {
		switch t := rd.U32("security-type"); security.Number(min(t, 0xff)) {
		case security.NumberNone:
		case security.NumberVNCAuth:
			rd.Skip("challenge", 16)
			if r := rd.U32("SecurityResult"); r != 0 {
				rd.Failf("it is of a session that was refused")
			}
		default:
			rd.Failf("it has security type %d", t)
		}
		return wire.ReadServerInit(rd)
	}
	n := rd.U8("number-of-security-types")
	if rd.Err() == nil && n == 0 {
		rd.Failf("it is of a session that was refused")
	}
	rd.Skip("security-types", int(n))
	if rd.Err() != nil {
		return wire.ServerInit{}
	}
	// SecurityResult is left out by some recorders. Where it is there it is
	// zero, which is no size of a picture.
	if b, err := br.Peek(4); err == nil && binary.BigEndian.Uint32(b) == 0 {
		rd.Skip("SecurityResult", 4)
	}
	return wire.ReadServerInit(rd)
}
