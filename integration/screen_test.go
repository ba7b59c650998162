package integration

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// picture is an area of pixels, 0x00RRGGBB each.
type picture struct {
	width, height int
	pixels        []uint32
}

// colours counts the distinct colours, up to a thousand.
func (p picture) colours() int {
	seen := make(map[uint32]bool)
	for _, pixel := range p.pixels {
		if seen[pixel] = true; len(seen) >= 1000 {
			break
		}
	}
	return len(seen)
}

// in gives each colour the nearest that a pixel format has.
func (p picture) in(f pixel.PixelFormat) picture {
	convert := pixel.NewConverter(f)
	out := picture{width: p.width, height: p.height, pixels: make([]uint32, len(p.pixels))}
	convert.ReadRow(out.pixels, convert.AppendRow(nil, p.pixels))
	return out
}

// crop cuts an area out, which must lie inside.
func (p picture) crop(r image.Rectangle) picture {
	out := picture{width: r.Dx(), height: r.Dy(), pixels: make([]uint32, 0, r.Dx()*r.Dy())}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		out.pixels = append(out.pixels, p.pixels[y*p.width+r.Min.X:y*p.width+r.Max.X]...)
	}
	return out
}

// differs returns nil where got equals want in size and in every pixel.
func differs(got, want picture) error {
	if got.width != want.width || got.height != want.height {
		return fmt.Errorf("the size is %dx%d instead of %dx%d", got.width, got.height, want.width, want.height)
	}
	if slices.Equal(got.pixels, want.pixels) {
		return nil
	}
	count, box := 0, image.Rectangle{}
	first := -1
	for i := range want.pixels {
		if got.pixels[i] == want.pixels[i] {
			continue
		}
		if count == 0 {
			first = i
		}
		count++
		at := image.Pt(i%want.width, i/want.width)
		box = box.Union(image.Rectangle{Min: at, Max: at.Add(image.Pt(1, 1))})
	}
	return fmt.Errorf("%d pixels differ, all inside %v; the first at (%d,%d) is %06x instead of %06x", count, box,
		first%want.width, first/want.width, got.pixels[first], want.pixels[first])
}

// decodePNG reads a picture without transparency.
func decodePNG(data []byte) (picture, error) {
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return picture{}, err
	}
	size := img.Bounds().Size()
	p := picture{width: size.X, height: size.Y, pixels: make([]uint32, size.X*size.Y)}
	for y := range size.Y {
		for x := range size.X {
			r, g, b, _ := img.At(img.Bounds().Min.X+x, img.Bounds().Min.Y+y).RGBA()
			p.pixels[y*size.X+x] = r>>8<<16 | g>>8<<8 | b>>8
		}
	}
	return p, nil
}

// keepPicture writes p as a PNG into the folder that IRONGLASS_TEST_ARTIFACTS
// names, for a person to look at; without it nothing is written.
func keepPicture(t testing.TB, name string, p picture) {
	t.Helper()
	dir := os.Getenv("IRONGLASS_TEST_ARTIFACTS")
	if dir == "" || p.width == 0 {
		return
	}
	img := image.NewRGBA(image.Rect(0, 0, p.width, p.height))
	for i, pixel := range p.pixels {
		img.SetRGBA(i%p.width, i/p.width, color.RGBA{R: byte(pixel >> 16), G: byte(pixel >> 8), B: byte(pixel), A: 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Logf("keeping %s: %v", name, err)
		return
	}
	file := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+"-"+name+".png")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Logf("keeping %s: %v", name, err)
		return
	}
	t.Logf("kept %s", file)
}

// display is an X display that the test may look at, with a connection of its
// own for every look.
type display struct {
	name, authority string // DISPLAY and XAUTHORITY, "" for none
}

// command prepares a program that runs on the display.
func (d display) command(t testing.TB, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = d.environment()
	return cmd
}

func (d display) environment() []string {
	env := append(os.Environ(), "DISPLAY="+d.name)
	// A name of a file that does not exist is the same as no authority, and
	// keeps the account's own out of it.
	authority := d.authority
	if authority == "" {
		authority = "/nonexistent"
	}
	return append(env, "XAUTHORITY="+authority)
}

// grab reads the whole screen with one GetImage.
func (d display) grab(t testing.TB) (picture, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "grab")
	out, err := d.command(t, built.xclient, "grab", file).CombinedOutput()
	if err != nil {
		return picture{}, fmt.Errorf("looking at display %s: %w: %s", d.name, err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return picture{}, err
	}
	var p picture
	line, data, _ := bytes.Cut(data, []byte("\n"))
	if _, err := fmt.Sscanf(string(line), "%d %d", &p.width, &p.height); err != nil {
		return picture{}, fmt.Errorf("reading a grab: %w", err)
	}
	if len(data) != p.width*p.height*4 {
		return picture{}, fmt.Errorf("a grab of %dx%d has %d bytes", p.width, p.height, len(data))
	}
	p.pixels = make([]uint32, p.width*p.height)
	for i := range p.pixels {
		p.pixels[i] = uint32(data[i*4]) | uint32(data[i*4+1])<<8 | uint32(data[i*4+2])<<16
	}
	return p, nil
}

// resize gives the screen another size with xrandr: a mode of that size, and
// the framebuffer with it.
func (d display) resize(t testing.TB, width, height int) {
	t.Helper()
	need(t, "xrandr")
	mode := fmt.Sprintf("test-%dx%d", width, height)
	for _, args := range [][]string{
		{"--newmode", mode, "0", fmt.Sprint(width), "0", "0", "0", fmt.Sprint(height), "0", "0", "0"},
		{"--addmode", "screen", mode},
		{"--fb", fmt.Sprintf("%dx%d", width, height), "--output", "screen", "--mode", mode},
	} {
		out, err := d.command(t, "xrandr", args...).CombinedOutput()
		if err != nil && !strings.Contains(args[0], "mode") { // the mode may exist from before
			t.Fatalf("xrandr %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
