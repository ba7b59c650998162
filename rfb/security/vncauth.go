package security

import (
	"context"
	"crypto/des"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"math/bits"
	"net"
)

// VNCAuth is the security type 2, VNC Authentication (rfbproto 7.2.2): the
// viewer encrypts a random challenge with the password. No more than the
// password's first eight bytes count, and what follows is not encrypted.
type VNCAuth struct {
	// Passwords is for servers.
	Passwords PasswordHolder
	// Credentials is for clients; the name is not used.
	Credentials Credentials
}

// challengeLen is the length of the challenge and of its answer, in bytes.
const challengeLen = 16

// Number is 2.
func (VNCAuth) Number() Number { return NumberVNCAuth }

// Server sends a challenge and compares the answer.
func (a VNCAuth) Server(ctx context.Context, conn net.Conn) (Result, error) {
	if a.Passwords == nil {
		return Result{}, errNoPasswords
	}
	p, err := a.Passwords.VNCPasswords(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("looking up the password: %w", err)
	}
	if p.Operate == "" && p.View == "" {
		return Result{}, errNoPasswords
	}
	challenge := make([]byte, challengeLen)
	rand.Read(challenge)
	if err := write(conn, "challenge", challenge); err != nil {
		return Result{}, err
	}
	answer, err := read(conn, "answer to the challenge", challengeLen)
	if err != nil {
		return Result{}, err
	}
	viewOnly, err := p.choose(
		subtle.ConstantTimeCompare(answer, vncAnswer(p.Operate, challenge)),
		subtle.ConstantTimeCompare(answer, vncAnswer(p.View, challenge)))
	return Result{Conn: conn, Password: true, ViewOnly: viewOnly}, err
}

// Client answers the challenge.
func (a VNCAuth) Client(ctx context.Context, conn net.Conn) (Result, error) {
	challenge, err := read(conn, "challenge", challengeLen)
	if err != nil {
		return Result{}, err
	}
	c, err := a.Credentials.get(ctx, false)
	if err != nil {
		return Result{}, err
	}
	return Result{Conn: conn}, write(conn, "answer to the challenge", vncAnswer(c.Password, challenge))
}

// vncAnswer encrypts a challenge: two blocks of DES, each by itself, with the
// password as the key. DES takes the bits of each of the key's bytes from the
// other end.
func vncAnswer(password string, challenge []byte) []byte {
	key := make([]byte, des.BlockSize)
	copy(key, password)
	for i := range key {
		key[i] = bits.Reverse8(key[i])
	}
	block, err := des.NewCipher(key)
	if err != nil {
		panic(err) // the key has eight bytes
	}
	answer := make([]byte, challengeLen)
	for i := 0; i < challengeLen; i += des.BlockSize {
		block.Encrypt(answer[i:], challenge[i:])
	}
	return answer
}
