package security

import (
	"context"
	"net"
)

// None is the security type 1 (rfbproto 7.2.1): nothing is asked and nothing
// is encrypted.
type None struct{}

// Number is 1.
func (None) Number() Number { return NumberNone }

// Server lets everybody in.
func (None) Server(_ context.Context, conn net.Conn) (Result, error) {
	return Result{Conn: conn, Open: true}, nil
}

// Client asks for nothing.
func (None) Client(_ context.Context, conn net.Conn) (Result, error) {
	return Result{Conn: conn, Open: true}, nil
}
