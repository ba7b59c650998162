package integration

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPagePower: the page's power buttons act on a virtual machine: its screen
// starts anew after a reset, and what cannot be done is not offered. The page
// goes by the node's name, whatever the machine calls its screen.
func TestPagePower(t *testing.T) {
	need(t, "qemu-system-x86_64")
	dir := shortDir(t)
	vnc, control := filepath.Join(dir, "vnc"), filepath.Join(dir, "qmp")
	qemu := startProgram(t, nil, "qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "32", "-nodefaults", "-vga", "std",
		"-boot", "menu=on,splash-time=2000", // the firmware takes its time
		"-no-shutdown", "-vnc", "unix:"+vnc+",power-control=on", "-qmp", "unix:"+control+",server=on,wait=off")
	m := dialMonitor(t, qemu, control)
	s := startService(t, &node{name: "rack7", rfb: "unix:" + vnc})
	p := newTab(t)
	url, _ := s.token(t, "rack7", `{"mode":"operate"}`)
	p.goTo(t, url)
	p.awaitState(t, "connected")
	p.awaitTrue(t, `window.ironglass.rfb._fbName === "QEMU"`)
	p.awaitTrue(t, `document.getElementById("name").textContent === "rack7" && /^rack7 /.test(document.title)`)

	booted := func() error {
		screen, err := p.canvas()
		if err == nil && lit(screen) < 1000 {
			err = errors.New("there is no text on the machine's screen")
		}
		return err
	}
	eventually(t, "the firmware to find nothing to start", func() error {
		if err := booted(); err != nil {
			return err
		}
		return stays(p)
	})
	p.clickOn(t, `[data-panel="power"]`)
	p.awaitTrue(t, `!document.querySelector('[data-power="reset"]').disabled && document.querySelector('[data-power="on"]').disabled`)
	p.clickOn(t, `[data-power="reset"]`)
	p.clickOn(t, "#ask-no")
	p.clickOn(t, `[data-power="off"]`)
	p.clickOn(t, "#ask-yes")
	p.awaitTrue(t, `/told to power off/.test(document.querySelector('[data-notice="power"] .notice-text')?.textContent)`)
	m.await(t, "POWERDOWN") // and no RESET before it

	// What the screen showed goes away, and the firmware starts over.
	screen, err := p.canvas()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evaluate[bool](p, `window.least = Infinity, window.ironglass.rfb.addEventListener("frame", () => {
		const canvas = document.querySelector("#screen canvas");
		const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
		let lit = 0;
		for (let i = 0; i < data.length; i += 4)
			lit += data[i] || data[i + 1] || data[i + 2] ? 1 : 0;
		window.least = Math.min(window.least, lit);
	}), true`); err != nil {
		t.Fatal(err)
	}
	p.clickOn(t, `[data-power="reset"]`)
	p.clickOn(t, "#ask-yes")
	m.await(t, "RESET")
	p.awaitTrue(t, fmt.Sprintf(`window.least < %d`, lit(screen)/2))
	eventually(t, "the firmware to start over", booted)

	// The same from the command line.
	command := func(action string) (string, error) {
		out, err := exec.CommandContext(t.Context(), built.ironglass, "power", "rack7", action, "-server", s.url).CombinedOutput()
		return string(out), err
	}
	if out, err := command("reset"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	m.await(t, "RESET")
	if out, err := command("status"); err != nil || out != "unknown\n" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := command("on"); err == nil || !strings.Contains(out, "not switch it on") {
		t.Errorf("%v: %s", err, out)
	}
}

// stays reports an error while the firmware is still writing: what follows
// its last line is a blinking cursor, which comes and goes.
func stays(p *tab) error {
	one, err := p.canvas()
	if err != nil {
		return err
	}
	two, err := p.canvas()
	if err != nil {
		return err
	}
	if a, b := lit(one), lit(two); a-b > 64 || b-a > 64 {
		return errors.New("its screen still changes")
	}
	return nil
}

// lit counts the pixels that are not black.
func lit(p picture) (n int) {
	for _, pixel := range p.pixels {
		if pixel != 0 {
			n++
		}
	}
	return n
}
