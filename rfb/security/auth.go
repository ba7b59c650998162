package security

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

// Authenticator says who may come in by a name and a password. Its methods
// may be called by several goroutines at once.
type Authenticator interface {
	// Authenticate checks a name and a password; the name is empty where the
	// viewer was asked for a password alone. An error that wraps ErrRefused
	// says that they are wrong, any other that they could not be checked.
	// Secrets are to be compared in constant time. ctx ends with the
	// handshake.
	Authenticate(ctx context.Context, username, password string) (viewOnly bool, err error)
}

// PasswordHolder knows the passwords themselves, which VNC Authentication
// cannot do without: the viewer never sends one. Its methods may be called by
// several goroutines at once.
type PasswordHolder interface {
	// VNCPasswords returns the passwords that count now.
	VNCPasswords(ctx context.Context) (Passwords, error)
}

// Passwords are fixed passwords that need no name. It is an Authenticator,
// which takes any name, and a PasswordHolder.
type Passwords struct {
	hidden
	// Operate lets a viewer operate, View lets it look only; an empty one is
	// none at all.
	Operate, View string
}

// errNoPasswords says that nobody can come in.
var errNoPasswords = errors.New("no password is set up for viewers to come in with")

// Authenticate compares password with both.
func (p Passwords) Authenticate(_ context.Context, _, password string) (viewOnly bool, err error) {
	if p.Operate == "" && p.View == "" {
		return false, errNoPasswords
	}
	return p.choose(equal(p.Operate, password), equal(p.View, password))
}

// VNCPasswords returns p.
func (p Passwords) VNCPasswords(context.Context) (Passwords, error) { return p, nil }

// choose says what a proof allows that both were compared with, 1 for those
// that it fits.
func (p Passwords) choose(operate, view int) (viewOnly bool, err error) {
	switch {
	case p.Operate != "" && operate == 1:
		return false, nil
	case p.View != "" && view == 1:
		return true, nil
	}
	return false, errWrong
}

// equal compares two texts in a time that tells nothing of either, their
// lengths included.
func equal(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

// authenticate asks a, which may be nil.
func authenticate(ctx context.Context, a Authenticator, conn Result, username, password string) (Result, error) {
	if a == nil {
		return Result{}, errNoPasswords
	}
	viewOnly, err := a.Authenticate(ctx, username, password)
	conn.Password, conn.ViewOnly = true, viewOnly
	return conn, err
}

// ErrNoCredentials is wrapped by what a client's handshake returns where the
// server asks for what the client was not given.
var ErrNoCredentials = errors.New("it is not set up here")

// Credentials are what a client proves itself with.
type Credentials struct {
	hidden
	Username, Password string
	// Ask, where not nil, is asked instead when a server wants a password,
	// and a name where username is set. ctx ends with the handshake, which
	// its server may give little time.
	Ask func(ctx context.Context, username bool) (Credentials, error)
}

// get returns what the server asks for.
func (c Credentials) get(ctx context.Context, username bool) (Credentials, error) {
	if c.Ask != nil {
		asked, err := c.Ask(ctx, username)
		if err != nil {
			return Credentials{}, fmt.Errorf("asking for the password: %w", err)
		}
		c = asked
	}
	switch {
	case c.Password == "":
		return c, fmt.Errorf("the server asks for a password: %w", ErrNoCredentials)
	case username && c.Username == "":
		return c, fmt.Errorf("the server asks for a user's name beside the password: %w", ErrNoCredentials)
	}
	return c, nil
}

// any reports whether there is something to prove oneself with.
func (c Credentials) any() bool { return c.Password != "" || c.Ask != nil }

// hidden keeps what it is embedded in out of logs and messages.
type hidden struct{}

func (hidden) String() string       { return "(not shown)" }
func (hidden) GoString() string     { return "(not shown)" }
func (hidden) LogValue() slog.Value { return slog.StringValue("(not shown)") }

// MarshalText keeps it out of JSON as well.
func (hidden) MarshalText() ([]byte, error) { return []byte("(not shown)"), nil }
