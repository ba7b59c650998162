package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestConsole: from the fleet page to a canvas that equals the X screen, and
// stays equal through drawing, scrolling, bustle and resizing.
func TestConsole(t *testing.T) {
	need(t, "xrandr")
	n := pictureNode(t, "picture", "1280x1024")
	s := startService(t, n)
	p := newTab(t)

	p.goTo(t, s.url+"/")
	p.clickNode(t, n.name)
	p.awaitState(t, "connected")
	n.shown(t)
	shown := p.showsExactly(t, n)
	if shown.width != 1280 || shown.height != 1024 || shown.colours() < 1000 {
		t.Fatalf("the picture of %dx%d with %d colours is no proof", shown.width, shown.height, shown.colours())
	}

	for _, command := range []string{"draw 2", "scroll 16", "scroll 13", "draw 3", "bustle 500", "draw 4"} {
		n.tell(t, command)
		p.showsExactly(t, n)
	}

	for _, size := range []image.Point{{1024, 768}, {801, 603}, {1280, 1024}} {
		n.resize(t, size)
		if shown := p.showsExactly(t, n); shown.width != size.X || shown.height != size.Y {
			t.Fatalf("the screen is %dx%d", shown.width, shown.height)
		}
		n.tell(t, "bustle 100")
		p.showsExactly(t, n)
	}
}

// clickNode clicks on a node of the fleet page as a person does.
func (p *tab) clickNode(t testing.TB, name string) {
	t.Helper()
	// The list is filled by a script after the page has loaded.
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.CSS(fmt.Sprintf(`button[aria-label^="Open %s:"]`, name)), chromedp.NodeVisible)); err != nil {
		text, _ := evaluate[string](p, `document.body.innerHTML.slice(0, 2000)`)
		t.Fatalf("clicking node %s: %v\n%s", name, err, text)
	}
}

// TestSeveral: two nodes at the same time, and two browsers on one of them,
// which share one session towards the node.
func TestSeveral(t *testing.T) {
	one := pictureNode(t, "one", "1024x768", "-seed", "11")
	two := pictureNode(t, "two", "800x600", "-seed", "22")
	s := startService(t, one, two)
	first, second, other := newTab(t), newTab(t), newTab(t)
	first.openConsole(t, s, one.name)
	second.openConsole(t, s, one.name)
	other.openConsole(t, s, two.name)
	one.shown(t)
	two.shown(t)
	for round := range 3 {
		one.tell(t, fmt.Sprintf("draw %d", 100+round))
		two.tell(t, fmt.Sprintf("bustle %d", 200+round))
		pictureOne := first.showsExactly(t, one)
		second.showsExactly(t, one)
		pictureTwo := other.showsExactly(t, two)
		if differs(pictureOne, pictureTwo) == nil {
			t.Fatal("the two nodes show the same")
		}
	}
	for _, n := range []*node{one, two} {
		eventually(t, "node "+n.name+" to have one session", func() error {
			sessions, err := s.sessions(n)
			if err == nil && sessions != 1 {
				err = fmt.Errorf("it has %d", sessions)
			}
			return err
		})
	}
	// A third browser comes late and another leaves: nobody else notices.
	late := newTab(t)
	late.openConsole(t, s, one.name)
	second.goTo(t, "about:blank")
	one.tell(t, "scroll 31")
	first.showsExactly(t, one)
	late.showsExactly(t, one)
	if _, err := find(t, s.cmd.Process.Pid, "Xvfb", ""); err == nil {
		t.Error("the second node's X server is gone")
	}
}

// TestScreenshot: the screenshot is the X screen, at once and scaled.
func TestScreenshot(t *testing.T) {
	_, s, _, want := openPicture(t, "shot", "640x480")
	data, err := s.get(t, "/v1/nodes/shot/console/screenshot", http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodePNG(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := differs(got, want); err != nil {
		t.Errorf("the screenshot: %v", err)
	}
	data, err = s.get(t, "/v1/nodes/shot/console/screenshot?width=160", http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	if small, err := decodePNG(data); err != nil || small.width != 160 || small.height != 120 {
		t.Errorf("the small screenshot is %dx%d, %v", small.width, small.height, err)
	}
	var list struct {
		Nodes []struct {
			Name string `json:"name"`
		} `json:"nodes"`
	}
	data, err = s.get(t, "/v1/nodes", http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &list); err != nil || len(list.Nodes) != 1 || list.Nodes[0].Name != "shot" {
		t.Errorf("the nodes are %s, %v", data, err)
	}
}

// viewers is how many people look at the service's first node.
func (s *service) viewers(t testing.TB) (int, error) {
	t.Helper()
	var list struct {
		Nodes []struct {
			Viewers int `json:"viewers"`
		} `json:"nodes"`
	}
	data, err := s.get(t, "/v1/nodes", http.StatusOK)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(data, &list); err != nil || len(list.Nodes) == 0 {
		return 0, fmt.Errorf("the nodes are %s, %w", data, err)
	}
	return list.Nodes[0].Viewers, nil
}

// TestLeftPage: who leaves the page is no viewer any more, although browsers
// may keep a page that was left, and is one again on the way back.
func TestLeftPage(t *testing.T) {
	n := pictureNode(t, "left", "640x480")
	s := startService(t, n)
	p := newTab(t)
	p.goTo(t, s.url+"/")
	p.clickNode(t, n.name)
	p.awaitState(t, "connected")
	n.shown(t)
	for _, step := range []struct {
		script string
		want   int
	}{{"1", 1}, {"history.back()", 0}, {"history.forward()", 1}} {
		if _, err := evaluate[any](p, step.script+"; 0"); err != nil {
			t.Fatal(err)
		}
		eventually(t, fmt.Sprintf("%d viewers after %s", step.want, step.script), func() error {
			viewers, err := s.viewers(t)
			if err == nil && viewers != step.want {
				err = fmt.Errorf("there are %d", viewers)
			}
			return err
		})
	}
	p.awaitState(t, "connected")
	n.tell(t, "draw 7")
	p.showsExactly(t, n)
}

// TestFitMachine: the screen takes the size that the page has for it, through
// SetDesktopSize from the browser to the X server.
func TestFitMachine(t *testing.T) {
	n, _, p, _ := openPicture(t, "fit", "640x480")
	if _, err := evaluate[any](p, "window.ironglass.rfb.resizeSession = true; 0"); err != nil {
		t.Fatal(err)
	}
	p.run(t, "another window size", chromedp.EmulateViewport(1200, 900))
	eventually(t, "the screen to be as wide as the window", func() error {
		got, err := p.canvas()
		if err == nil && got.width != 1200 {
			err = fmt.Errorf("it is %dx%d", got.width, got.height)
		}
		return err
	})
	n.tell(t, "draw 9")
	if shown := p.showsExactly(t, n); shown.height <= 480 || shown.height >= 900 {
		t.Errorf("the screen is %dx%d", shown.width, shown.height)
	}
}

// openPicture starts a service with one node that shows xclient's picture, and
// opens it in a browser that then shows it exactly.
func openPicture(t testing.TB, name, geometry string) (n *node, s *service, p *tab, shown picture) {
	t.Helper()
	n = pictureNode(t, name, geometry)
	s = startService(t, n)
	p = newTab(t)
	p.openConsole(t, s, n.name)
	n.shown(t)
	return n, s, p, p.showsExactly(t, n)
}
