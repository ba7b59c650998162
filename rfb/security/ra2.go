package security

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"net"

	"github.com/ironglass/ironglass/rfb/wire"
)

// RA2 is the security types 5, 6, 129 and 130, RSA-AES (rfbproto 7.2.6 and
// 7.2.7, 7.2.9 and 7.2.10): each side sends a random number encrypted with
// the other's RSA key, AES in EAX mode goes on with keys made of both, and the
// viewer sends a password, with a name or without.
type RA2 struct {
	// Type is NumberRA2, NumberRA2ne, NumberRA2256 or NumberRA2ne256; 0 is
	// NumberRA2. Those with 256 use AES-256 and SHA-256 in place of AES-128
	// and SHA-1, those with ne encrypt the handshake and nothing after it.
	Type Number
	// Key is this side's own, of 1024 to 8192 bits. A server needs one
	// (ReadKey, GenerateKey); a client without one makes one each time.
	Key *rsa.PrivateKey
	// Auth is for servers, and Usernames makes them ask for a name too.
	Auth      Authenticator
	Usernames bool
	// Credentials is for clients.
	Credentials Credentials
	// ServerKey is the Fingerprint that the server's key must have for a
	// client to go on. Where it is empty any will do: then the connection is
	// encrypted, and nothing shows to whom.
	ServerKey string
}

// What the viewer is asked for.
const (
	ra2NameAndPassword = 1
	ra2Password        = 2
)

// maxRA2 is the longest name and the longest password, in bytes.
const maxRA2 = 255

// Number is Type.
func (r RA2) Number() Number {
	if r.Type == NumberInvalid {
		return NumberRA2
	}
	return r.Type
}

// encrypted says that the session is, too.
func (r RA2) encrypted() bool { return r.Number() == NumberRA2 || r.Number() == NumberRA2256 }

// random is the length of the random numbers and the keys, in bytes.
func (r RA2) random() int {
	if r.Number() == NumberRA2256 || r.Number() == NumberRA2ne256 {
		return 32
	}
	return 16
}

// digest is the hash of the pieces.
func (r RA2) digest(pieces ...[]byte) []byte {
	all := bytes.Join(pieces, nil)
	if r.random() == 32 {
		sum := sha256.Sum256(all)
		return sum[:]
	}
	sum := sha1.Sum(all)
	return sum[:]
}

// Server proves that it has its key, asks for the credentials and checks
// them.
func (r RA2) Server(ctx context.Context, conn net.Conn) (Result, error) {
	if r.Key == nil {
		return Result{}, errors.New("no RSA key is set up")
	}
	own := publicKey(&r.Key.PublicKey)
	if err := write(conn, "public key", own); err != nil {
		return Result{}, err
	}
	peer, theirs, err := readPublicKey(conn)
	if err != nil {
		return Result{}, err
	}
	random, err := r.sendRandom(conn, peer)
	if err != nil {
		return Result{}, err
	}
	got, err := r.readRandom(conn, r.Key)
	if err != nil {
		return Result{}, err
	}
	c := r.layer(conn, random, got)
	if err := write(c, "hash of the keys", r.digest(own, theirs)); err != nil {
		return Result{}, err
	}
	if err := r.readDigest(c, theirs, own); err != nil {
		return Result{}, err
	}
	ask := byte(ra2Password)
	if r.Usernames {
		ask = ra2NameAndPassword
	}
	if err := write(c, "request for a password", []byte{ask}); err != nil {
		return Result{}, err
	}
	name, password, err := readCredentials(c)
	if err != nil {
		return Result{}, err
	}
	onwards, err := r.onwards(c)
	if err != nil {
		return Result{}, err
	}
	return authenticate(ctx, r.Auth, Result{Conn: onwards}, name, password)
}

// Client checks the server's key and sends the credentials.
func (r RA2) Client(ctx context.Context, conn net.Conn) (Result, error) {
	peer, theirs, err := readPublicKey(conn)
	if err != nil {
		return Result{}, err
	}
	if f := Fingerprint(peer); r.ServerKey != "" && f != r.ServerKey {
		return Result{}, fmt.Errorf("the server's key has the fingerprint %s, and %s is the one to trust: "+
			"it is another server, or its key was changed", f, r.ServerKey)
	}
	key := r.Key
	if key == nil {
		if key, err = GenerateKey(); err != nil {
			return Result{}, err
		}
	}
	own := publicKey(&key.PublicKey)
	if err := write(conn, "public key", own); err != nil {
		return Result{}, err
	}
	got, err := r.readRandom(conn, key)
	if err != nil {
		return Result{}, err
	}
	random, err := r.sendRandom(conn, peer)
	if err != nil {
		return Result{}, err
	}
	c := r.layer(conn, random, got)
	if err := r.readDigest(c, theirs, own); err != nil {
		return Result{}, err
	}
	if err := write(c, "hash of the keys", r.digest(own, theirs)); err != nil {
		return Result{}, err
	}
	ask, err := read(c, "kind of credentials", 1)
	if err != nil {
		return Result{}, err
	}
	if ask[0] != ra2NameAndPassword && ask[0] != ra2Password {
		return Result{}, wire.Errorf("the server asks for credentials of a kind %d, which is not known", ask[0])
	}
	cred, err := r.Credentials.get(ctx, ask[0] == ra2NameAndPassword)
	if err != nil {
		return Result{}, err
	}
	if ask[0] == ra2Password {
		cred.Username = ""
	}
	if len(cred.Username) > maxRA2 || len(cred.Password) > maxRA2 {
		return Result{}, fmt.Errorf("the name or the password is longer than the %d bytes that RSA-AES can send", maxRA2)
	}
	b := append([]byte{byte(len(cred.Username))}, cred.Username...)
	b = append(append(b, byte(len(cred.Password))), cred.Password...)
	if err := write(c, "credentials", b); err != nil {
		return Result{}, err
	}
	onwards, err := r.onwards(c)
	return Result{Conn: onwards}, err
}

// readPublicKey reads a key: U32 length in bits, modulus and exponent, each
// of as many bytes as that takes. It returns what was read, too.
func readPublicKey(conn net.Conn) (*rsa.PublicKey, []byte, error) {
	head, err := read(conn, "length of the public key", 4)
	if err != nil {
		return nil, nil, err
	}
	length := binary.BigEndian.Uint32(head)
	if length < minKeyBits || length > maxKeyBits {
		return nil, nil, wire.Errorf("a public key of %d bits; %d to %d are possible", length, minKeyBits, maxKeyBits)
	}
	size := int(length+7) / 8
	body, err := read(conn, "public key", 2*size)
	if err != nil {
		return nil, nil, err
	}
	n, e := new(big.Int).SetBytes(body[:size]), new(big.Int).SetBytes(body[size:])
	// crypto/rsa takes exponents of 31 bits; everybody's is 65537.
	if (n.BitLen()+7)/8 != size || n.Bit(0) == 0 || e.BitLen() > 31 || e.BitLen() < 2 || e.Bit(0) == 0 {
		return nil, nil, wire.Errorf("the public key is not one of RSA with %d bits", length)
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, append(head, body...), nil
}

// sendRandom sends a random number encrypted with the peer's key: U16 length,
// PKCS #1 v1.5's form.
func (r RA2) sendRandom(conn net.Conn, peer *rsa.PublicKey) ([]byte, error) {
	random := make([]byte, r.random())
	rand.Read(random)
	secret, err := rsa.EncryptPKCS1v15(rand.Reader, peer, random) //nolint:staticcheck // the protocol's
	if err != nil {
		return nil, wire.Errorf("the public key is of no use: %w", err)
	}
	return random, write(conn, "random number", append(binary.BigEndian.AppendUint16(nil, uint16(len(secret))), secret...))
}

// readRandom reads the peer's. What does not decrypt is taken for a random
// number that nobody knows, so that it fails no sooner than the next message
// does and nothing can be learnt from when (Bleichenbacher's attack).
func (r RA2) readRandom(conn net.Conn, key *rsa.PrivateKey) ([]byte, error) {
	head, err := read(conn, "length of the random number", 2)
	if err != nil {
		return nil, err
	}
	if n := int(binary.BigEndian.Uint16(head)); n != key.Size() {
		return nil, wire.Errorf("a random number of %d bytes, encrypted with a key of %d", n, key.Size())
	}
	secret, err := read(conn, "random number", key.Size())
	if err != nil {
		return nil, err
	}
	random := make([]byte, r.random())
	rand.Read(random)
	err = rsa.DecryptPKCS1v15SessionKey(nil, key, secret, random) //nolint:staticcheck // the protocol's
	if err != nil {
		return nil, wire.Errorf("the random number does not decrypt: %w", err)
	}
	return random, nil
}

// layer returns the connection with the encryption on it. What is sent is
// encrypted by the hash of the peer's random number and one's own.
func (r RA2) layer(conn net.Conn, own, peer []byte) *eaxConn {
	out, in := r.digest(peer, own)[:r.random()], r.digest(own, peer)[:r.random()]
	return newEAXConn(conn, in, out)
}

// onwards returns the connection that the session goes on with.
func (r RA2) onwards(c *eaxConn) (net.Conn, error) {
	if r.encrypted() {
		c.buffered()
		return c, nil
	}
	if len(c.ready) > 0 {
		return nil, wire.Errorf("%d bytes too many in the encrypted handshake", len(c.ready))
	}
	return c.Conn, nil
}

// readDigest reads the peer's hash of both keys.
func (r RA2) readDigest(c *eaxConn, theirs, own []byte) error {
	want := r.digest(theirs, own)
	got, err := read(c, "hash of the keys", len(want))
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got, want) != 1 {
		return wire.Errorf("the peer saw other keys than were sent: somebody is in between")
	}
	return nil
}

// readCredentials reads U8 length-username, username, U8 length-password,
// password.
func readCredentials(c *eaxConn) (name, password string, err error) {
	var fields [2]string
	for i, field := range []string{"name", "password"} {
		n, err := read(c, "length of the "+field, 1)
		if err != nil {
			return "", "", err
		}
		p, err := read(c, field, int(n[0]))
		if err != nil {
			return "", "", err
		}
		fields[i] = string(p)
	}
	return fields[0], fields[1], nil
}
