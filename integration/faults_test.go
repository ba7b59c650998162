package integration

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// dimmed returns nil where got shows before with less light and something
// written on it: no channel brighter for most of the pixels, most of them
// darker, but not black.
func dimmed(got, before picture) error {
	if got.width != before.width || got.height != before.height {
		return fmt.Errorf("the size is %dx%d instead of %dx%d", got.width, got.height, before.width, before.height)
	}
	darker, sum, was := 0, 0, 0
	for i, pixel := range got.pixels {
		light, full := 0, 0
		brighter := false
		for shift := 0; shift < 24; shift += 8 {
			a, b := int(pixel>>shift&0xff), int(before.pixels[i]>>shift&0xff)
			light, full = light+a, full+b
			brighter = brighter || a > b
		}
		if !brighter && light < full {
			darker++
		}
		sum, was = sum+light, was+full
	}
	if share := float64(darker) / float64(len(got.pixels)); share < 0.5 {
		return fmt.Errorf("only %.0f %% of the pixels are darker than before", share*100)
	}
	if sum*20 < was {
		return fmt.Errorf("the picture is as good as black: %d of %d", sum, was)
	}
	return nil
}

// TestSupervisorKilled: viewers keep the last frame, dimmed, and go on by
// themselves when the console is back.
func TestSupervisorKilled(t *testing.T) {
	n, s, p, last := openPicture(t, "killed", "640x480")
	supervisor, err := find(t, s.cmd.Process.Pid, "ironglass-supervisor", "")
	if err != nil {
		t.Fatal(err)
	}
	mapped, err := n.said("mapped")
	if err != nil {
		t.Fatal(err)
	}

	p.record(t)
	kill(t, supervisor)
	n.awaitLine(t, "mapped", mapped)
	n.tell(t, "draw 77")
	p.showsExactly(t, n)
	if state, err := p.state(); err != nil || state != "connected" {
		t.Errorf("the page's own session did not last: it is %q, %v", state, err)
	}
	if err := p.recorded(t, func(frame picture) error {
		err := dimmed(frame, last)
		if err == nil {
			keepPicture(t, "dimmed", frame)
		}
		return err
	}); err != nil {
		t.Errorf("the last frame was never shown dimmed: %v", err)
	}
	for _, gone := range descendants(t, supervisor.pid) {
		t.Errorf("the killed supervisor left %v", gone)
	}
	n.tell(t, "bustle 50")
	p.showsExactly(t, n)
}

// TestServerAndClientKilled: the supervisor restarts its X server and its X
// client, and viewers go on.
func TestServerAndClientKilled(t *testing.T) {
	for _, victim := range []string{"xclient", "Xvfb"} {
		t.Run(victim, func(t *testing.T) {
			n, s, p, _ := openPicture(t, "restart", "640x480")
			supervisor, err := find(t, s.cmd.Process.Pid, "ironglass-supervisor", "")
			if err != nil {
				t.Fatal(err)
			}
			for round := range 2 {
				mapped, err := n.said("mapped")
				if err != nil {
					t.Fatal(err)
				}
				doomed, err := find(t, supervisor.pid, victim, "")
				if err != nil {
					t.Fatal(err)
				}
				p.record(t)
				kill(t, doomed)
				n.awaitLine(t, "mapped", mapped)
				n.tell(t, fmt.Sprintf("draw %d", 80+round))
				p.showsExactly(t, n)
			}
			if state, err := p.state(); err != nil || state != "connected" {
				t.Errorf("the page's own session did not last: it is %q, %v", state, err)
			}
			after, err := find(t, s.cmd.Process.Pid, "ironglass-supervisor", "")
			if err != nil || after.pid != supervisor.pid {
				t.Errorf("the supervisor is not the same: %v instead of %v, %v", after, supervisor, err)
			}
		})
	}
}

// TestServiceKilled: a service that dies leaves its consoles at work, and the
// next one on the same state goes on with them.
func TestServiceKilled(t *testing.T) {
	n, s, p, _ := openPicture(t, "adopted", "640x480")
	supervisor, err := find(t, s.cmd.Process.Pid, "ironglass-supervisor", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	p.awaitState(t, "reconnecting")
	if len(descendants(t, supervisor.pid)) == 0 {
		t.Fatal("the console went with the service")
	}
	s.start(t)
	// The same address and keys: the page comes back by itself.
	p.awaitState(t, "connected")
	n.tell(t, "draw 91")
	p.showsExactly(t, n)
	if mapped, err := n.said("mapped"); err != nil || mapped != 1 {
		t.Errorf("the picture was started %d times, %v", mapped, err)
	}
	// The adopted console is no child of the new service; it must end with it
	// all the same, which leavesNothing checks.
}

// TestBadTokens: a wrong or an expired token gives a page that says so, with
// status 403, and no websocket.
func TestBadTokens(t *testing.T) {
	n := pictureNode(t, "tokens", "320x240")
	s := startService(t, n)
	url, socket := s.token(t, n.name, `{"mode":"operate","ttl":"1s"}`)
	url = strings.TrimPrefix(url, s.url)
	eventually(t, "the token to expire", func() error {
		_, err := s.get(t, url, http.StatusForbidden)
		return err
	})
	_, good := s.token(t, n.name, `{"mode":"operate"}`)
	forged := good[:len(good)-8] + "AAAAAAAA"
	_, forged, _ = strings.Cut(forged, "token=")

	for _, c := range []struct{ name, path, says string }{
		{"expired", url, "expired"},
		{"forged", "/vnc_auto.html?token=" + forged, "token"},
		{"nonsense", "/vnc_lite.html?token=xyz", "token"},
		{"nonsense in a path", "/vnc.html?path=websockify%3Ftoken%3Dxyz", "token"},
	} {
		body, err := s.get(t, c.path, http.StatusForbidden)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		page := string(body)
		if !strings.Contains(page, "<html") || !strings.Contains(page, c.says) {
			t.Errorf("%s: the page does not say what is wrong: %s", c.name, page)
		}
		for _, secret := range []string{s.dir, forged, "panic", "goroutine"} {
			if strings.Contains(page, secret) {
				t.Errorf("%s: the page gives away %q", c.name, secret)
			}
		}
	}
	for _, address := range []string{
		socket,
		"ws" + strings.TrimPrefix(s.url, "http") + "/websockify?token=" + forged,
		"ws" + strings.TrimPrefix(s.url, "http") + "/websockify",
		"ws" + strings.TrimPrefix(s.url, "http") + "/?token=xyz",
	} {
		conn, status, err := dialWebsocket(t, address)
		if err == nil {
			conn.Close()
			t.Errorf("%s let somebody in", address)
			continue
		}
		if status != http.StatusForbidden {
			t.Errorf("%s: status %d and %v instead of status 403", address, status, err)
		}
	}
	// A browser sees words, not a blank page.
	p := newTab(t)
	p.goTo(t, s.url+url)
	if text, err := evaluate[string](p, `document.body.innerText`); err != nil || !strings.Contains(text, "expired") {
		t.Errorf("the page reads %q, %v", text, err)
	}
}

// garbage is what a broken or hostile RFB client may send.
func garbage() map[string][]byte {
	hello := []byte("RFB 003.008\n\x01\x01") // version, security None, shared
	after := func(b ...byte) []byte { return append(append([]byte{}, hello...), b...) }
	return map[string][]byte{
		"HTTP":                  []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"zeros":                 make([]byte, 4096),
		"no security type":      []byte("RFB 003.008\n\xfe"),
		"unknown message":       after(0xaa, 1, 2, 3, 4, 5, 6, 7),
		"16-bit colours of 0":   after(0, 0, 0, 0, 16, 16, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		"7 bits a pixel":        after(0, 0, 0, 0, 7, 7, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0),
		"4 GB of clipboard":     after(6, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff),
		"65535 encodings":       append(after(2, 0, 0xff, 0xff), make([]byte, 65535*4)...),
		"request far outside":   after(3, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xaa),
		"resize to nothing":     after(251, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		"fence of 255 bytes":    append(after(248, 0, 0, 0, 0x80, 0, 0, 7, 255), make([]byte, 255)...),
		"half a pointer event":  after(5, 1, 0),
		"key of unknown symbol": after(4, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xaa),
	}
}

// TestGarbage: an RFB client that sends garbage loses its own connection only,
// whether it talks to a supervisor or to the service.
func TestGarbage(t *testing.T) {
	n, s, p, _ := openPicture(t, "garbage", "640x480")
	supervisor, err := find(t, s.cmd.Process.Pid, "ironglass-supervisor", "")
	if err != nil {
		t.Fatal(err)
	}
	socket := s.socket(t, n)
	for name, bytes := range garbage() {
		t.Run("supervisor "+name, func(t *testing.T) {
			conn, err := net.Dial("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			abuse(conn, bytes)
		})
		t.Run("service "+name, func(t *testing.T) {
			_, address := s.token(t, n.name, `{"mode":"view"}`)
			conn, _, err := dialWebsocket(t, address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			// The service may close in the middle of it.
			_ = conn.WriteMessage(websocket.BinaryMessage, bytes)
			_ = conn.WriteMessage(websocket.TextMessage, []byte("text is none of RFB's"))
			abuse(conn.NetConn(), []byte{0xff, 0xff, 0xff, 0xff}) // no websocket frame at all
		})
	}
	n.tell(t, "draw 55")
	p.showsExactly(t, n)
	after, err := find(t, s.cmd.Process.Pid, "ironglass-supervisor", "")
	if err != nil || after.pid != supervisor.pid {
		t.Errorf("the supervisor did not last: %v instead of %v, %v", after, supervisor, err)
	}
	if state, err := p.state(); err != nil || state != "connected" {
		t.Errorf("the page is %q, %v", state, err)
	}
}

// abuse sends bytes and reads what comes until the peer has had enough, or has
// said nothing for a moment: garbage may also be the start of something good.
func abuse(conn net.Conn, bytes []byte) {
	_ = conn.SetWriteDeadline(time.Now().Add(patience))
	_, _ = conn.Write(bytes) // the peer may have closed before the end
	buffer := make([]byte, 1<<16)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// TestStalledViewers: viewers that take nothing do not slow the others.
func TestStalledViewers(t *testing.T) {
	n := pictureNode(t, "stalled", "1024x768")
	s := startService(t, n)
	p := newTab(t)
	p.openConsole(t, s, n.name)
	n.shown(t)
	socket := s.socket(t, n)
	for range 3 {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("RFB 003.008\n\x01\x01")); err != nil {
			t.Fatal(err)
		}
		// Ask for all of it many times, and read nothing of it.
		request := binary.BigEndian.AppendUint16([]byte{3, 0, 0, 0, 0, 0}, 1024)
		request = binary.BigEndian.AppendUint16(request, 768)
		for range 50 {
			if _, err := conn.Write(request); err != nil {
				t.Fatal(err)
			}
		}
	}
	for round := range 3 {
		n.tell(t, fmt.Sprintf("bustle %d", 100+round))
		p.showsExactly(t, n)
	}
}

// TestPortInUse: one clear line and status 1.
func TestPortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := newService(t, pictureNode(t, "nowhere", ""))
	s.configure(t, listener.Addr().String())
	cmd := exec.CommandContext(t.Context(), built.ironglass, "serve", "-config", s.config())
	cmd.Env, cmd.Dir = s.environment(), s.dir
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v instead of status 1", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, listener.Addr().String()) {
		t.Errorf("the last line does not name the address: %q", out)
	}
}

// TestMissingProgram: where the X server is not installed, the console says so
// in its picture and in the list.
func TestMissingProgram(t *testing.T) {
	n := pictureNode(t, "missing", "640x480")
	s := newService(t, n)
	empty := t.TempDir()
	t.Setenv("PATH", empty)
	s.start(t)
	_, address := s.token(t, n.name, `{"mode":"view"}`)
	conn, _, err := dialWebsocket(t, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.BinaryMessage, []byte("RFB 003.008\n\x01\x01")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the console to say what is missing", func() error {
		data, err := s.get(t, "/v1/nodes", http.StatusOK)
		if err != nil {
			return err
		}
		var list struct {
			Nodes []struct{ State, Reason string }
		}
		if err := json.Unmarshal(data, &list); err != nil {
			return err
		}
		if len(list.Nodes) != 1 || !strings.Contains(list.Nodes[0].Reason, "Xvfb") {
			return fmt.Errorf("it says %s", data)
		}
		return nil
	})
}

// TestInterruptWhileStarting: Ctrl-C in the middle of a start leaves nothing
// either.
func TestInterruptWhileStarting(t *testing.T) {
	n := pictureNode(t, "hasty", "640x480")
	s := startService(t, n)
	_, address := s.token(t, n.name, `{"mode":"view"}`)
	conn, _, err := dialWebsocket(t, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.BinaryMessage, []byte("RFB 003.008\n\x01\x01")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a supervisor to be there", func() error {
		_, err := find(t, s.cmd.Process.Pid, "ironglass-supervisor", "")
		return err
	})
	s.stop(t)
	if _, err := io.ReadAll(conn.NetConn()); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the viewer's connection: %v", err)
	}
	if _, err := os.Stat(n.log); err == nil {
		t.Log("the picture was there already")
	}
}
