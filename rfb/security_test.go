package rfb_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/security/securitytest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// pair is a security type with both sides set up.
type pair struct{ server, client security.Type }

var (
	secrets  = security.Passwords{Operate: "operate-me", View: "look-only"}
	operator = security.Credentials{Username: "somebody", Password: "operate-me"}
)

// parts are what takes time to make.
var parts = sync.OnceValue(func() (p struct {
	pki *securitytest.PKI
	key *rsa.PrivateKey
}) {
	var err1, err2 error
	p.pki, err1 = securitytest.NewPKI("node.test")
	p.key, err2 = rsa.GenerateKey(rand.Reader, 1024)
	if err := errors.Join(err1, err2); err != nil {
		panic(err)
	}
	return p
})

// pairs are all security types by name, with the given credentials.
func pairs(c security.Credentials) map[string]pair {
	all := map[string]pair{
		"none":       {security.None{}, security.None{}},
		"vnc":        {security.VNCAuth{Passwords: secrets}, security.VNCAuth{Credentials: c}},
		"tight none": {security.Tight{}, security.Tight{}},
		"tight vnc":  {security.Tight{Passwords: secrets}, security.Tight{Credentials: c}},
	}
	for _, s := range []security.Subtype{security.X509None, security.X509Vnc, security.X509Plain} {
		all[s.String()] = pair{
			security.VeNCrypt{TLS: parts().pki.MutualServer(), Passwords: secrets, Auth: secrets},
			security.VeNCrypt{TLS: parts().pki.MutualClient(), Subtypes: []security.Subtype{s}, Credentials: c},
		}
	}
	for _, n := range []security.Number{security.NumberRA2, security.NumberRA2ne, security.NumberRA2256, security.NumberRA2ne256} {
		all[n.String()] = pair{
			security.RA2{Type: n, Key: parts().key, Auth: secrets},
			security.RA2{Type: n, Key: parts().key, Credentials: c},
		}
	}
	return all
}

// listen serves a host on a loopback port.
func (h *host) listen() (address string) {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { l.Close() })
	h.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			h.wg.Go(func() {
				err := h.Serve(context.Background(), conn, rfb.ViewerConfig{})
				select {
				case h.results <- err:
				default:
				}
			})
		}
	})
	return l.Addr().String()
}

func dialTCP(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
}

// TestSecurityTypes: server and client show the picture over each type, and
// refuse a wrong password with a reason.
func TestSecurityTypes(t *testing.T) {
	for name, p := range pairs(operator) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := rfbtest.NewSource(300, 200)
			src.Fill(image.Rect(10, 20, 250, 120), 0x445566)
			node := serve(t, src, rfb.ServerConfig{Security: []security.Type{p.server}})
			address := node.listen()
			client := rfb.NewClient(rfb.ClientConfig{Dial: dialTCP(address), Security: []security.Type{p.client}})
			front := serve(t, client, rfb.ServerConfig{})
			v := front.viewer(wire.EncodingZRLE, wire.PseudoExtendedDesktopSize)
			await(t, v, src.Picture())
			src.Fill(image.Rect(0, 0, 300, 100), 0xffffff)
			await(t, v, src.Picture())
			if err := v.Send(wire.KeyEvent{Down: true, Keysym: 'a'}); err != nil {
				t.Fatal(err)
			}
			if got := src.Events(patience(t), 1); fmt.Sprint(got) != fmt.Sprint([]any{rfb.KeyEvent{Down: true, Keysym: 'a'}}) {
				t.Errorf("input %v", got)
			}

			guess := pairs(security.Credentials{Username: "somebody", Password: "hunter2"})[name]
			if !needsPassword(name) {
				return
			}
			err := runOnce(t, rfb.ClientConfig{Dial: dialTCP(address), Security: []security.Type{guess.client}})
			if !errors.Is(err, security.ErrRefused) || !strings.HasSuffix(err.Error(), "authentication failed: the name or the password is wrong") {
				t.Errorf("a wrong password: %v", err)
			}
			if n := node.Stats().AuthFailures; n != 1 {
				t.Errorf("%d failures are counted", n)
			}
			served := <-node.results
			if !errors.Is(served, security.ErrRefused) || strings.Contains(served.Error(), "hunter2") || strings.Contains(served.Error(), "operate-me") {
				t.Errorf("Serve returned %v", served)
			}
			err = runOnce(t, rfb.ClientConfig{Dial: dialTCP(address), Security: []security.Type{pairs(security.Credentials{})[name].client}})
			if !errors.Is(err, security.ErrNoCredentials) {
				t.Errorf("no password: %v", err)
			}
		})
	}
}

func needsPassword(name string) bool {
	return name != "none" && name != "tight none" && name != "X509None"
}

// runOnce runs a client as a source and returns what its Run did.
func runOnce(t *testing.T, cfg rfb.ClientConfig) error {
	t.Helper()
	ended := make(chan error, 1)
	front := rfb.NewServer(rfb.NewClient(cfg), rfb.ServerConfig{SourceEnded: func(_ rfb.Source, err error) rfb.Source {
		ended <- err
		return nil
	}})
	defer front.Close() // never fails
	if _, err := front.Snapshot(patience(t)); err == nil {
		t.Error("there is a picture")
	}
	return <-ended
}

// The password that allows to look only makes a viewer that can no more.
func TestViewOnlyPassword(t *testing.T) {
	for password, want := range map[string]int{"look-only": 0, "operate-me": 1} {
		src := rfbtest.NewSource(200, 100)
		src.Fill(image.Rect(0, 0, 200, 100), 0x445566)
		node := serve(t, src, rfb.ServerConfig{Security: []security.Type{security.VNCAuth{Passwords: secrets}}})
		client := rfb.NewClient(rfb.ClientConfig{Dial: node.dialer(),
			Security: []security.Type{security.VNCAuth{Credentials: security.Credentials{Password: password}}}})
		front := serve(t, client, rfb.ServerConfig{})
		v := front.viewer(wire.EncodingZRLE, wire.PseudoDesktopSize)
		await(t, v, src.Picture())
		if err := v.Send(wire.KeyEvent{Down: true, Keysym: 'a'}); err != nil {
			t.Fatal(err)
		}
		src.Fill(image.Rect(20, 20, 70, 70), uint32(len(password))) // after the key in the same connections
		await(t, v, src.Picture())
		if want > 0 {
			src.Events(patience(t), want)
		}
		if got := src.Events(patience(t), 0); len(got) != want {
			t.Errorf("%s: input %v", password, got)
		}
		front.Close()
	}
}

// knock is a viewer's handshake by hand, and returns SecurityResult with what
// follows a refusal. Before version 3.8 nothing follows.
func knock(ctx context.Context, conn net.Conn, version string, typ security.Type) (net.Conn, []byte, error) {
	if _, err := io.ReadFull(conn, make([]byte, 12)); err != nil {
		return nil, nil, err
	}
	if _, err := conn.Write([]byte(version)); err != nil {
		return nil, nil, err
	}
	if version == "RFB 003.003\n" {
		var n [4]byte
		if _, err := io.ReadFull(conn, n[:]); err != nil {
			return nil, nil, err
		}
		if security.Number(n[3]) != typ.Number() {
			return nil, nil, fmt.Errorf("the server decided for %d", n)
		}
	} else {
		var n [1]byte
		if _, err := io.ReadFull(conn, n[:]); err != nil {
			return nil, nil, err
		}
		list := make([]byte, n[0])
		if _, err := io.ReadFull(conn, list); err != nil {
			return nil, nil, err
		}
		if !bytes.Contains(list, []byte{byte(typ.Number())}) {
			return nil, nil, fmt.Errorf("the server offers %d", list)
		}
		if _, err := conn.Write([]byte{byte(typ.Number())}); err != nil {
			return nil, nil, err
		}
	}
	r, err := typ.Client(ctx, conn)
	if err != nil {
		return nil, nil, err
	}
	if r.Open && version != "RFB 003.008\n" {
		return r.Conn, nil, nil
	}
	result := make([]byte, 4)
	if _, err := io.ReadFull(r.Conn, result); err != nil || result[3] == 0 {
		return r.Conn, result, err
	}
	rest, err := io.ReadAll(r.Conn)
	return r.Conn, slices.Concat(result, rest), err
}

// Old versions: 3.3 has VNC Authentication too, and neither it nor 3.7 has
// reasons or a result for None.
func TestOldVersionsWithPassword(t *testing.T) {
	types := []security.Type{security.VeNCrypt{}, security.VNCAuth{Passwords: secrets}, security.Tight{}, security.None{}}
	h := serve(t, rfbtest.NewSource(20, 10), rfb.ServerConfig{Security: types})
	wrong := security.Credentials{Password: "wrong"}
	reason := "\x00\x00\x00\x21the name or the password is wrong"
	for _, test := range []struct {
		version string
		typ     security.Type
		result  string
	}{
		{"RFB 003.003\n", security.VNCAuth{Credentials: operator}, "\x00\x00\x00\x00"},
		{"RFB 003.003\n", security.VNCAuth{Credentials: wrong}, "\x00\x00\x00\x01"},
		{"RFB 003.007\n", security.VNCAuth{Credentials: operator}, "\x00\x00\x00\x00"},
		{"RFB 003.007\n", security.VNCAuth{Credentials: wrong}, "\x00\x00\x00\x01"},
		{"RFB 003.007\n", security.Tight{}, ""},
		{"RFB 003.007\n", security.None{}, ""},
		{"RFB 003.008\n", security.VNCAuth{Credentials: operator}, "\x00\x00\x00\x00"},
		{"RFB 003.008\n", security.VNCAuth{Credentials: wrong}, "\x00\x00\x00\x01" + reason},
		{"RFB 003.008\n", security.Tight{}, "\x00\x00\x00\x00"},
		{"RFB 003.008\n", security.None{}, "\x00\x00\x00\x00"},
	} {
		c := h.pipe(rfb.ViewerConfig{})
		c.SetDeadline(time.Now().Add(rfbtest.Patience)) // the reads tell
		secured, result, err := knock(t.Context(), c, test.version, test.typ)
		if err != nil || string(result) != test.result {
			t.Errorf("%q with %v: result %q, want %q; %v", test.version, test.typ.Number(), result, test.result, err)
			continue
		}
		if test.result != "" && result[3] != 0 {
			continue
		}
		if _, err := secured.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		rd := wire.NewReader(secured, 256)
		if m := wire.ReadServerInit(rd); m.Width != 20 || rd.Err() != nil {
			t.Errorf("%q with %v: ServerInit %+v, %v", test.version, test.typ.Number(), m, rd.Err())
		}
		if test.typ.Number() == security.NumberTight {
			m := wire.ReadInteractionCapabilities(rd)
			if rd.Err() != nil || len(m.Encodings) < 3 || m.ClientMessages[0].Signature != "CUC_ENCU" {
				t.Errorf("%q: capabilities %v, %v", test.version, m, rd.Err())
			}
		}
		c.Close()
	}
}

// TestClientOfOldServers: a client follows servers of older versions.
func TestClientOfOldServers(t *testing.T) {
	for _, version := range []string{"RFB 003.003\n", "RFB 003.007\n"} {
		for _, p := range []pair{
			{security.None{}, security.None{}}, {security.VNCAuth{Passwords: secrets}, security.VNCAuth{Credentials: operator}},
			{security.VNCAuth{Passwords: secrets}, security.VNCAuth{Credentials: security.Credentials{Password: "wrong"}}},
		} {
			ours, theirs := net.Pipe()
			served := make(chan error, 1)
			go func() {
				served <- oldServer(t.Context(), ours, version, p.server)
				ours.Close()
			}()
			err := runOnce(t, rfb.ClientConfig{Dial: func(context.Context) (net.Conn, error) { return theirs, nil }, Security: []security.Type{p.client}})
			verdict := <-served
			switch {
			case errors.Is(verdict, security.ErrRefused):
				if !errors.Is(err, security.ErrRefused) || !strings.Contains(err.Error(), "gave no reason") {
					t.Errorf("%q: the client ends with %v", version, err)
				}
			case verdict != nil || err == nil || !strings.Contains(err.Error(), "closed the connection"):
				t.Errorf("%q: the server ends with %v, the client with %v", version, verdict, err)
			}
		}
	}
}

// oldServer is a server of an old version up to the first message.
func oldServer(ctx context.Context, conn net.Conn, version string, typ security.Type) error {
	conn.SetDeadline(time.Now().Add(rfbtest.Patience)) // the reads tell
	if _, err := conn.Write([]byte(version)); err != nil {
		return err
	}
	got := make([]byte, 12)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != version {
		return fmt.Errorf("the client answers %q: %w", got, err)
	}
	if version == "RFB 003.003\n" {
		if _, err := conn.Write(binary.BigEndian.AppendUint32(nil, uint32(typ.Number()))); err != nil {
			return err
		}
	} else {
		if _, err := conn.Write([]byte{1, byte(typ.Number())}); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, got[:1]); err != nil {
			return err
		}
	}
	r, err := typ.Server(ctx, conn)
	if errors.Is(err, security.ErrRefused) {
		conn.Write([]byte{0, 0, 0, 1}) // it is being refused
		return err
	}
	if !r.Open {
		if _, err := conn.Write(make([]byte, 4)); err != nil {
			return err
		}
	}
	if _, err := io.ReadFull(conn, got[:1]); err != nil {
		return err
	}
	if _, err := conn.Write(wire.ServerInit{Width: 8, Height: 8, Format: pixel.RGB888}.Append(nil)); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, got[:1]) // SetPixelFormat: the client is content
	return err
}

// from is a connection from a host.
type from struct {
	net.Conn
	host string
}

func (f from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(f.host), Port: 4711} }

// attempt is one viewer with a password, in a bubble. It returns SecurityResult
// with what followed, and how long that took.
func attempt(t *testing.T, ctx context.Context, srv *rfb.Server, host, password string) (result string, took time.Duration, served error) { //nolint:revive // t first, as everywhere
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, from{theirs, host}, rfb.ViewerConfig{}) }()
	began := time.Now()
	_, b, err := knock(ctx, ours, "RFB 003.008\n", security.VNCAuth{Credentials: security.Credentials{Password: password}})
	took = time.Since(began)
	ours.Close()
	if err != nil {
		b = append(b, err.Error()...)
	}
	return string(b), took, <-done
}

func TestWrongPasswordsAreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rfb.NewServer(rfbtest.NewSource(10, 10), rfb.ServerConfig{Security: []security.Type{security.VNCAuth{Passwords: secrets}}})
		defer srv.Close() // never fails
		const refused, ok = "\x00\x00\x00\x01\x00\x00\x00\x21the name or the password is wrong", "\x00\x00\x00\x00"
		for i, ms := range []int{500, 1000, 2000, 4000, 8000, 8000} {
			want := time.Duration(ms) * time.Millisecond
			result, took, err := attempt(t, t.Context(), srv, "192.0.2.1", "wrong")
			if result != refused || took != want || !errors.Is(err, security.ErrRefused) || !strings.Contains(err.Error(), fmt.Sprintf("(%d in a row", i+1)) {
				t.Errorf("attempt %d: %q after %v, %v", i+1, result, took, err)
			}
		}
		if result, took, _ := attempt(t, t.Context(), srv, "192.0.2.1", "operate-me"); result != ok || took != 0 {
			t.Errorf("the right password: %q after %v", result, took)
		}
		// Many at once are no faster, and others do not wait for them.
		var all sync.WaitGroup
		var mu sync.Mutex
		tooMany := 0
		for range 40 {
			all.Go(func() {
				result, took, err := attempt(t, t.Context(), srv, "192.0.2.1", "wrong")
				mu.Lock()
				defer mu.Unlock()
				switch {
				case strings.Contains(result, "too many failed attempts") && took == 0 && errors.Is(err, security.ErrRefused):
					tooMany++
				case result != refused || took < 8*time.Second:
					t.Errorf("%q after %v, %v", result, took, err)
				}
			})
		}
		synctest.Wait()
		if result, took, _ := attempt(t, t.Context(), srv, "192.0.2.7", "operate-me"); result != ok || took != 0 {
			t.Errorf("somebody else: %q after %v", result, took)
		}
		if result, took, _ := attempt(t, t.Context(), srv, "192.0.2.1", "operate-me"); result != ok || took != 24*time.Second {
			t.Errorf("the right password in the same crowd: %q after %v", result, took)
		}
		all.Wait()
		if tooMany != 37 {
			t.Errorf("%d of 40 at once were too many", tooMany)
		}
		if n := srv.Stats().AuthFailures; n != 46 {
			t.Errorf("%d failures are counted", n)
		}
	})
}

// The end of the server or of the context ends the wait.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(*rfb.Server, context.CancelFunc){
			"closed":    func(s *rfb.Server, _ context.CancelFunc) { s.Close() },
			"cancelled": func(_ *rfb.Server, cancel context.CancelFunc) { cancel() },
		} {
			srv := rfb.NewServer(rfbtest.NewSource(10, 10), rfb.ServerConfig{Security: []security.Type{security.VNCAuth{Passwords: secrets}}})
			ctx, cancel := context.WithCancel(t.Context())
			for range 3 {
				if _, _, err := attempt(t, ctx, srv, "192.0.2.1", "wrong"); !errors.Is(err, security.ErrRefused) {
					t.Fatal(err)
				}
			}
			done := make(chan error)
			began := time.Now()
			go func() {
				_, _, err := attempt(t, ctx, srv, "192.0.2.1", "wrong")
				done <- err
			}()
			synctest.Wait()
			end(srv, cancel)
			err := <-done
			if time.Since(began) != 0 || !errors.Is(err, rfb.ErrClosed) && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: after %v: %v", name, time.Since(began), err)
			}
			cancel()
			srv.Close()
		}
	})
}

// Probes, and viewers that leave when they are asked for a password, are no
// failures.
func TestProbesAreNoFailures(t *testing.T) {
	h := serve(t, rfbtest.NewSource(10, 10), rfb.ServerConfig{Security: []security.Type{security.VNCAuth{Passwords: secrets}}})
	for _, say := range []string{"", "RFB 003.008\n", "RFB 003.008\n\x02"} {
		c := h.pipe(rfb.ViewerConfig{})
		for i := range len(say) + 1 {
			switch i {
			case 0:
				io.ReadFull(c, make([]byte, 12)) //nolint:errcheck // the next tells
			case 12:
				c.Write([]byte(say[:12]))       // the next tells
				io.ReadFull(c, make([]byte, 2)) //nolint:errcheck // the next tells
			case 13:
				c.Write([]byte(say[12:]))        // the next tells
				io.ReadFull(c, make([]byte, 16)) //nolint:errcheck // the next tells
			}
		}
		c.Close()
		if err := <-h.results; errors.Is(err, security.ErrRefused) || len(say) < 13 && err != nil {
			t.Errorf("after %q: %v", say, err)
		}
	}
	if n := h.Stats().AuthFailures; n != 0 {
		t.Errorf("%d failures are counted", n)
	}
}

// stalling is a viewer's connection whose writes stop after some.
type stalling struct {
	net.Conn
	left    *int
	release <-chan struct{}
}

func (s stalling) Write(p []byte) (int, error) {
	if *s.left--; *s.left < 0 {
		<-s.release
		return 0, io.ErrClosedPipe
	}
	return s.Conn.Write(p)
}

// TestStalledHandshakes: a viewer that stops anywhere in the handshake of any
// type is dropped after ten seconds.
func TestStalledHandshakes(t *testing.T) {
	for name, p := range pairs(operator) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := rfb.NewServer(rfbtest.NewSource(10, 10), rfb.ServerConfig{Security: []security.Type{p.server}})
				defer srv.Close() // never fails
				for writes := range 100 {
					ours, theirs := net.Pipe()
					done := make(chan error, 1)
					go func() { done <- srv.Serve(t.Context(), theirs, rfb.ViewerConfig{}) }()
					release := make(chan struct{})
					left := writes
					knocked := make(chan error, 1)
					began := time.Now()
					go func() {
						_, _, err := knock(t.Context(), stalling{ours, &left, release}, "RFB 003.008\n", p.client)
						knocked <- err
					}()
					err := <-done // a whole handshake without ClientInit ends so as well
					if time.Since(began) != 10*time.Second || err == nil || !strings.Contains(err.Error(), "took too long") {
						t.Errorf("after %d writes and %v: %v", writes, time.Since(began), err)
					}
					close(release)
					ours.Close()
					if err := <-knocked; err == nil {
						return
					}
				}
				t.Error("the handshake never comes to its end")
			})
		})
	}
}

// TestHalfOpen: five hundred connections that stopped in the middle of their
// handshakes leave a server serving.
func TestHalfOpen(t *testing.T) {
	all := pairs(operator)
	var types []security.Type
	for _, name := range []string{"X509Vnc", "ra2", "ra2ne", "vnc", "tight vnc"} {
		types = append(types, all[name].server)
	}
	src := rfbtest.NewSource(200, 100)
	src.Fill(image.Rect(0, 0, 100, 100), 0x336699)
	h := serve(t, src, rfb.ServerConfig{Security: types, HandshakeTimeout: -1})
	address := h.listen()
	for i := range 500 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		says := append([]byte("RFB 003.008\n"), byte(types[i%len(types)].Number()), 0, 2, 0, 0, 1, 5)
		if _, err := c.Write(says[:i%(len(says)+1)]); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"X509Vnc", "ra2", "vnc"} {
		client := rfb.NewClient(rfb.ClientConfig{Dial: dialTCP(address), Security: []security.Type{all[name].client}, HandshakeTimeout: -1})
		await(t, serve(t, client, rfb.ServerConfig{}).viewer(wire.EncodingZRLE), src.Picture())
	}
	if n := h.Stats().Viewers; n != 3 {
		t.Errorf("%d viewers", n)
	}
}
