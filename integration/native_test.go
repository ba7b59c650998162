package integration

import (
	"net"
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
