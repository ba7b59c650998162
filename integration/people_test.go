package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
)

// TestSeats: of two browsers at a console with one seat the first types, the
// other only looks, and has the seat when the first is gone.
func TestSeats(t *testing.T) {
	n := pictureNode(t, "seats", "640x480")
	n.options = ", seats: exclusive"
	s := startService(t, n)
	ann, bob := newTab(t), newTab(t)
	ann.openConsoleAs(t, s, n.name, "Ann")
	s.awaitOperator(t, n, "Ann", 1)
	bob.openConsoleAs(t, s, n.name, "Bob")
	n.shown(t)
	s.awaitOperator(t, n, "Ann", 2)

	before, err := n.keyPresses()
	if err != nil {
		t.Fatal(err)
	}
	bob.press(t, typed("xy"))
	ann.arrive(t, n, typed("ann"))
	n.tell(t, "draw 5")
	bob.showsExactly(t, n) // sees it all
	ann.arrive(t, n, typed("again"))

	ann.goTo(t, "about:blank")
	s.awaitOperator(t, n, "Bob", 1)
	eventually(t, "Bob's page to know that", func() error {
		looking, err := evaluate[bool](bob, `document.documentElement.classList.contains("view")`)
		if err == nil && looking {
			err = errors.New("it still only looks on")
		}
		return err
	})
	bob.arrive(t, n, typed("bob"))
	all, err := n.keyPresses()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(all) - len(before); got != len("annagainbob") {
		t.Errorf("%d keys arrived", got)
	}
}

// openConsoleAs is openConsole for somebody with a name.
func (p *tab) openConsoleAs(t testing.TB, s *service, node, name string) {
	t.Helper()
	url, _ := s.token(t, node, fmt.Sprintf(`{"mode":"operate","name":%q}`, name))
	p.goTo(t, url)
	p.awaitState(t, "connected")
}

// awaitOperator waits until so many are at the console, and the one of that
// name has the seat.
func (s *service) awaitOperator(t testing.TB, n *node, name string, people int) {
	t.Helper()
	eventually(t, name+" to have the seat", func() error {
		data, err := s.get(t, "/v1/nodes/"+n.name+"/console", 200)
		if err != nil {
			return err
		}
		var snapshot struct {
			Seats struct {
				Policy   string
				Sessions []struct {
					Name      string
					Operating bool
				}
			}
		}
		if err := json.Unmarshal(data, &snapshot); err != nil {
			return err
		}
		list := snapshot.Seats.Sessions
		for _, x := range list {
			if x.Operating != (x.Name == name) {
				return fmt.Errorf("the seats are %+v", snapshot.Seats)
			}
		}
		if len(list) != people || snapshot.Seats.Policy != "exclusive" {
			return fmt.Errorf("the seats are %+v", snapshot.Seats)
		}
		return nil
	})
}
