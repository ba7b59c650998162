package serve_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// ironicAPI answers as Ironic does.
type ironicAPI struct {
	mu    sync.Mutex
	nodes []map[string]any
}

func (a *ironicAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	nodes := a.nodes
	if r.URL.Query().Has("marker") {
		nodes = nil
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"nodes": append([]map[string]any{}, nodes...)})
}

// TestIronicBesideFile: nodes of both places, whose UUIDs and names meet, and
// which follow what changes at Ironic.
func TestIronicBesideFile(t *testing.T) {
	uuid := func(i int) string { return fmt.Sprintf("99694c1e-6327-4d58-9466-%012d", i) }
	node := func(i int, name, layout string) map[string]any {
		return map[string]any{"uuid": uuid(i), "name": name, "owner": fmt.Sprint("project-", i), "driver_info": map[string]any{
			"ironglass_console": map[string]any{"rfb": "192.0.2.1:5900", "layout": layout},
		}}
	}
	api := &ironicAPI{nodes: []map[string]any{node(1, "theirs", "us"), node(2, "two", "us"), node(3, "three", "klingon"), node(4, "four", "de")}}
	server := httptest.NewServer(api)
	defer server.Close()
	const yaml = `inventory: {ironic: {endpoints: [%s], interval: 1s}}
nodes:
  - {name: one, uuid: %s, console: {command: [xterm]}}
  - {name: two, console: {command: [xterm]}}
`
	r := start(t, load(t, t.TempDir(), fmt.Sprintf(yaml, server.URL, uuid(1))))
	want := func(what string, want map[string]string) {
		t.Helper()
		r.eventually(what, func() bool {
			have := r.nodes()
			for name, kind := range want {
				if have[name].Kind != kind {
					return false
				}
			}
			return len(have) == len(want)
		})
	}
	second := "node-" + uuid(2)
	want("there are the nodes of both", map[string]string{"one": "command", "two": "command", second: "rfb", "three": "none", "four": "rfb"})
	if n := r.nodes()["three"]; n.State != "failed" || n.Reason == "" {
		t.Errorf("a node with an unknown layout is %+v", n)
	}
	if _, body := r.get("/v1/nodes"); !bytes.Contains(body, []byte(`"owner":"project-1"`)) {
		t.Errorf("the file's node lacks the owner that Ironic knows: %s", body)
	}
	api.mu.Lock()
	api.nodes = append(api.nodes[1:], node(5, "five", "us"))
	api.mu.Unlock()
	want("a node of Ironic's has come", map[string]string{"one": "command", "two": "command", second: "rfb", "three": "none", "four": "rfb", "five": "rfb"})
}
