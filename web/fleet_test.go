package web_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/ironglass/ironglass/web/pagetest"
)

// fleet makes up nodes in all states.
func fleet(n int) []pagetest.Object {
	states := []string{"live", "cold", "live", "lost", "starting", "failed", "cold", "live"}
	nodes := make([]pagetest.Object, n)
	for i := range nodes {
		state := states[i%len(states)]
		more := pagetest.Object{"power": pagetest.Object{"state": []string{"on", "off", "unknown"}[i%3]}}
		switch state {
		case "live":
			more["viewers"] = i % 4
			more["recording"] = pagetest.Object{"mode": []string{"ring", "off"}[i%2], "active": true}
		case "failed":
			more["reason"] = "BMC 192.0.2.10 refused the password (401): check bmc.password_file"
		case "lost":
			more["reason"] = "the BMC ended the session"
		}
		if i%16 == 6 {
			more["console_enabled"] = false
		}
		nodes[i] = pagetest.With(pagetest.Node(fmt.Sprintf("rack%d-u%02d", i/40+1, i%40+1), state), more)
	}
	return nodes
}

// TestFleet looks at the page of all nodes in every width, and tries what can
// be done there.
func TestFleet(t *testing.T) {
	s := pagetest.New(t)
	s.SetNodes(fleet(24)...)
	for _, w := range widths {
		p := newTab(t, w.width, w.height)
		p.do(chromedp.EmulateViewport(w.width, w.height, w.options...))
		p.goTo(s.URL + "/")
		p.await(`document.querySelectorAll(".picture:not([hidden])").length > 0`)
		for _, scheme := range []string{"dark", "light"} {
			p.scheme(scheme)
			p.keep("fleet-" + w.name + "-" + scheme)
		}
		if out := get[[]string](p, `[...document.querySelectorAll(".node button, .node a, header button, input")].filter((e) => {
			const r = e.getBoundingClientRect();
			return e.checkVisibility() && !e.closest("#filters") && (r.left < 0 || r.right > innerWidth + 0.5);
		}).map((e) => e.textContent)`); len(out) > 0 {
			t.Errorf("%s: outside of the page: %q", w.name, out)
		}
	}

	p := newTab(t, 1000, 700)
	p.goTo(s.URL + "/")
	p.await(`document.documentElement.dataset.feed === "live" && document.querySelectorAll(".node").length === 24`)

	// What the service tells is seen without a look.
	s.ChangeNode("rack1-u01", pagetest.Object{"state": "lost", "reason": "the container was killed", "viewers": 7})
	p.await(`document.querySelector(".node").dataset.state === "lost" && document.querySelector(".node .words").textContent === "The container was killed"`)
	if looks := len(s.Calls("GET /v1/nodes")); looks > 0 {
		t.Errorf("the list was looked at %d times beside the feed", looks)
	}

	// Search and filter.
	get[bool](p, `document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true, cancelable: true}))`)
	p.do(chromedp.KeyEvent("u03"))
	p.await(`document.querySelectorAll(".node:not([hidden])").length === 1`)
	get[bool](p, `(() => { const e = document.getElementById("search"); e.value = ""; return e.dispatchEvent(new Event("input")); })()`)
	p.click(`[data-filter="off"]`)
	p.await(`[...document.querySelectorAll(".node:not([hidden])")].every((e) => e.dataset.state === "off") && ` + seen(`.node[data-state="off"] .switch`))

	// The switch.
	p.click(`.node[data-state="off"] .switch`)
	p.keep("fleet-off")
	eventually(t, "the console to be switched on", func() error {
		calls := s.Calls("PUT rack1-u07/states/console")
		if len(calls) != 1 || calls[0].Body["enabled"] != true {
			return fmt.Errorf("calls %v", calls)
		}
		return nil
	})
	p.click(`[data-filter="all"]`)
	p.click(`.node[data-state="live"] .switch`)
	p.await(seen("#ask-yes"))
	p.click("#ask-no")
	p.await(`!document.getElementById("ask").open`)
	if calls := s.Calls("PUT rack1-u03/states/console"); len(calls) != 0 {
		t.Errorf("the console was switched off although the answer was no: %v", calls)
	}
	p.click(`.node[data-state="live"] .switch`)
	p.await(seen("#ask-yes"))
	p.keep("fleet-switch")
	p.click("#ask-yes")
	eventually(t, "the console to be switched off", func() error {
		calls := s.Calls("PUT rack1-u03/states/console")
		if len(calls) != 1 || calls[0].Body["enabled"] != false {
			return fmt.Errorf("calls %v", calls)
		}
		return nil
	})

	// A refusal is read in its card.
	s.Answer("POST rack1-u03/console/tokens", func(pagetest.Call) (int, any) {
		return http.StatusConflict, pagetest.Object{"detail": "The console is switched off.", "code": "disabled"}
	})
	p.click(`button[aria-label^="Open rack1-u03:"]`)
	p.await(`document.querySelector(".refusal:not([hidden])")?.textContent === "The console is switched off."`)

	// The keyboard walks over the screens, past those that cannot be opened.
	get[bool](p, `document.querySelector(".open").focus() || true`)
	for _, step := range []struct{ key, want string }{
		{"ArrowRight", "rack1-u02"}, {"ArrowDown", "rack1-u05"}, {"ArrowRight", "rack1-u06"}, {"ArrowRight", "rack1-u08"}, {"End", "rack1-u24"}, {"Home", "rack1-u01"},
	} {
		get[bool](p, fmt.Sprintf(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: %q, bubbles: true, cancelable: true}))`, step.key))
		if at := get[string](p, `document.activeElement.querySelector(".name")?.textContent || ""`); at != step.want {
			t.Errorf("%s goes to %q, not to %s", step.key, at, step.want)
		}
	}
}

// TestFleetWithoutFeed: where the service has no feed, the page looks by
// itself, and asks for the token where one is needed.
func TestFleetWithoutFeed(t *testing.T) {
	s := pagetest.New(t)
	s.Answer("GET /v1/events", func(pagetest.Call) (int, any) { return http.StatusNotFound, nil })
	p := newTab(t, 1000, 700)
	p.goTo(s.URL + "/")
	p.await(`document.documentElement.dataset.feed === "polling" && document.querySelectorAll(".node").length === 1`)
	s.ChangeNode("node", pagetest.Object{"state": "failed", "reason": "no free KVM slot"})
	p.await(`document.querySelector(".node").dataset.state === "failed"`)

	s.Answer("GET /v1/nodes", func(c pagetest.Call) (int, any) {
		if c.Authorization != "Bearer secret" {
			return http.StatusUnauthorized, pagetest.Object{"code": "credential-missing"}
		}
		return http.StatusOK, pagetest.Object{"nodes": fleet(3)}
	})
	p.await(seen("#sign-in-token"))
	p.do(chromedp.SendKeys(chromedp.CSS("#sign-in-token"), "secret\r"))
	p.await(`document.querySelectorAll(".node").length === 3 && ` + seen("#sign-out"))
}

// TestFleetThumbnails: pictures are fetched of what is live and seen, and of
// nothing where nobody looks.
func TestFleetThumbnails(t *testing.T) {
	s := pagetest.New(t)
	s.SetNodes(fleet(80)...)
	p := newTab(t, 1000, 700)
	p.goTo(s.URL + "/")
	p.await(`document.querySelectorAll(".node").length === 80 && document.querySelectorAll(".picture:not([hidden])").length >= 2`)
	if calls := s.Calls("GET rack1-u02/console/screenshot"); len(calls) != 0 {
		t.Error("a picture was fetched of a console that does not run")
	}
	if calls := s.Calls("GET rack2-u38/console/screenshot"); len(calls) != 0 {
		t.Error("a picture was fetched of a node that is not seen")
	}
	get[bool](p, `window.scrollTo(0, document.body.scrollHeight), true`)
	p.await(`[...document.querySelectorAll(".node")].at(-1).querySelector(".picture:not([hidden])")`)
	if n := get[int](p, `document.querySelectorAll(".picture:not([hidden])").length`); n > 40 {
		t.Errorf("%d pictures were fetched", n)
	}
}

// TestFleetScrolls: of 500 nodes those in view are laid out. What a frame
// costs while they are scrolled through in four seconds is for the log: it is
// the machine's as much as the page's.
func TestFleetScrolls(t *testing.T) {
	s := pagetest.New(t)
	s.SetNodes(fleet(500)...)
	p := newTab(t, 1440, 860)
	p.goTo(s.URL + "/")
	p.await(`document.querySelectorAll(".node").length === 500`)
	before := p.cpu()
	type measure struct {
		Frames, Slow, Long int
		Longest            float64
	}
	get[bool](p, `void new Promise((done) => {
		let long = 0, longest = 0;
		new PerformanceObserver((list) => list.getEntries().forEach((e) => { long++; longest = Math.max(longest, e.duration); }))
			.observe({type: "longtask"});
		let frames = 0, slow = 0, last = performance.now();
		const most = document.documentElement.scrollHeight - innerHeight;
		const step = (now) => {
			frames++;
			slow += now - last > 34 ? 1 : 0;
			last = now;
			window.scrollTo(0, most * frames / 240);
			if (frames < 240) requestAnimationFrame(step);
			else setTimeout(() => done({Frames: frames, Slow: slow, Long: long, Longest: longest}), 100);
		};
		requestAnimationFrame(step);
	}).then((m) => { window.measured = m; }) || true`)
	p.await(`window.measured`)
	m := get[measure](p, `window.measured`)
	each := (p.cpu() - before) * 1000 / float64(m.Frames)
	t.Logf("500 nodes scrolled in %d frames, %.1f ms of the page's thread each; %d took over 34 ms; %d tasks over 50 ms, the longest %.0f ms",
		m.Frames, each, m.Slow, m.Long, m.Longest)
	if rendered := get[int](p, `[...document.querySelectorAll(".node")].filter((e) => e.querySelector(".open").checkVisibility({contentVisibilityAuto: true})).length`); rendered > 120 {
		t.Errorf("%d of 500 cards are laid out at once", rendered)
	}
}

// cpu is how many seconds of a processor the page's main thread has taken, if
// asked for from the beginning.
func (p *tab) cpu() float64 {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}); err != nil {
		p.t.Fatal(err)
	}
	r, err := chromedp.Call(p.ctx, performance.GetMetrics, cdp.Empty{})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, m := range r.Metrics {
		if m.Name == "TaskDuration" {
			return m.Value
		}
	}
	p.t.Fatal("the browser tells no processor time")
	return 0
}
