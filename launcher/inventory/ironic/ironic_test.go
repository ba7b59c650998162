package ironic_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/launcher/inventory"
	"github.com/ironglass/ironglass/launcher/inventory/ironic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const password = "s3cret-of-the-bmc"

// api answers as Ironic's API does. It is an http.RoundTripper too, for tests
// without a network.
type api struct {
	mu     sync.Mutex
	nodes  []map[string]any
	status int    // other than 200
	body   string // other than a list
	asked  int
	wanted string // Authorization
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	status := a.status
	switch {
	case status != 0:
	case r.URL.Path != "/v1/nodes":
		status = http.StatusNotFound
	case r.Header.Get("X-OpenStack-Ironic-API-Version") != "1.65":
		status = http.StatusNotAcceptable
	case a.wanted != r.Header.Get("Authorization"):
		status = http.StatusUnauthorized
	}
	if status != 0 {
		http.Error(w, `{"error_message": "nobody is to read `+password+`"}`, status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if a.body != "" {
		_, _ = io.WriteString(w, a.body)
		return
	}
	from := 0
	for i, n := range a.nodes {
		if n["uuid"] == r.URL.Query().Get("marker") {
			from = i + 1
		}
	}
	page := a.nodes[from:min(len(a.nodes), from+2)]
	_ = json.NewEncoder(w).Encode(map[string]any{"nodes": append([]map[string]any{}, page...), "next": "http://192.0.2.99/elsewhere"})
}

func (a *api) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result(), nil
}

func uuid(i int) string { return fmt.Sprintf("99694c1e-6327-4d58-9466-%012d", i) }

func native(i int) map[string]any {
	return map[string]any{
		"uuid": uuid(i), "name": fmt.Sprintf("rack-%d", i), "driver_info": map[string]any{},
		"extra": map[string]any{"ironglass_console": map[string]any{"rfb": fmt.Sprintf("192.0.2.%d:5900", i)}},
	}
}

func source(t *testing.T, log io.Writer, cfg ironic.Config) *ironic.Source {
	cfg.Log = slog.New(slog.NewTextHandler(io.MultiWriter(log, t.Output()), nil))
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	return ironic.New(cfg)
}

// TestReadsAll: all pages are read, by markers and not by the links in them.
func TestReadsAll(t *testing.T) {
	a := &api{nodes: []map[string]any{native(1), native(2), native(3), native(4), native(5)}, wanted: "Basic dTpw"}
	s := source(t, io.Discard, ironic.Config{
		Endpoints: []string{"http://ironic"}, HTTP: &http.Client{Transport: a},
		Basic: func() (string, string, error) { return "u", "p", nil },
	})
	list, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range list {
		want := inventory.Node{Name: fmt.Sprintf("rack-%d", i+1), UUID: uuid(i + 1), Console: inventory.Console{RFB: fmt.Sprintf("192.0.2.%d:5900", i+1)}}
		if !reflect.DeepEqual(n, want) {
			t.Errorf("node %d is %+v", i, n)
		}
	}
	if st := s.Status(); len(list) != 5 || st.Nodes != 5 || st.Faulty != 0 || st.Cause != "" || st.ReadAt.IsZero() {
		t.Errorf("%d nodes, %+v", len(list), st)
	}
}

// TestFaults: each way in which an API can fail is named, counted and logged
// once, without anything that it said.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		api   *api
		cause string
		says  string
	}{
		"401":         {&api{status: 401}, ironic.CauseCredential, "(401)"},
		"403":         {&api{status: 403}, ironic.CauseForbidden, "(403)"},
		"404":         {&api{status: 404}, ironic.CauseNotFound, "(404)"},
		"406":         {&api{status: 406}, ironic.CauseVersion, "13.1"},
		"429":         {&api{status: 429}, ironic.CauseUnavailable, "(429)"},
		"503":         {&api{status: 503}, ironic.CauseUnavailable, "(503)"},
		"302":         {&api{status: 302}, ironic.CauseNonsense, "302"},
		"a page":      {&api{body: "<html>" + password}, ironic.CauseNonsense, "something else"},
		"no list":     {&api{body: `{}`}, ironic.CauseNonsense, "something else"},
		"null":        {&api{body: `{"nodes":null}`}, ironic.CauseNonsense, "something else"},
		"not a list":  {&api{body: `{"nodes":"` + password + `"}`}, ironic.CauseNonsense, "something else"},
		"cut off":     {&api{body: `{"nodes":[{"uuid":"` + password}, ironic.CauseNonsense, "something else"},
		"not a UUID":  {&api{body: `{"nodes":[{"uuid":"` + password + `"}]}`}, ironic.CauseNonsense, "something else"},
		"without end": {&api{body: `{"nodes":[{"uuid":"` + uuid(1) + `"}]}`}, ironic.CauseNonsense, "no end"},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			s := source(t, &log, ironic.Config{Endpoints: []string{"http://ironic"}, HTTP: &http.Client{
				Transport:     test.api,
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			}})
			for range 2 {
				_, err := s.Read(t.Context())
				var f *ironic.Fault
				if !errors.As(err, &f) || f.Cause != test.cause || !strings.Contains(f.Reason, test.says) || !strings.Contains(f.Reason, "http://ironic/v1/") {
					t.Fatalf("the error is %#v", err)
				}
			}
			st := s.Status()
			if st.Cause != test.cause || st.Reason == "" || st.Failures[test.cause] != 2 {
				t.Errorf("the status is %+v", st)
			}
			if text := log.String(); strings.Contains(text+st.Reason, password) || strings.Count(text, "level=ERROR") != 1 {
				t.Errorf("logged: %s", text)
			}
		})
	}
}

// TestHosts: API hosts are tried in turn, beginning with the last that
// answered.
func TestHosts(t *testing.T) {
	broken, well := &api{status: 503}, &api{nodes: []map[string]any{native(1)}}
	var hosts []string
	for _, h := range []http.Handler{broken, well} {
		server := httptest.NewServer(h)
		defer server.Close()
		hosts = append(hosts, server.URL)
	}
	s := source(t, io.Discard, ironic.Config{Endpoints: append([]string{"http://127.0.0.1:1/v1"}, hosts...)})
	for range 3 {
		if list, err := s.Read(t.Context()); err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
	}
	if broken.asked != 1 {
		t.Errorf("the broken host was asked %d times", broken.asked)
	}
	well.status = 500
	var f *ironic.Fault
	if _, err := s.Read(t.Context()); !errors.As(err, &f) || f.Cause != ironic.CauseUnavailable {
		t.Errorf("two hosts that say no and one that is silent: %v", err)
	}
	broken.status = 0
	if list, err := s.Read(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
}

// TestRun: changes are told, a lost API tells nothing and is asked less and
// less often, and the list outlives the program without its passwords.
func TestRun(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "ironic.json")
	synctest.Test(t, func(t *testing.T) {
		a := &api{nodes: []map[string]any{native(1)}}
		cfg := ironic.Config{Endpoints: []string{"http://ironic"}, HTTP: &http.Client{Transport: a}, Cache: cache}
		s := source(t, io.Discard, cfg)
		known, err := s.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var told [][]inventory.Node
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Run(ctx, known, func(list []inventory.Node) { told = append(told, list) })
		}()
		pass := func(d time.Duration) int {
			a.mu.Lock()
			before := a.asked
			a.mu.Unlock()
			time.Sleep(d)
			synctest.Wait()
			a.mu.Lock()
			defer a.mu.Unlock()
			return a.asked - before
		}
		change := func(f func()) {
			a.mu.Lock()
			defer a.mu.Unlock()
			f()
		}
		if pass(10 * time.Minute); len(told) != 0 {
			t.Errorf("nothing has changed and %v was told", told)
		}
		change(func() {
			n := native(2)
			n["driver_info"] = map[string]any{"ipmi_address": "192.0.2.2", "ipmi_username": "root", "ipmi_password": password}
			a.nodes = append(a.nodes, n)
		})
		if pass(2 * time.Minute); len(told) != 1 || len(told[0]) != 2 || told[0][1].BMC.Password.Reveal() != password {
			t.Fatalf("a new node: %v was told", told)
		}
		change(func() { a.status = 503 })
		if n := pass(2 * time.Minute); n < 4 || n > 7 {
			t.Errorf("a lost API was asked %d times in the first two minutes", n)
		}
		pass(30 * time.Minute)
		if n := pass(time.Hour); n < 10 || n > 14 {
			t.Errorf("a lost API was asked %d times in an hour", n)
		}
		if len(told) != 1 {
			t.Errorf("a lost API told %v", told[1:])
		}
		change(func() { a.status, a.nodes = 0, a.nodes[:1] })
		if pass(10 * time.Minute); len(told) != 2 || len(told[1]) != 1 {
			t.Errorf("a node that is gone: %v was told", told)
		}
		change(func() {
			a.nodes = append(a.nodes, native(3))
			a.nodes[1]["driver_info"] = map[string]any{"ipmi_address": "192.0.2.2", "ipmi_password": password}
		})
		pass(2 * time.Minute)
		stop()
		<-done

		body, err := os.ReadFile(cache)
		if err != nil || bytes.Contains(body, []byte(password)) {
			t.Errorf("the cache is %v: %s", err, body)
		}
		if st, err := os.Stat(cache); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("the cache: %v, %v", st.Mode(), err)
		}
		kept, at, err := source(t, io.Discard, cfg).Cached()
		if err != nil || len(kept) != 2 || at.IsZero() || kept[1].Name != "rack-3" || kept[1].BMC.Address != "192.0.2.2" {
			t.Errorf("kept: %+v, %v, %v", kept, at, err)
		}
	})
	for name, text := range map[string]string{"cut off": `{"version":1,`, "another": `{"version":9}`, "wrong": `{"version":1,"nodes":[{}]}`} {
		if err := os.WriteFile(cache, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s := source(t, io.Discard, ironic.Config{Cache: cache})
		if list, _, err := s.Cached(); err == nil || list != nil {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

// TestTrustIsNotKept: what was trusted at the last start is not for that at
// the next.
func TestTrustIsNotKept(t *testing.T) {
	n := native(1)
	n["extra"] = map[string]any{"ironglass_console": map[string]any{"command": []string{"xterm"}}}
	cfg := ironic.Config{
		Endpoints: []string{"http://ironic"}, Trusted: true, Cache: filepath.Join(t.TempDir(), "ironic.json"),
		HTTP: &http.Client{Transport: &api{nodes: []map[string]any{n}}},
	}
	s := source(t, io.Discard, cfg)
	list, err := s.Read(t.Context())
	if err != nil || list[0].Console.Command == nil {
		t.Fatalf("%+v, %v", list, err)
	}
	s.Keep(list)
	for _, trusted := range []bool{true, false} {
		cfg.Trusted = trusted
		kept, _, err := source(t, io.Discard, cfg).Cached()
		if err != nil || len(kept) != 1 || (kept[0].Console.Command != nil) != trusted || (kept[0].Fault == "") != trusted {
			t.Errorf("trusted %v: %+v, %v", trusted, kept, err)
		}
	}
}

// TestConvert: what driver_info and extra say, and what is wrong with it.
func TestConvert(t *testing.T) {
	type m = map[string]any
	bmc := m{"ipmi_address": "192.0.2.10", "ipmi_username": "admin", "ipmi_password": password}
	with := func(more m) m {
		all := m{}
		for _, part := range []m{bmc, more} {
			for k, v := range part {
				all[k] = v
			}
		}
		return all
	}
	for name, test := range map[string]struct {
		node    m
		trusted bool
		want    func(n inventory.Node) bool
		fault   string
	}{
		"IPMI": {node: m{"driver": "ipmi", "driver_info": with(m{"ipmi_port": 6230, "console_image": "glass:1"})}, want: func(n inventory.Node) bool {
			return *n.BMC == inventory.BMC{Protocol: "ipmi", Address: "192.0.2.10:6230", Username: "admin", Password: inventory.NewSecret(password)} &&
				reflect.DeepEqual(n.Console, inventory.Console{Recipe: "auto", Image: "glass:1"})
		}},
		"Redfish first": {node: m{"driver": "idrac", "driver_info": with(m{
			"redfish_address": "https://192.0.2.11/", "redfish_username": "root", "redfish_password": password,
		})}, want: func(n inventory.Node) bool {
			return n.BMC.Protocol == "redfish" && n.BMC.Address == "https://192.0.2.11/"
		}},
		"the driver's own first": {node: m{"driver": "ipmi", "driver_info": with(m{
			"redfish_address": "https://192.0.2.11/", "redfish_username": "root", "redfish_password": password,
		})}, want: func(n inventory.Node) bool { return n.BMC.Protocol == "ipmi" }},
		"owner and the like": {node: m{"owner": "o", "lessee": "l", "maintenance": true, "driver_info": bmc}, want: func(n inventory.Node) bool {
			return n.About == inventory.About{Owner: "o", Lessee: "l", Maintenance: true}
		}},
		"no name":   {node: m{"name": nil, "driver_info": bmc}, want: func(n inventory.Node) bool { return n.Name == "node-"+uuid(1) }},
		"long name": {node: m{"name": strings.Repeat("x", 64), "driver_info": bmc}, want: func(n inventory.Node) bool { return n.Name == "node-"+uuid(1) }},
		"all settings": {node: m{"driver_info": m{"ironglass_console": m{
			"rfb": "wss://192.0.2.1/kvm/0", "seats": "exclusive", "layout": "de", "image": "x",
		}}}, want: func(n inventory.Node) bool {
			return reflect.DeepEqual(n.Console, inventory.Console{RFB: "wss://192.0.2.1/kvm/0", Seats: "exclusive", Layout: "de", Image: "x"})
		}},
		"as a text": {node: m{"extra": m{"ironglass_console": `{"recipe": "openbmc", "geometry": "800x600"}`}, "driver_info": bmc}, want: func(n inventory.Node) bool {
			return n.Console.Recipe == "openbmc" && n.Console.Width == 800
		}},
		"a command": {trusted: true, node: m{"extra": m{"ironglass_console": m{"command": []string{"xterm"}}}}, want: func(n inventory.Node) bool {
			return reflect.DeepEqual(n.Console.Command, []string{"xterm"})
		}},
		"a command of anybody's": {node: m{"extra": m{"ironglass_console": m{"command": []string{"xterm"}}}}, fault: "set inventory.ironic.trusted"},
		"a socket":               {node: m{"extra": m{"ironglass_console": m{"rfb": "unix:/run/x"}}}, fault: "set inventory.ironic.trusted"},
		"this machine":           {node: m{"extra": m{"ironglass_console": m{"rfb": "127.0.0.1:5900"}}}, fault: "set inventory.ironic.trusted"},
		"this machine, mapped":   {node: m{"extra": m{"ironglass_console": m{"rfb": "[::ffff:127.0.0.1]:5900"}}}, fault: "set inventory.ironic.trusted"},
		"this machine, short":    {node: m{"extra": m{"ironglass_console": m{"rfb": "127.1:5900"}}}, fault: "set inventory.ironic.trusted"},
		"this machine, as a URL": {node: m{"extra": m{"ironglass_console": m{"rfb": "ws://LOCALHOST./"}}}, fault: "set inventory.ironic.trusted"},
		"no BMC":                 {node: m{"driver_info": m{}}, fault: "names no BMC"},
		"no password":            {node: m{"driver_info": m{"redfish_address": "192.0.2.1", "redfish_username": "x"}}, fault: "no redfish_password"},
		"no user":                {node: m{"driver_info": m{"redfish_address": "192.0.2.1", "redfish_password": "x"}}, fault: "no redfish_username"},
		"hidden":                 {node: m{"driver_info": with(m{"ipmi_password": "******"})}, fault: "show_password"},
		"a user in the address":  {node: m{"driver_info": with(m{"ipmi_address": "https://u:" + password + "@h"})}, fault: "ipmi_address: this is not the address"},
		"an odd address":         {node: m{"driver_info": with(m{"ipmi_address": "a b"})}, fault: "ipmi_address: this is not the address"},
		"an odd port":            {node: m{"driver_info": with(m{"ipmi_port": "70000"})}, fault: "none from 1 to 65535"},
		"not an object":          {node: m{"driver_info": m{"ironglass_console": 3}}, fault: "not an object"},
		"an unknown key":         {node: m{"driver_info": m{"ironglass_console": m{"rbf": "x"}}}, fault: "rbf"},
		"two objects":            {node: m{"driver_info": m{"ironglass_console": "{} {}"}}, fault: "something follows"},
		"geometry":               {node: m{"driver_info": m{"ironglass_console": m{"recipe": "x", "geometry": "9x9"}}}, fault: "out of range"},
		"two kinds":              {node: m{"driver_info": m{"ironglass_console": m{"rfb": "192.0.2.1:5900", "recipe": "x"}}}, fault: "cannot go together"},
		"no port":                {node: m{"driver_info": m{"ironglass_console": m{"rfb": "192.0.2.1"}}}, fault: "is not an address"},
	} {
		t.Run(name, func(t *testing.T) {
			n := m{"uuid": uuid(1), "name": "rack1-u12"}
			for k, v := range test.node {
				n[k] = v
			}
			var log bytes.Buffer
			s := source(t, &log, ironic.Config{
				Endpoints: []string{"http://ironic"}, Trusted: test.trusted,
				HTTP: &http.Client{Transport: &api{nodes: []m{n, native(2)}}},
			})
			list, err := s.Read(t.Context())
			if err != nil || len(list) != 2 || list[1].Fault != "" {
				t.Fatalf("%+v, %v", list, err)
			}
			if _, err := inventory.New(list); err != nil {
				t.Errorf("no inventory: %v", err)
			}
			got := list[0]
			if test.fault == "" && (got.Fault != "" || !test.want(got)) || !strings.Contains(got.Fault, test.fault) {
				t.Errorf("the node is %+v, %+v", got, got.BMC)
			}
			if text := log.String() + fmt.Sprintf("%+v %v %#v", got.BMC, list, got); strings.Contains(text, password) {
				t.Errorf("the password is told: %s", text)
			}
			if st := s.Status(); (st.Faulty == 1) != (test.fault != "") {
				t.Errorf("%+v", st)
			}
		})
	}
}
