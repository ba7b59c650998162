// Package security is the table of RFB security types (rfbproto 7.1.2 and
// 7.2), one file each with the server's and the client's side together.
package security

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
)

// Number is a security type's number (rfbproto 7.1.2).
type Number uint8

// Security types.
const (
	NumberInvalid  Number = 0
	NumberNone     Number = 1
	NumberVNCAuth  Number = 2
	NumberRA2      Number = 5
	NumberRA2ne    Number = 6
	NumberTight    Number = 16
	NumberVeNCrypt Number = 19
	NumberRA2256   Number = 129
	NumberRA2ne256 Number = 130
)

var names = map[Number]string{
	NumberNone: "none", NumberVNCAuth: "vnc", NumberVeNCrypt: "vencrypt", NumberTight: "tight",
	NumberRA2: "ra2", NumberRA2ne: "ra2ne", NumberRA2256: "ra2-256", NumberRA2ne256: "ra2ne-256",
}

// String is what flags and logs call the type, such as vencrypt; the number
// where it has no name here.
func (n Number) String() string {
	if name, ok := names[n]; ok {
		return name
	}
	return fmt.Sprint(uint8(n))
}

// ErrRefused is wrapped by errors that say the peer's proof was not accepted.
var ErrRefused = errors.New("authentication failed")

// errWrong is the usual reason.
var errWrong = fmt.Errorf("%w: the name or the password is wrong", ErrRefused)

// Type is one way to secure a connection, for one side or both. A Type is
// used by any number of connections at once. What is secret in it is never in
// an error.
type Type interface {
	// Number is what the handshake calls it.
	Number() Number
	// Server runs the type's part of the handshake for the server, between
	// the choice of the type and SecurityResult. Each message is one write.
	// An error that wraps ErrRefused says that the viewer's proof was wrong;
	// Result.Conn is then where to say so, nil where nothing can be said.
	Server(ctx context.Context, conn net.Conn) (Result, error)
	// Client does the same for the client.
	Client(ctx context.Context, conn net.Conn) (Result, error)
}

// Result is what a type's part of the handshake came to.
type Result struct {
	// Conn is the connection to go on with: the one given or a layer over it.
	// Closing it waits for nothing.
	Conn net.Conn
	// Open says that the type was None or goes on as None does: before RFB
	// 3.8 no SecurityResult follows (rfbproto 7.1.3).
	Open bool
	// Password says that a password was checked, which can be guessed at. It
	// is set by servers only.
	Password bool
	// ViewOnly says that this proof allows to look and no more. It is set by
	// servers only.
	ViewOnly bool
}

// read reads a message or a field of n bytes, and takes not a byte more: what
// follows may belong to a layer above or below.
func read(conn io.Reader, field string, n int) ([]byte, error) {
	p := make([]byte, n)
	if _, err := io.ReadFull(conn, p); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("reading the %s: %w", field, err)
	}
	return p, nil
}

// write sends a message in one write.
func write(conn io.Writer, field string, p []byte) error {
	if _, err := conn.Write(p); err != nil {
		return fmt.Errorf("sending the %s: %w", field, err)
	}
	return nil
}
