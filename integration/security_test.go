package integration

import (
	"context"
	"crypto/des"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/security/securitytest"
)

// secrets are files for both sides of a connection.
type secrets struct {
	*securitytest.PKI
	dir string
}

const (
	testPassword  = "n0t-a-secret"
	wrongPassword = "wr0ng-one"
	// screenSize is the X screens' in these tests.
	screenSize = "640x480"
)

// newSecrets makes certificates for the loopback address and password files.
func newSecrets(t testing.TB) secrets {
	t.Helper()
	pki, err := securitytest.NewPKI("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s := secrets{pki, t.TempDir()}
	err = errors.Join(pki.Files(s.dir),
		os.WriteFile(s.file("password"), []byte(testPassword+"\n"), 0o600),
		os.WriteFile(s.file("vncpasswd"), vncPasswordFile(testPassword), 0o600),
		os.WriteFile(s.file("wrong"), vncPasswordFile(wrongPassword), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s secrets) file(name string) string { return filepath.Join(s.dir, name) }

// vncPasswordFile is a password as vncpasswd keeps it: DES with a key that
// everybody knows.
func vncPasswordFile(password string) []byte {
	key := []byte{23, 82, 107, 6, 35, 78, 88, 7}
	for i := range key {
		key[i] = bits.Reverse8(key[i])
	}
	block, err := des.NewCipher(key)
	if err != nil {
		panic(err) // it has eight bytes
	}
	text := make([]byte, 8)
	copy(text, password)
	block.Encrypt(text, text)
	return text
}

// secureTigerVNC and secureTightVNC are viewers that show what they are let
// see exactly.
func secureTigerVNC(options ...string) viewer {
	return viewer{program: "xtigervncviewer", options: append([]string{
		"-AutoSelect=0", "-FullColor=1", "-NoJPEG=1", "-RemoteResize=0", "-Shared=1", "-MenuKey=",
		"-ReconnectOnError=0", "-AlertOnFatalError=0", "-PreferredEncoding=ZRLE",
	}, options...)}
}

func secureTightVNC(options ...string) viewer {
	return viewer{program: "xtightvncviewer", options: append([]string{
		"-nojpeg", "-shared", "-truecolour", "-depth", "24", "-encodings", "copyrect hextile",
	}, options...)}
}

// TestSecureViewers: viewers of others come in with the right secrets, by each
// security type that they speak, and see the screen exactly.
func TestSecureViewers(t *testing.T) {
	need(t, "xtigervncviewer", "xtightvncviewer")
	s := newSecrets(t)
	tls := []string{"-tls-cert", s.file("server.pem"), "-tls-key", s.file("server.key")}
	password := []string{"-password-file", s.file("password")}
	login := []string{"VNC_USERNAME=somebody", "VNC_PASSWORD=" + testPassword}
	for name, test := range map[string]struct {
		server []string
		viewer viewer
		env    []string
	}{
		"VncAuth":        {append(password, "-security", "vnc"), secureTigerVNC("-SecurityTypes=VncAuth", "-PasswordFile="+s.file("vncpasswd")), nil},
		"X509None":       {append(tls, "-security", "vencrypt,none"), secureTigerVNC("-SecurityTypes=X509None", "-X509CA="+s.file("ca.pem")), nil},
		"X509Vnc":        {slices.Concat(tls, password, []string{"-security", "vencrypt"}), secureTigerVNC("-SecurityTypes=X509Vnc", "-X509CA="+s.file("ca.pem")), login},
		"X509Plain":      {slices.Concat(tls, password, []string{"-security", "vencrypt,vnc"}), secureTigerVNC("-SecurityTypes=X509Plain", "-X509CA="+s.file("ca.pem")), login},
		"its own choice": {slices.Concat(tls, password, []string{"-security", "ra2,vencrypt,tight,vnc"}), secureTigerVNC("-X509CA=" + s.file("ca.pem")), login},
		// TightVNC's viewer takes Tight where it is offered.
		"Tight with a password":     {append(password, "-security", "tight"), secureTightVNC("-passwd", s.file("vncpasswd")), nil},
		"Tight":                     {[]string{"-security", "tight,none"}, secureTightVNC(), nil},
		"VncAuth, TightVNC's":       {append(password, "-security", "vencrypt,vnc", tls[0], tls[1], tls[2], tls[3]), secureTightVNC("-passwd", s.file("vncpasswd")), nil},
		"VncAuth in a Tight server": {append(password, "-security", "tight,vnc"), secureTigerVNC("-SecurityTypes=VncAuth", "-PasswordFile="+s.file("vncpasswd")), nil},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			n := pictureNode(t, "secure", "")
			args := append(slices.Clone(test.server), "-geometry", screenSize, "-name", "secure", "--")
			_, address := startSupervisor(t, append(args, append(n.command, "-hide-cursor")...)...)
			n.shown(t)
			on := startX(t, "1280x1024", "")
			v := test.viewer.start(t, on, address, test.env...)
			for _, command := range []string{"draw 21", "scroll 16", "bustle 50"} {
				n.tell(t, command)
				test.viewer.showsExactly(t, v, on, n)
			}
		})
	}
}

// TestSecureViewersRefused: a viewer with another password is told so, and the
// log has one line of it, without any password.
func TestSecureViewersRefused(t *testing.T) {
	need(t, "xtigervncviewer")
	leavesNothing(t)
	s := newSecrets(t)
	n := pictureNode(t, "secure", "")
	supervisor, address := startSupervisor(t, append([]string{"-security", "vencrypt,vnc", "-password-file", s.file("password"),
		"-tls-cert", s.file("server.pem"), "-tls-key", s.file("server.key"), "-geometry", screenSize, "--"}, n.command...)...)
	n.shown(t)
	on := startX(t, "1280x1024", "")
	wrong := []string{"VNC_USERNAME=somebody", "VNC_PASSWORD=" + wrongPassword}
	refused := regexp.MustCompile(`a viewer was refused.* from=127\.0\.0\.1:\d+ .*authentication failed`)
	for i, v := range []viewer{
		secureTigerVNC("-SecurityTypes=VncAuth", "-PasswordFile="+s.file("wrong")),
		secureTigerVNC("-SecurityTypes=X509Vnc", "-X509CA="+s.file("ca.pem")),
		secureTigerVNC("-SecurityTypes=X509Plain", "-X509CA="+s.file("ca.pem")),
	} {
		p := v.start(t, on, address, wrong...)
		eventually(t, "the viewer to give up", func() error {
			if p.running() == nil {
				return errors.New("it runs")
			}
			return nil
		})
		if !strings.Contains(strings.ToLower(p.output.String()), "the name or the password is wrong") {
			t.Errorf("viewer %d says: %s", i, p.output)
		}
		if got := len(refused.FindAllString(supervisor.output.String(), -1)); got != i+1 {
			t.Errorf("%d lines of the log tell of %d refusals:\n%s", got, i+1, supervisor.output)
		}
	}
	for _, secret := range []string{testPassword, wrongPassword} {
		if strings.Contains(supervisor.output.String(), secret) {
			t.Errorf("the log has a password in it:\n%s", supervisor.output)
		}
	}
	if err := exec.Command(built.supervisor, "-listen", "0.0.0.0:0", "-security", "vencrypt",
		"-tls-cert", s.file("server.pem"), "-tls-key", s.file("server.key")).Run(); exitStatus(err) != 2 {
		t.Errorf("an encrypted connection for everybody on every address: %v", err)
	}
}

// exitStatus is a program's, from what Run returned; -1 where it did not end
// by itself.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	return -1
}

// snapshotEquals waits until what a client sees equals the X screen.
func snapshotEquals(t *testing.T, cfg rfb.ClientConfig, screen func() (picture, error)) {
	t.Helper()
	ended := make(chan error, 1)
	server := rfb.NewServer(rfb.NewClient(cfg), rfb.ServerConfig{Linger: -1, SourceEnded: func(_ rfb.Source, err error) rfb.Source {
		ended <- err
		return nil
	}})
	defer server.Close() // never fails
	eventually(t, "the client to show the screen", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		f, err := server.Snapshot(ctx)
		if err != nil {
			select {
			case err = <-ended:
				t.Fatal(err)
			default:
			}
			return err
		}
		want, err := screen()
		if err != nil {
			return err
		}
		return differs(fromFrame(f), want)
	})
}

func fromFrame(f *pixel.Frame) picture {
	p := picture{width: f.Width, height: f.Height, pixels: make([]uint32, 0, f.Width*f.Height)}
	for y := range f.Height {
		p.pixels = append(p.pixels, f.Row(y, 0, f.Width)...)
	}
	return p
}

// TestSecureServers: the client comes into servers of others, which are VNC
// servers behind passwords and certificates.
func TestSecureServers(t *testing.T) {
	s := newSecrets(t)
	credentials := security.Credentials{Username: "somebody", Password: testPassword}
	vnc := security.VNCAuth{Credentials: credentials}
	xtigervnc := func(options ...string) func(t *testing.T, port string) display {
		return func(t *testing.T, port string) display {
			return startXServer(t, "Xtigervnc", append([]string{"-rfbport", port, "-localhost", "-geometry", screenSize, "-depth", "24",
				"-AlwaysShared", "-nolisten", "tcp"}, options...)...)
		}
	}
	certificate := []string{"-X509Cert", s.file("server.pem"), "-X509Key", s.file("server.key")}
	passwords := []string{"-PasswordFile", s.file("vncpasswd")}
	for name, test := range map[string]struct {
		start func(t *testing.T, port string) display
		typ   security.Type
	}{
		"Xtigervnc VncAuth":  {xtigervnc(append(passwords, "-SecurityTypes", "VncAuth")...), vnc},
		"Xtigervnc X509None": {xtigervnc(append(certificate, "-SecurityTypes", "X509None")...), security.VeNCrypt{TLS: s.Client()}},
		"Xtigervnc X509Vnc": {xtigervnc(slices.Concat(certificate, passwords, []string{"-SecurityTypes", "X509Vnc,X509Plain"})...),
			security.VeNCrypt{TLS: s.Client(), Credentials: credentials, Subtypes: []security.Subtype{security.X509Vnc}}},
		"x11vnc": {func(t *testing.T, port string) display {
			need(t, "x11vnc")
			d := startX(t, screenSize, "")
			startProgram(t, d.environment(), "x11vnc", "-display", d.name, "-rfbport", port, "-localhost",
				"-forever", "-shared", "-passwd", testPassword, "-noxdamage").
				killed(t)
			return d
		}, vnc},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			address := freeAddress(t)
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				t.Fatal(err)
			}
			d := test.start(t, port)
			n := pictureNode(t, "native", "")
			startProgram(t, d.environment(), n.command[0], append(n.command[1:], "-hide-cursor")...)
			n.shown(t)
			n.tell(t, "draw 5")
			listening(t, address)
			dial := func(ctx context.Context) (net.Conn, error) {
				var dialer net.Dialer
				return dialer.DialContext(ctx, "tcp", address)
			}
			snapshotEquals(t, rfb.ClientConfig{Dial: dial, Security: []security.Type{test.typ}}, func() (picture, error) { return d.grab(t) })
			if name == "Xtigervnc X509None" {
				return
			}
			err = clientFails(t, rfb.ClientConfig{Dial: dial, Security: []security.Type{withPassword(test.typ, wrongPassword)}})
			if !errors.Is(err, security.ErrRefused) {
				t.Errorf("a wrong password: %v", err)
			}
		})
	}
}

func withPassword(t security.Type, password string) security.Type {
	switch t := t.(type) {
	case security.VNCAuth:
		t.Credentials.Password = password
		return t
	case security.VeNCrypt:
		t.Credentials.Password = password
		return t
	}
	return t
}

// listening waits until an address can be connected to.
func listening(t *testing.T, address string) {
	t.Helper()
	eventually(t, address+" to be listened on", func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// clientFails runs a client that cannot get in, and returns why.
func clientFails(t *testing.T, cfg rfb.ClientConfig) error {
	t.Helper()
	ended := make(chan error, 1)
	server := rfb.NewServer(rfb.NewClient(cfg), rfb.ServerConfig{SourceEnded: func(_ rfb.Source, err error) rfb.Source {
		ended <- err
		return nil
	}})
	defer server.Close() // never fails
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := server.Snapshot(ctx); err == nil {
		t.Error("it got in")
	}
	return <-ended
}

// TestMutualTLSWithQEMU: QEMU's VNC server wants a certificate of its viewers.
func TestMutualTLSWithQEMU(t *testing.T) {
	need(t, "qemu-system-x86_64")
	leavesNothing(t)
	s := newSecrets(t)
	for from, to := range map[string]string{"ca.pem": "ca-cert.pem", "server.pem": "server-cert.pem", "server.key": "server-key.pem"} {
		if err := os.Rename(s.file(from), s.file(to)); err != nil {
			t.Fatal(err)
		}
	}
	// QEMU counts displays from port 5900 on, and finds a free one by itself.
	address := filepath.Join(shortDir(t), "vnc")
	startProgram(t, nil, "qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-S", "-nodefaults", "-vga", "std", "-display", "none", "-m", "16",
		"-object", "tls-creds-x509,id=tls,dir="+s.dir+",endpoint=server,verify-peer=on", "-vnc", "unix:"+address+",tls-creds=tls")
	dial := func(context.Context) (net.Conn, error) { return net.Dial("unix", address) }
	eventually(t, "QEMU to listen", func() error {
		conn, err := dial(t.Context())
		if err != nil {
			return err
		}
		return conn.Close()
	})
	// What a machine that does not run shows is for QEMU to say.
	server := rfb.NewServer(rfb.NewClient(rfb.ClientConfig{Dial: dial, Security: []security.Type{security.VeNCrypt{TLS: s.MutualClient()}}}),
		rfb.ServerConfig{})
	defer server.Close() // never fails
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if f, err := server.Snapshot(ctx); err != nil || f.Width < 640 || f.Height < 400 {
		t.Fatalf("QEMU shows %+v, %v", f, err)
	}
	if err := clientFails(t, rfb.ClientConfig{Dial: dial, Security: []security.Type{security.VeNCrypt{TLS: s.Client()}}}); err == nil {
		t.Error("a client without a certificate got in")
	}
}

// TestRA2WithNoVNC: noVNC's own code comes in with RSA-AES, and sees the key
// that the supervisor tells of.
func TestRA2WithNoVNC(t *testing.T) {
	need(t, "node")
	leavesNothing(t)
	s := newSecrets(t)
	core := filepath.Join(t.TempDir(), "core")
	// node takes a file for a module where the folder says so.
	if err := errors.Join(os.CopyFS(core, os.DirFS("../web/static/novnc/core")),
		os.WriteFile(filepath.Join(core, "package.json"), []byte(`{"type": "module"}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	supervisor, address := startSupervisor(t, "-security", "ra2ne,ra2,none", "-password-file", s.file("password"),
		"-rsa-key", s.file("rsa.key"), "-geometry", screenSize, "-name", "rack1-u12")
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	shake := func(password string) string {
		cmd := exec.CommandContext(t.Context(), "node", "testdata/ra2ne.mjs", core, port)
		cmd.Env = append(os.Environ(), "PASSWORD="+password)
		out, err := cmd.CombinedOutput()
		if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
			t.Fatal(err)
		}
		return string(out)
	}
	key, err := security.ReadKey(s.file("rsa.key"))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("name rack1-u12\nkey %s\n", security.Fingerprint(&key.PublicKey))
	if got := shake(testPassword); got != want {
		t.Errorf("noVNC says %q, want %q", got, want)
	}
	if !strings.Contains(supervisor.output.String(), "fingerprint="+security.ShortFingerprint(&key.PublicKey)) {
		t.Errorf("the log does not have the key's fingerprint:\n%s", supervisor.output)
	}
	if got := shake(wrongPassword); got != "failed: the name or the password is wrong\n" {
		t.Errorf("with a wrong password noVNC says %q", got)
	}
}
