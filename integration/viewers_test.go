package integration

import (
	"errors"
	"fmt"
	"image"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// viewer is a VNC viewer that others wrote, told what to ask for.
type viewer struct {
	name    string // of the viewer and of what it asks for
	program string
	options []string
	// format is what the viewer asks for where that is coarser than what X
	// shows: colours then count as equal that are equal in it.
	format pixel.PixelFormat
	// sizes says that the viewer gives the screen the size of its own window.
	sizes bool
}

// Formats of viewers that want few colours. Only the maxima matter here: each
// viewer spreads the values over its display's range in its own way.
var (
	rgb565 = pixel.PixelFormat{BitsPerPixel: 16, Depth: 16, TrueColour: true, RedMax: 31, GreenMax: 63, BlueMax: 31, RedShift: 11, GreenShift: 5}
	rgb332 = pixel.PixelFormat{BitsPerPixel: 8, Depth: 8, TrueColour: true, RedMax: 7, GreenMax: 7, BlueMax: 3, RedShift: 5, GreenShift: 2}
	rgb222 = pixel.PixelFormat{BitsPerPixel: 8, Depth: 6, TrueColour: true, RedMax: 3, GreenMax: 3, BlueMax: 3, RedShift: 4, GreenShift: 2}
	rgb111 = pixel.PixelFormat{BitsPerPixel: 8, Depth: 3, TrueColour: true, RedMax: 1, GreenMax: 1, BlueMax: 1, RedShift: 2, GreenShift: 1}
)

// tigerVNC are the ways in which TigerVNC's viewer can ask. JPEG is lossy at
// first, and exact when the screen has come to rest.
func tigerVNC() []viewer {
	var all []viewer
	add := func(name string, format pixel.PixelFormat, options ...string) {
		all = append(all, viewer{name: name, program: "xtigervncviewer", format: format, options: append([]string{
			"-SecurityTypes=None", "-AutoSelect=0", "-RemoteResize=0", "-Shared=1", "-ReconnectOnError=0", "-AlertOnFatalError=0",
			"-MenuKey=", // its notice would lie over the picture for four seconds
		}, options...)})
	}
	full := pixel.PixelFormat{}
	encodings := []string{"Raw", "Hextile", "Tight", "ZRLE"}
	for _, encoding := range encodings {
		add(encoding, full, "-NoJPEG=1", "-PreferredEncoding="+encoding)
	}
	for _, quality := range []string{"0", "5", "9"} {
		add("Tight with JPEG "+quality, full, "-QualityLevel="+quality, "-PreferredEncoding=Tight")
	}
	for _, level := range []string{"0", "6", "9"} {
		for _, encoding := range []string{"Tight", "ZRLE"} {
			add(encoding+" level "+level, full, "-NoJPEG=1", "-CustomCompressLevel=1", "-CompressLevel="+level, "-PreferredEncoding="+encoding)
		}
	}
	for level, format := range []pixel.PixelFormat{rgb111, rgb222, rgb332} {
		for _, encoding := range encodings {
			add(fmt.Sprintf("%s in %d colours", encoding, 1<<format.Depth), format,
				"-FullColor=0", fmt.Sprintf("-LowColorLevel=%d", level), "-PreferredEncoding="+encoding)
		}
	}
	return all
}

// tightVNC are the ways in which TightVNC's viewer for X can ask.
func tightVNC() []viewer {
	var all []viewer
	add := func(encodings, also string, options ...string) {
		all = append(all, viewer{name: encodings + also, program: "xtightvncviewer",
			options: append([]string{"-shared", "-truecolour", "-depth", "24", "-encodings", encodings}, options...)})
	}
	for _, encodings := range []string{"raw", "copyrect raw", "hextile", "copyrect hextile", "zlib", "copyrect zlib", "corre", "rre", "copyrect rre", "tight", "copyrect tight"} {
		add(encodings, "", "-nojpeg")
	}
	for _, level := range []string{"0", "9"} {
		add("tight", " level "+level, "-nojpeg", "-compresslevel", level)
		add("zlib", " level "+level, "-nojpeg", "-compresslevel", level)
		add("copyrect tight", " with JPEG "+level, "-quality", level)
	}
	for _, encoding := range []string{"raw", "hextile", "zlib", "rre", "tight"} {
		all = append(all, viewer{name: encoding + " in 256 colours", program: "xtightvncviewer", format: rgb332,
			options: []string{"-shared", "-bgr233", "-encodings", encoding}})
	}
	return all
}

// ssvnc are the ways in which SSVNC's viewer can ask beyond TightVNC's, whose
// offspring it is.
func ssvnc() []viewer {
	var all []viewer
	add := func(encodings, also string, format pixel.PixelFormat, options ...string) {
		all = append(all, viewer{name: encodings + also, program: "ssvncviewer", format: format,
			options: append([]string{"-shared", "-notty", "-encodings", encodings}, options...)})
	}
	full := pixel.PixelFormat{}
	for _, encodings := range []string{"copyrect zrle", "copyrect zlib", "rre", "copyrect tight"} {
		add(encodings, "", full, "-nojpeg")
	}
	add("copyrect tight", " with JPEG", full, "-quality", "3")
	for _, encoding := range []string{"hextile", "zlib", "tight", "zrle"} {
		add(encoding, " in 65536 colours", rgb565, "-16bpp", "-nojpeg")
	}
	// Not -bgr111: the format that it asks for is not a legal one.
	for _, encoding := range []string{"tight", "zrle"} {
		add(encoding, " in 64 colours", rgb222, "-bgr222")
	}
	return all
}

// gtkVNC is the viewer on top of GTK-VNC, which chooses by itself: Tight with
// JPEG first.
func gtkVNC() []viewer {
	return []viewer{{name: "by itself", program: "gvncviewer", sizes: true}}
}

// start runs the viewer on a display, with more in its environment.
func (v viewer) start(t testing.TB, on display, address string, env ...string) *program {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	server := host + "::" + port // two colons: what follows is a port
	if v.program == "gvncviewer" {
		number, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		server = fmt.Sprintf("%s:%d", host, number-5900) // knows displays only
	}
	return startProgram(t, append(on.environment(), env...), v.program, append(slices.Clone(v.options), server)...)
}

// showsExactly waits until the whole screen of the node's display is to be
// seen, in one piece and in every pixel, somewhere on the viewer's display.
func (v viewer) showsExactly(t testing.TB, running *program, on display, n *node) {
	t.Helper()
	var got, want picture
	defer func() {
		if t.Failed() {
			keepPicture(t, "viewer", got)
			keepPicture(t, "screen", want)
		}
	}()
	eventually(t, "the viewer to show the X screen", func() error {
		if err := running.running(); err != nil {
			t.Fatal(err)
		}
		d, err := n.place()
		if err != nil {
			return err
		}
		if want, err = d.grab(t); err != nil {
			return err
		}
		if got, err = on.grab(t); err != nil {
			return err
		}
		if v.format.BitsPerPixel != 0 {
			got, want = got.in(v.format), want.in(v.format)
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

// TestViewers: a supervisor by itself serves viewers of others, exactly in
// whatever they can ask for, also when the screen's size changes under them.
func TestViewers(t *testing.T) {
	need(t, "xrandr")
	leavesNothing(t)
	for name, viewers := range map[string][]viewer{
		"TigerVNC": tigerVNC(), "TightVNC": tightVNC(), "SSVNC": ssvnc(), "GTK-VNC": gtkVNC(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, viewers[0].program)
			n := pictureNode(t, "viewers", "")
			_, address := startSupervisor(t, append([]string{"-geometry", "640x480", "-name", "viewers", "--"}, append(n.command, "-hide-cursor")...)...)
			n.shown(t)
			for i, v := range viewers {
				t.Run(v.name, func(t *testing.T) {
					on := startX(t, "800x640", "")
					running := v.start(t, on, address)
					for _, command := range []string{"draw %d", "scroll 16", "bustle 20%d", "scroll 7"} {
						if strings.Contains(command, "%") {
							command = fmt.Sprintf(command, i)
						}
						n.tell(t, command)
						v.showsExactly(t, running, on, n)
					}
					if v.sizes {
						return
					}
					for _, size := range []image.Point{{509, 383}, {640, 480}} {
						n.resize(t, size)
						v.showsExactly(t, running, on, n)
					}
				})
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
			viewer := tigerVNC()[0]
			running := viewer.start(t, on, address)
			for _, command := range []string{"draw 31", "scroll 16", "bustle 200"} {
				n.tell(t, command)
				viewer.showsExactly(t, running, on, n)
			}
			running.end(t)
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
