package web_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/ironglass/ironglass/web/pagetest"
)

// openConsole opens the console page with a token and waits for its picture.
func openConsole(t testing.TB, s *pagetest.Service, token string) *tab {
	t.Helper()
	p := newTab(t, 1280, 800)
	p.goTo(s.URL + "/vnc_auto.html?token=" + token)
	p.await(`document.documentElement.dataset.frame && window.ironglass.state === "connected"`)
	return p
}

// openSeated opens the page and waits for what the service says.
func openSeated(t testing.TB, s *pagetest.Service) *tab {
	t.Helper()
	p := openConsole(t, s, pagetest.Token(time.Hour, nil))
	p.await(`window.ironglass.snapshot`)
	return p
}

// awaitCall waits for the nth call of a kind and returns it.
func awaitCall(t testing.TB, s *pagetest.Service, call string, n int) pagetest.Call {
	t.Helper()
	eventually(t, call, func() error {
		if got := len(s.Calls(call)); got < n {
			return fmt.Errorf("%d calls", got)
		}
		return nil
	})
	return s.Calls(call)[n-1]
}

// awaitEvent waits until the machine's last event is the wanted one.
func awaitEvent(t testing.TB, s *pagetest.Service, want string) {
	t.Helper()
	eventually(t, "the machine to have "+want, func() error {
		if got := s.LastEvent(); got != want {
			return fmt.Errorf("its last event is %q", got)
		}
		return nil
	})
}

// TestConsoleAlone: where only RFB comes through, as behind another proxy, the
// page works without the panels that need the service, and acts on the power
// where the RFB server offers it.
func TestConsoleAlone(t *testing.T) {
	for name, token := range map[string]string{"a token of another kind": "9d4e5a3c-0d5f", "no API": pagetest.Token(time.Hour, nil)} {
		t.Run(name, func(t *testing.T) {
			s := pagetest.New(t)
			s.Absent(true)
			p := openConsole(t, s, token)
			p.await(`window.ironglass.latency !== null`)
			for panel, want := range map[string]bool{"keys": true, "clipboard": true, "view": true, "type": false, "people": false, "power": false} {
				if p.visible(`[data-panel="`+panel+`"]`) != want {
					t.Errorf("the panel %s is shown: %v", panel, !want)
				}
			}
			p.do(chromedp.KeyEvent("a"))
			if got := s.Keys(t, 2); got != "+61 -61" {
				t.Errorf("the machine had the keys %s", got)
			}
			s.Machine.OfferPower(true)
			p.await(seen(`[data-panel="power"]`))
			p.click(`[data-panel="power"]`)
			p.click(`[data-xvp="reset"]`)
			p.await(seen("#ask-yes"))
			p.click("#ask-yes")
			awaitEvent(t, s, "reset")
			if calls := s.Calls("GET node/console/events"); len(calls) > 1 {
				t.Errorf("the events were asked for %d times although there are none", len(calls))
			}
		})
	}
}

// TestKeys: the keys of the menu, and modifiers that are held for one key and
// for more.
func TestKeys(t *testing.T) {
	s := pagetest.New(t)
	p := openSeated(t, s)
	p.click(`[data-panel="keys"]`)
	n, all := 0, ""
	expect := func(what, want string) {
		t.Helper()
		n += len(strings.Fields(want))
		got := s.Keys(t, n)
		if got != strings.TrimSpace(all+" "+want) {
			t.Errorf("%s: the machine had %s, not %s", what, strings.TrimPrefix(got, all), want)
		}
		all = got
	}
	p.click(`[data-keys="Ctrl+Alt+Delete"]`)
	expect("Ctrl+Alt+Del", "+ffe3 +ffe9 +ffff -ffff -ffe9 -ffe3")

	get[bool](p, `document.querySelectorAll("#panel-keys details").forEach((d) => { d.open = true; }), true`)
	p.click(`[data-keys="F24"]`)
	expect("F24", "+ffd5 -ffd5")
	p.click(`[data-keys="Ctrl+Alt+F2"]`)
	expect("Ctrl+Alt+F2", "+ffe3 +ffe9 +ffbf -ffbf -ffe9 -ffe3")
	p.click(`[data-keys="Alt+Print+s"]`)
	expect("SysRq S", "+ffe9 +ff61 +73 -73 -ff61 -ffe9")

	// What may cost work is asked about.
	p.click(`[data-keys="Alt+Print+b"]`)
	p.await(seen("#ask-yes"))
	p.click("#ask-no")
	p.await(`!document.getElementById("ask").open`)
	p.click(`[data-keys="Alt+Print+b"]`)
	p.await(seen("#ask-yes"))
	p.click("#ask-yes")
	expect("SysRq B", "+ffe9 +ff61 +62 -62 -ff61 -ffe9")

	// Held for the next key, and by a second press for more.
	p.click(`#panel-keys [data-held="Ctrl"]`)
	get[bool](p, `window.ironglass.rfb.focus(), true`)
	p.do(chromedp.KeyEvent("c"))
	expect("Ctrl for one key", "+ffe3 +63 -63 -ffe3")
	p.click(`#panel-keys [data-held="Super"]`)
	p.click(`#panel-keys [data-held="Super"]`)
	get[bool](p, `window.ironglass.rfb.focus(), true`)
	p.do(chromedp.KeyEvent("cd"))
	expect("Super for more", "+ffeb +63 -63 +64 -64")
	p.click(`#panel-keys [data-held="Super"]`)
	expect("Super let go", "-ffeb")
}

// TestClipboard: both ways through the panel's field.
func TestClipboard(t *testing.T) {
	s := pagetest.New(t)
	p := openSeated(t, s)
	p.click(`[data-panel="clipboard"]`)
	s.Copy("grüße\nfrom the machine")
	p.await(`document.getElementById("clipboard-text").value === "grüße\nfrom the machine"`)
	get[bool](p, `document.getElementById("clipboard-text").value = "€ to the machine", true`)
	p.click("#clipboard-send")
	awaitEvent(t, s, "€ to the machine")
	if said := p.text("#clipboard-said"); said != "The machine's clipboard holds this text now." {
		t.Errorf("the panel says %q", said)
	}
}

// TestClipboardShared: where the reader asks for it and the browser allows it,
// what is copied at the machine is in this computer's clipboard and the other
// way round.
func TestClipboardShared(t *testing.T) {
	s := pagetest.New(t)
	p := openSeated(t, s)
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		if _, err := chromedp.CallBrowser(p.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted,
			Origin: s.URL, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
		}); err != nil {
			t.Fatal(err)
		}
	}
	p.click(`[data-panel="clipboard"]`)
	p.click("#clipboard-share")
	s.Copy("from the machine")
	p.await(`(navigator.clipboard.readText().then((text) => { window.local = text; }), window.local === "from the machine")`)
	if last := s.LastEvent(); last == "from the machine" {
		t.Error("the machine was given its own text")
	}
	get[bool](p, `navigator.clipboard.writeText("from this computer").then(() => { window.written = true; }), true`)
	p.await("window.written")
	get[bool](p, `window.dispatchEvent(new Event("focus"))`)
	awaitEvent(t, s, "from this computer")
	get[bool](p, `document.getElementById("clipboard-text").value = "from the field", true`)
	p.click("#clipboard-write")
	p.await(`(navigator.clipboard.readText().then((text) => { window.local = text; }), window.local === "from the field")`)
}

// TestTyping: a text is sent with the layout that was chosen; what cannot be
// typed is named and can be left out; the progress is seen and stopped.
func TestTyping(t *testing.T) {
	s := pagetest.New(t)
	s.Answer("POST node/console/text", func(c pagetest.Call) (int, any) {
		if text, _ := c.Body["text"].(string); strings.Contains(text, "€") {
			return http.StatusUnprocessableEntity, pagetest.Object{"code": "untypable", "detail": "Nothing was typed.", "characters": []pagetest.Object{
				{"character": "€", "count": 2}, {"character": "\u200b", "count": 1},
			}}
		}
		return http.StatusAccepted, pagetest.Object{"id": "1", "total": 4}
	})
	p := openSeated(t, s)
	p.click(`[data-panel="type"]`)
	if get[bool](p, `!document.getElementById("type-send").disabled`) {
		t.Error("nothing at all can be sent")
	}
	get[bool](p, `(() => {
		const layout = document.getElementById("type-layout"), text = document.getElementById("type-text");
		layout.value = "de";
		text.value = "a€b€\u200b\nc";
		return [layout.dispatchEvent(new Event("change")), text.dispatchEvent(new Event("input"))].every(Boolean);
	})()`)
	p.click("#type-send")
	p.await(seen("#type-untypable"))
	p.keep("type-untypable")
	if said := p.text("#type-untypable"); said != "Nothing was typed: the layout “de” has no keys for € 2 times U+200B once Leave them out" {
		t.Errorf("the panel says %q", said)
	}
	p.click("#type-leave-out")
	p.click("#type-send")
	call := awaitCall(t, s, "POST node/console/text", 2)
	if call.Body["text"] != "ab\nc" || call.Body["layout"] != "de" || call.Session == "" || !strings.HasPrefix(call.Authorization, "Bearer v4.public.") {
		t.Errorf("the call is %+v", call)
	}
	s.Change(pagetest.Object{"typing": pagetest.Object{"active": true, "id": "1", "done": 1, "total": 4, "by": pagetest.Me}})
	p.await(`document.getElementById("type-count").textContent === "1 of 4 characters" && document.getElementById("type-bar").value === 1`)
	p.click("#type-cancel")
	awaitCall(t, s, "DELETE node/console/text", 1)
	s.Change(pagetest.Object{"typing": pagetest.Object{"active": false, "id": "1", "done": 2, "total": 4, "by": pagetest.Me, "error": "typed 2 of 4 characters; it was cancelled"}})
	p.await(`document.querySelector(".notice-text")?.textContent === "Typed 2 of 4 characters; it was cancelled."`)
}

// TestPower: disabled with the reason, or asked about and sent.
func TestPower(t *testing.T) {
	s := pagetest.New(t)
	p := openSeated(t, s)
	p.click(`[data-panel="power"]`)
	if said := p.text("#power-reason"); said != "This node has no BMC configured." {
		t.Errorf("the reason is %q", said)
	}
	if get[bool](p, `[...document.querySelectorAll("[data-power]")].some((b) => !b.disabled)`) {
		t.Error("a button works although there is no power to act on")
	}
	p.keep("power-none")
	s.Change(pagetest.Object{"power": pagetest.Object{"available": true, "reason": "", "actions": []string{"cycle", "off", "reset"}, "state": "unknown"}})
	p.await(`!document.querySelector('[data-power="reset"]').disabled && document.querySelector('[data-power="on"]').disabled`)
	if said := p.text("#power-reason"); said != "This machine cannot be switched on from here." {
		t.Errorf("of what is not possible is said %q", said)
	}
	s.Change(pagetest.Object{"power": pagetest.Object{"available": true, "reason": "", "state": "off"}})
	p.await(`document.getElementById("power-state").textContent === "Off"`)
	p.click(`[data-power="on"]`)
	if c := awaitCall(t, s, "POST node/power", 1); c.Body["action"] != "on" {
		t.Errorf("the call is %+v", c)
	}
	p.await(`!document.querySelector('[data-power="cycle"]').disabled`)
	p.click(`[data-power="cycle"]`)
	p.await(seen("#ask-yes"))
	p.keep("power-ask")
	p.click("#ask-yes")
	if c := awaitCall(t, s, "POST node/power", 2); c.Body["action"] != "cycle" {
		t.Errorf("the call is %+v", c)
	}
	s.Answer("POST node/power", func(pagetest.Call) (int, any) {
		return http.StatusBadGateway, pagetest.Object{"detail": "The BMC does not answer."}
	})
	p.await(`!document.querySelector('[data-power="on"]').disabled`)
	p.click(`[data-power="on"]`)
	p.await(`document.querySelector('[data-notice="failed"] .notice-text')?.textContent === "Power on did not succeed. The BMC does not answer."`)
	p.click("#boot-set")
	if c := awaitCall(t, s, "POST node/boot-device", 1); c.Body["device"] != "disk" {
		t.Errorf("the call is %+v", c)
	}
}

// TestSeats: who is here, and how the seat of the operator goes from one to
// another.
func TestSeats(t *testing.T) {
	s := pagetest.New(t)
	ann, ben := pagetest.Person(pagetest.Me, "Ann", false), pagetest.Person("ben000000000", "Ben", true)
	seats := func(sessions ...pagetest.Object) {
		s.Change(pagetest.Object{"seats": pagetest.Object{"policy": "exclusive", "operator": "", "sessions": sessions}})
	}
	seats(ann, ben)
	p := openSeated(t, s)
	p.await(`window.ironglass.rfb.viewOnly && document.getElementById("view-only").textContent === "Ben operates"`)
	if p.visible(`[data-panel="keys"]`) {
		t.Error("keys can be sent without the seat")
	}
	p.click(`[data-panel="people"]`)
	p.click(`[data-seat="request"]`)
	if c := awaitCall(t, s, "POST node/console/seat", 1); c.Body["action"] != "request" || c.Session == "" {
		t.Errorf("the call is %+v", c)
	}
	seats(pagetest.With(ann, pagetest.Object{"requested_at": time.Now()}), ben)
	p.await(seen(`[data-seat="withdraw"]`))
	seats(pagetest.With(ann, pagetest.Object{"operating": true}), pagetest.With(ben, pagetest.Object{"operating": false, "requested_at": time.Now()}))
	p.await(`!window.ironglass.rfb.viewOnly && document.querySelector('[data-notice="seat"]')`)
	p.await(`document.querySelector('[data-notice="request.ben000000000"]')`)
	p.click(`[data-notice="request.ben000000000"] button`)
	if c := awaitCall(t, s, "POST node/console/seat", 2); c.Body["action"] != "grant" || c.Body["session"] != "ben000000000" {
		t.Errorf("the call is %+v", c)
	}
	p.click(`#people-list .deeds button:nth-child(2)`)
	if c := awaitCall(t, s, "POST node/console/seat", 3); c.Body["action"] != "refuse" {
		t.Errorf("the call is %+v", c)
	}
	seats(pagetest.With(ann, pagetest.Object{"operating": true}))
	p.await(`!document.querySelector('[data-notice="request.ben000000000"]')`)

	// The name is sent with the next session, which has the same secret.
	get[bool](p, `document.getElementById("people-name").value = "Ann Lee", true`)
	p.click("#people-own button")
	eventually(t, "a session with the name", func() error {
		all := s.Sockets()
		if n := len(all); n != 2 || all[1].Get("name") != "Ann Lee" || all[1].Get("session") == "" || all[1].Get("session") != all[0].Get("session") {
			return fmt.Errorf("sessions %v", all)
		}
		return nil
	})
	p.await(`window.ironglass.state === "connected"`)
	// A reload is the same session of the same person.
	p.do(chromedp.Reload())
	eventually(t, "the same session", func() error {
		all := s.Sockets()
		if n := len(all); n != 3 || all[2].Get("session") != all[0].Get("session") || all[2].Get("name") != "Ann Lee" {
			return fmt.Errorf("sessions %v", all)
		}
		return nil
	})
}

// TestAdministrator: who holds a token of an administrator takes the seat.
func TestAdministrator(t *testing.T) {
	s := pagetest.New(t)
	s.Change(pagetest.Object{"seats": pagetest.Object{"policy": "exclusive", "operator": "ben000000000", "sessions": []pagetest.Object{
		pagetest.Person(pagetest.Me, "Ann", false), pagetest.Person("ben000000000", "Ben", true), pagetest.Person("eve000000000", "Eve", false),
	}}})
	p := openConsole(t, s, pagetest.Token(time.Hour, pagetest.Object{"admin": true}))
	p.await(seen(`[data-panel="people"]`))
	p.click(`[data-panel="people"]`)
	p.click(`[data-seat="take"]`)
	if c := awaitCall(t, s, "POST node/console/seat", 1); c.Body["action"] != "take" || c.Body["session"] != nil {
		t.Errorf("the call is %+v", c)
	}
	p.click(`[data-act="take.eve000000000"]`)
	if c := awaitCall(t, s, "POST node/console/seat", 2); c.Body["action"] != "take" || c.Body["session"] != "eve000000000" {
		t.Errorf("the call is %+v", c)
	}
}

// TestLease: the last minute is counted down, and extended by a button; what
// cannot be extended says so. Recording is seen.
func TestLease(t *testing.T) {
	s := pagetest.New(t)
	p := openSeated(t, s)
	if p.visible(".notice") || p.visible("#recording") {
		t.Error("there is a notice although all is well")
	}
	lease := func(expires, ends any) {
		s.Change(pagetest.Object{"lease": pagetest.Object{"idle_seconds": 900, "expires_at": expires, "warning_seconds": 60, "ends_at": ends}})
	}
	lease(time.Now().Add(45*time.Second), nil)
	p.await(`/^0:[0-4]\d$/.test(document.querySelector('[data-notice="lease"] .notice-detail')?.textContent) && /^0:\d\d · /.test(document.title)`)
	p.keep("lease")
	p.click(`[data-notice="lease"] button`)
	if c := awaitCall(t, s, "POST node/console/lease", 1); c.Body["action"] != "extend" {
		t.Errorf("the call is %+v", c)
	}
	lease(time.Now().Add(15*time.Minute), nil)
	p.await(`!document.querySelector('[data-notice="lease"]') && document.title === "node · ironglass"`)
	lease(time.Now().Add(15*time.Minute), time.Now().Add(3*time.Minute))
	p.await(`/cannot be extended/.test(document.querySelector('[data-notice="lease"]')?.textContent) && !document.querySelector('[data-notice="lease"] button')`)
	s.Change(pagetest.Object{"recording": pagetest.Object{"mode": "full", "active": true}})
	p.await(seen("#recording"))
	s.Change(pagetest.Object{"state": "lost"})
	p.await(`document.getElementById("state").textContent === "Lost" && document.documentElement.dataset.state === "connected"`)
}

// TestRenewal: a new token comes at two thirds of the old one's life, is used
// from then on, and stands in the page's own address.
func TestRenewal(t *testing.T) {
	s := pagetest.New(t)
	next := pagetest.Token(time.Hour, pagetest.Object{"jti": "next"})
	s.Answer("POST node/console/tokens/renew", func(pagetest.Call) (int, any) {
		return http.StatusCreated, pagetest.Object{"token": next}
	})
	p := openConsole(t, s, pagetest.Token(3*time.Second, nil))
	p.await(`new URL(location.href).searchParams.get("token") === ` + quote(next))
	if n := len(s.Calls("POST node/console/tokens/renew")); n != 1 {
		t.Errorf("there were %d renewals", n)
	}
	s.Close(1011, "")
	eventually(t, "a connection with the new token", func() error {
		all := s.Sockets()
		if n := len(all); n != 2 || all[1].Get("token") != next {
			return fmt.Errorf("%d sessions", len(all))
		}
		return nil
	})
}

// TestEnds: what the page says and offers for each way in which the service
// ends a session.
func TestEnds(t *testing.T) {
	for _, c := range []struct {
		code                       int
		reason                     string
		state, title, text, button string
	}{
		{4001, "The console was stopped. It was switched off.", "refused", "The console was stopped", "The console was stopped. It was switched off.", ""},
		{4002, "Nobody used it for 15 minutes.", "ended", "This console's time is over", "Nobody used it for 15 minutes.", "Open it again"},
		{4003, "", "ended", "This console is open in another window", "The other window has taken its place over.", "Use it here"},
	} {
		t.Run(fmt.Sprint(c.code), func(t *testing.T) {
			s := pagetest.New(t)
			p := openConsole(t, s, pagetest.Token(time.Hour, nil))
			s.Close(c.code, c.reason)
			p.await(`document.documentElement.dataset.state === ` + quote(c.state))
			p.keep(fmt.Sprintf("end-%d", c.code))
			if title, text := p.text("#overlay-title"), p.text("#overlay-text"); title != c.title || text != c.text {
				t.Errorf("the page says %q, %q", title, text)
			}
			if c.button == "" {
				if p.visible("#overlay-retry") {
					t.Error("there is a button to connect again")
				}
				return
			}
			if label := p.text("#overlay-retry"); label != c.button {
				t.Errorf("the button says %q", label)
			}
			p.click("#overlay-retry")
			p.await(`window.ironglass.state === "connected"`)
		})
	}
}

// TestViewOnly: a link to look has nothing that acts on the machine.
func TestViewOnly(t *testing.T) {
	s := pagetest.New(t)
	s.Change(pagetest.Object{"mode": "view", "power": pagetest.Object{"available": true, "reason": "", "state": "on"}})
	p := openConsole(t, s, pagetest.Token(time.Hour, pagetest.Object{"mode": "view"}))
	p.await(`window.ironglass.snapshot && window.ironglass.rfb.viewOnly`)
	for _, panel := range []string{"keys", "clipboard", "type"} {
		if p.visible(`[data-panel="` + panel + `"]`) {
			t.Errorf("there is the panel %s", panel)
		}
	}
	p.click(`[data-panel="power"]`)
	if get[bool](p, `[...document.querySelectorAll("[data-power]")].some((b) => !b.disabled)`) {
		t.Error("a button acts on the power")
	}
}

// TestKeyboardWalk: the page is used without a mouse, from the console to the
// tools, into a panel and back.
func TestKeyboardWalk(t *testing.T) {
	s := pagetest.New(t)
	p := openSeated(t, s)
	press := func(key string, more string) {
		t.Helper()
		get[bool](p, fmt.Sprintf(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: %q, bubbles: true, cancelable: true %s})), true`, key, more))
	}
	at := func(want string) {
		t.Helper()
		if got := get[string](p, `document.activeElement.dataset.panel || document.activeElement.id || document.activeElement.localName`); got != want {
			t.Fatalf("the focus is at %q, not at %q", got, want)
		}
	}
	p.await(`document.activeElement.localName === "canvas"`)
	press("B", `, code: "KeyB", ctrlKey: true, altKey: true, shiftKey: true`)
	at("keys")
	press("ArrowRight", "")
	at("clipboard")
	get[bool](p, `document.activeElement.click(), true`)
	at("clipboard-text")
	press("Escape", "")
	at("clipboard")
	press("ArrowLeft", "")
	press("ArrowLeft", "")
	at("fold")
	// Every button and field has a name.
	if nameless := get[[]string](p, `[...document.querySelectorAll("button, input, select, textarea, a, progress")].filter((e) =>
		!(e.getAttribute("aria-label") || e.textContent.trim() || e.title || e.labels?.length)).map((e) => e.outerHTML)`); len(nameless) > 0 {
		t.Errorf("without a name: %q", nameless)
	}
}

// TestFullScreen: the bar goes away with the rest of the desktop, the keys of
// the desktop go to the machine, and both come back.
func TestFullScreen(t *testing.T) {
	s := pagetest.New(t)
	p := openSeated(t, s)
	get[bool](p, `(navigator.keyboard.lock = async () => { window.locked = true; }, navigator.keyboard.unlock = () => { window.locked = false; }, true)`)
	p.click("#full-screen")
	p.await(`document.fullscreenElement && window.locked === true && !` + seen("#tools") + ` && ` + seen("#unfold"))
	p.click("#unfold")
	p.await(seen("#tools"))
	get[bool](p, `document.exitFullscreen(), true`)
	p.await(`!document.fullscreenElement && window.locked === false && ` + seen("#bar"))
}

// TestTouch: on a device without keys the on-screen keyboard types, with the
// keys that it lacks.
func TestTouch(t *testing.T) {
	s := pagetest.New(t)
	w := widths[0]
	p := newTab(t, w.width, w.height)
	p.do(chromedp.EmulateViewport(w.width, w.height, w.options...))
	p.goTo(s.URL + "/vnc_auto.html?token=" + pagetest.Token(time.Hour, nil))
	p.await(`window.ironglass.snapshot && document.documentElement.dataset.frame`)
	p.click("#touch-keyboard")
	p.await(`document.activeElement.id === "touch-field" && ` + seen("#touch-keys"))
	p.keep("touch")
	insert := func(text string) {
		t.Helper()
		if _, err := chromedp.Call(p.ctx, input.InsertText, input.InsertTextParams{Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	insert("é")
	p.click(`#touch-keys [data-held="Ctrl"]`)
	insert("c")
	p.click(`#touch-keys [data-key="Up"]`)
	if got, want := s.Keys(t, 8), "+e9 -e9 +ffe3 +63 -63 -ffe3 +ff52 -ff52"; got != want {
		t.Errorf("the machine had %s, not %s", got, want)
	}
	p.click("#touch-done")
	p.await(`!` + seen("#touch-keys") + ` && document.activeElement.localName === "canvas"`)
}

// TestHidden: a page that nobody sees holds no stream, for a browser has few
// connections to one server.
func TestHidden(t *testing.T) {
	s := pagetest.New(t)
	for _, p := range []*tab{openSeated(t, s), newTab(t, 800, 600)} {
		if get[string](p, `location.protocol`) == "about:" {
			p.goTo(s.URL + "/")
			p.await(`document.documentElement.dataset.feed === "live"`)
		}
		streams := func(want int) {
			t.Helper()
			eventually(t, fmt.Sprintf("%d streams", want), func() error {
				if n := s.Streams(); n != want {
					return fmt.Errorf("there are %d", n)
				}
				return nil
			})
		}
		streams(1)
		get[bool](p, `(Object.defineProperty(document, "hidden", {value: true, configurable: true}), document.dispatchEvent(new Event("visibilitychange")))`)
		streams(0)
		get[bool](p, `(delete document.hidden, document.dispatchEvent(new Event("visibilitychange")))`)
		streams(1)
		p.goTo("about:blank")
		streams(0)
	}
}

// TestFramed: the page works in a frame.
func TestFramed(t *testing.T) {
	s := pagetest.New(t)
	p := newTab(t, 1000, 700)
	p.goTo(s.URL + "/v1/nodes") // a page of the same origin without a policy
	get[bool](p, `(() => {
		const frame = document.createElement("iframe");
		frame.width = 800; frame.height = 600;
		frame.src = `+quote(s.URL+"/vnc_auto.html?token="+pagetest.Token(time.Hour, nil))+`;
		document.body.append(frame);
		return true;
	})()`)
	p.await(`frames[0].ironglass?.state === "connected" && frames[0].document.documentElement.dataset.frame`)
	if get[bool](p, `frames[0].document.getElementById("back").checkVisibility()`) {
		t.Error("the way to all consoles is offered in somebody else's page")
	}
}

// quote is a text as the page's language writes it.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text has no such error
	}
	return string(b)
}
