package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNative: nodes that are VNC servers themselves, which nobody here wrote:
// the browser shows their screen exactly, and keys reach their programs.
func TestNative(t *testing.T) {
	for name, start := range map[string]func(t *testing.T, address, port string) display{
		"Xtigervnc": func(t *testing.T, _, port string) display {
			return startXServer(t, "Xtigervnc", "-rfbport", port, "-SecurityTypes", "None", "-localhost",
				"-geometry", "1024x768", "-depth", "24", "-AlwaysShared", "-nolisten", "tcp")
		},
		"x11vnc": func(t *testing.T, _, port string) display {
			d := startX(t, "1024x768", "")
			need(t, "x11vnc")
			startProgram(t, d.environment(), "x11vnc", "-display", d.name, "-rfbport", port, "-localhost",
				"-forever", "-shared", "-nopw", "-noxdamage").
				killed(t)
			return d
		},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			address := freeAddress(t)
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				t.Fatal(err)
			}
			d := start(t, address, port)
			n := pictureNode(t, "native", "")
			startProgram(t, d.environment(), n.command[0], append(n.command[1:], "-hide-cursor")...)
			n.command, n.rfb = nil, address
			n.shown(t)
			s := startService(t, n)
			p := newTab(t)
			p.openConsole(t, s, n.name)
			for _, command := range []string{"draw 5", "scroll 16", "bustle 200", "draw 6"} {
				n.tell(t, command)
				p.showsExactly(t, n)
			}
			p.arrive(t, n, typed("hello world 12"))
		})
	}
}

// TestNativeSecured: nodes that are VNC servers behind a password, a
// certificate or a websocket. A wrong password is tried once, said in words
// that never hold it, and not tried again until it is another.
func TestNativeSecured(t *testing.T) {
	secrets := newSecrets(t)
	certificate := []string{"-X509Cert", secrets.file("server.pem"), "-X509Key", secrets.file("server.key")}
	passwords := []string{"-PasswordFile", secrets.file("vncpasswd")}
	xtigervnc := func(t *testing.T, port string, options ...string) display {
		return startXServer(t, "Xtigervnc", append([]string{"-rfbport", port, "-localhost", "-geometry", screenSize, "-depth", "24",
			"-AlwaysShared", "-nolisten", "tcp"}, options...)...)
	}
	for name, test := range map[string]struct {
		// start runs the server and says what is configured, %s being the
		// password's file.
		start  func(t *testing.T, address, port string) (display, string)
		reason string // with a wrong password
	}{
		"VncAuth": {func(t *testing.T, address, port string) (display, string) {
			return xtigervnc(t, port, append(passwords, "-SecurityTypes", "VncAuth")...),
				"{address: " + address + ", password_file: %s}"
		}, "refused the password: check password_file"},
		"X509Vnc": {func(t *testing.T, address, port string) (display, string) {
			return xtigervnc(t, port, slices.Concat(certificate, passwords, []string{"-SecurityTypes", "X509Vnc,VncAuth"})...),
				"{address: " + address + ", password_file: %s, tls: {ca: " + secrets.file("ca.pem") + "}}"
		}, "refused the password: check password_file"},
		"websocket": {func(t *testing.T, address, port string) (display, string) {
			need(t, "websockify")
			below := freeAddress(t)
			_, belowPort, err := net.SplitHostPort(below)
			if err != nil {
				t.Fatal(err)
			}
			d := xtigervnc(t, belowPort, "-SecurityTypes", "None")
			startProgram(t, os.Environ(), "websockify", "--ssl-only", "--cert", secrets.file("server.pem"), "--key", secrets.file("server.key"),
				"--auth-plugin", "BasicHTTPAuth", "--auth-source", "somebody:"+testPassword, address, below)
			return d, "{address: wss://" + address + "/kvm/0, username: somebody, password_file: %s, tls: {ca: " + secrets.file("ca.pem") + "}}"
		}, `refused the user "somebody" or the password: check username and password_file (401)`},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			address := freeAddress(t)
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				t.Fatal(err)
			}
			d, yaml := test.start(t, address, port)
			n := pictureNode(t, "native", "")
			startProgram(t, d.environment(), n.command[0], append(n.command[1:], "-hide-cursor")...)
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte(wrongPassword+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			n.command, n.rfb = nil, fmt.Sprintf(yaml, file)
			n.shown(t)
			n.tell(t, "draw 5")
			listening(t, address)
			s := startService(t, n)

			const shot = "/v1/nodes/native/console/screenshot?timeout=4s"
			for _, want := range []string{test.reason, "so that the account is not locked"} {
				eventually(t, "the reason to be "+want, func() error {
					body, err := s.get(t, shot, http.StatusServiceUnavailable)
					if err != nil {
						return err
					}
					var problem struct{ Detail string }
					if err := json.Unmarshal(body, &problem); err != nil {
						return err
					}
					if !strings.Contains(problem.Detail, want) {
						return fmt.Errorf("%s", body)
					}
					return nil
				})
			}
			if err := os.WriteFile(file, []byte(testPassword+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the picture", func() error {
				body, err := s.get(t, shot, http.StatusOK)
				if err != nil {
					return err
				}
				have, err := decodePNG(body)
				if err != nil {
					return err
				}
				want, err := d.grab(t)
				if err != nil {
					return err
				}
				return differs(have, want)
			})
			for _, secret := range []string{testPassword, wrongPassword} {
				if strings.Contains(s.output.String(), secret) {
					t.Errorf("the log holds a password")
				}
			}
		})
	}
}
