package integration

import (
	"bufio"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// node is what a test puts into the configuration, and how it reaches what
// runs behind it.
type node struct {
	name     string
	geometry string
	command  []string
	rfb      string // a VNC server of its own, instead of command, in YAML
	layout   string // of the machine's keyboard
	log      string // the file that the node's program writes to

	recording string // what the configuration says of it, as YAML
}

// pictureNode is a node that shows xclient's picture.
func pictureNode(t testing.TB, name, geometry string, args ...string) *node {
	t.Helper()
	log := filepath.Join(t.TempDir(), name+".log")
	return &node{name: name, geometry: geometry, log: log,
		command: append([]string{built.xclient, "picture", "-log", log}, args...)}
}

// shellNode is a node that runs a command after telling the log where it is.
func shellNode(t testing.TB, name, geometry, command string) *node {
	t.Helper()
	log := filepath.Join(t.TempDir(), name+".log")
	return &node{name: name, geometry: geometry, log: log,
		command: []string{"sh", "-c", fmt.Sprintf(`echo "display $DISPLAY $XAUTHORITY" >>'%s'; exec %s`, log, command)}}
}

// lines reads the log.
func (n *node) lines() ([]string, error) {
	f, err := os.Open(n.log)
	if err != nil {
		return nil, fmt.Errorf("node %s has told nothing: %w", n.name, err)
	}
	defer f.Close()
	var lines []string
	scanner := bufio.NewScanner(f)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines, scanner.Err()
}

// said returns how often the log has the line.
func (n *node) said(line string) (int, error) {
	lines, err := n.lines()
	if err != nil {
		return 0, err
	}
	count := 0
	for _, l := range lines {
		if l == line {
			count++
		}
	}
	return count, nil
}

// awaitLine waits until the log has the line more often than before.
func (n *node) awaitLine(t testing.TB, line string, before int) {
	t.Helper()
	eventually(t, fmt.Sprintf("node %s to say %q", n.name, line), func() error {
		count, err := n.said(line)
		if err != nil {
			return err
		}
		if count <= before {
			lines, _ := n.lines()
			return fmt.Errorf("its last lines: %q", lines[max(0, len(lines)-5):])
		}
		return nil
	})
}

// place returns where the node's program runs now: the last display that it
// told of.
func (n *node) place() (display, error) {
	lines, err := n.lines()
	if err != nil {
		return display{}, err
	}
	var d display
	for _, line := range lines {
		if words := strings.SplitN(line, " ", 3); words[0] == "display" && len(words) == 3 {
			d = display{name: words[1], authority: words[2]}
		}
	}
	if d.name == "" {
		return d, fmt.Errorf("node %s has not said its display but %q", n.name, lines)
	}
	return d, nil
}

// display waits for the node's program to say where it runs.
func (n *node) display(t testing.TB) display {
	t.Helper()
	var d display
	eventually(t, "node "+n.name+" to say its display", func() (err error) {
		d, err = n.place()
		return err
	})
	return d
}

// tell has the picture carry out a command, and returns when the X server has
// done all of it.
func (n *node) tell(t testing.TB, command string) {
	t.Helper()
	before, err := n.said("done " + command)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := n.display(t).command(t, built.xclient, append([]string{"send"}, strings.Fields(command)...)...).CombinedOutput(); err != nil {
		t.Fatalf("telling node %s to %s: %v: %s", n.name, command, err, out)
	}
	n.awaitLine(t, "done "+command, before)
}

// resize gives the node's screen another size, and returns when the picture
// has followed.
func (n *node) resize(t testing.TB, size image.Point) {
	t.Helper()
	line := fmt.Sprintf("resized %dx%d", size.X, size.Y)
	before, err := n.said(line)
	if err != nil {
		t.Fatal(err)
	}
	n.display(t).resize(t, size.X, size.Y)
	n.awaitLine(t, line, before)
}

// shown waits until the picture has been mapped on the screen.
func (n *node) shown(t testing.TB) {
	t.Helper()
	n.awaitLine(t, "mapped", 0)
}

// keyPresses returns the keys that went down, modifiers left out, each as
// keysym in hexadecimal and modifiers.
func (n *node) keyPresses() ([]string, error) {
	lines, err := n.lines()
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, line := range lines {
		key, ok := strings.CutPrefix(line, "key down ")
		if !ok || isModifier(strings.Fields(key)[0]) {
			continue
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// isModifier tells whether a keysym in hexadecimal is one of those that
// change what others mean.
func isModifier(keysym string) bool {
	return keysym >= "ffe1" && keysym <= "ffee" && len(keysym) == 4 || keysym == "fe03" || keysym == "ff7e"
}
