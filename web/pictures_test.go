package web_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/ironglass/ironglass/web/pagetest"
)

// widths are a phone's, a tablet's and a desktop's.
var widths = []struct {
	name          string
	width, height int64
	options       []chromedp.EmulateViewportOption
}{
	{"phone", 390, 780, []chromedp.EmulateViewportOption{chromedp.EmulateTouch, chromedp.EmulateMobile}},
	{"middle", 820, 720, nil},
	{"wide", 1440, 860, nil},
}

// TestPanels looks at every panel in every width, light and dark: all of it
// can be reached, nothing lies outside of the page, and the picture keeps some
// room. IRONGLASS_TEST_ARTIFACTS gets what they look like.
func TestPanels(t *testing.T) {
	s := pagetest.New(t)
	busy(s)
	for _, w := range widths {
		p := newTab(t, w.width, w.height)
		p.do(chromedp.EmulateViewport(w.width, w.height, w.options...))
		p.goTo(s.URL + "/vnc_auto.html?token=" + pagetest.Token(time.Hour, pagetest.Object{"admin": true}))
		p.await(`document.documentElement.dataset.frame && window.ironglass.snapshot && window.ironglass.latency !== null`)
		schemes := []string{"dark"}
		if os.Getenv("IRONGLASS_TEST_ARTIFACTS") != "" {
			schemes = append(schemes, "light") // differs in colours alone
		}
		for _, scheme := range schemes {
			p.scheme(scheme)
			for _, panel := range []string{"keys", "clipboard", "type", "power", "people", "view"} {
				p.click(`[data-panel="` + panel + `"]`)
				p.await(seen("#panel-" + panel))
				if panel == "keys" && scheme == "light" {
					get[bool](p, `document.querySelectorAll("#panel-keys details").forEach((d) => { d.open = true; }) || true`)
				}
				if out := get[[]string](p, outside); len(out) > 0 {
					t.Errorf("%s, %s: outside of the page: %q", w.name, panel, out)
				}
				if room := get[float64](p, `(() => { const c = document.querySelector("#screen canvas").getBoundingClientRect(); return c.width * c.height; })()`); room < 60_000 {
					t.Errorf("%s, %s: the picture has %.0f pixels left", w.name, panel, room)
				}
				p.keep(fmt.Sprintf("%s-%s-%s", panel, w.name, scheme))
			}
			p.click("#side-close")
			p.keep(fmt.Sprintf("closed-%s-%s", w.name, scheme))
		}
	}
}

// outside lists what is seen of the page's buttons and fields and cannot be
// reached, because it lies beyond an edge or below another element.
const outside = `[...document.querySelectorAll("button, input, select, textarea, a")].filter((e) => {
	if (e.id === "touch-field" || !e.checkVisibility({visibilityProperty: true})) return false;
	e.scrollIntoView({block: "nearest"});
	const r = e.getBoundingClientRect();
	const top = document.elementFromPoint(r.left + r.width / 2, r.top + r.height / 2);
	return r.left < -0.5 || r.right > innerWidth + 0.5 || !top || !(e.contains(top) || top.contains(e));
}).map((e) => e.id || e.textContent)`

// busy is a console where all is going on.
func busy(s *pagetest.Service) {
	now := time.Now()
	s.Change(pagetest.Object{
		"seats": pagetest.Object{"policy": "exclusive", "operator": pagetest.Me, "sessions": []pagetest.Object{
			pagetest.Person(pagetest.Me, "Ann", true),
			pagetest.With(pagetest.Person("ben000000000", "Ben Okafor", false), pagetest.Object{"requested_at": now, "remote": "192.0.2.7"}),
			pagetest.With(pagetest.Person("eve000000000", "", false), pagetest.Object{"mode": "view"}),
		}},
		"typing":    pagetest.Object{"active": true, "id": "1", "done": 120, "total": 340, "by": pagetest.Me},
		"recording": pagetest.Object{"mode": "ring", "active": true},
		"power":     pagetest.Object{"available": true, "reason": "", "state": "on"},
		"lease":     pagetest.Object{"idle_seconds": 900, "expires_at": now.Add(20 * time.Minute), "warning_seconds": 60, "ends_at": now.Add(8 * time.Hour)},
	})
}
