package integration

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// startWith starts a service with one node of a picture, whose console has
// further settings, such as "seats: exclusive".
func startWith(t testing.TB, name, settings string) (*node, *service) {
	t.Helper()
	n := pictureNode(t, name, "640x480")
	s := newService(t, n)
	text, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "console: {", "console: {"+settings+", ", 1)
	if err := os.WriteFile(s.config(), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	return n, s
}

// openAs opens the console page with a token for somebody of that name.
func (p *tab) openAs(t testing.TB, s *service, node, name string) {
	t.Helper()
	url, _ := s.token(t, node, fmt.Sprintf(`{"mode":"operate","name":%q}`, name))
	p.goTo(t, url)
	p.awaitState(t, "connected")
	p.awaitTrue(t, `window.ironglass.snapshot?.you && document.documentElement.dataset.frame`)
}

// TestPageSeats: of two people at a console one operates; the other's keys go
// nowhere until the seat is handed over at the first one's page.
func TestPageSeats(t *testing.T) {
	n, s := startWith(t, "seats", "seats: exclusive")
	ann, ben := newTab(t), newTab(t)
	ann.openAs(t, s, n.name, "Ann")
	n.shown(t)
	ben.openAs(t, s, n.name, "Ben")
	ben.awaitTrue(t, `window.ironglass.rfb.viewOnly && document.getElementById("view-only").textContent === "Ann operates"`)
	ben.showsExactly(t, n)
	ann.awaitTrue(t, `document.getElementById("people-count").textContent === "2"`)

	// Whatever a page sends, the service heeds it only from the operator.
	if _, err := evaluate[bool](ben, `window.ironglass.rfb.viewOnly = false, window.ironglass.rfb.sendKey(0x62, "KeyB"), true`); err != nil {
		t.Fatal(err)
	}
	ben.clickOn(t, `[data-panel="people"]`)
	ben.clickOn(t, `[data-seat="request"]`)
	ann.awaitTrue(t, `/^Ben asks/.test(document.querySelector('[data-notice^="request."] .notice-text')?.textContent)`)
	ann.clickOn(t, `[data-notice^="request."] button`)
	ben.awaitTrue(t, `!window.ironglass.rfb.viewOnly && document.querySelector('[data-notice="seat"]')`)
	ann.awaitTrue(t, `window.ironglass.rfb.viewOnly && document.getElementById("view-only").textContent === "Ben operates"`)
	if _, err := evaluate[bool](ben, `window.ironglass.rfb.focus(), true`); err != nil {
		t.Fatal(err)
	}
	ben.press(t, []stroke{{key: "x", code: "KeyX"}})
	eventually(t, "Ben's key alone to arrive", func() error {
		got, err := n.keyPresses()
		if err == nil && (len(got) != 1 || got[0] != "78 -") {
			err = fmt.Errorf("arrived %q", got)
		}
		return err
	})
	// Who leaves passes the seat on.
	ben.goTo(t, "about:blank")
	ann.awaitTrue(t, `!window.ironglass.rfb.viewOnly && document.getElementById("view-only").hidden`)
}

// TestPageTakeOver: a link from the fleet page is an administrator's, who
// takes the seat.
func TestPageTakeOver(t *testing.T) {
	n, s := startWith(t, "taken", "seats: exclusive")
	ann, boss := newTab(t), newTab(t)
	ann.openAs(t, s, n.name, "Ann")
	boss.goTo(t, s.url+"/")
	boss.awaitTrue(t, `document.documentElement.dataset.feed === "live"`)
	boss.clickNode(t, n.name)
	boss.awaitState(t, "connected")
	boss.awaitTrue(t, `window.ironglass.snapshot?.you && window.ironglass.rfb.viewOnly`)
	boss.clickOn(t, `[data-panel="people"]`)
	boss.clickOn(t, `[data-seat="take"]`)
	boss.awaitTrue(t, `!window.ironglass.rfb.viewOnly`)
	ann.awaitTrue(t, `window.ironglass.rfb.viewOnly`)
}

// TestPageLease: a console that nobody uses counts down in the page, goes on
// when it is extended there, closes when it is not, and is opened again.
func TestPageLease(t *testing.T) {
	n, s := startWith(t, "lease", "lease: {idle: 8s, warning: 4s}")
	p := newTab(t)
	p.openAs(t, s, n.name, "Ann")
	p.awaitTrue(t, `document.querySelector('[data-notice="lease"]')`)
	p.clickOn(t, `[data-notice="lease"] button`)
	p.awaitTrue(t, `!document.querySelector('[data-notice="lease"]') && window.ironglass.state === "connected"`)
	p.awaitTrue(t, `document.querySelector('[data-notice="lease"]')`)
	p.awaitState(t, "ended")
	p.clickOn(t, "#overlay-retry")
	p.awaitState(t, "connected")
	p.showsExactly(t, n)
}

// TestPageRenewal: a page outlives its link: it has another one by the time
// that the service is started again.
func TestPageRenewal(t *testing.T) {
	n, s := startWith(t, "renewed", "seats: shared")
	p := newTab(t)
	url, _ := s.token(t, n.name, `{"mode":"operate","ttl":"6s"}`)
	p.goTo(t, url)
	p.awaitState(t, "connected")
	p.awaitTrue(t, `location.href !== `+fmt.Sprintf("%q", url))
	if _, err := s.get(t, strings.TrimPrefix(url, s.url), http.StatusOK); err != nil {
		t.Fatal("the first link was good for so long that this shows nothing")
	}
	eventually(t, "the first link to end", func() error {
		_, err := s.get(t, strings.TrimPrefix(url, s.url), http.StatusForbidden)
		return err
	})
	// The service closes no session whose token has ended; a break does.
	if _, err := evaluate[bool](p, `window.ironglass.rfb._sock._websocket.close(), true`); err != nil {
		t.Fatal(err)
	}
	p.awaitState(t, "connected")
	n.tell(t, "draw 5")
	p.showsExactly(t, n)
}

// TestPageTwice: a session that is opened in a second window is the second's
// from then on, until the first asks for it.
func TestPageTwice(t *testing.T) {
	n, s := startWith(t, "twice", "seats: shared")
	first, second := newTab(t), newTab(t)
	first.openAs(t, s, n.name, "Ann")
	secret, err := evaluate[string](first, `sessionStorage.getItem("ironglass.session.twice")`)
	if err != nil || len(secret) != 22 {
		t.Fatalf("the session's secret is %q, %v", secret, err)
	}
	second.goTo(t, s.url+"/healthz")
	if _, err := evaluate[bool](second, fmt.Sprintf(`sessionStorage.setItem("ironglass.session.twice", %q), true`, secret)); err != nil {
		t.Fatal(err)
	}
	second.openAs(t, s, n.name, "Ann")
	first.awaitState(t, "ended")
	first.clickOn(t, "#overlay-retry")
	first.awaitState(t, "connected")
	second.awaitState(t, "ended")
}

// TestPageSwitch: a console is switched off and on at the fleet page, which
// hears of it by itself; whoever was there is told.
func TestPageSwitch(t *testing.T) {
	n, s := startWith(t, "switched", "seats: shared")
	p, fleet := newTab(t), newTab(t)
	p.openAs(t, s, n.name, "Ann")
	fleet.goTo(t, s.url+"/")
	fleet.awaitTrue(t, `document.documentElement.dataset.feed === "live" && document.querySelector('.node[data-state="live"]')`)
	fleet.clickOn(t, ".switch")
	fleet.clickOn(t, "#ask-yes")
	p.awaitState(t, "refused")
	fleet.awaitTrue(t, `document.querySelector('.node[data-state="off"]')`)
	fleet.clickOn(t, ".switch")
	fleet.awaitTrue(t, `document.querySelector('.node[data-state="cold"]')`)
}
