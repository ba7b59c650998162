package integration

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// terminalColour is the background of the terminals whose start is timed; no
// painted message has it.
const terminalColour = "336699"

// watchScript notes in the page when the websocket was made and opened, when
// the canvas first had something on it, and when it first had terminalColour
// on most of a grid of points: the terminal itself.
const watchScript = `(() => {
	const marks = window.testMarks = {};
	const mark = (name) => { if (!(name in marks)) marks[name] = performance.now(); };
	// A proxy, not a class: noVNC looks at what the socket's prototype has.
	window.WebSocket = new Proxy(window.WebSocket, {
		construct(target, args) {
			mark("made");
			const socket = new target(...args);
			socket.addEventListener("open", () => mark("open"));
			return socket;
		},
	});
	const look = () => {
		const canvas = [...document.querySelectorAll("canvas")].sort((a, b) => b.width * b.height - a.width * a.height)[0];
		if (canvas && canvas.width > 64 && canvas.height > 64) {
			const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
			let some = 0, terminal = 0, points = 0;
			for (let y = 4; y < canvas.height; y += 16)
				for (let x = 4; x < canvas.width; x += 16) {
					const i = (y * canvas.width + x) * 4;
					points++;
					if (data[i] || data[i + 1] || data[i + 2]) some++;
					if (data[i] === 0x33 && data[i + 1] === 0x66 && data[i + 2] === 0x99) terminal++;
				}
			if (some > 0) mark("painted");
			if (terminal * 2 > points) mark("terminal");
		}
		if (!("terminal" in marks)) requestAnimationFrame(look);
	};
	requestAnimationFrame(look);
})()`

// watch installs watchScript for the pages that are loaded from now on.
func (p *tab) watch(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: watchScript}); err != nil {
		t.Fatal(err)
	}
}

// marks are times in milliseconds since the page was asked for.
type marks struct {
	Made, Open, Painted, Terminal float64
}

// awaitMarks waits until the terminal is seen.
func (p *tab) awaitMarks(t testing.TB) marks {
	t.Helper()
	var m marks
	eventually(t, "the terminal to be seen", func() error {
		var err error
		m, err = evaluate[marks](p, `(() => { const m = window.testMarks || {}; return {
			Made: m.made || 0, Open: m.open || 0, Painted: m.painted || 0, Terminal: m.terminal || 0}; })()`)
		if err == nil && m.Terminal == 0 {
			err = fmt.Errorf("so far %+v", m)
		}
		return err
	})
	return m
}

// terminalNode is a maximised xterm in terminalColour.
func terminalNode(t testing.TB, name string) *node {
	t.Helper()
	return shellNode(t, name, "", "xterm -maximized -bg '#"+terminalColour+"' -e sleep 3600")
}

// TestColdTerminal: a click on a node that does not run gives a painted
// picture first, and then the terminal.
func TestColdTerminal(t *testing.T) {
	need(t, "xterm")
	n := terminalNode(t, "terminal")
	s := startService(t, n)
	if lines, err := n.lines(); err == nil {
		t.Fatalf("the node runs although nobody looks: %q", lines)
	}
	p := newTab(t)
	url, _ := s.token(t, n.name, `{"mode":"operate"}`)
	p.watch(t)
	p.goTo(t, url)
	m := p.awaitMarks(t)
	if m.Painted >= m.Terminal {
		t.Errorf("nothing was painted before the terminal: %+v", m)
	}
	p.showsExactly(t, n)
	t.Logf("from asking for the page: websocket open %.0f ms, something painted %.0f ms, the terminal %.0f ms", m.Open, m.Painted, m.Terminal)
}
