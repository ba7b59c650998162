package inventory_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"

	"github.com/ironglass/ironglass/launcher/inventory"
)

func node(name string) inventory.Node {
	return inventory.Node{Name: name, Console: inventory.Console{Command: []string{"xterm"}}}
}

func TestSoundNodes(t *testing.T) {
	const given = "99694C1E-6327-4d58-9466-87f7265958af"
	a, b := node("rack1-u12"), node("x")
	a.UUID = given
	b.Console = inventory.Console{RFB: "[::1]:5901"}
	inv, err := inventory.New([]inventory.Node{a, b, node("Rack1-U12"), node("a.b_c-" + strings.Repeat("9", 57))})
	if err != nil {
		t.Fatal(err)
	}
	nodes := inv.Nodes()
	if len(nodes) != 4 || nodes[0].Name != "rack1-u12" || nodes[0].UUID != strings.ToLower(given) {
		t.Errorf("the nodes are %+v", nodes)
	}
	for _, id := range []string{"rack1-u12", given, strings.ToLower(given)} {
		if n, ok := inv.Find(id); !ok || n.Name != "rack1-u12" {
			t.Errorf("%s finds %+v, %v", id, n, ok)
		}
	}
	if n, ok := inv.Find(strings.ToUpper(nodes[1].UUID)); !ok || n.Name != "x" {
		t.Errorf("the derived UUID finds %+v, %v", n, ok)
	}
	for _, id := range []string{"", "X", "RACK1-U12", "y"} {
		if n, ok := inv.Find(id); ok {
			t.Errorf("%q finds %+v", id, n)
		}
	}
	nodes[0].Name = "changed"
	if n, _ := inv.Find("rack1-u12"); n.Name != "rack1-u12" {
		t.Error("a caller can change the inventory")
	}
}

func TestUUIDOf(t *testing.T) {
	// As Python's uuid.uuid5(uuid.NAMESPACE_URL, "ironglass:node/terminal").
	if got, want := inventory.UUIDOf("terminal"), "f2b8dfb7-5a48-5f79-a475-81e31976ee4c"; got != want {
		t.Errorf("the UUID of terminal is %s, want %s", got, want)
	}
}

func TestEverythingThatIsWrong(t *testing.T) {
	with := func(change func(*inventory.Node)) inventory.Node {
		n := node("n")
		change(&n)
		return n
	}
	for _, tc := range []struct {
		node inventory.Node
		want string // keys
	}{
		{with(func(n *inventory.Node) { n.Name = "" }), "name"},
		{with(func(n *inventory.Node) { n.Name = "-a" }), "name"},
		{with(func(n *inventory.Node) { n.Name = "a/b" }), "name"},
		{with(func(n *inventory.Node) { n.Name = "a b" }), "name"},
		{with(func(n *inventory.Node) { n.Name = "a\n" }), "name"},
		{with(func(n *inventory.Node) { n.Name = strings.Repeat("a", 64) }), "name"},
		{with(func(n *inventory.Node) { n.Name = "99694c1e-6327-4d58-9466-87f7265958af" }), "name"},
		{with(func(n *inventory.Node) { n.UUID = "99694c1e63274d58946687f7265958af" }), "uuid"},
		{with(func(n *inventory.Node) { n.UUID, n.Name = "x", "?" }), "name uuid"},
		{with(func(n *inventory.Node) { n.BMC = &inventory.BMC{Username: "admin"} }), "bmc.address"},
		{with(func(n *inventory.Node) { n.Console = inventory.Console{} }), "console"},
		{with(func(n *inventory.Node) { n.Console.RFB = "127.0.0.1:5901" }), "console"},
		{with(func(n *inventory.Node) { n.Console.Command = []string{} }), "console.command"},
		{with(func(n *inventory.Node) { n.Console.Command = []string{""} }), "console.command"},
		{with(func(n *inventory.Node) { n.Console.Command = []string{"xterm", "a\x00b"} }), "console.command"},
		{with(func(n *inventory.Node) { n.Console = inventory.Console{RFB: "127.0.0.1"} }), "console.rfb"},
		{with(func(n *inventory.Node) { n.Console = inventory.Console{RFB: ":5901"} }), "console.rfb"},
		{with(func(n *inventory.Node) { n.Console = inventory.Console{RFB: "h:0"} }), "console.rfb"},
		{with(func(n *inventory.Node) { n.Console = inventory.Console{RFB: "h:65536"} }), "console.rfb"},
		{with(func(n *inventory.Node) { n.Console = inventory.Console{RFB: "unix:"} }), "console.rfb"},
		{with(func(n *inventory.Node) { n.Console.Seats = "both" }), "console.seats"},
		{with(func(n *inventory.Node) { n.Console = inventory.Console{RFB: "unix:x", Width: 640, Height: 480} }), "console.geometry"},
	} {
		_, err := inventory.New([]inventory.Node{node("other"), tc.node})
		if got := keys(t, err, 1); got != tc.want {
			t.Errorf("%+v: wrong are %q, want %q (%v)", tc.node, got, tc.want, err)
		}
	}
}

func TestDuplicates(t *testing.T) {
	a, b := node("a"), node("b")
	a.UUID = "99694c1e-6327-4d58-9466-87f7265958af"
	b.UUID = strings.ToUpper(a.UUID)
	_, err := inventory.New([]inventory.Node{a, b, node("a")})
	if got := fmt.Sprint(keys(t, err, 1), " ", keys(t, err, 2)); got != "uuid name" {
		t.Errorf("wrong are %q: %v", got, err)
	}
	// A UUID may be given that another node's name leads to.
	c := node("c")
	c.UUID = inventory.UUIDOf("a")
	if _, err := inventory.New([]inventory.Node{node("a"), c}); keys(t, err, 1) != "uuid" {
		t.Errorf("the UUID of a for c: %v", err)
	}
}

// keys lists the keys of the errors about one node.
func keys(t *testing.T, err error, node int) string {
	t.Helper()
	var all *multierror.Error
	if !errors.As(err, &all) {
		return ""
	}
	var got []string
	for _, err := range all.Errors {
		var e *inventory.Error
		if !errors.As(err, &e) || e.Reason == "" || !strings.Contains(e.Error(), e.Key) {
			t.Errorf("%v is not an error about a node", err)
			continue
		}
		if e.Node == node {
			got = append(got, e.Key)
		}
	}
	return strings.Join(got, " ")
}

func TestParseGeometry(t *testing.T) {
	for text, want := range map[string][2]int{"1280x1024": {1280, 1024}, "64x64": {64, 64}, "8192x8192": {8192, 8192}} {
		w, h, err := inventory.ParseGeometry(text)
		if got := [2]int{w, h}; !reflect.DeepEqual(got, want) || err != nil {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "1280", "1280x", "x1024", "1280X1024", "1280x1024x24", "+1280x1024", " 1280x1024", "-1x-1", "63x64", "64x8193", "70000x70000", "99999999999999999999x1"} {
		if w, h, err := inventory.ParseGeometry(text); err == nil {
			t.Errorf("%q is %dx%d", text, w, h)
		}
	}
}
