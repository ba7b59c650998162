package proxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// typingState is what GET .../console/text tells.
type typingState struct {
	Active      bool
	ID, By      string
	Done, Total int
	Error       string
}

// keyboard is a machine's picture that notes keys, by scancode and symbol, and
// has a light for Caps Lock.
type keyboard struct {
	*rfbtest.Source
	mu    sync.Mutex
	keys  []string
	caps  bool
	stuck bool // Caps Lock cannot be switched

	asleep bool // says nothing of its light until it is used
}

func (k *keyboard) KeyEvent(e rfb.KeyEvent) {
	k.mu.Lock()
	sign := "-"
	if e.Down {
		sign = "+"
	}
	k.keys = append(k.keys, fmt.Sprintf("%s%x:%x", sign, e.Keycode, e.Keysym))
	if e.Down && e.Keycode == 0x3a && !k.stuck {
		k.caps = !k.caps
	}
	k.mu.Unlock()
	k.light()
}

// Run tells of the light first, as an X display does, if it is not to be late.
func (k *keyboard) Run(ctx context.Context, d *rfb.Desktop) error {
	if !k.asleep {
		d.SetLEDState(0)
	}
	return k.Source.Run(ctx, d)
}

// light tells which lights are lit.
func (k *keyboard) light() {
	k.mu.Lock()
	defer k.mu.Unlock()
	var l rfb.LEDState
	if k.caps {
		l = rfb.LEDCapsLock
	}
	k.Desktop(func(d *rfb.Desktop) { d.SetLEDState(l) })
}

func (k *keyboard) set(caps, stuck bool) {
	k.mu.Lock()
	k.caps, k.stuck = caps, stuck
	k.mu.Unlock()
	k.light()
}

// typed returns what was typed since the last call.
func (k *keyboard) typed() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := strings.Join(k.keys, " ")
	k.keys = nil
	return s
}

// deskTop is a service with one console whose time is the test's.
type deskTop struct {
	t    *testing.T
	svc  *proxy.Service
	keys *keyboard
	node *pipes
	wg   sync.WaitGroup
}

// atDesk runs f at a console of such a node.
func atDesk(t *testing.T, n proxy.Node, f func(d *deskTop)) {
	synctest.Test(t, func(t *testing.T) {
		tokens, err := token.Ephemeral()
		if err != nil {
			t.Fatal(err)
		}
		d := &deskTop{t: t, keys: &keyboard{Source: rfbtest.NewSource(64, 48)}, node: new(pipes)}
		d.node.server = rfb.NewServer(d.keys, rfb.ServerConfig{})
		n.Name, n.Backend, n.Width, n.Height = "n", d.node, 64, 48
		d.svc, err = proxy.New(proxy.Config{Nodes: []proxy.Node{n}, Page: pages, Tokens: tokens, Linger: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		f(d)
		if err := d.svc.Close(context.Background()); err != nil {
			t.Error(err)
		}
		_ = d.node.server.Close()
		d.node.wg.Wait()
		d.wg.Wait()
	})
}

// ask makes a request, wants that status and decodes the answer.
func (d *deskTop) ask(method, path, body string, status int, into any) {
	d.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1/v1/nodes/n/console/"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	d.svc.Handler().ServeHTTP(w, r)
	if w.Code != status {
		d.t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, w.Code, w.Body, status)
	}
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			d.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
}

func (d *deskTop) state() (s typingState) {
	d.t.Helper()
	d.ask("GET", "text", "", 200, &s)
	return s
}

// over waits for the end of the text.
func (d *deskTop) over() typingState {
	d.t.Helper()
	for range 100000 {
		if s := d.state(); !s.Active {
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
	d.t.Fatal("the text never ends")
	return typingState{}
}

func (d *deskTop) wantTyped(want string) {
	d.t.Helper()
	synctest.Wait()
	if got := d.keys.typed(); got != want {
		d.t.Errorf("typed was\n%s\nwant\n%s", got, want)
	}
}

func TestText(t *testing.T) {
	atDesk(t, proxy.Node{}, func(d *deskTop) {
		if s := d.state(); s != (typingState{}) {
			t.Errorf("before the first text: %+v", s)
		}
		// The console is started for it.
		var begun struct {
			ID    string
			Total int
		}
		d.ask("POST", "text", `{"text":"aB\n"}`, 202, &begun)
		if begun.ID == "" || begun.Total != 3 {
			t.Errorf("begun is %+v", begun)
		}
		if s := d.over(); s.ID != begun.ID || s.Done != 3 || s.Total != 3 || s.Error != "" {
			t.Errorf("afterwards: %+v", s)
		}
		d.wantTyped("+1e:61 -1e:61 +2a:ffe1 +30:42 -30:42 -2a:ffe1 +1c:ff0d -1c:ff0d")
		// A dead key first.
		d.ask("POST", "text", `{"text":"ê","layout":"de"}`, 202, nil)
		d.over()
		d.wantTyped("+29:fe52 -29:fe52 +12:65 -12:65")
	})
	atDesk(t, proxy.Node{Layout: "de", BySymbol: true}, func(d *deskTop) {
		d.ask("POST", "text", `{"text":"zÊ"}`, 202, nil)
		d.over()
		d.wantTyped("+15:7a -15:7a +2a:ffe1 +12:ca -12:ca -2a:ffe1")
	})
}

// A supervisor whose program has no window yet takes no keys.
func TestTextWaitsForWindow(t *testing.T) {
	atDesk(t, proxy.Node{BySymbol: true}, func(d *deskTop) {
		d.keys.asleep = true
		var p problem
		d.ask("POST", "text", `{"text":"a"}`, 503, &p)
		if p.Code != "console-starting" || p.Detail != `Nothing was typed: the console of "n" is starting: its program has opened no window yet.` {
			t.Errorf("a console without a window: %+v", p)
		}
		time.AfterFunc(3*time.Second, d.keys.light)
		began := time.Now()
		d.ask("POST", "keys", `{"keys":["a"]}`, 204, nil)
		if took := time.Since(began).Round(time.Second); took != 3*time.Second {
			t.Errorf("the key came after %v", took)
		}
		d.wantTyped("+1e:61 -1e:61")
	})
}

// A text takes its time, tells how far it is, and keeps the console running.
func TestTextProgress(t *testing.T) {
	atDesk(t, proxy.Node{Keys: proxy.Pace{Rate: 10}}, func(d *deskTop) {
		console := d.svc.Console("n")
		var told atomic.Int64
		watching, stop := context.WithCancel(context.Background())
		d.wg.Go(func() {
			_, _ = console.Await(watching, func(proxy.Status) bool { told.Add(1); return false })
		})
		d.ask("POST", "text", fmt.Sprintf(`{"text":%q}`, strings.Repeat("ab ", 100)), 202, nil)
		began := time.Now()
		for _, at := range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second} {
			time.Sleep(at - time.Since(began))
			if s := d.state(); !s.Active || s.Done < int(at.Seconds())*10-1 || s.Done > int(at.Seconds())*10+1 || s.Total != 300 {
				t.Errorf("after %v: %+v", at, s)
			}
		}
		// Nobody looks, and the linger time is over.
		if st := console.Status(); st.State != proxy.Live || st.Viewers != 0 {
			t.Errorf("the console is %+v", st)
		}
		d.over()
		if took := time.Since(began).Round(time.Second); took != 30*time.Second {
			t.Errorf("300 characters took %v", took)
		}
		stop()
		if n := told.Load(); n < 60 || n > 4*30+8 {
			t.Errorf("in 30 s there were %d tellings", n)
		}
		time.Sleep(11 * time.Second)
		if st := console.Status(); st.State != proxy.Cold {
			t.Errorf("afterwards the console is %+v", st)
		}
	})
}

// Another text does not begin meanwhile, and DELETE ends the first one between
// two characters.
func TestTextCancelled(t *testing.T) {
	atDesk(t, proxy.Node{}, func(d *deskTop) {
		d.ask("DELETE", "text", "", 204, nil) // there is none
		d.ask("POST", "text", fmt.Sprintf(`{"text":%q}`, strings.Repeat("A", 500)), 202, nil)
		time.Sleep(time.Second)
		var p problem
		d.ask("POST", "text", `{"text":"b"}`, 409, &p)
		if p.Code != "typing" {
			t.Errorf("a second text: %+v", p)
		}
		// Chords come between the characters.
		d.ask("POST", "keys", `{"keys":["Ctrl+c"]}`, 204, nil)
		d.ask("DELETE", "text", "", 204, nil)
		s := d.over()
		if want := fmt.Sprintf("typed %d of 500 characters; it was cancelled", s.Done); s.Error != want || s.Done < 20 || s.Done > 30 {
			t.Errorf("afterwards: %+v", s)
		}
		const a, ctrlC = "+2a:ffe1 +1e:41 -1e:41 -2a:ffe1", "+1d:ffe3 +2e:63 -2e:63 -1d:ffe3"
		synctest.Wait()
		got := d.keys.typed()
		if rest := strings.ReplaceAll(got, a, "A"); strings.Count(rest, "A") != s.Done || !strings.Contains(rest, "A "+ctrlC) ||
			strings.Trim(strings.Replace(rest, ctrlC, "", 1), "A ") != "" {
			t.Errorf("typed was %s", rest)
		}
		d.ask("POST", "text", `{"text":"b"}`, 202, nil)
		if s := d.over(); s.Error != "" || s.Done != 1 {
			t.Errorf("the next text: %+v", s)
		}
	})
}

func TestTextEndsWithTheConsole(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(d *deskTop)
		want string
	}{
		"lost":    {func(d *deskTop) { d.node.cutOff() }, "the console was lost"},
		"stopped": {func(d *deskTop) { _ = d.svc.Console("n").Disable("Enough.") }, "the console was stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, proxy.Node{Keys: proxy.Pace{Interval: 100 * time.Millisecond}}, func(d *deskTop) {
				d.ask("POST", "text", `{"text":"abcdefghijklmnopqrstuvwxyz"}`, 202, nil)
				time.Sleep(time.Second + time.Millisecond)
				c.end(d)
				s := d.over()
				if want := fmt.Sprintf("typed %d of 26 characters; %s", s.Done, c.want); s.Error != want || s.Done < 3 || s.Done > 6 {
					t.Errorf("afterwards: %+v", s)
				}
				// What was down is let go.
				synctest.Wait()
				if got := d.keys.typed(); strings.Count(got, "+") != strings.Count(got, "-") {
					t.Errorf("typed was %s", got)
				}
			})
		})
	}
	// The service ends with a text under way: atDesk wants that to be quick.
	atDesk(t, proxy.Node{}, func(d *deskTop) {
		d.ask("POST", "text", fmt.Sprintf(`{"text":%q}`, strings.Repeat("a", 60000)), 202, nil)
	})
	// There is nothing to type into.
	atDesk(t, proxy.Node{}, func(d *deskTop) {
		d.node.err = fmt.Errorf("the BMC does not answer")
		var p problem
		began := time.Now()
		d.ask("POST", "text", `{"text":"a"}`, 503, &p)
		if p.Code != "console-failed" || !strings.Contains(p.Detail, `Nothing was typed: the console of "n" is failed: the BMC does not answer`) {
			t.Errorf("a console that cannot start: %+v", p)
		}
		if took := time.Since(began); took > 11*time.Second {
			t.Errorf("that took %v", took)
		}
		if s := d.state(); s.Active || !strings.HasPrefix(s.Error, "typed 0 of 1 characters; the console of ") {
			t.Errorf("afterwards: %+v", s)
		}
		_ = d.svc.Console("n").Disable("Enough.")
		d.ask("POST", "text", `{"text":"a"}`, 503, &p)
		if p.Code != "disabled" {
			t.Errorf("a console that is off: %+v", p)
		}
		d.ask("POST", "keys", `{"keys":["a"]}`, 503, &p)
		if p.Code != "disabled" {
			t.Errorf("a console that is off: %+v", p)
		}
	})
}

// Caps Lock would make other letters of a text.
func TestTextWithCapsLock(t *testing.T) {
	const caps = "+3a:ffe5 -3a:ffe5"
	atDesk(t, proxy.Node{}, func(d *deskTop) {
		d.ask("POST", "keys", `{"keys":["Caps_Lock"]}`, 204, nil)
		d.wantTyped(caps)
		d.ask("POST", "text", `{"text":"1a"}`, 202, nil)
		if s := d.over(); s.Error != "" {
			t.Errorf("afterwards: %+v", s)
		}
		d.wantTyped("+2:31 -2:31 " + caps + " +1e:61 -1e:61 " + caps)
		// Digits do not care.
		d.ask("POST", "text", `{"text":"1"}`, 202, nil)
		d.over()
		d.wantTyped("+2:31 -2:31")
		// One that cannot be switched off.
		d.keys.set(true, true)
		d.ask("POST", "text", `{"text":"a"}`, 202, nil)
		if s := d.over(); s.Error != "typed 0 of 1 characters; the node's Caps Lock is on and does not go off: switch it off, and try again" {
			t.Errorf("afterwards: %+v", s)
		}
	})
}

// A text waits until people let go of what would change its characters.
func TestTextWithModifiersHeld(t *testing.T) {
	atDesk(t, proxy.Node{}, func(d *deskTop) {
		near, far := net.Pipe()
		d.wg.Go(func() { _ = d.svc.Console("n").Serve(context.Background(), far, rfb.ViewerConfig{}) })
		v, err := rfbtest.NewViewer(near)
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		_ = near.SetDeadline(time.Time{})
		d.wg.Go(func() { _, _ = io.Copy(io.Discard, near) })
		time.Sleep(painting)
		synctest.Wait()
		hold := func(down bool) {
			if err := v.Send(wire.KeyEvent{Down: down, Keysym: 0xffe3}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		hold(true)
		d.ask("POST", "text", `{"text":"ab"}`, 202, nil)
		time.Sleep(2 * time.Second)
		d.wantTyped("+0:ffe3")
		hold(false)
		if s := d.over(); s.Error != "" {
			t.Errorf("afterwards: %+v", s)
		}
		d.wantTyped("-0:ffe3 +1e:61 -1e:61 +30:62 -30:62")
		hold(true)
		d.ask("POST", "text", `{"text":"ab"}`, 202, nil)
		if s := d.over(); s.Error != "typed 0 of 2 characters; somebody holds Control_L down: let it go, and try again" {
			t.Errorf("afterwards: %+v", s)
		}
		hold(false)
	})
}

// What a viewer holds when the console is stopped is let go at the node.
func TestKeysLetGoWhenStopped(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	v := operator(t, s.view(s.token("n", token.Operate)))
	await(t, v, m)
	// The node's server lets go of them as well when the session ends, but in
	// any order.
	const letters = "ABCDEFGHIJ"
	for _, sym := range "\uffe1" + letters {
		if err := v.Send(wire.KeyEvent{Down: true, Keysym: uint32(sym)}); err != nil {
			t.Fatal(err)
		}
	}
	m.Events(patience(t), 1+len(letters))
	s.call("PUT", "/v1/nodes/n/states/console", `{"enabled":false}`, 202, nil)
	got := m.Events(patience(t), 2*(1+len(letters)))
	for i, e := range got {
		k := e.(rfb.KeyEvent)
		if k.Down != (i < 1+len(letters)) || i > len(letters) && (k.Keysym == 0xffe1) != (i == len(got)-1) {
			t.Fatalf("came %v; want that Shift is let go last", got)
		}
	}
}

func TestKeysOverHTTP(t *testing.T) {
	atDesk(t, proxy.Node{Layout: "de"}, func(d *deskTop) {
		d.ask("POST", "keys", `{"keys":["Control_L+Alt_L+Delete","F2","ö"]}`, 204, nil)
		d.wantTyped("+1d:ffe3 +38:ffe9 +d3:ffff -d3:ffff -38:ffe9 -1d:ffe3 +3c:ffbf -3c:ffbf +27:f6 -27:f6")
		d.ask("POST", "keys", `{"keys":["Alt+SysRq+b"],"layout":"us"}`, 204, nil)
		d.wantTyped("+38:ffe9 +54:ff15 +30:62 -30:62 -54:ff15 -38:ffe9")
		var p problem
		d.ask("POST", "keys", `{"keys":["a","Ctrl+Nonsense"]}`, 422, &p)
		if p.Code != "key-unknown" || !strings.Contains(p.Detail, `there is no key "Nonsense"`) {
			t.Errorf("an unknown key: %+v", p)
		}
		d.wantTyped("")
	})
}

func TestTypingOverHTTP(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m}, proxy.Node{Name: "other", Backend: newMachine(t, 64, 48)})
	const text, keys = "/v1/nodes/n/console/text", "/v1/nodes/n/console/keys"
	long := fmt.Sprintf(`{"text":%q}`, strings.Repeat("a", 64<<10+1))
	many := `{"keys":["a"` + strings.Repeat(`,"a"`, 4096) + `]}`
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"POST", text, `{"text":""}`, 400, "field"},
		{"POST", text, `{}`, 400, "field"},
		{"POST", text, `{"text":"a","speed":3}`, 400, "field"},
		{"POST", text, `{"text":"a","layout":"klingon"}`, 400, "field"},
		{"POST", text, `{"text":7}`, 400, "field"},
		{"POST", text, `[]`, 400, "json"},
		{"POST", text, long, 413, "too-large"},
		{"POST", text, `{"text":"` + strings.Repeat(`\u0061`, 80<<10) + `"}`, 413, "too-large"},
		{"POST", text, `{"text":"a€b😀€"}`, 422, "untypable"},
		{"PUT", text, `{}`, 405, "method"},
		{"POST", "/v1/nodes/x/console/text", `{"text":"a"}`, 404, "node"},
		{"POST", keys, `{"keys":[]}`, 400, "field"},
		{"POST", keys, `{"keys":"a"}`, 400, "field"},
		{"POST", keys, many, 400, "field"},
		{"POST", keys, `{"keys":["` + strings.Repeat("a", 300<<10) + `"]}`, 413, "too-large"},
		{"POST", keys, `{"keys":["Ctrl+"]}`, 422, "key-unknown"},
		{"POST", keys, `{"keys":["a"],"layout":""}`, 400, "field"},
		{"GET", keys, ``, 405, "method"},
	} {
		p := wantProblem(t, s.request(c.method, c.path, c.body, nil), c.status, c.code)
		if len(p.Detail) > 400 {
			t.Errorf("%s %.60s is answered at length: %s", c.path, c.body, p.Detail)
		}
	}
	var named struct {
		Characters []struct {
			Character string
			Count     int
		}
	}
	s.call("POST", text, `{"text":"a€b😀€"}`, 422, &named)
	if got := fmt.Sprint(named.Characters); got != "[{€ 2} {😀 1}]" {
		t.Errorf("the characters are %s", got)
	}
	if n, _, _ := m.counts(); n != 0 {
		t.Error("the console was started for what cannot be typed")
	}

	// Console tokens open it: of this node, and for typing to operate.
	bearer := func(tok string) http.Header { return http.Header{"Authorization": {"Bearer " + tok}} }
	view, operate, foreign := s.token("n", token.View), s.token("n", token.Operate), s.token("other", token.Operate)
	for _, path := range []string{text, keys} {
		wantProblem(t, s.request("POST", path, `{"text":"a"}`, bearer(view)), 403, "token-mode")
		wantProblem(t, s.request("POST", path, `{"text":"a"}`, bearer(foreign)), 403, "token-node")
	}
	wantProblem(t, s.request("DELETE", text, ``, bearer(view)), 403, "token-mode")
	if r := s.request("GET", text, ``, bearer(view)); r.StatusCode != http.StatusOK {
		t.Errorf("who may look may not know what is typed: %s", r.Status)
	}
	header := bearer(operate)
	header.Set("Ironglass-Session", "c2VjcmV0IG9mIGEgcGFnZQ")
	if r := s.request("POST", text, `{"text":"Aa"}`, header); r.StatusCode != http.StatusAccepted {
		t.Errorf("who may operate may not type: %s %s", r.Status, r.Text)
	}
	if n := len(m.Events(patience(t), 6)); n != 6 {
		t.Errorf("%d events came", n)
	}
	var state typingState
	s.call("GET", text, "", 200, &state)
	if want := "Qiz1y-Y8TEwt"; state.By != want {
		t.Errorf("typed by %q, want %q", state.By, want)
	}
	if r := s.request("POST", keys, `{"keys":["F1"]}`, bearer(operate)); r.StatusCode != http.StatusNoContent {
		t.Errorf("who may operate may not type keys: %s %s", r.Status, r.Text)
	}
	if n := len(m.Events(patience(t), 8)); n != 8 {
		t.Errorf("%d events came", n)
	}
	if strings.Contains(s.log.String(), "Aa") {
		t.Error("what was typed is in the log")
	}
}
