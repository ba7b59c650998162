package ports_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/proxy/ports"
)

func open(t *testing.T, file string, first, last int) *ports.Book {
	t.Helper()
	b, err := ports.Open(file, ports.Range{First: first, Last: last})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func free(string, int) bool { return true }

var now = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// give gives the nodes their ports, wants them to differ, and returns the
// changes by node.
func give(t *testing.T, b *ports.Book, take func(string, int) bool, at time.Time, nodes ...string) (map[string]int, map[string]ports.Change) {
	t.Helper()
	given, changes, err := b.Ports(nodes, take, at)
	if err != nil {
		t.Fatal(err)
	}
	owner := make(map[int]string)
	for n, p := range given {
		if owner[p] != "" {
			t.Errorf("%s and %s both have port %d", n, owner[p], p)
		}
		owner[p] = n
	}
	told := make(map[string]ports.Change)
	for _, c := range changes {
		told[c.Node] = c
	}
	return given, told
}

// TestStable: a port stays a node's through restarts, in whatever order nodes
// are listed and whichever come and go.
func TestStable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports")
	var nodes []string
	for i := range 40 {
		nodes = append(nodes, fmt.Sprint("node", i))
	}
	first, told := give(t, open(t, file, 100, 149), free, now, nodes...)
	if len(first) != 40 || len(told) == 0 {
		t.Fatalf("%d nodes have ports, %d collisions", len(first), len(told))
	}
	for n, c := range told {
		if c.Cause != ports.Collision || c.Other == "" || c.Got != first[n] || c.Wanted == c.Got {
			t.Errorf("told is %+v", c)
		}
	}
	refuse := func(node string, port int) bool {
		t.Errorf("%s is given port %d anew", node, port)
		return false
	}
	again, told := give(t, open(t, file, 100, 149), refuse, now, nodes[20:]...)
	if len(told) != 0 {
		t.Errorf("told is %v", told)
	}
	for n, p := range again {
		if first[n] != p {
			t.Errorf("%s had port %d and has %d", n, first[n], p)
		}
	}
	back, _ := give(t, open(t, file, 100, 149), refuse, now.Add(time.Hour), nodes...)
	if !maps.Equal(first, back) {
		t.Error("nodes that come back have other ports")
	}
	if got, _ := give(t, open(t, "", 100, 149), free, now, nodes...); !maps.Equal(got, first) {
		t.Error("ports do not follow from the names alone")
	}
}

// TestExhausted: of nodes that are gone the one that is gone for longest loses
// its port when there is no other left, and not before.
func TestExhausted(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "ports"), 7, 9)
	first, _ := give(t, b, free, now, "a", "b", "c")
	give(t, b, free, now.Add(time.Minute), "a", "c")
	give(t, b, free, now.Add(time.Hour), "c")
	got, told := give(t, b, free, now.Add(2*time.Hour), "c", "d")
	if got["d"] != first["b"] || told["d"].Got != got["d"] {
		t.Errorf("d has port %d (%+v), want b's %d", got["d"], told["d"], first["b"])
	}
	got, told = give(t, b, free, now.Add(3*time.Hour), "a", "c", "d", "e")
	if got["a"] != first["a"] || got["c"] != first["c"] || got["e"] != 0 || told["e"].Cause != ports.Exhausted {
		t.Errorf("the ports are %v, told %v", got, told)
	}
	if got, _ = give(t, b, free, now.Add(4*time.Hour), "a", "c", "e"); got["e"] != first["b"] {
		t.Errorf("the ports are %v", got)
	}
}

// TestInUse: a port that another program has is not given out.
func TestInUse(t *testing.T) {
	wanted, _ := give(t, open(t, "", 100, 103), free, now, "a")
	got, told := give(t, open(t, "", 100, 103), func(_ string, port int) bool { return port != wanted["a"] }, now, "a")
	if c := told["a"]; c.Cause != ports.InUse || c.Wanted != wanted["a"] || c.Got != got["a"] || got["a"] == 0 {
		t.Errorf("the ports are %v, told %v", got, told)
	}
	if got, told := give(t, open(t, "", 100, 103), func(string, int) bool { return false }, now, "a"); got["a"] != 0 || told["a"].Cause != ports.Exhausted {
		t.Errorf("the ports are %v, told %v", got, told)
	}
}

// TestFiles: what is wrong with a file, and what a changed range means.
func TestFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"", "{", `{"ports":[]}`, `{"ports":{"a":{"port":"x"}}}`} {
		write(text)
		if _, err := ports.Open(file, ports.Range{First: 1, Last: 2}); err == nil || !strings.Contains(err.Error(), "correct the file, or remove it") {
			t.Errorf("%q gives %v", text, err)
		}
	}
	write(`{"ports":{"a":{"port":100},"b":{"port":100},"c":{"port":99},"d":{"port":101}}}`)
	got, told := give(t, open(t, file, 100, 110), free, now, "a", "b", "c", "d")
	if got["a"] != 100 || got["d"] != 101 || got["b"] == 0 || got["c"] == 0 {
		t.Errorf("the ports are %v", got)
	}
	if c := told["b"]; c.Cause != ports.Collision || c.Wanted != 100 || c.Other != "a" || c.Got != got["b"] {
		t.Errorf("told is %+v", c)
	}
	if c := told["c"]; c.Cause != ports.Outside || c.Wanted != 99 || c.Got != got["c"] {
		t.Errorf("told is %+v", c)
	}
	if after, told := give(t, open(t, file, 100, 110), free, now, "a", "b", "c", "d"); !maps.Equal(after, got) || len(told) > 0 {
		t.Errorf("then the ports are %v, told %v", after, told)
	}
	names, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(names) != 1 {
		t.Errorf("the folder holds %v, %v", names, err)
	}
	b := open(t, filepath.Join(t.TempDir(), "none", "ports"), 1, 9)
	if given, _, err := b.Ports([]string{"a"}, free, now); err == nil || given["a"] == 0 {
		t.Errorf("a file that cannot be written: %v, %v", given, err)
	}
}
