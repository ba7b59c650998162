package security

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"

	"github.com/ironglass/ironglass/rfb/wire"
)

// Tight is the security type 16 (rfbproto 7.2.3): no tunnel, and in it None,
// or VNC Authentication where there is a password. With it, ServerInit is
// followed by wire.InteractionCapabilities.
type Tight struct {
	// Passwords is for servers; without it they let everybody in.
	Passwords PasswordHolder
	// Credentials is for clients; without a password they take None alone.
	Credentials Credentials
}

// What is chosen of (rfbproto 7.2.3). A capability counts only where its
// number, vendor and signature are all the same.
var (
	tightNoTunnel = wire.Capability{Code: 0, Vendor: "TGHT", Signature: "NOTUNNEL"}
	tightNone     = wire.Capability{Code: 1, Vendor: "STDV", Signature: "NOAUTH__"}
	tightVNCAuth  = wire.Capability{Code: 2, Vendor: "STDV", Signature: "VNCAUTH_"}
)

// maxTight is the longest list that is taken, in capabilities.
const maxTight = 64

// Number is 16.
func (Tight) Number() Number { return NumberTight }

// Server offers no tunnel, which is not to be answered, and one way to
// authenticate.
func (t Tight) Server(ctx context.Context, conn net.Conn) (Result, error) {
	offered := tightNone
	if t.Passwords != nil {
		offered = tightVNCAuth
	}
	if err := write(conn, "list of tunnels", make([]byte, 4)); err != nil {
		return Result{}, err
	}
	list := offered.Append(binary.BigEndian.AppendUint32(nil, 1))
	if err := write(conn, "list of authentication types", list); err != nil {
		return Result{}, err
	}
	choice, err := read(conn, "authentication type", 4)
	if err != nil {
		return Result{}, err
	}
	if code := int32(binary.BigEndian.Uint32(choice)); code != offered.Code {
		return Result{}, wire.Errorf("the viewer chose Tight's authentication type %d, which was not offered", code)
	}
	if offered == tightVNCAuth {
		return VNCAuth{Passwords: t.Passwords}.Server(ctx, conn)
	}
	return None{}.Server(ctx, conn)
}

// Client takes no tunnel, and the first way to authenticate that it can.
func (t Tight) Client(ctx context.Context, conn net.Conn) (Result, error) {
	tunnels, err := readTightList(conn, "tunnels")
	if err != nil {
		return Result{}, err
	}
	if len(tunnels) > 0 {
		if !slices.Contains(tunnels, tightNoTunnel) {
			return Result{}, wire.Errorf("the server wants one of the tunnels %v, none of which this program has", tunnels)
		}
		if err := write(conn, "tunnel", binary.BigEndian.AppendUint32(nil, uint32(tightNoTunnel.Code))); err != nil {
			return Result{}, err
		}
	}
	auths, err := readTightList(conn, "authentication types")
	if err != nil {
		return Result{}, err
	}
	if len(auths) == 0 {
		return None{}.Client(ctx, conn)
	}
	for _, a := range auths {
		if a != tightNone && (a != tightVNCAuth || !t.Credentials.any()) {
			continue
		}
		if err := write(conn, "authentication type", binary.BigEndian.AppendUint32(nil, uint32(a.Code))); err != nil {
			return Result{}, err
		}
		if a == tightNone {
			return None{}.Client(ctx, conn)
		}
		return VNCAuth{Credentials: t.Credentials}.Client(ctx, conn)
	}
	if slices.Contains(auths, tightVNCAuth) {
		return Result{}, fmt.Errorf("the server asks for a password: %w", ErrNoCredentials)
	}
	return Result{}, wire.Errorf("the server offers Tight's authentication types %v, none of which this program has", auths)
}

// readTightList reads a list: U32 number, capabilities.
func readTightList(conn net.Conn, what string) ([]wire.Capability, error) {
	head, err := read(conn, "number of "+what, 4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n > maxTight {
		return nil, wire.Errorf("a list of %d %s, more than the %d allowed", n, what, maxTight)
	}
	b, err := read(conn, "list of "+what, int(n)*wire.CapabilityLen)
	if err != nil {
		return nil, err
	}
	var list []wire.Capability
	for ; len(b) > 0; b = b[wire.CapabilityLen:] {
		list = append(list, wire.ParseCapability(b))
	}
	return list, nil
}
