package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// demoMachine is the machine of `make run`.
const demoMachine = "../deploy/demo/machine.sh"

// TestDemoMachine: a real machine boots from the network in QEMU and is worked
// on through the browser: its boot menu comes, follows the keys, and starts
// the installer.
func TestDemoMachine(t *testing.T) {
	need(t, "qemu-system-x86_64")
	script, err := filepath.Abs(demoMachine)
	if err != nil {
		t.Fatal(err)
	}
	trees, err := filepath.Glob("/usr/lib/debian-installer/images/*/amd64/text/pxelinux.0")
	if err != nil || len(trees) == 0 {
		// Systems without that package get memtest86+ from deploy/deps.sh.
		if memtest, _ := filepath.Glob("/boot/memtest86+*"); len(memtest) == 0 && os.Getenv("CI") != "" {
			t.Fatal("nothing to boot is installed: run deploy/deps.sh run")
		}
		t.Skip("there is no network installer to boot: this system has no package debian-installer-12-netboot-amd64")
	}
	n := shellNode(t, "machine", "800x600", "'"+script+"'")
	s := startService(t, n)
	p := newTab(t)
	p.openConsole(t, s, n.name)

	// The boot menu is the first with a picture behind it.
	var menu picture
	eventually(t, "the boot menu", func() error {
		if menu, err = p.canvas(); err != nil {
			return err
		}
		if colours := menu.colours(); menu.width != 800 || menu.height != 600 || colours < 150 {
			return fmt.Errorf("the picture of %dx%d has %d colours", menu.width, menu.height, colours)
		}
		return nil
	})
	menu = p.still(t)
	keepPicture(t, "menu", menu)

	p.press(t, []stroke{{key: "ArrowDown", code: "ArrowDown"}})
	var moved picture
	eventually(t, "the menu to follow the key", func() error {
		if moved, err = p.canvas(); err != nil {
			return err
		}
		if differs(moved, menu) == nil {
			return errors.New("nothing has changed")
		}
		return nil
	})
	moved = p.still(t)
	keepPicture(t, "moved", moved)
	if changed := share(moved, menu); changed > 0.2 {
		t.Errorf("%.0f %% of the picture changed with one key", changed*100)
	}
	p.showsExactly(t, n)

	p.press(t, []stroke{{key: "ArrowUp", code: "ArrowUp"}, {key: "Enter", code: "Enter"}})
	eventually(t, "the installer to take over", func() error {
		now, err := p.canvas()
		if err == nil && share(now, menu) < 0.5 {
			err = errors.New("the menu is still there")
		}
		return err
	})
}

// share is the part of the pixels that differ; all where the sizes do.
func share(a, b picture) float64 {
	if a.width != b.width || a.height != b.height {
		return 1
	}
	count := 0
	for i := range a.pixels {
		if a.pixels[i] != b.pixels[i] {
			count++
		}
	}
	return float64(count) / float64(len(a.pixels))
}

// still waits until the canvas is the same several times in a row.
func (p *tab) still(t testing.TB) picture {
	t.Helper()
	var last picture
	same := 0
	eventually(t, "the picture to hold still", func() error {
		now, err := p.canvas()
		if err != nil {
			return err
		}
		if differs(now, last) == nil {
			same++
		} else {
			same = 0
		}
		last = now
		if same < 4 {
			return errors.New("it changes")
		}
		return nil
	})
	return last
}

// TestDemoMachineMissing: without QEMU the machine's script says in one line
// what to install.
func TestDemoMachineMissing(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), demoMachine)
	cmd.Env = []string{"PATH=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v instead of status 1", err)
	}
	if text := string(out); strings.Count(text, "\n") != 1 || !strings.Contains(text, "apt-get install qemu-system-x86") {
		t.Errorf("it wrote %q", text)
	}
}
