package proxy_test

import (
	"context"
	"errors"
	"image"
	"image/png"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
)

const uuid = "99694c1e-6327-4d58-9466-87f7265958af"

func TestNodes(t *testing.T) {
	m := newMachine(t, 320, 240)
	s := start(t, nil,
		proxy.Node{Name: "rack1-u12", UUID: uuid, Kind: "command", Backend: m},
		proxy.Node{Name: "lab-vm", Backend: newMachine(t, 10, 10)})
	type node struct {
		Name, UUID, Kind, State, Reason string
		Since                           time.Time
		Viewers, Width, Height          int
	}
	list := func() []node {
		var got struct{ Nodes []node }
		s.call("GET", "/v1/nodes", "", 200, &got)
		return got.Nodes
	}
	got := list()
	if len(got) != 2 || got[0].Name != "rack1-u12" || got[0].UUID != uuid || got[0].Kind != "command" ||
		got[0].State != "cold" || got[0].Since.IsZero() || got[1].Name != "lab-vm" {
		t.Errorf("nodes %+v", got)
	}
	v := operator(t, s.view(s.token("rack1-u12", token.Operate)))
	await(t, v, m)
	if n := list()[0]; n.State != "live" || n.Viewers != 1 || n.Width != 320 || n.Height != 240 {
		t.Errorf("node %+v", n)
	}
}

func TestTokensOverHTTP(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, nil, proxy.Node{Name: "rack 1", UUID: uuid, Backend: m})
	for _, c := range []struct {
		id, body string
		mode     token.Mode
		ttl      time.Duration
	}{
		{"rack%201", `{}`, token.Operate, 10 * time.Minute},
		{uuid, `{"mode":"view","ttl":"30s"}`, token.View, 30 * time.Second},
		{strings.ToUpper(uuid), `{"mode":"operate","ttl":"24h"}`, token.Operate, 24 * time.Hour},
	} {
		var got struct {
			Token, URL, Mode string
			WebsocketURL     string    `json:"websocket_url"`
			ExpiresAt        time.Time `json:"expires_at"`
		}
		before := time.Now()
		resp := s.request("POST", "/v1/nodes/"+c.id+"/console/tokens", c.body, nil)
		if resp.Header.Get("Cache-Control") != "no-store" {
			t.Error("a token may be cached")
		}
		s.call("POST", "/v1/nodes/"+c.id+"/console/tokens", c.body, 201, &got)
		s.keep(got.Token)
		claims, err := s.tokens.Verify(got.Token, time.Now())
		if err != nil || claims.Node != "rack 1" || claims.Mode != c.mode || got.Mode != string(c.mode) {
			t.Errorf("%s: claims %+v, %v", c.body, claims, err)
		}
		if !got.ExpiresAt.Equal(claims.Expires) || got.ExpiresAt.Before(before.Add(c.ttl)) || got.ExpiresAt.After(time.Now().Add(c.ttl+time.Second)) {
			t.Errorf("%s: expires at %v", c.body, got.ExpiresAt)
		}
		for address, want := range map[string]string{
			got.URL:          s.http.URL + "/vnc_auto.html",
			got.WebsocketURL: "ws" + strings.TrimPrefix(s.http.URL, "http") + "/websockify",
		} {
			u, err := url.Parse(address)
			if err != nil || u.Query().Get("token") != got.Token {
				t.Fatalf("the address %s lacks the token: %v", address, err)
			}
			if u.RawQuery = ""; u.String() != want {
				t.Errorf("address %s, want %s", u, want)
			}
		}
	}
	var info struct {
		Enabled bool                        `json:"console_enabled"`
		Info    *struct{ Type, URL string } `json:"console_info"`
	}
	s.call("GET", "/v1/nodes/"+uuid+"/states/console", "", 200, &info)
	u, err := url.Parse(info.Info.URL)
	if err != nil || !info.Enabled || info.Info.Type != "vnc" {
		t.Fatalf("console %+v, %v", info, err)
	}
	s.keep(u.Query().Get("token"))
	v := operator(t, s.view(u.Query().Get("token")))
	await(t, v, m)
	s.call("PUT", "/v1/nodes/"+uuid+"/states/console", `{"enabled":false}`, 202, nil)
	s.call("GET", "/v1/nodes/"+uuid+"/states/console", "", 200, &info)
	if info.Enabled || info.Info != nil {
		t.Errorf("a disabled console: %+v", info)
	}
}

func TestPublicURL(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, func(c *proxy.Config) { c.PublicURL = "https://example.net/console/" }, proxy.Node{Name: "n", Backend: m})
	var got struct {
		Token, URL   string
		WebsocketURL string `json:"websocket_url"`
	}
	s.call("POST", "/v1/nodes/n/console/tokens", `{}`, 201, &got)
	s.keep(got.Token)
	if !strings.HasPrefix(got.URL, "https://example.net/console/vnc_auto.html?token=") ||
		!strings.HasPrefix(got.WebsocketURL, "wss://example.net/console/websockify?token=") {
		t.Errorf("addresses %s and %s", got.URL, got.WebsocketURL)
	}
	// A reverse proxy may leave its path on or take it off.
	for _, prefix := range []string{"", "/console"} {
		for _, path := range []string{"/", "/vnc_auto.html?token=" + got.Token, "/novnc/core/rfb.js", "/v1/nodes", "/healthz"} {
			resp := s.request("GET", prefix+path, "", http.Header{"Host": {"example.net"}})
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s%s: %s", prefix, path, resp.Status)
			}
		}
		ws, resp := s.dial(prefix+"/websockify?token="+got.Token, http.Header{"Origin": {"https://example.net"}})
		if ws == nil {
			t.Errorf("websocket below %q: %s", prefix, resp.Status)
		}
	}
}

func TestBadRequests(t *testing.T) {
	s := start(t, nil, proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	const tokens, console = "/v1/nodes/n/console/tokens", "/v1/nodes/n/states/console"
	text := http.Header{"Content-Type": {"text/plain"}}
	for _, c := range []struct {
		name, method, path, body string
		header                   http.Header
		status                   int
		code                     string
	}{
		{"unknown node", "POST", "/v1/nodes/x/console/tokens", "{}", nil, 404, "node"},
		{"unknown path", "GET", "/v1/nodes/n/elsewhere", "", nil, 404, "path"},
		{"unknown file", "GET", "/elsewhere.js", "", nil, 404, "path"},
		{"a directory", "GET", "/novnc/", "", nil, 404, "path"},
		{"the template", "GET", "/error.html", "", nil, 404, "path"},
		{"method", "DELETE", console, "", nil, 405, "method"},
		{"method of a file", "POST", "/site.css", "{}", nil, 405, "method"},
		{"no body", "POST", tokens, "", http.Header{"Content-Type": {"application/json"}}, 400, "json"},
		{"no content type", "PUT", console, "", nil, 415, "content-type"},
		{"a form", "PUT", console, "enabled=false", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, 415, "content-type"},
		{"text", "PUT", console, `{"enabled":false}`, text, 415, "content-type"},
		{"compressed", "PUT", console, `{"enabled":false}`, http.Header{"Content-Encoding": {"gzip"}}, 415, "content-encoding"},
		{"not JSON", "PUT", console, `enabled`, nil, 400, "json"},
		{"cut short", "PUT", console, `{"enabled":`, nil, 400, "json"},
		{"an array", "PUT", console, `[true]`, nil, 400, "json"},
		{"null", "PUT", console, `null`, nil, 400, "json"},
		{"null where no field is needed", "POST", tokens, ` null `, nil, 400, "json"},
		{"two objects", "PUT", console, `{"enabled":true}{"enabled":false}`, nil, 400, "json"},
		{"missing field", "PUT", console, `{}`, nil, 400, "field"},
		{"unknown field", "PUT", console, `{"enabled":true,"node":"n"}`, nil, 400, "field"},
		{"wrong type", "PUT", console, `{"enabled":"yes"}`, nil, 400, "field"},
		{"a string for a list", "POST", "/v1/nodes/n/console/keys", `{"keys":"F1"}`, nil, 400, "field"},
		{"too large", "PUT", console, `{"enabled":` + strings.Repeat(" ", 1<<17) + `true}`, nil, 413, "too-large"},
		{"too large behind", "PUT", console, `{"enabled":true}` + strings.Repeat(" ", 1<<17), nil, 413, "too-large"},
		{"wrong mode", "POST", tokens, `{"mode":"admin"}`, nil, 400, "field"},
		{"wrong ttl", "POST", tokens, `{"ttl":"soon"}`, nil, 400, "field"},
		{"ttl as a number", "POST", tokens, `{"ttl":600}`, nil, 400, "field"},
		{"negative ttl", "POST", tokens, `{"ttl":"-10m"}`, nil, 400, "field"},
		{"long ttl", "POST", tokens, `{"ttl":"25h"}`, nil, 400, "field"},
		{"width", "GET", "/v1/nodes/n/console/screenshot?width=0", "", nil, 400, "parameter"},
		{"width as text", "GET", "/v1/nodes/n/console/screenshot?width=big", "", nil, 400, "parameter"},
		{"timeout", "GET", "/v1/nodes/n/console/screenshot?timeout=1h", "", nil, 400, "parameter"},
		{"no websocket", "GET", "/websockify?token=" + s.token("n", token.View), "", nil, 426, "upgrade"},
		{"no websocket and no token", "GET", "/websockify", "", nil, 403, "token-missing"},
		{"no websocket and a bad token", "GET", "/websockify?token=x", "", nil, 403, "token-unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp := s.request(c.method, c.path, c.body, c.header)
			p := wantProblem(t, resp, c.status, c.code)
			if strings.Contains(p.Detail, "goroutine") || strings.Contains(p.Detail, ".go:") {
				t.Errorf("the detail %q speaks of the program's inside", p.Detail)
			}
			if strings.Contains(p.Detail, "[]") || strings.Contains(p.Detail, " bool") {
				t.Errorf("the detail %q speaks of Go's types", p.Detail)
			}
			if c.status == 405 && resp.Header.Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
	if st := s.svc.Console("n").Status(); !st.Enabled || st.State != proxy.Cold {
		t.Errorf("a bad request had an effect: %+v", st)
	}
}

func TestPages(t *testing.T) {
	s := start(t, nil, proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	good := s.token("n", token.View)
	if resp := s.request("GET", "/", "", nil); resp.StatusCode != http.StatusOK || !strings.Contains(resp.Text, "fleet") {
		t.Errorf("the fleet page: %s", resp.Status)
	}
	inner := url.Values{"path": {"websockify?token=" + good}}.Encode()
	for _, name := range []string{"/vnc_auto.html", "/vnc_lite.html", "/vnc.html"} {
		for _, query := range []string{"", "?token=" + good, "?token=" + good + "&title=x&autoconnect=1", "?" + inner} {
			resp := s.request("GET", name+query, "", nil)
			if resp.StatusCode != http.StatusOK || !strings.Contains(resp.Text, "console") {
				t.Errorf("%s: %s", name, resp.Status)
			}
			h := resp.Header
			if h.Get("X-Frame-Options") != "" || strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors") {
				t.Error("the page cannot be framed")
			}
			if h.Get("Referrer-Policy") != "no-referrer" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Security-Policy") == "" {
				t.Errorf("headers %v", h)
			}
		}
	}
	resp := s.request("GET", "/novnc/core/rfb.js", "", nil)
	tag := resp.Header.Get("ETag")
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/javascript") || tag == "" {
		t.Errorf("a script: %s %v", resp.Status, resp.Header)
	}
	if resp := s.request("GET", "/novnc/core/rfb.js", "", http.Header{"If-None-Match": {tag}}); resp.StatusCode != http.StatusNotModified {
		t.Errorf("the script again: %s", resp.Status)
	}
	if resp := s.request("HEAD", "/", "", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %s", resp.Status)
	}
}

// badTokens returns one token for each way to be bad, with the problem's code.
func badTokens(t *testing.T, s *setup) map[string]string {
	t.Helper()
	other, err := token.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	foreign, _, err := other.Issue(token.Claims{Node: "n", Mode: token.Operate}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	expired, _, err := s.tokens.Issue(token.Claims{Node: "n", Mode: token.Operate}, time.Second, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	revoked := s.token("other", token.Operate)
	if err := s.tokens.Revoke("other"); err != nil {
		t.Fatal(err)
	}
	s.keep(expired)
	s.keep(foreign)
	return map[string]string{
		"swordfish": "token-unknown", foreign: "token-unknown", expired: "token-expired",
		revoked: "token-revoked", s.token("gone", token.Operate): "token-node",
	}
}

func TestBadTokens(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m}, proxy.Node{Name: "other", Backend: m})
	for tok, code := range badTokens(t, s) {
		for _, path := range []string{"/vnc_auto.html?token=" + tok, "/vnc.html?" + url.Values{"path": {"?token=" + tok}}.Encode()} {
			resp := s.request("GET", path, "", nil)
			text := resp.Text
			if resp.StatusCode != http.StatusForbidden || !strings.Contains(text, "403 The") && !strings.Contains(text, "403 This") || !strings.Contains(resp.Header.Get("Content-Type"), "text/html") {
				t.Errorf("%s: %s %s", code, resp.Status, text)
			}
			if strings.Contains(text, tok) {
				t.Errorf("%s: the page repeats the token", code)
			}
			if resp.Header.Get("Cache-Control") != "no-store" || strings.Contains(resp.Header.Get("Content-Security-Policy"), "frame-ancestors") {
				t.Errorf("%s: headers %v", code, resp.Header)
			}
		}
		for _, path := range []string{"/websockify?token=" + tok, "/?token=" + tok} {
			ws, resp := s.dial(path, nil)
			if ws != nil {
				t.Fatalf("%s: the websocket opens", code)
			}
			wantProblem(t, resp, 403, code)
		}
		if _, resp := s.dial("/websockify", http.Header{"Cookie": {"token=" + tok}}); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s as a cookie: %s", code, resp.Status)
		}
	}
	_, resp := s.dial("/websockify", nil)
	wantProblem(t, resp, 403, "token-missing")
	if starts, _, _ := m.counts(); starts != 0 {
		t.Error("a bad token started the console")
	}
	if text := s.metrics(); !strings.Contains(text, `ironglass_refused_total{cause="token-expired"} 5`) {
		t.Errorf("metrics lack the refusals:\n%s", text)
	}
}

func (s *setup) metrics() string {
	s.t.Helper()
	return s.request("GET", "/metrics", "", nil).Text
}

func TestRebindingAndForeignPages(t *testing.T) {
	s := start(t, func(c *proxy.Config) { c.PublicURL = "https://console.example.net" },
		proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	const tokens = "/v1/nodes/n/console/tokens"
	for host, ok := range map[string]bool{
		"localhost:6080": true, "127.0.0.1": true, "127.8.9.10:1": true, "[::1]:6080": true, "[::1]": true, "LOCALHOST": true,
		"console.example.net": true, "evil.example": false, "127.0.0.1.evil.example": false, "192.0.2.1": false,
		"localhost.evil.example:6080": false, "[2001:db8::1]:80": false,
	} {
		for _, path := range []string{"/", "/v1/nodes", "/healthz", "/websockify", "/metrics"} {
			resp := s.request("GET", path, "", http.Header{"Host": {host}})
			if (resp.StatusCode != http.StatusMisdirectedRequest) != ok {
				t.Errorf("Host %s, %s: %s", host, path, resp.Status)
			}
		}
	}
	self := s.http.URL
	for _, c := range []struct {
		header http.Header
		ok     bool
	}{
		{nil, true},
		{http.Header{"Origin": {self}}, true},
		{http.Header{"Origin": {self}, "Sec-Fetch-Site": {"same-origin"}}, true},
		{http.Header{"Origin": {"https://console.example.net"}}, true},
		{http.Header{"Sec-Fetch-Site": {"none"}}, true},
		{http.Header{"Origin": {"https://evil.example"}}, false},
		{http.Header{"Origin": {"null"}}, false},
		{http.Header{"Origin": {"http://127.0.0.1:1"}}, false},
		{http.Header{"Origin": {self, "https://evil.example"}}, false},
		{http.Header{"Sec-Fetch-Site": {"cross-site"}}, false},
		{http.Header{"Sec-Fetch-Site": {"same-site"}}, false},
	} {
		want := 201
		if !c.ok {
			want = 403
		}
		if resp := s.request("POST", tokens, `{}`, c.header); resp.StatusCode != want {
			t.Errorf("%v: %s, want %d", c.header, resp.Status, want)
		}
		if resp := s.request("GET", "/v1/nodes", "", c.header); (resp.StatusCode == http.StatusOK) != c.ok {
			t.Errorf("GET with %v: %s", c.header, resp.Status)
		}
	}
}

func TestCredential(t *testing.T) {
	s := start(t, func(c *proxy.Config) { c.APIToken = "correct horse battery" },
		proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	for _, path := range []string{"/v1/nodes", "/v1/nodes/n/states/console", "/v1/nodes/n/console/screenshot?start=false", "/v1/x"} {
		for value, code := range map[string]string{
			"": "credential-missing", "Basic Zm9vOmJhcg==": "credential-missing", "Bearer": "credential-wrong",
			"Bearer wrong": "credential-wrong", "Bearer correct horse battery staple": "credential-wrong",
		} {
			resp := s.request("GET", path, "", http.Header{"Authorization": {value}})
			if wantProblem(t, resp, 401, code); resp.Header.Get("WWW-Authenticate") == "" {
				t.Error("401 without WWW-Authenticate")
			}
		}
	}
	// With a credential any name and any page will do.
	foreign := http.Header{"Host": {"console.example.net"}, "Origin": {"https://elsewhere.example"}}
	if resp := s.request("GET", "/v1/nodes", "", foreign); resp.StatusCode != http.StatusOK {
		t.Errorf("with the credential: %s", resp.Status)
	}
	// The pages themselves hold nothing.
	for _, path := range []string{"/", "/vnc_auto.html", "/site.css", "/healthz", "/readyz", "/metrics"} {
		if resp := s.request("GET", path, "", http.Header{"Authorization": {""}, "Host": {"console.example.net"}}); resp.StatusCode != http.StatusOK {
			t.Errorf("%s without the credential: %s", path, resp.Status)
		}
	}
}

func screenshot(t *testing.T, s *setup, query string) image.Image {
	t.Helper()
	resp := s.request("GET", "/v1/nodes/n/console/screenshot"+query, "", nil)
	text := resp.Text
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "image/png" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v %.300s", resp.Status, resp.Header, text)
	}
	m, err := png.Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func toFrame(m image.Image) *pixel.Frame {
	b := m.Bounds()
	f := pixel.NewFrame(b.Dx(), b.Dy())
	for y := range f.Height {
		for x := range f.Width {
			r, g, bl, _ := m.At(x, y).RGBA()
			f.Pix[y*f.Stride+x] = r>>8<<16 | g>>8<<8 | bl>>8
		}
	}
	return f
}

func TestScreenshot(t *testing.T) {
	m := newMachine(t, 320, 240)
	s := start(t, func(c *proxy.Config) { c.Linger = -1 }, proxy.Node{Name: "n", Backend: m})
	wantProblem(t, s.request("GET", "/v1/nodes/n/console/screenshot?start=false", "", nil), 503, "console-cold")
	// It starts the console, and shows the node and not the notice.
	if got := toFrame(screenshot(t, s, "?timeout=1m")); !got.Equal(m.Picture()) {
		t.Errorf("the picture differs: %s", rfbtest.Difference(got, m.Picture()))
	}
	v := operator(t, s.view(s.token("n", token.View)))
	await(t, v, m)
	m.Fill(image.Rect(0, 0, 320, 120), 0xff0000)
	m.Fill(image.Rect(0, 120, 320, 240), 0x0000ff)
	await(t, v, m)
	for _, query := range []string{"?timeout=1m", "?start=false"} {
		if got := toFrame(screenshot(t, s, query)); !got.Equal(m.Picture()) {
			t.Errorf("%s: the picture differs: %s", query, rfbtest.Difference(got, m.Picture()))
		}
	}
	small := toFrame(screenshot(t, s, "?width=80"))
	if small.Width != 80 || small.Height != 60 || small.Pixel(40, 10) != 0xff0000 || small.Pixel(40, 50) != 0x0000ff {
		t.Errorf("scaled: %dx%d, %06x, %06x", small.Width, small.Height, small.Pixel(40, 10), small.Pixel(40, 50))
	}
	if big := screenshot(t, s, "?width=4000"); big.Bounds().Dx() != 320 {
		t.Errorf("scaled up to %v", big.Bounds())
	}
	if _, _, accepted := m.counts(); accepted > 2 {
		t.Errorf("%d sessions with the node", accepted)
	}
}

func TestScreenshotOfWhatFails(t *testing.T) {
	m := newMachine(t, 320, 240)
	m.startErr = errors.New("no free KVM slot")
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	p := wantProblem(t, s.request("GET", "/v1/nodes/n/console/screenshot?timeout=1500ms", "", nil), 503, "console-failed")
	if !strings.Contains(p.Detail, "no free KVM slot") {
		t.Errorf("the detail %q lacks the reason", p.Detail)
	}
	s.call("PUT", "/v1/nodes/n/states/console", `{"enabled":false}`, 202, nil)
	wantProblem(t, s.request("GET", "/v1/nodes/n/console/screenshot", "", nil), 503, "disabled")
}

func TestHealthAndMetrics(t *testing.T) {
	m := newMachine(t, 64, 48)
	var ready error
	s := start(t, func(c *proxy.Config) { c.Ready = func(context.Context) error { return ready } }, proxy.Node{Name: "secret-name", Backend: m})
	for _, path := range []string{"/healthz", "/readyz"} {
		s.call("GET", path, "", 200, nil)
	}
	ready = errors.New("the container host does not answer")
	if p := wantProblem(t, s.request("GET", "/readyz", "", nil), 503, "not-ready"); !strings.Contains(p.Detail, "container host") {
		t.Errorf("detail %q", p.Detail)
	}
	v := operator(t, s.view(s.token("secret-name", token.Operate)))
	await(t, v, m)
	text := s.metrics()
	for _, want := range []string{
		"go_goroutines", "process_resident_memory_bytes",
		`ironglass_consoles{state="live"} 1`, `ironglass_consoles{state="cold"} 0`, "ironglass_viewers 1",
		`ironglass_sessions_total{mode="operate"} 1`, `ironglass_console_failures_total{cause="start"} 0`,
		"ironglass_encode_seconds_total", "ironglass_session_seconds_bucket",
		"ironglass_viewer_round_trip_seconds_count ", "ironglass_viewer_round_trip_seconds_sum ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(text, "ironglass_frames_total 0") || strings.Contains(text, "secret-name") {
		t.Errorf("metrics:\n%s", text)
	}
	if t.Failed() {
		t.Log(text)
	}
	_ = v.Conn.Close()
	s.awaitViewers("secret-name", 0)
	s.awaitLog("session ended")
	text = s.metrics()
	if strings.Contains(text, `ironglass_session_bytes_total{direction="sent"} 0`) || !strings.Contains(text, "ironglass_session_seconds_count 1") {
		t.Errorf("metrics after the session:\n%s", text)
	}
}

func TestConfigIsChecked(t *testing.T) {
	tokens, err := token.Ephemeral()
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, 10, 10)
	_, err = proxy.New(proxy.Config{
		Nodes: []proxy.Node{
			{Name: "a", Backend: m}, {Name: "a", Backend: m}, {Name: "", Backend: m}, {Name: "b"},
			{Name: "c", UUID: uuid, Backend: m}, {Name: "d", UUID: strings.ToUpper(uuid), Backend: m}, {Name: "x/y", Backend: m},
		},
		PublicURL: "console.example.net", Access: proxy.Access{AllowedOrigins: []string{"horizon"}}, FrameAncestors: []string{"a; script-src *"},
		Page: pages, Tokens: tokens,
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`called "a"`, "no name", `"b" has nothing`, "UUID", `"x/y"`, `"console.example.net"`, `"horizon"`, "script-src"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not speak of %s: %v", want, err)
		}
	}
	if _, err := proxy.New(proxy.Config{}); err == nil {
		t.Error("an empty configuration is accepted")
	}
}

func TestFrameAncestors(t *testing.T) {
	s := start(t, func(c *proxy.Config) { c.FrameAncestors = []string{"https://horizon.example.net"} })
	csp := s.request("GET", "/vnc_auto.html", "", nil).Header.Get("Content-Security-Policy")
	if !slices.Contains(strings.Split(csp, "; "), "frame-ancestors 'self' https://horizon.example.net") {
		t.Errorf("policy %q", csp)
	}
}
