package security_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/security/securitytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The secrets of the tests.
var (
	passwords = security.Passwords{Operate: "operate-me", View: "look-only"}
	right     = security.Credentials{Username: "somebody", Password: "operate-me"}
	view      = security.Credentials{Username: "somebody", Password: "look-only"}
	wrong     = security.Credentials{Username: "somebody", Password: "opErate-me"}
)

// people is an Authenticator with names.
type people map[string]string

func (p people) Authenticate(_ context.Context, username, password string) (bool, error) {
	if p[username] != password {
		return false, fmt.Errorf("%w: not one of us", security.ErrRefused)
	}
	return false, nil
}

// testKey is made once: a short one, for speed.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return key
})

// pki is made once.
var pki = sync.OnceValue(func() *securitytest.PKI {
	p, err := securitytest.NewPKI("node.test")
	if err != nil {
		panic(err)
	}
	return p
})

// kind is a row of the table of what is tested: a type with its server's side
// and its client's with any credentials.
type kind struct {
	name   string
	server security.Type
	client func(c security.Credentials) security.Type
	// proof says that there is a password.
	proof bool
}

func kinds() []kind {
	all := []kind{
		{"none", security.None{}, func(security.Credentials) security.Type { return security.None{} }, false},
		{"vnc", security.VNCAuth{Passwords: passwords}, func(c security.Credentials) security.Type { return security.VNCAuth{Credentials: c} }, true},
		{"tight none", security.Tight{}, func(security.Credentials) security.Type { return security.Tight{} }, false},
		{"tight vnc", security.Tight{Passwords: passwords}, func(c security.Credentials) security.Type { return security.Tight{Credentials: c} }, true},
		{"Plain", security.VeNCrypt{Subtypes: []security.Subtype{security.Plain}, Auth: passwords},
			func(c security.Credentials) security.Type {
				return security.VeNCrypt{Subtypes: []security.Subtype{security.Plain}, Credentials: c}
			}, true},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, sub := range []security.Subtype{security.X509None, security.X509Vnc, security.X509Plain} {
			for _, certificate := range []bool{false, true} {
				name := fmt.Sprintf("%v %s", sub, tls.VersionName(version))
				server, client := pki().Server(), pki().Client()
				client.MinVersion, client.MaxVersion = version, version
				if certificate {
					name += " mutual"
					server, client = pki().MutualServer(), pki().MutualClient()
					client.MinVersion, client.MaxVersion = version, version
				}
				s := security.VeNCrypt{TLS: server, Auth: passwords, Passwords: passwords,
					Subtypes: []security.Subtype{security.X509None, security.X509Vnc, security.X509Plain}}
				all = append(all, kind{name, s, func(c security.Credentials) security.Type {
					return security.VeNCrypt{TLS: client, Subtypes: []security.Subtype{sub}, Credentials: c}
				}, sub != security.X509None})
			}
		}
	}
	for _, n := range []security.Number{security.NumberRA2, security.NumberRA2ne, security.NumberRA2256, security.NumberRA2ne256} {
		for _, names := range []bool{false, true} {
			name := n.String()
			if names {
				name += " with names"
			}
			all = append(all, kind{name, security.RA2{Type: n, Key: testKey(), Auth: passwords, Usernames: names},
				func(c security.Credentials) security.Type {
					return security.RA2{Type: n, Key: testKey(), Credentials: c, ServerKey: security.Fingerprint(&testKey().PublicKey)}
				}, true})
		}
	}
	return all
}

// outcome is what a side's handshake returned.
type outcome struct {
	security.Result
	err error
}

// socketPair returns a connection's two ends. Unlike net.Pipe it takes what is
// written while nobody reads, as TLS needs it.
func socketPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socket")
		ends[i], err = net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	return ends[0], ends[1]
}

// shake runs both sides over a connection whose ends hook may wrap.
func shake(t testing.TB, server, client security.Type, hook func(server, client net.Conn) (net.Conn, net.Conn)) (s, c outcome) {
	t.Helper()
	theirs, ours := socketPair(t)
	t.Cleanup(func() {
		theirs.Close()
		ours.Close()
	})
	deadline := time.Now().Add(time.Minute)
	if err := errors.Join(theirs.SetDeadline(deadline), ours.SetDeadline(deadline)); err != nil {
		t.Fatal(err)
	}
	serverEnd, clientEnd := theirs, ours
	if hook != nil {
		serverEnd, clientEnd = hook(theirs, ours)
	}
	done := make(chan outcome)
	go func() {
		r, err := server.Server(t.Context(), serverEnd)
		if err != nil && r.Conn == nil {
			serverEnd.Close() // the handshake is over
		}
		done <- outcome{r, err}
	}()
	r, err := client.Client(t.Context(), clientEnd)
	if err != nil {
		clientEnd.Close()
	}
	return <-done, outcome{r, err}
}

// talk sends a text each way over what the handshakes returned.
func talk(t *testing.T, s, c outcome) {
	t.Helper()
	text := bytes.Repeat([]byte("framebuffer "), 8000) // longer than any message of a layer
	for _, ends := range [][2]net.Conn{{s.Conn, c.Conn}, {c.Conn, s.Conn}} {
		sent := make(chan error)
		go func() {
			for part := text; len(part) > 0; {
				n := min(len(part), 1+len(part)/3)
				if _, err := ends[0].Write(part[:n]); err != nil {
					sent <- err
					return
				}
				part = part[n:]
			}
			sent <- nil
		}()
		got := make([]byte, len(text))
		_, err := io.ReadFull(ends[1], got)
		if err := errors.Join(err, <-sent); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, text) {
			t.Error("what arrives is not what was sent")
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s, c := shake(t, k.server, k.client(right), nil)
			if err := errors.Join(s.err, c.err); err != nil {
				t.Fatal(err)
			}
			if s.Open != c.Open || s.Password != k.proof || s.ViewOnly {
				t.Errorf("the server's result is %+v, the client's %+v", s.Result, c.Result)
			}
			talk(t, s, c)
		})
	}
}

func TestViewOnlyPassword(t *testing.T) {
	for _, k := range kinds() {
		if !k.proof {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s, c := shake(t, k.server, k.client(view), nil)
			if err := errors.Join(s.err, c.err); err != nil {
				t.Fatal(err)
			}
			if !s.Password || !s.ViewOnly {
				t.Errorf("result %+v", s.Result)
			}
		})
	}
}

// A wrong password is refused, and the refusal can be told inside of whatever
// the type has put on the connection.
func TestWrongPassword(t *testing.T) {
	for _, k := range kinds() {
		if !k.proof {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s, c := shake(t, k.server, k.client(wrong), nil)
			if !errors.Is(s.err, security.ErrRefused) || c.err != nil {
				t.Fatalf("the server says %v, the client %v", s.err, c.err)
			}
			for _, secret := range []string{wrong.Password, passwords.Operate, passwords.View} {
				if strings.Contains(s.err.Error(), secret) {
					t.Errorf("the error has a password in it: %v", s.err)
				}
			}
			if !s.Password || s.ViewOnly {
				t.Errorf("result %+v", s.Result)
			}
			talk(t, s, c)
		})
	}
}

func TestNames(t *testing.T) {
	auth := people{"somebody": "operate-me"}
	server := security.VeNCrypt{TLS: pki().Server(), Auth: auth}
	ra2 := security.RA2{Key: testKey(), Auth: auth, Usernames: true}
	for _, pair := range [][2]security.Type{
		{server, security.VeNCrypt{TLS: pki().Client(), Credentials: right}},
		{ra2, security.RA2{Key: testKey(), Credentials: right}},
	} {
		if s, c := shake(t, pair[0], pair[1], nil); s.err != nil || c.err != nil {
			t.Errorf("%v: the right name: %v, %v", pair[0].Number(), s.err, c.err)
		}
	}
	other := security.Credentials{Username: "nobody", Password: "operate-me"}
	for _, pair := range [][2]security.Type{
		{server, security.VeNCrypt{TLS: pki().Client(), Credentials: other}},
		{ra2, security.RA2{Key: testKey(), Credentials: other}},
	} {
		if s, _ := shake(t, pair[0], pair[1], nil); !errors.Is(s.err, security.ErrRefused) {
			t.Errorf("%v: another name: %v", pair[0].Number(), s.err)
		}
	}
}

// What could not be checked is not refused, and can be told all the same.
func TestAuthenticatorFails(t *testing.T) {
	broken := errors.New("the directory does not answer")
	s, _ := shake(t, security.RA2{Key: testKey(), Auth: failing{broken}}, security.RA2{Key: testKey(), Credentials: right}, nil)
	if !errors.Is(s.err, broken) || errors.Is(s.err, security.ErrRefused) || s.Conn == nil {
		t.Errorf("error %v, result %+v", s.err, s.Result)
	}
}

type failing struct{ err error }

func (f failing) Authenticate(context.Context, string, string) (bool, error) { return false, f.err }
func (f failing) VNCPasswords(context.Context) (security.Passwords, error) {
	return security.Passwords{}, f.err
}

// A server without passwords lets nobody in, least of all somebody without
// one.
func TestNoPasswords(t *testing.T) {
	empty := security.Passwords{}
	for name, server := range map[string]security.Type{
		"vnc": security.VNCAuth{Passwords: empty}, "vnc, nil": security.VNCAuth{},
		"vnc that fails": security.VNCAuth{Passwords: failing{errors.New("no")}},
		"tight":          security.Tight{Passwords: empty},
		"Plain":          security.VeNCrypt{Subtypes: []security.Subtype{security.Plain}, Auth: empty},
		"Plain, nil":     security.VeNCrypt{Subtypes: []security.Subtype{security.Plain}},
		"ra2":            security.RA2{Key: testKey(), Auth: empty}, "ra2, nil": security.RA2{Key: testKey()},
		"ra2 without a key":              security.RA2{Auth: passwords},
		"vencrypt without a certificate": security.VeNCrypt{Auth: passwords},
	} {
		for _, c := range []security.Credentials{right, {Username: "x", Password: "\x00"}} {
			var client security.Type
			switch server.Number() {
			case security.NumberVNCAuth:
				client = security.VNCAuth{Credentials: c}
			case security.NumberTight:
				client = security.Tight{Credentials: c}
			case security.NumberVeNCrypt:
				client = security.VeNCrypt{TLS: pki().Client(), Credentials: c, Subtypes: []security.Subtype{security.Plain, security.X509Plain}}
			default:
				client = security.RA2{Key: testKey(), Credentials: c}
			}
			if s, _ := shake(t, server, client, nil); s.err == nil {
				t.Errorf("%s lets everybody in", name)
			}
		}
	}
	if viewOnly, err := (security.Passwords{View: "v"}).Authenticate(t.Context(), "", ""); err == nil {
		t.Errorf("no password is taken for the missing one (view-only: %v)", viewOnly)
	}
}

// A client without a password says so in words.
func TestNoCredentials(t *testing.T) {
	for _, k := range kinds() {
		if !k.proof {
			continue
		}
		_, c := shake(t, k.server, k.client(security.Credentials{}), nil)
		if !errors.Is(c.err, security.ErrNoCredentials) || !strings.HasPrefix(c.err.Error(), "the server asks for a password: it is not set up here") {
			t.Errorf("%s: %v", k.name, c.err)
		}
	}
	_, c := shake(t, security.VeNCrypt{TLS: pki().Server(), Auth: passwords}, security.VeNCrypt{TLS: pki().Client()}, nil)
	if !errors.Is(c.err, security.ErrNoCredentials) {
		t.Errorf("subtypes by default: %v", c.err)
	}
	_, c = shake(t, security.VeNCrypt{TLS: pki().Server(), Auth: passwords},
		security.VeNCrypt{TLS: pki().Client(), Credentials: security.Credentials{Password: "x"}}, nil)
	if !errors.Is(c.err, security.ErrNoCredentials) || !strings.Contains(c.err.Error(), "user's name") {
		t.Errorf("no name: %v", c.err)
	}
}

// Where the password is asked for, it is asked when a server wants it, with
// the name where the server wants one.
func TestAsk(t *testing.T) {
	for _, k := range kinds() {
		asked := 0
		c := security.Credentials{Ask: func(_ context.Context, username bool) (security.Credentials, error) {
			asked++
			if want := strings.Contains(k.name, "Plain") || strings.Contains(k.name, "names"); username != want {
				t.Errorf("%s: asked for a name: %v", k.name, username)
			}
			return right, nil
		}}
		s, cl := shake(t, k.server, k.client(c), nil)
		if s.err != nil || cl.err != nil || (asked == 1) != k.proof || asked > 1 {
			t.Errorf("%s: asked %d times, %v, %v", k.name, asked, s.err, cl.err)
		}
	}
	cancelled := errors.New("the person went away")
	_, c := shake(t, security.VNCAuth{Passwords: passwords}, security.VNCAuth{Credentials: security.Credentials{
		Ask: func(context.Context, bool) (security.Credentials, error) { return security.Credentials{}, cancelled },
	}}, nil)
	if !errors.Is(c.err, cancelled) {
		t.Errorf("error %v", c.err)
	}
}

// cut is a connection whose Write gives way after some bytes.
type cut struct {
	net.Conn
	left  int
	total *int
}

func (c *cut) Write(p []byte) (int, error) {
	*c.total += len(p)
	if len(p) <= c.left {
		c.left -= len(p)
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:c.left])
	c.left = 0
	c.Conn.Close()
	return n, io.ErrClosedPipe
}

// TestTruncations: whatever side's bytes end early, at whatever byte, the
// other side's handshake ends with an error.
func TestTruncations(t *testing.T) {
	const all = 1 << 30
	for _, k := range kinds() {
		if k.name == "none" {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			for _, side := range []string{"client", "server"} {
				run := func(left int) (total int, err error) {
					s, c := shake(t, k.server, k.client(right), func(server, client net.Conn) (net.Conn, net.Conn) {
						if side == "client" {
							return server, &cut{client, left, &total}
						}
						return &cut{server, left, &total}, client
					})
					if side == "client" {
						return total, s.err
					}
					return total, c.err
				}
				total, err := run(all)
				if err != nil {
					t.Fatal(err)
				}
				// Records of TLS are not this package's: some bytes of them do,
				// and their signatures have lengths that vary.
				step := 1
				if strings.Contains(k.name, "X509") {
					total -= 16
				}
				for n := 0; n < total; n += step {
					if strings.Contains(k.name, "X509") && n > 30 {
						step = 61
					}
					if _, err := run(n); err == nil {
						t.Errorf("%d of the %s's %d bytes are enough", n, side, total)
					}
				}
			}
		})
	}
}

// Each message is one write: some peers take what one read brings for the
// whole message.
func TestMessagesAreOneWrite(t *testing.T) {
	sizes := func(server, client security.Type) []int {
		rec := &recorder{}
		s, c := shake(t, server, client, func(server, client net.Conn) (net.Conn, net.Conn) {
			rec.Conn = server
			return rec, client
		})
		if s.err != nil || c.err != nil {
			t.Fatal(s.err, c.err)
		}
		return rec.sizes
	}
	for name, test := range map[string]struct {
		got, want []int
	}{
		// Version, acknowledgement, count with list, acknowledgement.
		"VeNCrypt": {sizes(
			security.VeNCrypt{TLS: pki().MutualServer(), Passwords: passwords, Auth: passwords},
			security.VeNCrypt{TLS: pki().MutualClient(), Subtypes: []security.Subtype{security.X509None}})[:4], []int{2, 1, 13, 1}},
		"vnc": {sizes(security.VNCAuth{Passwords: passwords}, security.VNCAuth{Credentials: right}), []int{16}},
		// Key, random number, hash, what is asked.
		"ra2": {sizes(security.RA2{Key: testKey(), Auth: passwords}, security.RA2{Key: testKey(), Credentials: right}),
			[]int{4 + 256, 2 + 128, 2 + 20 + 16, 2 + 1 + 16}},
		"tight": {sizes(security.Tight{}, security.Tight{}), []int{4, 20}},
	} {
		if fmt.Sprint(test.got) != fmt.Sprint(test.want) {
			t.Errorf("%s: the server wrote %v, want %v", name, test.got, test.want)
		}
	}
}

type recorder struct {
	net.Conn
	sizes []int
}

func (r *recorder) Write(p []byte) (int, error) {
	r.sizes = append(r.sizes, len(p))
	return r.Conn.Write(p)
}

// The secrets do not end up in logs by themselves.
func TestSecretsAreNotShown(t *testing.T) {
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "p", passwords, "c", right, "t", security.VNCAuth{Passwords: passwords, Credentials: right})
	j, _ := json.Marshal([]any{passwords, right})
	for _, shown := range []string{
		log.String(), string(j), fmt.Sprintf("%v %+v %#v %s", passwords, passwords, passwords, passwords),
		fmt.Sprintf("%v %+v %#v", right, right, right),
		fmt.Sprintf("%v %+v", security.VNCAuth{Passwords: passwords, Credentials: right}, security.RA2{Auth: passwords, Credentials: right}),
	} {
		for _, secret := range []string{"operate-me", "look-only", hex.EncodeToString([]byte("operate-me"))} {
			if strings.Contains(shown, secret) {
				t.Errorf("%q is in %s", secret, shown)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for n, want := range map[security.Number]string{
		security.NumberNone: "none", security.NumberVeNCrypt: "vencrypt", security.NumberRA2ne256: "ra2ne-256", 77: "77",
	} {
		if got := fmt.Sprint(n); got != want {
			t.Errorf("%d is called %s", n, got)
		}
	}
	if (security.RA2{}).Number() != security.NumberRA2 {
		t.Error("RA2's zero value is not RA2")
	}
}
