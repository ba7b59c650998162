package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// dialProgram connects to a program's unix socket as soon as it is there.
func dialProgram(t *testing.T, p *program, path string) (conn net.Conn) {
	t.Helper()
	eventually(t, "a connection to "+path, func() (err error) {
		if err := p.running(); err != nil {
			t.Fatal(err)
		}
		conn, err = net.Dial("unix", path)
		return err
	})
	return conn
}

// monitor is QEMU's machine protocol.
type monitor struct {
	conn  net.Conn
	lines *bufio.Scanner
}

// dialMonitor connects to the protocol at a unix socket.
func dialMonitor(t *testing.T, qemu *program, path string) *monitor {
	t.Helper()
	conn := dialProgram(t, qemu, path)
	m := &monitor{conn, bufio.NewScanner(conn)}
	t.Cleanup(func() { m.conn.Close() })
	m.conn.SetDeadline(time.Now().Add(patience)) // the reads tell
	fmt.Fprintln(m.conn, `{"execute": "qmp_capabilities"}`)
	return m
}

// await reads up to an event of that name.
func (m *monitor) await(t *testing.T, event string) {
	t.Helper()
	for m.lines.Scan() {
		var said struct{ Event string }
		if err := json.Unmarshal(m.lines.Bytes(), &said); err != nil {
			t.Fatal(err)
		}
		if said.Event == event {
			return
		}
	}
	t.Fatalf("QEMU did not say %s: %v", event, m.lines.Err())
}

// through connects a viewer that lists the given pseudo-encodings to the VNC
// server at a unix socket, through a client and a server of ours.
func through(t *testing.T, path string, pseudos ...wire.Encoding) *rfbtest.Viewer {
	t.Helper()
	client := rfb.NewClient(rfb.ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}})
	server := rfb.NewServer(client, rfb.ServerConfig{})
	ours, theirs := net.Pipe()
	var serving sync.WaitGroup
	var ended error
	serving.Go(func() { ended = server.Serve(context.Background(), theirs, rfb.ViewerConfig{}) })
	t.Cleanup(func() {
		ours.Close()
		server.Close() // never fails
		serving.Wait()
	})
	v, err := rfbtest.NewViewer(ours)
	if err != nil {
		serving.Wait()
		t.Fatalf("%v, for %v", err, ended)
	}
	say(t, v, wire.SetEncodings{Encodings: append([]wire.Encoding{wire.EncodingZRLE, wire.PseudoDesktopSize}, pseudos...)})
	return v
}

func say(t *testing.T, v *rfbtest.Viewer, m wire.ClientMessage) {
	t.Helper()
	if err := v.Send(m); err != nil {
		t.Fatal(err)
	}
}

func until(t *testing.T, v *rfbtest.Viewer, what string, cond func() bool) {
	t.Helper()
	if err := v.Until(cond); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

// TestQEMU: what QEMU's VNC server has beyond the picture reaches a viewer
// and comes back: the pointer's motion, lights, power, and the clipboard.
func TestQEMU(t *testing.T) {
	need(t, "qemu-system-x86_64")
	leavesNothing(t)
	dir := shortDir(t)
	vnc, control := filepath.Join(dir, "vnc"), filepath.Join(dir, "qmp")
	qemu := startProgram(t, nil, "qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "32", "-nodefaults", "-vga", "std",
		"-no-shutdown", "-vnc", "unix:"+vnc+",power-control=on", "-qmp", "unix:"+control+",server=on,wait=off")
	m := dialMonitor(t, qemu, control)
	dialProgram(t, qemu, vnc).Close() // it can be reached

	// Without a tablet the machine wants motion.
	v := through(t, vnc, wire.PseudoQEMUPointerMotion, wire.PseudoQEMULEDState, wire.PseudoXVP)
	until(t, v, "motion, lights and power", func() bool {
		return v.Relative && v.Count[wire.PseudoQEMULEDState] > 0 && len(v.XVP) > 0
	})
	for range 20 {
		say(t, v, wire.PointerEvent{X: 0x7fff + 5, Y: 0x7fff - 3, Buttons: 1})
	}
	say(t, v, wire.ClientXVP{Version: wire.XVPVersion, Code: wire.XVPShutdown})
	m.await(t, "POWERDOWN")
	say(t, v, wire.ClientXVP{Version: wire.XVPVersion, Code: wire.XVPReset})
	m.await(t, "RESET")
	if len(v.XVP) != 1 {
		t.Errorf("of power was said %v", v.XVP)
	}

	// QEMU hands the clipboard from one viewer to the others.
	from, to := through(t, vnc, wire.PseudoExtendedClipboard), through(t, vnc, wire.PseudoExtendedClipboard)
	for _, end := range []*rfbtest.Viewer{from, to} {
		until(t, end, "the picture", func() bool { return end.Count[wire.EncodingZRLE] > 0 })
	}
	for range 2 {
		text := fmt.Sprintf("Grüße 😀\nvon %p\n", from)
		say(t, from, wire.ClientCutText{Extended: &wire.Clipboard{Flags: wire.ClipboardProvide | wire.ClipboardText, Text: text}})
		until(t, to, "the clipboard", func() bool {
			n := len(to.CutTexts)
			return n > 0 && to.CutTexts[n-1].Extended != nil && to.CutTexts[n-1].Extended.Text == text
		})
		from, to = to, from
	}
}

// TestNativePower: a virtual machine's power is switched through the API.
func TestNativePower(t *testing.T) {
	need(t, "qemu-system-x86_64")
	dir := shortDir(t)
	vnc, control := filepath.Join(dir, "vnc"), filepath.Join(dir, "qmp")
	qemu := startProgram(t, nil, "qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "32", "-nodefaults", "-vga", "std",
		"-no-shutdown", "-vnc", "unix:"+vnc+",power-control=on", "-qmp", "unix:"+control+",server=on,wait=off")
	m := dialMonitor(t, qemu, control)
	s := startService(t, &node{name: "vm", rfb: "unix:" + vnc})
	post := func(action string, status int) error {
		_, err := s.do(t, http.MethodPost, "/v1/nodes/vm/power", fmt.Sprintf(`{"action":%q}`, action), status)
		return err
	}
	if err := post("reset", http.StatusConflict); err != nil {
		t.Errorf("before the console runs: %v", err)
	}
	if _, err := s.get(t, "/v1/nodes/vm/console/screenshot?timeout=30s", http.StatusOK); err != nil {
		t.Fatal(err)
	}
	for action, event := range map[string]string{"off": "POWERDOWN", "reset": "RESET"} {
		eventually(t, "the power to be switched", func() error { return post(action, http.StatusNoContent) })
		m.await(t, event)
	}
	if err := post("on", http.StatusConflict); err != nil {
		t.Error(err)
	}
	if err := post("explode", http.StatusBadRequest); err != nil {
		t.Error(err)
	}
}
