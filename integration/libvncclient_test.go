package integration

import (
	"bytes"
	"fmt"
	"image"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// libraryFormats are the pixel formats that programs on top of libvncclient
// ask for.
var libraryFormats = []struct {
	name string
	pixel.PixelFormat
}{
	{"BGRX", pixel.RGB888},
	{"RGBX", pixel.PixelFormat{BitsPerPixel: 32, Depth: 24, TrueColour: true, RedMax: 255, GreenMax: 255, BlueMax: 255, GreenShift: 8, BlueShift: 16}},
	{"XRGB", pixel.PixelFormat{BitsPerPixel: 32, Depth: 24, TrueColour: true, RedMax: 255, GreenMax: 255, BlueMax: 255, RedShift: 8, GreenShift: 16, BlueShift: 24}},
	{"565", rgb565},
	{"555", pixel.PixelFormat{BitsPerPixel: 16, Depth: 15, TrueColour: true, RedMax: 31, GreenMax: 31, BlueMax: 31, RedShift: 10, GreenShift: 5}},
	{"BGR233", pixel.PixelFormat{BitsPerPixel: 8, Depth: 8, TrueColour: true, RedMax: 7, GreenMax: 7, BlueMax: 3, GreenShift: 3, BlueShift: 6}},
	{"332", rgb332},
	{"32 big-endian", pixel.PixelFormat{BitsPerPixel: 32, Depth: 24, BigEndian: true, TrueColour: true, RedMax: 255, GreenMax: 255, BlueMax: 255, RedShift: 16, GreenShift: 8}},
	{"16 big-endian", pixel.PixelFormat{BitsPerPixel: 16, Depth: 16, BigEndian: true, TrueColour: true, RedMax: 31, GreenMax: 63, BlueMax: 31, RedShift: 11, GreenShift: 5}},
}

// libraryRequest is what else a program on top of libvncclient can ask for.
type libraryRequest struct {
	encodings   string
	compression int
	quality     int // negative for no JPEG
}

// buildVNCClient compiles vncclient.
func buildVNCClient(t testing.TB) string {
	t.Helper()
	need(t, "gcc")
	if _, err := os.Stat("/usr/include/rfb/rfbclient.h"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("libvncserver-dev is not installed: run deploy/deps.sh test")
		}
		t.Skip("libvncserver-dev is not installed: run deploy/deps.sh test")
	}
	program := filepath.Join(t.TempDir(), "vncclient")
	out, err := exec.CommandContext(t.Context(), "gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-o", program, "vncclient/client.c", "-lvncclient").CombinedOutput()
	if err != nil {
		t.Fatalf("compiling vncclient: %v\n%s", err, out)
	}
	return program
}

// libraryViewer is a vncclient at work.
type libraryViewer struct {
	*program
	file   string // where it keeps the picture
	format pixel.PixelFormat
}

// startLibraryViewer connects a vncclient.
func startLibraryViewer(t testing.TB, program, address string, r libraryRequest, f pixel.PixelFormat) *libraryViewer {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	v := &libraryViewer{file: filepath.Join(t.TempDir(), "picture"), format: f}
	args := []string{host, port, v.file, r.encodings, strconv.Itoa(r.compression), strconv.Itoa(r.quality)}
	bigEndian := 0
	if f.BigEndian {
		bigEndian = 1
	}
	for _, n := range []int{int(f.BitsPerPixel), int(f.Depth), bigEndian, int(f.RedMax), int(f.GreenMax), int(f.BlueMax),
		int(f.RedShift), int(f.GreenShift), int(f.BlueShift)} {
		args = append(args, strconv.Itoa(n))
	}
	v.program = startProgram(t, nil, program, args...)
	return v
}

// shows returns nil where the library's framebuffer is the picture in its
// format, in every bit that a pixel has.
func (v *libraryViewer) shows(want picture) error {
	if err := v.running(); err != nil {
		return err
	}
	data, err := os.ReadFile(v.file)
	if err != nil {
		return err
	}
	line, data, _ := bytes.Cut(data, []byte("\n"))
	var width, height int
	if _, err := fmt.Sscanf(string(line), "%d %d", &width, &height); err != nil {
		return fmt.Errorf("reading a picture: %w", err)
	}
	if width != want.width || height != want.height {
		return fmt.Errorf("the size is %dx%d instead of %dx%d", width, height, want.width, want.height)
	}
	size := v.format.Bytes()
	if len(data) != width*height*size {
		return fmt.Errorf("a picture of %dx%d has %d bytes", width, height, len(data))
	}
	convert := pixel.NewConverter(v.format)
	got := picture{width: width, height: height, pixels: make([]uint32, width*height)}
	convert.ReadRow(got.pixels, data)
	if wire := convert.AppendRow(nil, want.pixels); size < 4 && !slices.Equal(data, wire) {
		return fmt.Errorf("in %v: %w", v.format, differs(got, want.in(v.format)))
	}
	return differs(got, want.in(v.format))
}

// TestLibVNCClient: a program on top of libvncclient shows the X screen
// exactly in each encoding, in each pixel format, all of them at a time.
func TestLibVNCClient(t *testing.T) {
	need(t, "xrandr")
	leavesNothing(t)
	program := buildVNCClient(t)
	var requests []libraryRequest
	for _, encodings := range []string{"raw", "copyrect raw", "hextile", "copyrect hextile", "rre", "corre", "zlib", "copyrect zlib", "zlibhex", "tight", "copyrect tight", "trle", "zrle", "copyrect zrle", "ultra"} {
		requests = append(requests, libraryRequest{encodings, 2, -1})
	}
	for _, level := range []int{0, 9} {
		requests = append(requests, libraryRequest{"tight", level, -1}, libraryRequest{"zlib", level, -1}, libraryRequest{"copyrect tight", 2, level})
	}
	n := pictureNode(t, "library", "")
	_, address := startSupervisor(t, append([]string{"-geometry", "640x480", "--"}, append(n.command, "-hide-cursor")...)...)
	n.shown(t)
	for i, r := range requests {
		name := r.encodings
		if r.compression != 2 {
			name += fmt.Sprintf(" level %d", r.compression)
		}
		if r.quality >= 0 {
			name += fmt.Sprintf(" with JPEG %d", r.quality)
		}
		t.Run(name, func(t *testing.T) {
			viewers := make(map[string]*libraryViewer)
			for _, f := range libraryFormats {
				if f.BigEndian && f.BitsPerPixel == 32 && (strings.Contains(r.encodings, "tight") || strings.Contains(r.encodings, "rle")) {
					continue // the library's pixels of three bytes are right in the machine's own order only
				}
				viewers[f.name] = startLibraryViewer(t, program, address, r, f.PixelFormat)
			}
			look := func(after string) {
				t.Helper()
				var want picture
				eventually(t, "the X screen after "+after, func() (err error) {
					want, err = n.display(t).grab(t)
					return err
				})
				for name, v := range viewers {
					eventually(t, name+" to be right after "+after, func() error {
						if err := v.running(); err != nil {
							t.Fatal(err)
						}
						return v.shows(want)
					})
				}
			}
			for _, command := range []string{fmt.Sprintf("draw %d", 40+i), "scroll 16", fmt.Sprintf("bustle %d", 100+i)} {
				n.tell(t, command)
				look(command)
			}
			if !strings.HasPrefix(r.encodings, "copyrect") {
				return // a change of size does not depend on the encoding
			}
			for _, size := range []image.Point{{509, 383}, {640, 480}} {
				n.resize(t, size)
				look(fmt.Sprint("resizing to ", size))
			}
		})
	}
}
