package proxy_test

import (
	"image"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/nova"
	"github.com/ironglass/ironglass/proxy/nova/novatest"
)

const (
	novaToken = "16fe4dd5-339a-401d-a8de-81fb752af89f"
	instance  = "8d1f4a52-6b39-4d3c-9f0e-0d8f7a1b2c3d"
)

// inProcess makes requests of a handler without a network.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result(), nil
}

// openstack is how a service asks a cloud.
func openstack(t *testing.T, cloud *novatest.Cloud) *proxy.Nova {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(novatest.CredentialSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	return &proxy.Nova{Client: nova.New(nova.Config{
		AuthURL: "http://cloud.example/v3", ApplicationCredentialID: novatest.CredentialID, SecretFile: file,
		HTTP: &http.Client{Transport: inProcess{cloud}},
	})}
}

// TestNovaTokens: a token of Nova's opens the console that Nova names, by the
// page's names and by websocket, and nothing else.
func TestNovaTokens(t *testing.T) {
	cloud := novatest.New()
	m := newMachine(t, 64, 48)
	r := &proxy.RFB{Connect: 15800}
	s := start(t, func(c *proxy.Config) {
		fronted(r)(c)
		c.Nova = openstack(t, cloud)
		c.Nova.Hosts = []string{"glass.example"}
		c.PublicURL = "https://console.example"
	}, proxy.Node{Name: "metal", UUID: aUUID, Backend: m}, proxy.Node{Name: "other", UUID: bUUID, Backend: newMachine(t, 64, 48)})
	host, text, err := net.SplitHostPort(s.place("metal"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	token := func(i int) string { return novaToken[:len(novaToken)-2] + strconv.Itoa(10+i) }
	cloud.Place(instance, aUUID)
	for i, c := range []struct {
		console nova.Console
		code    string // "" is that it opens
	}{
		{nova.Console{Host: host, Port: port}, ""},
		{nova.Console{Host: "glass.example", Port: port}, ""},
		{nova.Console{Host: host, Port: 15800, Path: aUUID}, ""},
		{nova.Console{Host: host, Port: 15800, Path: "/metal"}, ""},
		{nova.Console{Host: "192.0.2.99", Port: 5900, Instance: instance}, ""},
		{nova.Console{Host: "192.0.2.99", Port: port, Instance: "gone"}, "nova-port"}, // another host's
		{nova.Console{Host: host, Port: 15899, Instance: "gone"}, "nova-port"},
		{nova.Console{Host: host, Port: 15800, Path: "nobody"}, "nova-port"},
	} {
		cloud.Give(token(i), c.console)
		for _, path := range []string{"/vnc_auto.html?token=", "/vnc_lite.html?title=metal(x)&path=%3Ftoken%3D"} {
			page := s.request("GET", path+token(i), "", nil)
			if ok := page.StatusCode == http.StatusOK; ok != (c.code == "") {
				t.Errorf("%+v: the page is %s: %s", c.console, page.Status, page.Text)
			}
		}
		ws, answer := s.dial([]string{"/?token=", "/websockify?token="}[i%2]+token(i), nil)
		if c.code != "" {
			wantProblem(t, answer, http.StatusForbidden, c.code)
			continue
		}
		if ws == nil {
			t.Errorf("%+v: no websocket: %s", c.console, answer.Text)
			continue
		}
		await(t, operator(t, shake(t, ws)), m)
	}
	if text := s.log.String(); !strings.Contains(text, "cause=nova-port") || !strings.Contains(text, "port=15899") {
		t.Error("the log does not name the port")
	}
	s.metric(`ironglass_refused_total{cause="nova-port"} 9`)
	s.awaitViewers("metal", 5)

	// The page's calls of the API are made with the same token.
	bearer := http.Header{"Authorization": {"Bearer " + token(0)}}
	if got := s.request("GET", "/v1/nodes/metal/console", "", bearer); got.StatusCode != http.StatusOK || !strings.Contains(got.Text, `"mode":"operate"`) {
		t.Errorf("the snapshot is %s %s", got.Status, got.Text)
	}
	wantProblem(t, s.request("GET", "/v1/nodes/other/console", "", bearer), http.StatusForbidden, "token-node")
	wantProblem(t, s.request("POST", "/v1/nodes/metal/console/tokens/renew", "", bearer), http.StatusForbidden, "renew")

	// Origins: absent, ours by the scheme that browsers use, and others.
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"none":               {nil, http.StatusUpgradeRequired},
		"ours":               {http.Header{"Origin": {"https://console.example"}}, http.StatusUpgradeRequired},
		"by another scheme":  {http.Header{"Origin": {"http://console.example"}, "Host": {"console.example"}}, http.StatusForbidden},
		"through a proxy":    {http.Header{"Origin": {"http://console.example"}, "Host": {"console.example"}, "X-Forwarded-Proto": {"https"}}, http.StatusUpgradeRequired},
		"through http alone": {http.Header{"Origin": {"https://console.example"}, "X-Forwarded-Proto": {"http"}}, http.StatusForbidden},
		"another":            {http.Header{"Origin": {"https://evil.example"}}, http.StatusForbidden},
	} {
		if got := s.request("GET", "/websockify?token="+token(0), "", c.header); got.StatusCode != c.status {
			t.Errorf("%s: %s %s", name, got.Status, got.Text)
		}
	}
	for i := range 8 {
		if strings.Contains(s.log.String(), token(i)) {
			t.Errorf("a token is in the log")
		}
	}
}

// TestNovaFaults: what OpenStack does not do is named on the page, in the log
// and in a metric, and consoles go on.
func TestNovaFaults(t *testing.T) {
	cloud := novatest.New()
	m := newMachine(t, 64, 48)
	s := start(t, func(c *proxy.Config) { c.Nova = openstack(t, cloud) }, proxy.Node{Name: "n", UUID: aUUID, Backend: m})
	cloud.Place(instance, aUUID)
	cloud.Give(novaToken, nova.Console{Instance: instance})
	ws, _ := s.dial("/?token="+novaToken, nil)
	v := operator(t, shake(t, ws))
	await(t, v, m)
	other := strings.Replace(novaToken, "1", "2", 1)
	for status, want := range map[int]struct {
		page string
		code string
	}{
		0:   {"403 This link has expired", "nova-token"},
		503: {"503 OpenStack does not answer", "nova-unavailable"},
		401: {"503 OpenStack does not let this service ask", "nova-denied"},
	} {
		cloud.Break(status)
		token := strings.Replace(other, "2", strconv.Itoa(status%7), 1)
		if got := s.request("GET", "/vnc_auto.html?token="+token, "", nil); !strings.Contains(got.Text, "<title>"+want.page+"</title>") {
			t.Errorf("with status %d the page is %s", status, got.Text)
		}
		s.metric(`ironglass_refused_total{cause="` + want.code + `"} 1`)
		if !strings.Contains(s.log.String(), "cause="+want.code) {
			t.Errorf("the log has no %s", want.code)
		}
	}
	if strings.Contains(s.log.String(), other[2:]) {
		t.Error("a token is in the log")
	}
	m.Fill(image.Rect(0, 0, 64, 48), 0x123123)
	await(t, v, m)
}

// TestNovaExpiry: a session ends with its token's time where that is wanted,
// and not because Nova is out of reach.
func TestNovaExpiry(t *testing.T) {
	for _, enforced := range []bool{false, true} {
		cloud := novatest.New()
		cloud.Place(instance, "n")
		cloud.Give(novaToken, nova.Console{Instance: instance})
		people(t, func(cfg *proxy.Config, _ *proxy.Node) {
			cfg.Nova = openstack(t, cloud)
			cfg.Nova.EnforceSessionTimeout = enforced
			cfg.PublicURL = "http://console.example"
		}, func(t *testing.T, b *bubble) {
			p := &person{b: b, token: novaToken, secret: "0123456789abcdef"}
			p.open("Ann")
			cloud.Break(http.StatusBadGateway)
			after(5 * time.Minute)
			if code, _ := p.code(); code != 0 {
				t.Errorf("while Nova is out of reach the session ends with %d", code)
			}
			cloud.Break(0)
			after(time.Minute)
			if code, _ := p.code(); code != 0 {
				t.Errorf("the session ends with %d", code)
			}
			cloud.Expire(novaToken)
			after(time.Minute)
			code, why := p.code()
			if enforced && (code != 4001 || !strings.Contains(why, "The session is over")) || !enforced && code != 0 {
				t.Errorf("with enforcement %v the session has ended with %d %q", enforced, code, why)
			}
		})
	}
}
