// Package security is the table of RFB security types (rfbproto 7.1.2 and
// 7.2), one file each.
package security

import (
	"context"
	"errors"
	"net"
)

// Number is a security type's number (rfbproto 7.1.2).
type Number uint8

// Security types.
const (
	NumberInvalid  Number = 0
	NumberNone     Number = 1
	NumberVNCAuth  Number = 2
	NumberVeNCrypt Number = 19
)

// ErrRefused is wrapped by errors that say the peer's proof was not accepted.
var ErrRefused = errors.New("authentication failed")

// Type is one way to secure a connection, for one side or both.
type Type interface {
	// Number is what the handshake calls it.
	Number() Number
	// Name is what flags and logs call it: none, vnc, vencrypt.
	Name() string
	// Server runs the type's part of the handshake for the server, between
	// the choice of the type and SecurityResult, and returns the connection
	// to go on with.
	Server(ctx context.Context, conn net.Conn) (net.Conn, error)
	// Client does the same for the client.
	Client(ctx context.Context, conn net.Conn) (net.Conn, error)
}

// None is the security type 1 (rfbproto 7.2.1): nothing is asked and nothing
// is encrypted.
type None struct{}

// Number is 1.
func (None) Number() Number { return NumberNone }

// Name is "none".
func (None) Name() string { return "none" }

// Server returns conn.
func (None) Server(_ context.Context, conn net.Conn) (net.Conn, error) { return conn, nil }

// Client returns conn.
func (None) Client(_ context.Context, conn net.Conn) (net.Conn, error) { return conn, nil }
