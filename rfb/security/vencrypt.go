package security

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/ironglass/ironglass/rfb/wire"
)

// Subtype is one of VeNCrypt's (rfbproto 7.2.4).
type Subtype uint32

// The subtypes that this program speaks. Those with TLS in place of X509 want
// a key exchange without certificates (anonymous Diffie-Hellman), which
// crypto/tls has not: whoever sits in between can read it.
const (
	// Plain is a name and a password without any encryption; a VeNCrypt uses
	// it only where its Subtypes list it.
	Plain     Subtype = 256
	X509None  Subtype = 260
	X509Vnc   Subtype = 261
	X509Plain Subtype = 262
)

// String is the specification's name.
func (s Subtype) String() string {
	switch s {
	case Plain:
		return "Plain"
	case X509None:
		return "X509None"
	case X509Vnc:
		return "X509Vnc"
	case X509Plain:
		return "X509Plain"
	}
	return fmt.Sprint(uint32(s))
}

// VeNCrypt is the security type 19 in its version 0.2 (rfbproto 7.2.4): TLS
// 1.2 or 1.3, and in it no further proof, a password or a name with one.
type VeNCrypt struct {
	// TLS has a server's certificate, and a client's authorities and the
	// server's name, as crypto/tls wants them; versions before 1.2 are never
	// used. Where a server's has ClientCAs and no ClientAuth, X509None demands
	// a certificate of theirs, and the other subtypes take one.
	TLS *tls.Config
	// Subtypes lists what a server offers, in this order, and what a client
	// may use, the best first. nil is, of X509Plain, X509Vnc and X509None,
	// those for which there is what they need: to a server X509None is what
	// there is without a password, or with ClientCAs.
	Subtypes []Subtype
	// Auth (for Plain and X509Plain) and Passwords (for X509Vnc) are for
	// servers.
	Auth      Authenticator
	Passwords PasswordHolder
	// Credentials is for clients.
	Credentials Credentials
}

// Number is 19.
func (VeNCrypt) Number() Number { return NumberVeNCrypt }

// The version's two bytes.
var vencryptVersion = []byte{0, 2}

// Server offers the subtypes and runs the one chosen.
func (v VeNCrypt) Server(ctx context.Context, conn net.Conn) (Result, error) {
	offered := v.Subtypes
	if offered == nil {
		offered = v.serverSubtypes()
	}
	if err := write(conn, "VeNCrypt version", vencryptVersion); err != nil {
		return Result{}, err
	}
	version, err := read(conn, "VeNCrypt version", 2)
	if err != nil {
		return Result{}, err
	}
	if !slices.Equal(version, vencryptVersion) {
		_ = write(conn, "refusal", []byte{0xff})
		return Result{}, wire.Errorf("the viewer speaks VeNCrypt %d.%d, which is not 0.2", version[0], version[1])
	}
	if err := write(conn, "acknowledgement", []byte{0}); err != nil {
		return Result{}, err
	}
	list := []byte{byte(len(offered))}
	for _, s := range offered {
		list = binary.BigEndian.AppendUint32(list, uint32(s))
	}
	if err := write(conn, "VeNCrypt subtypes", list); err != nil {
		return Result{}, err
	}
	choice, err := read(conn, "VeNCrypt subtype", 4)
	if err != nil {
		return Result{}, err
	}
	chosen := Subtype(binary.BigEndian.Uint32(choice))
	if !slices.Contains(offered, chosen) {
		_ = write(conn, "refusal", []byte{0})
		return Result{}, wire.Errorf("the viewer chose VeNCrypt subtype %v, which was not offered", chosen)
	}
	if chosen == Plain {
		return plainServer(ctx, conn, v.Auth)
	}
	if err := write(conn, "acknowledgement", []byte{1}); err != nil {
		return Result{}, err
	}
	secured, err := v.serveTLS(ctx, conn, chosen)
	if err != nil {
		return Result{}, err
	}
	switch chosen {
	case X509Vnc:
		return VNCAuth{Passwords: v.Passwords}.Server(ctx, secured)
	case X509Plain:
		return plainServer(ctx, secured, v.Auth)
	default:
		return Result{Conn: secured}, nil
	}
}

func (v VeNCrypt) serverSubtypes() []Subtype {
	var all []Subtype
	if v.Auth != nil {
		all = append(all, X509Plain)
	}
	if v.Passwords != nil {
		all = append(all, X509Vnc)
	}
	if all == nil || v.TLS != nil && v.TLS.ClientCAs != nil {
		all = append(all, X509None)
	}
	return all
}

func (v VeNCrypt) serveTLS(ctx context.Context, conn net.Conn, chosen Subtype) (net.Conn, error) {
	if v.TLS == nil {
		return nil, errors.New("no certificate is set up for VeNCrypt")
	}
	cfg := modern(v.TLS)
	// Sessions last: there is nothing to gain from taking up an old one.
	cfg.SessionTicketsDisabled = true
	if cfg.ClientCAs != nil && cfg.ClientAuth == tls.NoClientCert {
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
		if chosen == X509None {
			cfg.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	c := tls.Server(conn, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		var bad *tls.CertificateVerificationError
		if errors.As(err, &bad) {
			return nil, fmt.Errorf("%w: TLS: %w", ErrRefused, err)
		}
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return tlsConn{c, conn}, nil
}

// Client chooses a subtype and runs it.
func (v VeNCrypt) Client(ctx context.Context, conn net.Conn) (Result, error) {
	version, err := read(conn, "VeNCrypt version", 2)
	if err != nil {
		return Result{}, err
	}
	if slices.Compare(version, vencryptVersion) < 0 {
		_ = write(conn, "refusal", []byte{0, 0})
		return Result{}, wire.Errorf("the server speaks VeNCrypt %d.%d; 0.2 is needed", version[0], version[1])
	}
	if err := write(conn, "VeNCrypt version", vencryptVersion); err != nil {
		return Result{}, err
	}
	ack, err := read(conn, "acknowledgement", 1)
	if err != nil {
		return Result{}, err
	}
	if ack[0] != 0 {
		return Result{}, wire.Errorf("the server does not accept VeNCrypt 0.2")
	}
	n, err := read(conn, "number of VeNCrypt subtypes", 1)
	if err != nil {
		return Result{}, err
	}
	list, err := read(conn, "VeNCrypt subtypes", 4*int(n[0]))
	if err != nil {
		return Result{}, err
	}
	chosen, err := v.pick(list)
	if err != nil {
		return Result{}, err
	}
	if err := write(conn, "VeNCrypt subtype", binary.BigEndian.AppendUint32(nil, uint32(chosen))); err != nil {
		return Result{}, err
	}
	if chosen == Plain {
		return plainClient(ctx, conn, v.Credentials)
	}
	if ack, err = read(conn, "acknowledgement", 1); err != nil {
		return Result{}, err
	}
	if ack[0] != 1 {
		return Result{}, wire.Errorf("the server does not accept VeNCrypt subtype %v, which it offered", chosen)
	}
	secured, err := v.dialTLS(ctx, conn)
	if err != nil {
		return Result{}, err
	}
	switch chosen {
	case X509Vnc:
		return VNCAuth{Credentials: v.Credentials}.Client(ctx, secured)
	case X509Plain:
		return plainClient(ctx, secured, v.Credentials)
	default:
		return Result{Conn: secured}, nil
	}
}

// pick chooses of the server's list.
func (v VeNCrypt) pick(list []byte) (Subtype, error) {
	var offered []Subtype
	for ; len(list) > 0; list = list[4:] {
		offered = append(offered, Subtype(binary.BigEndian.Uint32(list)))
	}
	mine := v.Subtypes
	if mine == nil {
		mine = []Subtype{X509None}
		if v.Credentials.any() {
			mine = []Subtype{X509Plain, X509Vnc, X509None}
		}
	}
	for _, s := range mine {
		if slices.Contains(offered, s) {
			return s, nil
		}
	}
	if v.Subtypes == nil && (slices.Contains(offered, X509Plain) || slices.Contains(offered, X509Vnc)) {
		return 0, fmt.Errorf("the server asks for a password: %w", ErrNoCredentials)
	}
	return 0, wire.Errorf("the server offers the VeNCrypt subtypes %v, of which none is set up here %v", offered, mine)
}

func (v VeNCrypt) dialTLS(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if v.TLS == nil || v.TLS.ServerName == "" && !v.TLS.InsecureSkipVerify {
		return nil, errors.New("VeNCrypt is set up without the name that the server's certificate must have")
	}
	c := tls.Client(conn, modern(v.TLS))
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return tlsConn{c, conn}, nil
}

// modern returns a copy that uses no version before TLS 1.2.
func modern(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.MinVersion = max(cfg.MinVersion, tls.VersionTLS12)
	return cfg
}

// tlsConn is a connection over TLS that is closed without a last word, which
// a peer that does not read would make us wait for. RFB's messages tell where
// they end.
type tlsConn struct {
	*tls.Conn
	below net.Conn
}

// Close closes the connection below.
func (c tlsConn) Close() error { return c.below.Close() }
