package integration

import (
	"errors"
	"fmt"
	"image"
	"net"
	"path/filepath"
	"slices"
	"testing"
)

// viewer is a VNC viewer that others wrote.
type viewer struct {
	name    string // of the program
	options []string
}

// viewers are the programs and encodings that are tried.
func viewers() map[string]viewer {
	all := make(map[string]viewer)
	for _, encoding := range []string{"Raw", "Hextile", "Tight", "ZRLE"} {
		all["TigerVNC "+encoding] = viewer{"xtigervncviewer", []string{
			"-SecurityTypes=None", "-AutoSelect=0", "-FullColor=1", "-NoJPEG=1", "-RemoteResize=0", "-Shared=1",
			"-ReconnectOnError=0", "-AlertOnFatalError=0", "-PreferredEncoding=" + encoding,
		}}
	}
	for _, encoding := range []string{"raw", "copyrect raw", "hextile", "copyrect hextile", "tight", "copyrect tight"} {
		all["TightVNC "+encoding] = viewer{"xtightvncviewer", []string{"-nojpeg", "-shared", "-truecolour", "-depth", "24", "-encodings", encoding}}
	}
	return all
}

// start runs the viewer on a display.
func (v viewer) start(t testing.TB, on display, address string) *program {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	// Two colons: what follows is a port.
	return startProgram(t, on.environment(), v.name, append(v.options, host+"::"+port)...)
}

// showsExactly waits until the whole screen of the node's display is to be
// seen, in one piece and in every pixel, somewhere on the viewer's display.
func showsExactly(t testing.TB, v *program, on display, n *node) {
	t.Helper()
	eventually(t, "the viewer to show the X screen", func() error {
		if err := v.running(); err != nil {
			t.Fatal(err)
		}
		d, err := n.place()
		if err != nil {
			return err
		}
		want, err := d.grab(t)
		if err != nil {
			return err
		}
		got, err := on.grab(t)
		if err != nil {
			return err
		}
		return contains(got, want)
	})
}

// contains returns nil where part is a part of whole.
func contains(whole, part picture) error {
	// Where to look is told by a piece of a row that changes from pixel to
	// pixel, such as noise has, that no flat area of the other screen can be
	// taken for.
	const length = 16
	var probe image.Point
	most := 0
	for y := range part.height {
		row := part.pixels[y*part.width:][:part.width]
		for x := 0; x+length <= len(row); x += length {
			changes := 0
			for i := x + 1; i < x+length; i++ {
				if row[i] != row[i-1] {
					changes++
				}
			}
			if changes > most {
				most, probe = changes, image.Pt(x, y)
			}
		}
	}
	if most < length/2 {
		return fmt.Errorf("the X screen is too plain to be found again: %d changes in a row", most)
	}
	wanted := part.pixels[probe.Y*part.width+probe.X:][:length]
	nearest := errors.New("no place on the viewer's screen looks like it")
	for y := 0; y+part.height <= whole.height; y++ {
		for x := 0; x+part.width <= whole.width; x++ {
			if !slices.Equal(whole.pixels[(y+probe.Y)*whole.width+x+probe.X:][:length], wanted) {
				continue
			}
			err := differs(whole.crop(image.Rect(x, y, x+part.width, y+part.height)), part)
			if err == nil {
				return nil
			}
			nearest = fmt.Errorf("at (%d,%d) %w", x, y, err)
		}
	}
	return nearest
}

// TestViewers: a supervisor by itself serves viewers of others, in each
// encoding exactly.
func TestViewers(t *testing.T) {
	need(t, "xtigervncviewer", "xtightvncviewer")
	leavesNothing(t)
	n := pictureNode(t, "viewers", "")
	_, address := startSupervisor(t, append([]string{"-geometry", "800x600", "-name", "viewers", "--"}, append(n.command, "-hide-cursor")...)...)
	n.shown(t)
	for name, v := range viewers() {
		t.Run(name, func(t *testing.T) {
			on := startX(t, "1280x1024", "")
			viewer := v.start(t, on, address)
			for _, command := range []string{"draw 21", "scroll 16", "bustle 200", "scroll 7", "draw 22"} {
				n.tell(t, command)
				showsExactly(t, viewer, on, n)
			}
		})
	}
}

// TestAttach: a supervisor attaches to an X server that runs already, and
// leaves it running.
func TestAttach(t *testing.T) {
	need(t, "xtigervncviewer")
	for _, how := range []string{"framebuffer file", "without a file"} {
		t.Run(how, func(t *testing.T) {
			leavesNothing(t)
			dir := t.TempDir()
			x := startX(t, "1280x1024", dir)
			n := pictureNode(t, "attached", "")
			client := startProgram(t, x.environment(), n.command[0], append(n.command[1:], "-hide-cursor")...)
			n.shown(t)
			args := []string{"-display", x.name}
			if how == "framebuffer file" {
				args = append(args, "-framebuffer", filepath.Join(dir, "Xvfb_screen0"))
			}
			supervisor, address := startSupervisor(t, args...)
			on := startX(t, "1400x1100", "")
			viewer := viewers()["TigerVNC ZRLE"].start(t, on, address)
			for _, command := range []string{"draw 31", "scroll 16", "bustle 200"} {
				n.tell(t, command)
				showsExactly(t, viewer, on, n)
			}
			viewer.end(t)
			supervisor.end(t)
			if err := client.running(); err != nil {
				t.Errorf("the supervisor took the X client with it: %v", err)
			}
			if _, err := x.grab(t); err != nil {
				t.Errorf("the supervisor took the X server with it: %v", err)
			}
		})
	}
}
