package proxy_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/security/securitytest"
)

// vncServer is a VNC server on a loopback port, and how often it was asked.
func vncServer(t *testing.T, types ...security.Type) (address string, asked *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rfb.NewServer(rfbtest.NewSource(64, 48), rfb.ServerConfig{Security: types})
	asked = new(atomic.Int64)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			go server.Serve(context.Background(), conn, rfb.ViewerConfig{}) //nolint:errcheck // the viewer's side is looked at
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-over
		server.Close()
	})
	return l.Addr().String(), asked
}

func secret(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestNativeReasons: what keeps a native VNC server from being shown is said
// in words that name the server and the setting, and hold no password.
func TestNativeReasons(t *testing.T) {
	pki, err := securitytest.NewPKI("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := pki.Files(dir); err != nil {
		t.Fatal(err)
	}
	certificate := security.VeNCrypt{TLS: pki.Server()}
	vnc := security.VNCAuth{Passwords: security.Passwords{Operate: "right"}}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	for name, test := range map[string]struct {
		server []security.Type
		cfg    proxy.NativeConfig
		want   string
	}{
		"nobody there":    {nil, proxy.NativeConfig{Address: closed.Addr().String()}, "nothing listens at " + closed.Addr().String()},
		"no socket":       {nil, proxy.NativeConfig{Address: "unix:" + dir + "/none"}, "there is no socket " + dir + "/none"},
		"no password":     {[]security.Type{vnc}, proxy.NativeConfig{}, "asks for a password: set password_file"},
		"wrong password":  {[]security.Type{vnc}, proxy.NativeConfig{PasswordFile: secret(t, "wrong-one")}, "refused the password: check password_file"},
		"password's file": {[]security.Type{vnc}, proxy.NativeConfig{PasswordFile: dir + "/none"}, "cannot be read"},
		"empty password":  {[]security.Type{vnc}, proxy.NativeConfig{PasswordFile: secret(t, "\n")}, "holds no password"},
		"other authority": {[]security.Type{certificate}, proxy.NativeConfig{TLS: &proxy.NativeTLS{}}, "unknown authority: set tls.ca, or tls.fingerprint"},
		"other name":      {[]security.Type{certificate}, proxy.NativeConfig{TLS: &proxy.NativeTLS{CA: dir + "/ca.pem", ServerName: "bmc"}}, "set tls.server_name"},
		"other print":     {[]security.Type{certificate}, proxy.NativeConfig{TLS: &proxy.NativeTLS{Fingerprint: strings.Repeat("00", 32)}}, "set tls.fingerprint"},
		"no certificate":  {[]security.Type{vnc}, proxy.NativeConfig{TLS: &proxy.NativeTLS{CA: dir + "/ca.pem"}}, "none is set up here"},
		"not a websocket": {nil, proxy.NativeConfig{Address: "ws" + strings.TrimPrefix(web.URL, "http") + "/kvm/0"}, "answered 404 Not Found in place of a websocket"},
		"an unknown name": {nil, proxy.NativeConfig{Address: "name.invalid:5900"}, "name.invalid"},
		"user not set":    {[]security.Type{security.VeNCrypt{TLS: pki.Server(), Auth: security.Passwords{Operate: "right"}}}, proxy.NativeConfig{PasswordFile: secret(t, "right"), TLS: &proxy.NativeTLS{CA: dir + "/ca.pem"}}, "set username"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.cfg.Address == "" {
				test.cfg.Address, _ = vncServer(t, test.server...)
			}
			b, err := proxy.NewNative(test.cfg)
			if err != nil {
				t.Fatal(err)
			}
			s := start(t, nil, proxy.Node{Name: "n", Backend: b})
			operator(t, s.view(s.token("n", token.Operate)))
			st := s.awaitState("n", proxy.Failed)
			if !strings.Contains(st.Reason, test.want) || strings.Contains(st.Reason, "wrong-one") {
				t.Errorf("the reason is %q, not %q", st.Reason, test.want)
			}
		})
	}
}

// TestNativeFingerprint: a certificate that nobody signed is shown where its
// fingerprint is the one configured.
func TestNativeFingerprint(t *testing.T) {
	pki, err := securitytest.NewPKI("somewhere.example.net")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := pki.Files(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "server.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(block.Bytes)
	address, _ := vncServer(t, security.VeNCrypt{TLS: pki.Server()})
	b, err := proxy.NewNative(proxy.NativeConfig{Address: address, TLS: &proxy.NativeTLS{Fingerprint: hex.EncodeToString(sum[:])}})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, nil, proxy.Node{Name: "n", Backend: b})
	operator(t, s.view(s.token("n", token.Operate)))
	s.awaitState("n", proxy.Live)
}

// TestRefusedPasswordIsNotRepeated: a server that counts wrong passwords gets
// one, and another only when the file holds another.
func TestRefusedPasswordIsNotRepeated(t *testing.T) {
	address, asked := vncServer(t, security.VNCAuth{Passwords: security.Passwords{Operate: "right"}})
	file := secret(t, "wrong\n")
	b, err := proxy.NewNative(proxy.NativeConfig{Address: address, PasswordFile: file})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, nil, proxy.Node{Name: "n", Backend: b})
	operator(t, s.view(s.token("n", token.Operate)))
	for !strings.Contains(s.awaitState("n", proxy.Failed).Reason, "so that the account is not locked") {
		s.awaitState("n", proxy.Starting)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
	if err := os.WriteFile(file, []byte("right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.awaitState("n", proxy.Live)
	if n := asked.Load(); n != 2 {
		t.Errorf("the server was asked %d times", n)
	}
}
