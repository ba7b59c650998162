package proxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/keystone"
	"github.com/ironglass/ironglass/proxy/token"
)

// scopes is a Keystone whose tokens say what they are for: SCOPE.ROLE, where
// the scope is a project or "system".
type scopes struct{}

func (scopes) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	scope, role, ok := strings.Cut(r.Header.Get("X-Subject-Token"), ".")
	switch {
	case scope == "down":
		w.WriteHeader(http.StatusBadGateway)
	case !ok:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		t := map[string]any{
			"expires_at": time.Now().Add(time.Hour), "roles": []map[string]any{{"name": role}},
			"user": map[string]any{"id": "u", "name": "ann", "domain": map[string]any{"name": "Default"}},
		}
		if scope == "system" {
			t["system"] = map[string]any{"all": true}
		} else {
			t["project"] = map[string]any{"id": scope}
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"token": t}); err != nil {
			return nil, err
		}
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// TestPolicy: what each role may do with its own nodes, others' and those that
// it leases.
func TestPolicy(t *testing.T) {
	const (
		look   = "/v1/nodes/one/console"
		issue  = "/v1/nodes/one/console/tokens"
		states = "/v1/nodes/one/states/console"
	)
	for _, test := range []struct {
		token              string
		lessee             token.Mode
		sees               string
		look, issue, admin int
		code               string // of what is refused
	}{
		{"system.admin", "", "one two", 200, 201, 201, ""},
		{"system.member", "", "one two", 200, 201, 201, ""},
		{"system.reader", "", "one two", 200, 403, 403, "forbidden"},
		{"system.other", "", "", 404, 404, 404, "node"},
		{"owner.admin", "", "one", 200, 201, 201, ""},
		{"owner.member", "", "one", 200, 201, 201, ""},
		{"owner.reader", "", "one", 200, 403, 403, "forbidden"},
		{"owner.other", "", "", 404, 404, 404, "node"},
		{"lessee.admin", "", "", 404, 404, 404, "node"},
		{"lessee.admin", token.View, "one", 200, 403, 403, "forbidden"},
		{"lessee.member", token.Operate, "one", 200, 201, 403, "forbidden"},
		{"lessee.reader", token.Operate, "one", 200, 403, 403, "forbidden"},
		{"stranger.admin", token.Operate, "", 404, 404, 404, "node"},
		{"nonsense", "", "", 401, 401, 401, "credential-wrong"},
		{"down", "", "", 503, 503, 503, "keystone"},
	} {
		t.Run(test.token+" "+string(test.lessee), func(t *testing.T) {
			s := start(t, func(c *proxy.Config) {
				c.Keystone = keystone.New(keystone.Config{URL: "http://keystone/v3", HTTP: &http.Client{Transport: scopes{}}})
				c.Lessee = test.lessee
			}, proxy.Node{Name: "one", Backend: newMachine(t, 64, 64), About: proxy.About{Owner: "owner", Lessee: "lessee"}},
				proxy.Node{Name: "two", Backend: newMachine(t, 64, 64)})
			head := http.Header{"X-Auth-Token": {test.token}}
			want := func(method, path, body string, status int) *reply {
				t.Helper()
				resp := s.request(method, path, body, head)
				if resp.StatusCode != status {
					t.Errorf("%s %s %s: %s, want %d", method, path, body, resp.Status, status)
				}
				if status >= 400 {
					wantProblem(t, resp, status, test.code)
				}
				return resp
			}
			want(http.MethodGet, look, "", test.look)
			resp := want(http.MethodPost, issue, "{}", test.issue)
			if resp.StatusCode == http.StatusCreated && !strings.Contains(resp.Text, `"name":"ann"`) {
				t.Errorf("the token is %s", resp.Text)
			}
			want(http.MethodPost, issue, `{"admin":true}`, test.admin)
			put := test.issue
			if put == http.StatusCreated {
				put = http.StatusAccepted
			}
			want(http.MethodPut, states, `{"enabled":true}`, put)
			if test.look >= 401 && test.look != 404 {
				want(http.MethodGet, "/v1/nodes", "", test.look)
				return
			}
			var list struct{ Nodes []struct{ Name string } }
			resp = want(http.MethodGet, "/v1/nodes", "", 200)
			if err := json.Unmarshal([]byte(resp.Text), &list); err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, n := range list.Nodes {
				names = append(names, n.Name)
			}
			if strings.Join(names, " ") != test.sees {
				t.Errorf("sees %q in the list", names)
			}
			if got := s.firstEvent(head); got != test.sees {
				t.Errorf("sees %q in the events", got)
			}
		})
	}
}

// firstEvent are the nodes' names in the first of /v1/events.
func (s *setup) firstEvent(head http.Header) string {
	s.t.Helper()
	r, err := http.NewRequestWithContext(patience(s.t), http.MethodGet, s.http.URL+"/v1/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = head
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text string
	for buf := make([]byte, 1); !strings.HasSuffix(text, "\n\n"); {
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			s.t.Fatal(err)
		}
		text += string(buf)
	}
	_, data, _ := strings.Cut(text, "data: ")
	var list struct{ Nodes []struct{ Name string } }
	if err := json.Unmarshal([]byte(data), &list); err != nil {
		s.t.Fatalf("%v: %q", err, text)
	}
	var names []string
	for _, n := range list.Nodes {
		names = append(names, n.Name)
	}
	return strings.Join(names, " ")
}

// TestKeystoneAlone: without a token the API is closed, from this machine too,
// and another credential is none.
func TestKeystoneAlone(t *testing.T) {
	s := start(t, func(c *proxy.Config) {
		c.Keystone = keystone.New(keystone.Config{URL: "http://keystone/v3", HTTP: &http.Client{Transport: scopes{}}})
	}, proxy.Node{Name: "one", Backend: newMachine(t, 64, 64)})
	wantProblem(t, s.request(http.MethodGet, "/v1/nodes", "", nil), http.StatusUnauthorized, "credential-missing")
	wantProblem(t, s.request(http.MethodGet, "/v1/nodes", "", http.Header{"Authorization": {"Bearer owner.admin"}}), http.StatusUnauthorized, "credential-wrong")
	// A console token opens its console all the same.
	head := http.Header{"Authorization": {"Bearer " + s.token("one", token.View)}}
	if resp := s.request(http.MethodGet, "/v1/nodes/one/console", "", head); resp.StatusCode != http.StatusOK {
		t.Errorf("a console token: %s %s", resp.Status, resp.Text)
	}
}
