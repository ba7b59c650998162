package integration

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestPageRestart: when the service is told to end, its pages are told why;
// they go on by themselves when it is back, with the same picture and keys.
func TestPageRestart(t *testing.T) {
	n, s, p, _ := openPicture(t, "kept", "640x480")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.awaitState(t, "reconnecting")
	p.awaitTrue(t, `document.getElementById("overlay-text").textContent.trim() !== ""`)
	<-s.ended
	if s.err != nil {
		t.Errorf("on SIGTERM the service ended with %v", s.err)
	}
	s.start(t)
	p.awaitState(t, "connected")
	p.showsExactly(t, n)
	if _, err := evaluate[bool](p, `window.ironglass.rfb.focus(), true`); err != nil {
		t.Fatal(err)
	}
	p.press(t, []stroke{{key: "x", code: "KeyX"}})
	eventually(t, "a key to arrive", func() error {
		got, err := n.keyPresses()
		if err == nil && (len(got) != 1 || got[0] != "78 -") {
			err = fmt.Errorf("arrived %q", got)
		}
		return err
	})
}

// TestPageReload: when the configuration is read again, those who look at a
// node that stays go on looking, a node that is new is there, and those at a
// node that is gone are told.
func TestPageReload(t *testing.T) {
	stays, goes := pictureNode(t, "stays", "640x480"), pictureNode(t, "goes", "640x480")
	s := startService(t, stays, goes)
	fleet, p, q := newTab(t), newTab(t), newTab(t)
	fleet.goTo(t, s.url+"/")
	fleet.awaitTrue(t, `document.querySelectorAll(".node").length === 2`)
	p.openConsole(t, s, stays.name)
	p.showsExactly(t, stays)
	q.openConsole(t, s, goes.name)
	if _, err := evaluate[bool](p, `window.connection = window.ironglass.rfb, true`); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "name: goes", "name: comes", 1)
	if err := os.WriteFile(s.config(), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	fleet.awaitTrue(t, `document.querySelector('[aria-label^="Open comes:"]') && !document.querySelector('[aria-label^="Open goes:"]')`)
	q.awaitState(t, "refused")
	if _, err := s.get(t, "/v1/nodes/goes/console", http.StatusNotFound); err != nil {
		t.Error(err)
	}
	p.awaitTrue(t, `window.connection === window.ironglass.rfb && window.ironglass.state === "connected"`)
	p.showsExactly(t, stays)
}

// TestPageRecording: the sign of a recording is on the console's page, and the
// fleet page leads to what was recorded, which plays.
func TestPageRecording(t *testing.T) {
	n := pictureNode(t, "filmed", "640x480")
	n.options = ", recording: ring"
	s := startService(t, n, pictureNode(t, "unseen", "640x480"))
	p := newTab(t)
	p.openConsole(t, s, n.name)
	shown := p.showsExactly(t, n)
	p.awaitTrue(t, `!document.getElementById("recording").hidden && /Keys are not/.test(document.getElementById("recording").title)`)
	other := newTab(t)
	other.openConsole(t, s, "unseen")
	other.awaitTrue(t, `window.ironglass.snapshot && document.getElementById("recording").hidden`)

	p.goTo(t, s.url+"/")
	p.clickOn(t, fmt.Sprintf(`[aria-label="Recordings of %s"]`, n.name))
	p.awaitState(t, "list")
	p.clickOn(t, ".watch")
	p.awaitState(t, "connected")
	p.showsPicture(t, "what the console showed", shown)
}
