package security

import (
	"bufio"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"github.com/ironglass/ironglass/rfb/wire"
)

const (
	// maxSealed is the longest message that is sent, in bytes: peers are known
	// to take that much. Up to 65535 are received.
	maxSealed = 8 << 10
	// maxSealedWrite is how much is sealed for one write to the connection.
	maxSealedWrite = 4 * maxSealed
)

// eaxConn is a connection with messages of RSA-AES on it (rfbproto 7.2.6):
// U16 length, which is authenticated, the encrypted bytes, and a tag of 16.
// The nonces count messages. One goroutine at a time may read and one write.
type eaxConn struct {
	net.Conn
	in, out sealed
	r       io.Reader
	box     []byte // the last message received
	ready   []byte // of box, what Read has not returned yet
	failed  error  // of a write, after which nothing can be written
}

// NetConn is the connection below the encryption.
func (c *eaxConn) NetConn() net.Conn { return c.Conn }

// sealed is one direction.
type sealed struct {
	cipher.AEAD
	nonce [16]byte // counts messages, the least byte first
}

func newEAXConn(conn net.Conn, in, out []byte) *eaxConn {
	return &eaxConn{Conn: conn, in: sealed{AEAD: newEAX(in)}, out: sealed{AEAD: newEAX(out)}, r: conn}
}

// next counts a message.
func (s *sealed) next() {
	for i := range s.nonce {
		if s.nonce[i]++; s.nonce[i] != 0 {
			return
		}
	}
}

// buffered lets it read ahead from now on: nothing else reads the connection.
func (c *eaxConn) buffered() { c.r = bufio.NewReaderSize(c.Conn, 4<<10) }

// Read returns what messages hold.
func (c *eaxConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.ready) == 0 {
		if err := c.receive(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

func (c *eaxConn) receive() error {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return err // io.EOF between messages
	}
	n := int(binary.BigEndian.Uint16(head[:])) + c.in.Overhead()
	if cap(c.box) < n {
		c.box = make([]byte, n)
	}
	c.box = c.box[:n]
	if _, err := io.ReadFull(c.r, c.box); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	text, err := c.in.Open(c.box[:0], c.in.nonce[:], c.box, head[:])
	if err != nil {
		return wire.Errorf("an RSA-AES message of %d bytes: %w", n, err)
	}
	c.in.next()
	c.ready = text
	return nil
}

// Write sends p as messages. What fits goes out in one write.
func (c *eaxConn) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) && c.failed == nil {
		part := p[done:min(len(p), done+maxSealedWrite)]
		b := make([]byte, 0, len(part)+(len(part)/maxSealed+1)*(2+c.out.Overhead()))
		for rest := part; len(rest) > 0; {
			text := rest[:min(len(rest), maxSealed)]
			head := len(b)
			b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
			b = c.out.Seal(b, c.out.nonce[:], text, b[head:])
			c.out.next()
			rest = rest[len(text):]
		}
		if _, c.failed = c.Conn.Write(b); c.failed == nil {
			done += len(part)
		}
	}
	return done, c.failed
}
