package pagetest

import (
	"bytes"
	"image"
	"image/png"
	"maps"
	"testing"
	"time"

	"golang.org/x/image/draw"

	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// Me is the page's session in Console.
const Me = "me0000000000"

// Console is a snapshot as GET /v1/nodes/{id}/console gives it, of a live
// console that one person uses and a node without a BMC.
func Console() Object {
	return Object{
		"node": "node", "uuid": "", "state": "live", "since": time.Now(), "reason": "", "retry_at": nil,
		"enabled": true, "width": 1024, "height": 768,
		"you": Me, "mode": "operate", "token_expires_at": time.Now().Add(10 * time.Minute),
		"seats":  Object{"policy": "shared", "operator": "", "sessions": []Object{Person(Me, "Ann", true)}},
		"lease":  Object{"idle_seconds": 900, "expires_at": time.Now().Add(15 * time.Minute), "warning_seconds": 60, "ends_at": nil},
		"layout": "us", "layouts": []string{"us", "uk", "de", "fr", "ch"},
		"typing":    Object{"active": false, "id": "", "done": 0, "total": 0, "by": ""},
		"recording": Object{"mode": "off", "active": false},
		"power":     Object{"available": false, "reason": "This node has no BMC configured.", "state": "unknown"},
	}
}

// Person is a session of a snapshot.
func Person(id, name string, operating bool) Object {
	return Object{
		"id": id, "name": name, "mode": "operate", "operating": operating,
		"since": time.Now().Add(-25 * time.Minute), "requested_at": nil,
	}
}

// With is o with some fields changed.
func With(o, changes Object) Object {
	o = maps.Clone(o)
	maps.Copy(o, changes)
	return o
}

// Change changes fields of the console's snapshot and tells the pages.
func (s *Service) Change(changes Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.console = With(s.console, changes)
	s.sendLocked(event{"console", s.snapshotLocked()})
}

func (s *Service) snapshot() Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshotLocked()
}

func (s *Service) snapshotLocked() Object { return maps.Clone(s.console) }

// Node is a node as GET /v1/nodes lists it.
func Node(name, state string) Object {
	return Object{
		"name": name, "uuid": "", "kind": "command", "console_enabled": true, "state": state, "since": time.Now(),
		"reason": "", "retry_at": nil, "viewers": 0, "width": 1024, "height": 768,
	}
}

// SetNodes replaces the list of nodes and tells the pages.
func (s *Service) SetNodes(nodes ...Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes = nodes
	s.sendLocked(event{"nodes", Object{"nodes": s.listLocked()}})
}

// ChangeNode changes fields of one node and tells the pages.
func (s *Service) ChangeNode(name string, changes Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, n := range s.nodes {
		if n["name"] == name {
			s.nodes[i] = With(n, changes)
			s.sendLocked(event{"node", s.nodes[i]})
		}
	}
}

func (s *Service) list() []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listLocked()
}

func (s *Service) listLocked() []Object { return append([]Object(nil), s.nodes...) }

// sendLocked gives each stream an event; the one that is full loses it.
func (s *Service) sendLocked(e event) {
	for stream := range s.streams {
		select {
		case stream <- e:
		default:
		}
	}
}

// thumbnail is what each node's screenshot shows.
func thumbnail(t testing.TB) []byte {
	t.Helper()
	picture := golden.Desktop(1024, 768).RGBA()
	small := image.NewRGBA(image.Rect(0, 0, 480, 360))
	draw.CatmullRom.Scale(small, small.Rect, picture, picture.Rect, draw.Src, nil)
	var b bytes.Buffer
	if err := png.Encode(&b, small); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
