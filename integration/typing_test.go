package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/ironglass/ironglass/proxy/typing"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/x11"
)

// writer is a terminal whose program writes down what is typed into it.
type writer struct{ file string }

func newWriter(t testing.TB) writer { return writer{filepath.Join(t.TempDir(), "written")} }

// command runs the terminal, after a shell command that ends well.
func (w writer) command(before string) []string {
	return []string{"xterm", "-u8", "-e", "sh", "-c", fmt.Sprintf("%s && exec cat >>'%s'", before, w.file)}
}

// written is what the program wrote, without the empty lines at its beginning.
func (w writer) written() (string, error) {
	text, err := os.ReadFile(w.file)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return strings.TrimLeft(string(text), "\n"), err
}

// await waits until the last that was written is text.
func (w writer) await(t testing.TB, text string) {
	t.Helper()
	eventually(t, "the program to write what was typed", func() error {
		got, err := w.written()
		if err == nil && !strings.HasSuffix(got, text) {
			err = fmt.Errorf("it wrote\n%q, not\n%q", got, text)
		}
		return err
	})
}

// ready types Return until something is written.
func (w writer) ready(t testing.TB, enter func() error) {
	t.Helper()
	eventually(t, "the terminal to take keys", func() error {
		if err := enter(); err != nil {
			return err
		}
		if st, err := os.Stat(w.file); err != nil || st.Size() == 0 {
			return fmt.Errorf("nothing was written (%w)", err)
		}
		return nil
	})
}

// everything is all characters that a layout types with one key, and all that
// it puts together with a dead key.
func everything(t testing.TB, layout string) string {
	t.Helper()
	var b strings.Builder
	for r := rune(0x21); r < 0x3000; r++ {
		if unicode.Is(unicode.M, r) {
			continue
		}
		if _, err := typing.Strokes(layout, string(r)); err == nil {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// TestLayouts: what is typed by scancodes on the X server's keyboard, which has
// that layout, comes out as the text. That is a machine whose layout it is.
func TestLayouts(t *testing.T) {
	need(t, "Xvfb", "xterm", "setxkbmap")
	leavesNothing(t)
	d := startX(t, "640x480", "")
	display, err := x11.Open(t.Context(), x11.Config{Display: d.name, Auth: d.authority, Keys: x11.KeysByCode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = display.Close() })
	server := rfb.NewServer(display, rfb.ServerConfig{})
	t.Cleanup(func() { _ = server.Close() })
	defer server.Hold()()
	names := map[string]string{"uk": "gb", "us-intl": "us(intl)", "ch-fr": "ch(fr)"}
	for _, layout := range typing.Layouts() {
		t.Run(layout, func(t *testing.T) {
			name := layout
			if names[layout] != "" {
				name = names[layout]
			}
			if out, err := d.command(t, "setxkbmap", "-layout", name).CombinedOutput(); err != nil {
				t.Fatalf("setxkbmap: %v: %s", err, out)
			}
			w := newWriter(t)
			command := w.command("stty -ixon")
			// The program puts dead keys and letters together in such a locale.
			term := startProgram(t, append(d.environment(), "LC_ALL=C.UTF-8"), command[0], command[1:]...)
			typeText := func(text string) error {
				if err := term.running(); err != nil {
					return err
				}
				strokes, err := typing.Strokes(layout, text)
				if err != nil {
					return err
				}
				for _, s := range strokes {
					keys := s.Keys()
					for _, k := range keys {
						display.KeyEvent(rfb.KeyEvent{Down: true, Keysym: k.Keysym, Keycode: k.Keycode})
					}
					slices.Reverse(keys)
					for _, k := range keys {
						display.KeyEvent(rfb.KeyEvent{Keysym: k.Keysym, Keycode: k.Keycode})
					}
				}
				return nil
			}
			w.ready(t, func() error {
				// Without a window manager the keyboard is where the pointer is.
				display.PointerEvent(rfb.PointerEvent{X: 100, Y: 100})
				return typeText("\n")
			})
			text := everything(t, layout)
			if n := len([]rune(text)); n < 94 {
				t.Errorf("only %d characters are tried", n)
			}
			for line := range slices.Chunk([]rune(text), 40) {
				want := string(line) + "\n"
				if err := typeText(want); err != nil {
					t.Fatal(err)
				}
				w.await(t, want)
			}
		})
	}
}

// typeText has the service type a text into a node, and waits for its end.
func (s *service) typeText(t testing.TB, n *node, text string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		t.Fatal(err)
	}
	path := "/v1/nodes/" + n.name + "/console/text"
	if _, err := s.do(t, http.MethodPost, path, string(body), http.StatusAccepted); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the text to be typed", func() error {
		data, err := s.get(t, path, http.StatusOK)
		if err != nil {
			return err
		}
		var state struct {
			Active      bool
			Done, Total int
			Error       string
		}
		if err := json.Unmarshal(data, &state); err != nil {
			return err
		}
		if !state.Active && (state.Error != "" || state.Done != state.Total) {
			t.Fatalf("the text ended so: %s", data)
		}
		if state.Active {
			return fmt.Errorf("it is still typed: %s", data)
		}
		return nil
	})
}

// keys has the service type keys into a node.
func (s *service) keys(t testing.TB, n *node, keys ...string) error {
	t.Helper()
	body, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.do(t, http.MethodPost, "/v1/nodes/"+n.name+"/console/keys", string(body), http.StatusNoContent)
	return err
}

// TestTextToPrograms: a text that is posted comes out in an X program, whatever
// layout the program's X server has and whatever the node is said to have, and
// with Caps Lock on.
func TestTextToPrograms(t *testing.T) {
	need(t, "xterm", "setxkbmap")
	for _, c := range []struct{ server, node, text string }{
		{"us", "us", "if [ \"$A\" = '~' ]; then echo \"{x}\" | tr '\\\\^' \"`b`\" & fi; # 100% @_<>?!+-*\n"},
		{"de", "us", "if [ \"$A\" = '~' ]; then echo \"{x}\" | tr '\\\\^' \"`b`\" & fi; # 100% @_<>?!+-*\n"},
		{"us", "de", "Zwölf Boxkämpfer: €@µ {[]}\\~|<> ^`° ê É\n"},
		{"de", "de", "Zwölf Boxkämpfer: €@µ {[]}\\~|<> ^`° ê É\n"},
	} {
		t.Run(c.server+" typed as "+c.node, func(t *testing.T) {
			w := newWriter(t)
			n := &node{name: "terminal", geometry: "640x480", layout: c.node, command: w.command("setxkbmap " + c.server)}
			s := startService(t, n)
			w.ready(t, func() error { return s.keys(t, n, "Return") })
			s.typeText(t, n, c.text)
			w.await(t, c.text)
			if err := s.keys(t, n, "Caps_Lock"); err != nil {
				t.Fatal(err)
			}
			s.typeText(t, n, c.text)
			w.await(t, c.text+c.text)
		})
	}
}

// TestTextByScancodes: a machine that goes by scancodes gets the text of its
// layout through the service, with Caps Lock on too, which is on again
// afterwards.
func TestTextByScancodes(t *testing.T) {
	need(t, "Xvfb", "xterm", "setxkbmap")
	d := startX(t, "640x480", "")
	if out, err := d.command(t, "setxkbmap", "-layout", "de").CombinedOutput(); err != nil {
		t.Fatalf("setxkbmap: %v: %s", err, out)
	}
	display, err := x11.Open(t.Context(), x11.Config{Display: d.name, Auth: d.authority, Keys: x11.KeysByCode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = display.Close() })
	n := &node{name: "machine", rfb: serveSource(t, display), layout: "de"}
	s := startService(t, n)
	w := newWriter(t)
	command := w.command("true")
	startProgram(t, append(d.environment(), "LC_ALL=C.UTF-8"), command[0], command[1:]...)
	w.ready(t, func() error {
		display.PointerEvent(rfb.PointerEvent{X: 100, Y: 100})
		return s.keys(t, n, "Return")
	})
	const text = "Zwölf Boxkämpfer: €@µ {[]}\\~|<> ^`° ê É\n"
	s.typeText(t, n, text)
	w.await(t, text)
	if err := s.keys(t, n, "Caps_Lock", "y", "Return"); err != nil {
		t.Fatal(err)
	}
	s.typeText(t, n, text)
	if err := s.keys(t, n, "y", "Return"); err != nil {
		t.Fatal(err)
	}
	w.await(t, text+"Y\n"+text+"Y\n")
}

// TestTextToNative: VNC servers that nobody here wrote get it too, those that
// know no scancodes by symbols.
func TestTextToNative(t *testing.T) {
	need(t, "xterm", "xdotool")
	for name, c := range map[string]struct {
		start  func(t *testing.T, port string) display
		lights bool // it tells of Caps Lock
	}{
		"Xtigervnc": {func(t *testing.T, port string) display {
			return startXServer(t, "Xtigervnc", "-rfbport", port, "-SecurityTypes", "None", "-localhost",
				"-geometry", "640x480", "-depth", "24", "-AlwaysShared", "-nolisten", "tcp")
		}, true},
		"x11vnc": {func(t *testing.T, port string) display {
			d := startX(t, "640x480", "")
			need(t, "x11vnc")
			startProgram(t, d.environment(), "x11vnc", "-display", d.name, "-rfbport", port, "-localhost",
				"-forever", "-shared", "-nopw", "-noxdamage").
				killed(t)
			return d
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			address := freeAddress(t)
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				t.Fatal(err)
			}
			d := c.start(t, port)
			n := &node{name: "native", rfb: address, layout: "de"}
			s := startService(t, n)
			w := newWriter(t)
			command := w.command("true")
			startProgram(t, append(d.environment(), "LC_ALL=C.UTF-8"), command[0], command[1:]...)
			// Without a window manager the keyboard is where the pointer is.
			if out, err := d.command(t, "xdotool", "mousemove", "100", "100").CombinedOutput(); err != nil {
				t.Fatalf("xdotool: %v: %s", err, out)
			}
			w.ready(t, func() error { return s.keys(t, n, "Return") })
			const text = "Zwölf Boxkämpfer: €@µ {[]}\\~|<> ^`° ê É\n"
			s.typeText(t, n, text)
			w.await(t, text)
			if !c.lights {
				return
			}
			if err := s.keys(t, n, "Caps_Lock"); err != nil {
				t.Fatal(err)
			}
			s.typeText(t, n, text)
			w.await(t, text+text)
		})
	}
}

// scancodes is a boot sector that sends what the keyboard says to the serial
// port.
var scancodes = []byte{
	0xfa,       // cli
	0xe4, 0x64, // next: in al, 0x64
	0xa8, 0x01, // test al, 1
	0x74, 0xfa, // jz next
	0xe4, 0x60, // in al, 0x60
	0xba, 0xf8, 0x03, // mov dx, 0x3f8
	0xee,       // out dx, al
	0xeb, 0xf2, // jmp next
}

// TestTextToQEMU: a machine behind QEMU's VNC server gets the scancodes of its
// layout.
func TestTextToQEMU(t *testing.T) {
	need(t, "qemu-system-x86_64")
	leavesNothing(t)
	dir := shortDir(t)
	disk := make([]byte, 1440<<10)
	copy(disk, scancodes)
	disk[510], disk[511] = 0x55, 0xaa
	image, vnc, serial := filepath.Join(dir, "floppy"), filepath.Join(dir, "vnc"), filepath.Join(dir, "serial")
	if err := os.WriteFile(image, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	qemu := startProgram(t, nil, "qemu-system-x86_64", "-nodefaults", "-accel", "tcg", "-m", "16", "-display", "none", "-vga", "std",
		"-vnc", "unix:"+vnc, "-drive", "if=floppy,format=raw,file="+image, "-boot", "a", "-serial", "file:"+serial)
	dialProgram(t, qemu, vnc).Close() // it can be reached
	n := &node{name: "machine", rfb: "unix:" + vnc, layout: "de"}
	s := startService(t, n)
	said := func() []byte {
		data, err := os.ReadFile(serial)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	eventually(t, "the machine to take keys", func() error {
		if err := s.keys(t, n, "F1"); err != nil {
			return err
		}
		if len(said()) == 0 {
			return errors.New("it has said nothing")
		}
		return nil
	})
	settle(t, said)
	before := len(said())
	s.typeText(t, n, "yA/@ê")
	if err := s.keys(t, n, "Control_L+Alt_L+Delete", "F12", "Alt+SysRq+b"); err != nil {
		t.Fatal(err)
	}
	want := []byte{
		0x2c, 0xac, // y is where a US keyboard has z
		0x2a, 0x1e, 0x9e, 0xaa, // A
		0x2a, 0x08, 0x88, 0xaa, // / is Shift and 7
		0xe0, 0x38, 0x10, 0x90, 0xe0, 0xb8, // @ is AltGr and q
		0x29, 0xa9, 0x12, 0x92, // ^ and e
		0x1d, 0x38, 0xe0, 0x53, 0xe0, 0xd3, 0xb8, 0x9d,
		0x58, 0xd8,
		0x38, 0xb8, 0x38, 0x54, 0x30, 0xb0, 0xd4, 0xb8, 0x38, 0xb8, // as PS/2 keyboards send SysRq with Alt
	}
	eventually(t, "the machine to get all keys", func() error {
		if got := said()[before:]; !slices.Equal(got, want) {
			return fmt.Errorf("it got % x, not % x", got, want)
		}
		return nil
	})
	// Fast and long: nothing is lost on the way.
	before = len(said())
	text := strings.Repeat("abcdefghij", 30)
	s.typeText(t, n, text)
	eventually(t, "the machine to get the long text", func() error {
		if got := len(said()) - before; got != 2*len(text) {
			return fmt.Errorf("it got %d scancodes of %d", got, 2*len(text))
		}
		return nil
	})
}

// settle waits until what say returns has not become longer for a while.
func settle(t testing.TB, say func() []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n := -1; n != len(say()); {
		n = len(say())
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("the machine does not stop talking")
		}
	}
}
