package proxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
)

// described calls use with each method and path of openapi.yaml, of the node n.
func described(t *testing.T, use func(method, path string)) {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	place := strings.NewReplacer("{id}", "n", "{recording}", "none")
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			use(method, place.Replace(path))
		}
	}
}

// answer makes a request with a body that lacks what it needs, and returns the
// status and the problem's code. What has no end is not read.
func (s *setup) answer(method, path, bearer string) (status int, code string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(patience(s.t), method, s.http.URL+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	if method == http.MethodPost || method == http.MethodPut {
		req.Body = io.NopCloser(strings.NewReader("{}"))
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.Header.Get("Content-Type") == "application/problem+json" {
		var p problem
		if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
			s.t.Fatal(err)
		}
		code = p.Code
	}
	return resp.StatusCode, code
}

// TestDescribedIsServed: whatever openapi.yaml describes is there.
func TestDescribedIsServed(t *testing.T) {
	s := start(t, func(c *proxy.Config) { c.APIToken = "correct horse" }, proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	calls := 0
	described(t, func(method, path string) {
		calls++
		status, code := s.answer(method, path, "correct horse")
		if code == "path" || code == "method" || status >= 500 && status != http.StatusServiceUnavailable {
			t.Errorf("%s %s is answered with %d %s", method, path, status, code)
		}
	})
	if calls < 20 {
		t.Errorf("only %d calls are described", calls)
	}
	if status, code := s.answer(http.MethodGet, "/v1/nodes/n/elsewhere", "correct horse"); status != http.StatusNotFound || code != "path" {
		t.Errorf("what is not described is answered with %d %s", status, code)
	}
}

// TestTokenOpensItsNodeAlone: a console's token, an administrator's too, opens
// nothing of another node and nothing that is the API's.
func TestTokenOpensItsNodeAlone(t *testing.T) {
	s := start(t, func(c *proxy.Config) { c.APIToken = "correct horse" },
		proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)}, proxy.Node{Name: "other", Backend: newMachine(t, 64, 48)})
	var own, foreign struct{ Token string }
	s.call("POST", "/v1/nodes/n/console/tokens", `{"mode":"operate","admin":true}`, http.StatusCreated, &own)
	s.call("POST", "/v1/nodes/other/console/tokens", `{"mode":"operate","admin":true}`, http.StatusCreated, &foreign)
	s.keep(own.Token)
	s.keep(foreign.Token)
	view := s.token("n", token.View)
	// What a token of the node opens, and whether one to look at it does too.
	opens := map[string]bool{
		"GET /v1/nodes/n/console": true, "GET /v1/nodes/n/console/events": true, "GET /v1/nodes/n/console/screenshot": true,
		"GET /v1/nodes/n/console/wait": true, "GET /v1/nodes/n/console/text": true, "GET /v1/nodes/n/power": true,
		"POST /v1/nodes/n/console/lease": true, "POST /v1/nodes/n/console/tokens/renew": true,
		"POST /v1/nodes/n/console/seat": false, "POST /v1/nodes/n/console/keys": false, "POST /v1/nodes/n/console/text": false,
		"DELETE /v1/nodes/n/console/text": false, "POST /v1/nodes/n/power": false,
	}
	refused := func(method, path, tok string) bool {
		status, _ := s.answer(method, path, tok)
		return status == http.StatusUnauthorized || status == http.StatusForbidden
	}
	described(t, func(method, path string) {
		if !refused(method, path, foreign.Token) {
			t.Errorf("%s %s is open to a token of another node", method, path)
		}
		looks, operates := opens[method+" "+path]
		if refused(method, path, own.Token) == operates {
			t.Errorf("%s %s: a token of the node opens it is %v", method, path, !operates)
		}
		// Renewing is for a session, which this is not of.
		if path != "/v1/nodes/n/console/tokens/renew" && refused(method, path, view) == looks {
			t.Errorf("%s %s: a token to look at the node opens it is %v", method, path, !looks)
		}
	})
}
