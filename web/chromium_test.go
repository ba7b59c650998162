package web_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"
)

// patience is how long anything may take before it counts as never.
const patience = 60 * time.Second

// chromium is the one browser of all tests, started by the first that needs it.
var chromium struct {
	once sync.Once
	ctx  context.Context
	stop func()
	err  error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if chromium.ctx != nil {
		if err := chromedp.Cancel(chromium.ctx); err != nil && chromium.err == nil {
			fmt.Fprintln(os.Stderr, "ending the browser:", err)
			status = 1
		}
		chromium.stop()
	}
	if err := goleak.Find(); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// tab is a tab of the browser with storage of its own.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu     sync.Mutex
	errors []string // that the page met
}

// newTab opens an empty tab of a size in pixels. An error in its pages fails
// the test.
func newTab(t testing.TB, width, height int64) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("chromium is not installed: run deploy/deps.sh test")
	}
	if err != nil {
		t.Skip("chromium is not installed: run deploy/deps.sh test")
	}
	chromium.once.Do(func() { chromium.err = startChromium(path) })
	if chromium.err != nil {
		t.Fatalf("starting %s: %v", path, chromium.err)
	}
	ctx, cancel := chromedp.NewContext(chromium.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	// The first use of a context binds the tab's life to it.
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(width, height)); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, e := range p.errors {
			t.Errorf("the page met an error: %s", e)
		}
	})
	return p
}

func startChromium(path string) error {
	dir, err := os.MkdirTemp("", "ironglass-web-")
	if err != nil {
		return err
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(dir),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))...)
	ctx, cancel := chromedp.NewContext(allocator)
	chromium.ctx = ctx
	chromium.stop = func() {
		cancel()
		stop()
		_ = os.RemoveAll(dir) // the system clears its temporary files too
	}
	return chromedp.Do(ctx)
}

// listen notes what the page complains about: exceptions, and what its policy
// forbids. What the network says is the tests' doing.
func (p *tab) listen(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			text += " " + o.Description
		}
		p.errors = append(p.errors, text)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError && e.Entry.Source != cdplog.EntrySourceNetwork {
			p.errors = append(p.errors, e.Entry.Text)
		}
	}
}

// do carries out steps, within patience.
func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// goTo loads an address.
func (p *tab) goTo(url string) {
	p.t.Helper()
	p.do(chromedp.Navigate(url))
}

// get has the page compute an expression.
func get[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// await waits until an expression is true in the page.
func (p *tab) await(expression string) {
	p.t.Helper()
	eventually(p.t, expression, func() error {
		ctx, cancel := context.WithTimeout(p.ctx, patience)
		defer cancel()
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`Boolean(`+expression+`)`))
		if err != nil || ok {
			return err
		}
		text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText.slice(0, 600)`))
		return fmt.Errorf("it is not so; the page reads %q", text)
	})
}

// click clicks on what a selector finds, as a mouse does.
func (p *tab) click(selector string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible)); err != nil {
		p.t.Fatalf("clicking %s: %v", selector, err)
	}
}

// text is what a selector's element reads.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return get[string](p, fmt.Sprintf(`document.querySelector(%q).innerText.replace(/\s+/g, " ").trim()`, selector))
}

// visible tells whether a selector's element is seen.
func (p *tab) visible(selector string) bool {
	p.t.Helper()
	return get[bool](p, seen(selector))
}

// seen is the expression for visible.
func seen(selector string) string {
	return fmt.Sprintf(`(document.querySelector(%q)?.checkVisibility({visibilityProperty: true}) ?? false)`, selector)
}

// scheme has the page be light or dark.
func (p *tab) scheme(name string) {
	p.t.Helper()
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// keep saves what the page looks like where IRONGLASS_TEST_ARTIFACTS says.
func (p *tab) keep(name string) {
	p.t.Helper()
	dir := os.Getenv("IRONGLASS_TEST_ARTIFACTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "page-"+strings.ReplaceAll(name, "/", "-")+".png"), png, 0o644)) //nolint:gosec // pictures are for everybody
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// eventually calls try until it returns nil, and fails the test with its last
// error when patience is at an end. what completes the sentence "waiting for".
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
