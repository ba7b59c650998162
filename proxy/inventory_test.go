package proxy_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
)

// TestUnavailable: a node that can have no console is listed with the reason,
// which who opens it is shown; all else goes on.
func TestUnavailable(t *testing.T) {
	const reason = "driver_info names no BMC: set redfish_address"
	m := newMachine(t, 320, 200)
	s := start(t, nil, proxy.Node{Name: "bare", Kind: "none", Unavailable: reason}, proxy.Node{Name: "one", Backend: m})
	var list struct {
		Nodes []struct{ Name, Kind, State, Reason string }
	}
	s.call(http.MethodGet, "/v1/nodes", "", http.StatusOK, &list)
	if n := list.Nodes[0]; n.State != "failed" || n.Reason != reason || n.Kind != "none" || list.Nodes[1].State != "cold" {
		t.Errorf("the nodes are %+v", list.Nodes)
	}
	p := wantProblem(t, s.request(http.MethodGet, "/v1/nodes/bare/console/screenshot?timeout=1s", "", nil), http.StatusServiceUnavailable, "console-failed")
	if !strings.Contains(p.Detail, reason) {
		t.Errorf("the problem is %q", p.Detail)
	}
	v := s.view(s.token("bare", token.View))
	s.awaitViewers("bare", 1)
	if st := s.awaitState("bare", proxy.Failed); st.Reason != reason {
		t.Errorf("the reason is %q", st.Reason)
	}
	if err := v.Conn.Close(); err != nil {
		t.Error(err)
	}
}

// TestAbout: what is said about a node changes under its viewers.
func TestAbout(t *testing.T) {
	m := newMachine(t, 320, 200)
	node := proxy.Node{Name: "one", Version: "1", Backend: m}
	s := start(t, nil, node)
	v := s.view(s.token("one", token.View))
	s.awaitState("one", proxy.Live)
	node.About = proxy.About{Owner: "o", Lessee: "l", Maintenance: true}
	if err := s.svc.SetNodes([]proxy.Node{node}); err != nil {
		t.Fatal(err)
	}
	var list struct {
		Nodes []struct {
			Owner, Lessee string
			Maintenance   bool
			Viewers       int
		}
	}
	s.call(http.MethodGet, "/v1/nodes", "", http.StatusOK, &list)
	if n := list.Nodes[0]; n.Owner != "o" || n.Lessee != "l" || !n.Maintenance || n.Viewers != 1 {
		t.Errorf("the node is %+v", n)
	}
	if err := v.Conn.Close(); err != nil {
		t.Error(err)
	}
	if starts, _, _ := m.counts(); starts != 1 {
		t.Errorf("the console was started %d times", starts)
	}
}

// slow is a machine whose stop waits for gate.
type slow struct {
	*machine
	gate chan struct{}
}

func (m slow) Stop(ctx context.Context) error {
	select {
	case <-m.gate:
	case <-ctx.Done():
	}
	return m.machine.Stop(ctx)
}

// TestStopping: a console that was switched off is said to be stopping until
// what ran for it is gone.
func TestStopping(t *testing.T) {
	m := slow{newMachine(t, 320, 200), make(chan struct{})}
	s := start(t, nil, proxy.Node{Name: "one", Backend: m})
	stopping := func() bool {
		var list struct{ Nodes []struct{ Stopping bool } }
		s.call(http.MethodGet, "/v1/nodes", "", http.StatusOK, &list)
		return list.Nodes[0].Stopping
	}
	if stopping() {
		t.Error("it stops before it ran")
	}
	s.call(http.MethodPut, "/v1/nodes/one/states/console", `{"enabled":false}`, http.StatusAccepted, nil)
	if !stopping() {
		t.Error("it does not stop")
	}
	close(m.gate)
	ctx := patience(t)
	for stopping() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("it stops for ever")
		}
	}
}

// TestInventory: a list that cannot be read any more is said to be old, and
// one that never could be keeps the service from being ready.
func TestInventory(t *testing.T) {
	var now atomic.Pointer[proxy.Inventory]
	now.Store(&proxy.Inventory{Source: "ironic", Cause: "credential", Reason: "Ironic refuses the credential.", Failures: map[string]uint64{"credential": 3}})
	s := start(t, func(c *proxy.Config) { c.Inventory = func() proxy.Inventory { return *now.Load() } })
	wantProblem(t, s.request(http.MethodGet, "/readyz", "", nil), http.StatusServiceUnavailable, "inventory")

	read := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	lost := *now.Load()
	lost.ReadAt = read
	now.Store(&lost)
	for _, want := range []struct {
		ready, cause string
		current      bool
	}{{"kept, credential", "credential", false}, {"current", "", true}} {
		resp := s.request(http.MethodGet, "/readyz", "", nil)
		var ready struct{ Inventory string }
		if err := json.Unmarshal([]byte(resp.Text), &ready); err != nil || resp.StatusCode != http.StatusOK || ready.Inventory != want.ready {
			t.Errorf("readyz: %s %s", resp.Status, resp.Text)
		}
		var list struct {
			Inventory struct {
				Source, Cause string
				Current       bool
				ReadAt        time.Time `json:"read_at"`
			}
		}
		s.call(http.MethodGet, "/v1/nodes", "", http.StatusOK, &list)
		if i := list.Inventory; i.Source != "ironic" || i.Cause != want.cause || i.Current != want.current || !i.ReadAt.Equal(read) {
			t.Errorf("the inventory is %+v", i)
		}
		text := s.request(http.MethodGet, "/metrics", "", nil).Text
		for _, line := range []string{
			`ironglass_inventory_failures_total{cause="credential",source="ironic"} 3`,
			`ironglass_inventory_current{source="ironic"} ` + map[bool]string{true: "1", false: "0"}[want.current],
		} {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("the metrics have no %s", line)
			}
		}
		now.Store(&proxy.Inventory{Source: "ironic", ReadAt: read, Failures: map[string]uint64{"credential": 3}})
	}
}
