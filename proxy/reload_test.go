package proxy_test

import (
	"image"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
)

// TestSetNodes: a node that is as before keeps its viewers, one that has
// changed sends them to its new console, one that is gone says so, and what
// ran for the latter two is stopped first.
func TestSetNodes(t *testing.T) {
	same, changed, gone, fresh := newMachine(t, 64, 48), newMachine(t, 64, 48), newMachine(t, 64, 48), newMachine(t, 80, 60)
	s := start(t, nil,
		proxy.Node{Name: "same", Version: "1", Backend: same},
		proxy.Node{Name: "changed", Version: "1", Backend: changed},
		proxy.Node{Name: "gone", Version: "1", Backend: gone})
	stays := operator(t, s.view(s.token("same", token.Operate)))
	await(t, stays, same)
	tokenOfChanged := s.token("changed", token.Operate)
	ends := make(map[string]chan error)
	for name, m := range map[string]*machine{"changed": changed, "gone": gone} {
		v := operator(t, s.view(s.token(name, token.Operate)))
		await(t, v, m)
		over := make(chan error, 1)
		ends[name] = over
		go func() { over <- v.Until(func() bool { return false }) }()
	}
	err := s.svc.SetNodes([]proxy.Node{
		{Name: "same", Version: "1", Backend: fresh}, // the version counts
		{Name: "changed", Version: "2", Backend: fresh},
		{Name: "new", Version: "1", Backend: newMachine(t, 64, 48)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ends["changed"]; !websocket.IsCloseError(err, websocket.CloseServiceRestart) {
		t.Errorf("viewers of the changed node: %v", err)
	}
	if err := <-ends["gone"]; !websocket.IsCloseError(err, 4001) {
		t.Errorf("viewers of the removed node: %v", err)
	}
	again := operator(t, s.view(tokenOfChanged))
	await(t, again, fresh)
	for name, m := range map[string]*machine{"changed": changed, "gone": gone} {
		if _, n, _ := m.counts(); n != 1 {
			t.Errorf("what ran for %s was stopped %d times", name, n)
		}
	}
	if _, n, _ := same.counts(); n != 0 {
		t.Errorf("what runs for the same node was stopped %d times", n)
	}
	same.Fill(image.Rect(3, 4, 20, 30), 0x123456)
	await(t, stays, same)
	if s.svc.Console("gone") != nil || s.svc.Console("new") == nil {
		t.Error("the nodes are not the new ones")
	}
	wantProblem(t, s.request("GET", "/v1/nodes/gone/states/console", "", nil), 404, "node")

	if err := s.svc.SetNodes([]proxy.Node{{Name: "a", Backend: fresh}, {Name: "a", Backend: fresh}}); err == nil {
		t.Error("two nodes of one name were taken")
	}
	if s.svc.Console("same") == nil {
		t.Error("a wrong set of nodes changed something")
	}
}
