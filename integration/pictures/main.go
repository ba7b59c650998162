// Command pictures takes the README's pictures of a service that serves the
// demonstration nodes, as a person sees it in Chromium:
//
//	make run &
//	go run ./integration/pictures -out docs/pictures
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func main() {
	server := flag.String("server", "http://127.0.0.1:6080", "the service")
	out := flag.String("out", "docs/pictures", "where the pictures go")
	browser := flag.String("browser", "chromium", "the browser")
	flag.Parse()
	if err := run(*server, *out, *browser); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// limit is for all pictures together: a software-emulated machine boots.
const limit = 6 * time.Minute

func run(server, out, browser string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	profile, err := os.MkdirTemp("", "ironglass-pictures-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(profile) }()
	allocator, stop := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))...)
	defer stop()
	tab, closeTab := chromedp.NewContext(allocator)
	defer closeTab()
	if err := os.MkdirAll(out, 0o755); err != nil { //nolint:gosec // pictures are for everybody
		return err
	}
	p := &photographer{ctx: tab, server: server, out: out}
	for _, step := range []func() error{p.machine, p.terminal, p.fleet} {
		if err := step(); err != nil {
			return err
		}
	}
	return chromedp.Cancel(tab)
}

type photographer struct {
	ctx         context.Context
	server, out string
}

// console opens a node's console page and waits for its picture.
func (p *photographer) console(node string, width, height int64) error {
	req, err := http.NewRequestWithContext(p.ctx, http.MethodPost, p.server+"/v1/nodes/"+node+"/console/tokens",
		strings.NewReader(`{"mode":"operate"}`))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var token struct{ URL string }
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
		return fmt.Errorf("a token for %s: status %s: %w", node, resp.Status, err)
	}
	return chromedp.Do(p.ctx, chromedp.EmulateViewport(width, height), chromedp.Navigate(token.URL),
		chromedp.WaitVisible(`html[data-frame="first"] #screen canvas`))
}

func (p *photographer) shot() ([]byte, error) {
	return chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
}

// still waits until the page has looked the same for so long, and its picture
// has at least so many bytes, which an empty screen's has not, and returns
// what it looks like.
func (p *photographer) still(quiet time.Duration, least int) ([]byte, error) {
	last, err := p.shot()
	since := time.Now()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for err == nil && (time.Since(since) < quiet || len(last) < least) {
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return nil, errors.New("the page never came to rest")
		}
		var now []byte
		if now, err = p.shot(); err == nil && !bytes.Equal(now, last) {
			last, since = now, time.Now()
		}
	}
	return last, err
}

func (p *photographer) save(name string, png []byte) error {
	file := filepath.Join(p.out, name+".png")
	fmt.Println(file, len(png), "bytes")
	return os.WriteFile(file, png, 0o644) //nolint:gosec // pictures are for everybody
}

func (p *photographer) terminal() error {
	if err := p.console("terminal", 390, 780); err != nil {
		return err
	}
	if _, err := p.still(2*time.Second, 0); err != nil {
		return err
	}
	if err := chromedp.Do(p.ctx, chromedp.KeyEvent("PS1='node$ '; clear; ls --color /usr /etc/X11; date +%A"+kb.Enter)); err != nil {
		return err
	}
	png, err := p.still(2*time.Second, 0)
	if err != nil {
		return err
	}
	return p.save("phone", png)
}

// What a picture of the page has at least, in bytes, with the boot menu before
// its background and with a dialogue of the installer; firmware has less.
const (
	menu     = 80_000
	dialogue = 25_000
)

func (p *photographer) machine() error {
	if err := p.console("machine", 1280, 800); err != nil {
		return err
	}
	if _, err := p.still(4*time.Second, menu); err != nil {
		return err
	}
	if err := chromedp.Do(p.ctx, chromedp.KeyEvent(kb.Enter)); err != nil {
		return err
	}
	png, err := p.still(12*time.Second, dialogue)
	if err != nil {
		return err
	}
	return p.save("machine", png)
}

func (p *photographer) fleet() error {
	if err := chromedp.Do(p.ctx, chromedp.EmulateViewport(1000, 480), chromedp.Navigate(p.server+"/")); err != nil {
		return err
	}
	png, err := p.still(4*time.Second, 0)
	if err != nil {
		return err
	}
	return p.save("fleet", png)
}
