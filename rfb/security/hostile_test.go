package security_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/security/securitytest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// scriptConn is a peer that has said all it will ever say and reads anything.
type scriptConn struct {
	io.Reader
}

func script(b []byte) *scriptConn                      { return &scriptConn{Reader: bytes.NewReader(b)} }
func (c *scriptConn) Write(b []byte) (int, error)      { return len(b), nil }
func (c *scriptConn) Close() error                     { return nil }
func (c *scriptConn) LocalAddr() net.Addr              { return nil }
func (c *scriptConn) RemoteAddr() net.Addr             { return nil }
func (c *scriptConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }
func u32(values ...uint32) (b []byte)                  { return appendU32(nil, values...) }
func appendU32(b []byte, values ...uint32) []byte {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// rsaKeyOf is a public key as RSA-AES sends it.
func rsaKeyOf(bits uint32, modulus, exponent []byte) []byte {
	b := u32(bits)
	size := int(bits+7) / 8
	for _, v := range [][]byte{modulus, exponent} {
		b = append(append(b, make([]byte, max(0, size-len(v)))...), v...)
	}
	return b
}

// TestHostileServersAndClients: lengths that would cost memory or time, and
// values that make no sense, are refused as soon as they are read.
func TestHostileServersAndClients(t *testing.T) {
	n := testKey().N.Bytes()
	even := bytes.Clone(n)
	even[len(even)-1] &^= 1
	e := []byte{1, 0, 1}
	plain := security.VeNCrypt{Subtypes: []security.Subtype{security.Plain}, Auth: passwords, Credentials: right}
	ra2 := security.RA2{Key: testKey(), Auth: passwords, Credentials: right}
	tight := security.Tight{Credentials: right}
	capability := func(s string) []byte { return append(u32(1), s...) }
	for name, test := range map[string]struct {
		typ    security.Type
		client bool
		says   []byte
		want   string
	}{
		"name of Plain":               {plain, false, append([]byte{0, 2}, u32(256, 1025, 0)...), "a name of 1025 bytes"},
		"password of Plain":           {plain, false, append([]byte{0, 2}, u32(256, 0, 0xffffffff)...), "a password of 4294967295"},
		"VeNCrypt 0.1":                {plain, false, []byte{0, 1}, "VeNCrypt 0.1"},
		"VeNCrypt 1.0":                {plain, false, []byte{1, 0}, "VeNCrypt 1.0"},
		"subtype that is not there":   {plain, false, append([]byte{0, 2}, u32(260)...), "X509None, which was not offered"},
		"VeNCrypt server 0.1":         {plain, true, []byte{0, 1}, "0.2 is needed"},
		"VeNCrypt server refuses":     {plain, true, []byte{0, 2, 0xff}, "does not accept VeNCrypt 0.2"},
		"no subtypes":                 {plain, true, []byte{0, 2, 0, 0}, "subtypes [], of which none is set up here"},
		"subtypes of others":          {plain, true, append([]byte{0, 2, 0, 2}, u32(258, 19)...), "subtypes [258 19], of which none"},
		"key that is short":           {ra2, false, rsaKeyOf(1023, n, e), "a public key of 1023 bits"},
		"key that is long":            {ra2, false, u32(8193), "a public key of 8193 bits"},
		"key that is endless":         {ra2, true, u32(0xffffffff), "a public key of 4294967295 bits"},
		"no key":                      {ra2, true, u32(0), "a public key of 0 bits"},
		"key with another length":     {ra2, false, rsaKeyOf(2048, n, e), "not one of RSA"},
		"even key":                    {ra2, false, rsaKeyOf(1024, even, e), "not one of RSA"},
		"exponent of 0":               {ra2, true, rsaKeyOf(1024, n, nil), "not one of RSA"},
		"exponent of 1":               {ra2, true, rsaKeyOf(1024, n, []byte{1}), "not one of RSA"},
		"exponent that is even":       {ra2, true, rsaKeyOf(1024, n, []byte{4}), "not one of RSA"},
		"exponent that is long":       {ra2, true, rsaKeyOf(1024, n, bytes.Repeat([]byte{255}, 128)), "not one of RSA"},
		"random number of no length":  {ra2, false, append(rsaKeyOf(1024, n, e), 0, 0), "a random number of 0 bytes, encrypted with a key of 128"},
		"random number that is long":  {ra2, true, append(rsaKeyOf(1024, n, e), 255, 255), "a random number of 65535 bytes"},
		"random number over the key":  {ra2, false, append(append(rsaKeyOf(1024, n, e), 0, 128), bytes.Repeat([]byte{255}, 128)...), "does not decrypt"},
		"random number without form":  {ra2, false, append(append(rsaKeyOf(1024, n, e), 0, 128), make([]byte, 128+2+20+16)...), "was changed on its way"},
		"tunnels":                     {tight, true, u32(65), "a list of 65 tunnels"},
		"tunnels without end":         {tight, true, u32(0xffffffff), "a list of 4294967295 tunnels"},
		"tunnels of others":           {tight, true, append(u32(1), capability("SICRSCHANNEL")...), `none of which this program has`},
		"tunnel of another signature": {tight, true, append(u32(1, 0), "TGHTNOTUNNE1"...), `none of which this program has`},
		"auth types":                  {tight, true, u32(0, 65), "a list of 65 authentication types"},
		"auth types of others":        {tight, true, append(u32(0, 1), append(u32(129), "TGHTULGNAUTH"...)...), "129 \"TGHTULGNAUTH\""},
		"auth type not offered":       {security.Tight{}, false, u32(2), "type 2, which was not offered"},
	} {
		run := test.typ.Server
		if test.client {
			run = test.typ.Client
		}
		_, err := run(t.Context(), script(test.says))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("%s: %v is not a protocol error", name, err)
		}
	}
}

// A server's tunnels without need and its ways to authenticate are chosen by
// all of their names.
func TestTightClient(t *testing.T) {
	noTunnel := append(u32(1, 0), "TGHTNOTUNNEL"...)
	none, vnc := append(u32(1), "STDVNOAUTH__"...), append(u32(2), "STDVVNCAUTH_"...)
	for name, test := range map[string]struct {
		says []byte
		c    security.Credentials
		open bool
	}{
		"tunnel, no list":       {append(bytes.Clone(noTunnel), 0, 0, 0, 0), right, true},
		"none":                  {append(u32(0, 1), none...), right, true},
		"vnc before none":       {bytes.Join([][]byte{u32(0, 2), vnc, none, make([]byte, 16)}, nil), right, false},
		"vnc before none, none": {bytes.Join([][]byte{u32(0, 2), vnc, none}, nil), security.Credentials{}, true},
	} {
		r, err := security.Tight{Credentials: test.c}.Client(t.Context(), script(test.says))
		if err != nil || r.Open != test.open {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestCertificates(t *testing.T) {
	other, err := securitytest.NewPKI("node.test")
	if err != nil {
		t.Fatal(err)
	}
	x509None := []security.Subtype{security.X509None}
	noName := pki().Client()
	noName.ServerName = ""
	otherName := pki().Client()
	otherName.ServerName = "other.test"
	foreign := pki().Client()
	// Sent whatever authorities the server names.
	foreign.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &other.ClientCert, nil }
	old := pki().Client()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	oldServer := pki().Server()
	oldServer.MinVersion = tls.VersionTLS10
	for name, test := range map[string]struct {
		server, client *tls.Config
		serverSays     string
		clientSays     string
		refused        bool
	}{
		"authority nobody trusts":          {pki().Server(), other.Client(), "bad certificate", "certificate signed by unknown authority", false},
		"another name":                     {pki().Server(), otherName, "bad certificate", "not other.test", false},
		"no name":                          {pki().Server(), noName, "EOF", "without the name that the server's certificate must have", false},
		"no client certificate":            {pki().MutualServer(), pki().Client(), "client didn't provide a certificate", "", false},
		"client certificate of another CA": {pki().MutualServer(), foreign, "authentication failed: TLS", "", true},
		"TLS 1.1":                          {oldServer, old, "EOF", "no supported versions", false},
	} {
		s, c := shake(t, security.VeNCrypt{TLS: test.server, Subtypes: x509None}, security.VeNCrypt{TLS: test.client, Subtypes: x509None}, nil)
		if s.err == nil || !strings.Contains(s.err.Error(), test.serverSays) || errors.Is(s.err, security.ErrRefused) != test.refused || s.Conn != nil {
			t.Errorf("%s: the server says %v", name, s.err)
		}
		if test.clientSays != "" && (c.err == nil || !strings.Contains(c.err.Error(), test.clientSays)) {
			t.Errorf("%s: the client says %v", name, c.err)
		}
	}
}

// With an authority for viewers, a certificate of its or a password lets in,
// and a certificate of another's never.
func TestCertificateOrPassword(t *testing.T) {
	server := security.VeNCrypt{TLS: pki().MutualServer(), Auth: passwords, Passwords: passwords}
	for name, client := range map[string]security.VeNCrypt{
		"certificate":              {TLS: pki().MutualClient(), Subtypes: []security.Subtype{security.X509None}},
		"password":                 {TLS: pki().Client(), Credentials: right},
		"password for VNC":         {TLS: pki().Client(), Credentials: right, Subtypes: []security.Subtype{security.X509Vnc}},
		"certificate and password": {TLS: pki().MutualClient(), Credentials: right},
	} {
		if s, c := shake(t, server, client, nil); s.err != nil || c.err != nil {
			t.Errorf("%s: %v, %v", name, s.err, c.err)
		}
	}
	if s, _ := shake(t, server, security.VeNCrypt{TLS: pki().Client(), Subtypes: []security.Subtype{security.X509None}}, nil); s.err == nil {
		t.Error("nothing at all lets in")
	}
}

func TestServerKeyIsPinned(t *testing.T) {
	s, c := shake(t, security.RA2{Key: testKey(), Auth: passwords},
		security.RA2{Key: testKey(), Credentials: right, ServerKey: strings.Repeat("0", 64)}, nil)
	if c.err == nil || !strings.Contains(c.err.Error(), "another server, or its key was changed") || s.err == nil {
		t.Errorf("the client says %v, the server %v", c.err, s.err)
	}
}

// Somebody in between who has keys of his own is found out before any
// password is sent.
func TestManInTheMiddle(t *testing.T) {
	between, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	c := security.Credentials{Ask: func(context.Context, bool) (security.Credentials, error) {
		asked = true
		return right, nil
	}}
	// The key that the client gets is not the one that the server hashes.
	_, got := shake(t, security.RA2{Key: between, Auth: passwords}, security.RA2{Key: testKey(), Credentials: c},
		func(server, client net.Conn) (net.Conn, net.Conn) { return &swapped{Conn: server}, client })
	if got.err == nil || asked {
		t.Errorf("error %v, asked for the password: %v", got.err, asked)
	}
}

// swapped changes a bit of the public key that is written first: of the
// exponent, so that the key remains one.
type swapped struct {
	net.Conn
	done bool
}

func (s *swapped) Write(p []byte) (int, error) {
	if !s.done {
		s.done = true
		p = bytes.Clone(p)
		p[len(p)-1] ^= 2
	}
	return s.Conn.Write(p)
}

// A message that was changed after the handshake ends the connection.
func TestChangedMessage(t *testing.T) {
	flip := &flipper{}
	s, c := shake(t, security.RA2{Key: testKey(), Auth: passwords}, security.RA2{Key: testKey(), Credentials: right},
		func(server, client net.Conn) (net.Conn, net.Conn) { flip.Conn = server; return flip, client })
	if s.err != nil || c.err != nil {
		t.Fatal(s.err, c.err)
	}
	flip.on = true
	go s.Conn.Write([]byte("a rectangle")) // read below
	if _, err := c.Conn.Read(make([]byte, 100)); !errors.Is(err, wire.ErrProtocol) {
		t.Errorf("error %v", err)
	}
}

type flipper struct {
	net.Conn
	on bool
}

func (f *flipper) Write(p []byte) (int, error) {
	if f.on {
		p = bytes.Clone(p)
		p[5] ^= 1
	}
	return f.Conn.Write(p)
}

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	made, err := security.ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file is %v, %v", info.Mode(), err)
	}
	again, err := security.ReadKey(path)
	if err != nil || !again.Equal(made) {
		t.Errorf("the key changes: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
	if f := security.Fingerprint(&made.PublicKey); len(f) != 64 || f != security.Fingerprint(&again.PublicKey) {
		t.Errorf("fingerprint %s", f)
	}
	if f := security.ShortFingerprint(&made.PublicKey); len(f) != 23 || strings.Count(f, "-") != 7 {
		t.Errorf("short fingerprint %s", f)
	}
	other := pki()
	if err := other.Files(dir); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty": "", "text": "hunter2", "damaged": "-----BEGIN RSA PRIVATE KEY-----\naGVsbG8=\n-----END RSA PRIVATE KEY-----\n",
		"long": strings.Repeat("x", 40000), "other": "",
	} {
		file := filepath.Join(dir, name)
		if name == "other" {
			file = filepath.Join(dir, "server.key") // ECDSA
		} else if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := security.ReadKey(file); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := security.ReadKey(filepath.Join(dir, "no", "such", "folder")); err == nil {
		t.Error("a folder that is not there has a key")
	}
	if _, err := security.ReadKey(dir); err == nil {
		t.Error("a folder is a key")
	}
}
