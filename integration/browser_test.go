package integration

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// chromium is the one browser of all tests; each page has cookies and storage
// of its own in it. It is started by the first test that needs it.
var chromium struct {
	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc
	err    error
}

// startChromium starts the browser for the rest of the run.
func startChromium(path string) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.WindowSize(1500, 1250),
		chromedp.UserDataDir(filepath.Join(built.dir, "chromium")),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	chromium.ctx = ctx
	chromium.cancel = func() {
		cancel()
		stop()
	}
	chromium.err = chromedp.Do(ctx)
}

// closeChromium ends the browser, if there is one, and waits for it.
func closeChromium() error {
	if chromium.ctx == nil {
		return nil
	}
	defer chromium.cancel()
	if chromium.err != nil {
		return nil // said by the tests already
	}
	return chromedp.Cancel(chromium.ctx)
}

// isChromium tells the browser's processes from others.
func isChromium(p process) bool {
	return len(p.args) > 0 && strings.Contains(filepath.Base(p.args[0]), "chrom")
}

// tab is a tab of the browser.
type tab struct {
	ctx context.Context
}

// newTab opens an empty tab, which is closed with the test.
func newTab(t testing.TB) *tab {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		need(t, "chromium")
	}
	chromium.once.Do(func() { startChromium(path) })
	if chromium.err != nil {
		t.Fatalf("starting %s: %v", path, chromium.err)
	}
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	// The first use of a context binds the tab's life to it.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1400, 1150)); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	return &tab{ctx: ctx}
}

// run carries out steps, within patience.
func (p *tab) run(t testing.TB, what string, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// evaluate has the page compute an expression.
func evaluate[T any](p *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// goTo loads an address.
func (p *tab) goTo(t testing.TB, url string) {
	t.Helper()
	p.run(t, "loading "+url, chromedp.Navigate(url))
}

// openConsole loads the console page of a node with a new token, and returns
// when it is connected.
func (p *tab) openConsole(t testing.TB, s *service, node string) {
	t.Helper()
	url, _ := s.token(t, node, `{"mode":"operate"}`)
	p.goTo(t, url)
	p.awaitState(t, "connected")
}

// state is what the page says of its session.
func (p *tab) state() (string, error) {
	return evaluate[string](p, `document.documentElement.dataset.state || ""`)
}

// awaitState waits until the page says the state.
func (p *tab) awaitState(t testing.TB, want string) {
	t.Helper()
	eventually(t, "the page to be "+want, func() error {
		got, err := p.state()
		if err == nil && got != want {
			text, _ := evaluate[string](p, `document.body.innerText.slice(0, 300)`)
			err = fmt.Errorf("it is %q and reads %q", got, text)
		}
		return err
	})
}

// canvasScript finds the canvas with the console: the largest, since the
// pointer's shape may have one too.
const canvasScript = `(() => [...document.querySelectorAll("canvas")].
	sort((a, b) => b.width * b.height - a.width * a.height)[0])()`

// canvas reads the console's pixels from the page.
func (p *tab) canvas() (picture, error) {
	type answer struct {
		Width, Height int
		Data          string
	}
	got, err := evaluate[answer](p, `(() => {
		const canvas = `+canvasScript+`;
		if (!canvas || !canvas.width || !canvas.height) return {Width: 0, Height: 0, Data: ""};
		const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
		let text = "";
		for (let i = 0; i < data.length; i += 0x8000)
			text += String.fromCharCode.apply(null, data.subarray(i, i + 0x8000));
		return {Width: canvas.width, Height: canvas.height, Data: btoa(text)};
	})()`)
	if err != nil {
		return picture{}, fmt.Errorf("reading the canvas: %w", err)
	}
	data, err := base64.StdEncoding.DecodeString(got.Data)
	if err != nil {
		return picture{}, fmt.Errorf("reading the canvas: %w", err)
	}
	if len(data) != got.Width*got.Height*4 {
		return picture{}, fmt.Errorf("the canvas of %dx%d gave %d bytes", got.Width, got.Height, len(data))
	}
	return fromRGBA(got.Width, got.Height, data), nil
}

// fromRGBA makes a picture of four bytes a pixel as a canvas has them.
func fromRGBA(width, height int, data []byte) picture {
	out := picture{width: width, height: height, pixels: make([]uint32, width*height)}
	for i := range out.pixels {
		out.pixels[i] = uint32(data[i*4])<<16 | uint32(data[i*4+1])<<8 | uint32(data[i*4+2])
	}
	return out
}

// showsExactly waits until the canvas equals the node's X screen in every
// pixel, and returns that picture.
func (p *tab) showsExactly(t testing.TB, n *node) picture {
	t.Helper()
	var got, want picture
	defer func() {
		if t.Failed() {
			keepPicture(t, "canvas", got)
			keepPicture(t, "screen", want)
		}
	}()
	eventually(t, "the canvas to equal the X screen", func() error {
		d, err := n.place()
		if err != nil {
			return err
		}
		if want, err = d.grab(t); err != nil {
			return err
		}
		if got, err = p.canvas(); err != nil {
			return err
		}
		return differs(got, want)
	})
	return want
}

// area is where the console's canvas is in the page, in CSS pixels.
func (p *tab) area(t testing.TB) (left, top, width, height float64) {
	t.Helper()
	box, err := evaluate[[]float64](p, `(() => { const r = `+canvasScript+`.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()`)
	if err != nil || len(box) != 4 {
		t.Fatalf("finding the canvas: %v %v", box, err)
	}
	return box[0], box[1], box[2], box[3]
}

// click clicks on a point of the X screen.
func (p *tab) click(t testing.TB, at, screen image.Point) {
	t.Helper()
	left, top, width, height := p.area(t)
	x := left + (float64(at.X)+0.5)*width/float64(screen.X)
	y := top + (float64(at.Y)+0.5)*height/float64(screen.Y)
	p.run(t, "clicking", chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y), chromedp.MouseClickXY(x, y))
}

// Modifiers of a key stroke, as the protocol of the browser numbers them.
const (
	withAlt   = 1
	withCtrl  = 2
	withShift = 8
)

// stroke is a key that is pressed and let go, with the modifiers around it
// pressed and let go as a person does.
type stroke struct {
	key, code string // KeyboardEvent's
	modifiers int64
	altGr     bool
	arrives   string // the keysym in hexadecimal and modifiers, as xclient tells
}

// dispatch sends one keyboard event to the page.
func (p *tab) dispatch(down bool, key, code string, modifiers, location int64) error {
	event := input.DispatchKeyEventParams{Type: input.DispatchKeyEventTypeRawKeyDown, Key: key, Code: code, Modifiers: modifiers, Location: location}
	if !down {
		event.Type = input.DispatchKeyEventTypeKeyUp
	}
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_, err := chromedp.Call(ctx, input.DispatchKeyEvent, event)
	return err
}

// press sends the strokes to the page.
func (p *tab) press(t testing.TB, strokes []stroke) {
	t.Helper()
	for _, s := range strokes {
		type modifier struct {
			key, code string
			bit       int64
			location  int64
		}
		var held []modifier
		for _, m := range []modifier{
			{"Control", "ControlLeft", withCtrl, 1}, {"Alt", "AltLeft", withAlt, 1}, {"Shift", "ShiftLeft", withShift, 1},
		} {
			if s.modifiers&m.bit != 0 {
				held = append(held, m)
			}
		}
		if s.altGr {
			held = append(held, modifier{"AltGraph", "AltRight", 0, 2})
		}
		var bits int64
		var err error
		for _, m := range held {
			bits |= m.bit
			err = errors.Join(err, p.dispatch(true, m.key, m.code, bits, m.location))
		}
		err = errors.Join(err, p.dispatch(true, s.key, s.code, bits, 0), p.dispatch(false, s.key, s.code, bits, 0))
		for i := len(held) - 1; i >= 0; i-- {
			bits &^= held[i].bit
			err = errors.Join(err, p.dispatch(false, held[i].key, held[i].code, bits, held[i].location))
		}
		if err != nil {
			t.Fatalf("pressing %q: %v", s.key, err)
		}
	}
}
