package security

import (
	"context"
	"encoding/binary"
	"net"

	"github.com/ironglass/ironglass/rfb/wire"
)

// maxPlain is the longest name and the longest password that Plain takes, in
// bytes.
const maxPlain = 1024

// plainServer reads what VeNCrypt's Plain subtypes send (rfbproto 7.2.4): U32
// username-length, U32 password-length, username, password.
func plainServer(ctx context.Context, conn net.Conn, a Authenticator) (Result, error) {
	head, err := read(conn, "lengths of name and password", 8)
	if err != nil {
		return Result{}, err
	}
	name, password := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
	if name > maxPlain || password > maxPlain {
		return Result{}, wire.Errorf("a name of %d bytes and a password of %d, of which each may have %d", name, password, maxPlain)
	}
	both, err := read(conn, "name and password", int(name+password))
	if err != nil {
		return Result{}, err
	}
	return authenticate(ctx, a, Result{Conn: conn}, string(both[:name]), string(both[name:]))
}

// plainClient sends it.
func plainClient(ctx context.Context, conn net.Conn, c Credentials) (Result, error) {
	c, err := c.get(ctx, true)
	if err != nil {
		return Result{}, err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(c.Username)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Password)))
	b = append(append(b, c.Username...), c.Password...)
	return Result{Conn: conn}, write(conn, "name and password", b)
}
