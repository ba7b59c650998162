// Package ports gives each node a TCP port that stays its own for as long as
// there is the node, through restarts and changes of the configuration. Nova
// keeps a console's port in the tokens that it gives out and refuses one that
// has become another.
package ports

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Range is the ports that may be given out, both ends included.
type Range struct{ First, Last int }

// Size is the number of ports.
func (r Range) Size() int { return r.Last - r.First + 1 }

// Contains reports whether the port is one of them.
func (r Range) Contains(port int) bool { return port >= r.First && port <= r.Last }

// String is the range as the configuration has it.
func (r Range) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

// Cause is why a node did not get the port that it would have had.
type Cause string

// The causes.
const (
	// Outside: the port that it had is outside of the range.
	Outside Cause = "outside-range"
	// Collision: another node has that port.
	Collision Cause = "collision"
	// InUse: another program listens on that port.
	InUse Cause = "in-use"
	// Exhausted: there is none left.
	Exhausted Cause = "exhausted"
)

// Causes lists all of them.
func Causes() []Cause { return []Cause{Outside, Collision, InUse, Exhausted} }

// Change says that a node did not get the port that it would have had.
type Change struct {
	Node  string
	Cause Cause
	// Wanted is that port, 0 where there is none, and Got the one in its
	// place, 0 where there is none.
	Wanted, Got int
	// Other is the node that has it, where there is one.
	Other string
}

// record is a node's port in the file.
type record struct {
	Port int `json:"port"`
	// Gone is when the node was removed, zero while it is there.
	Gone time.Time `json:"gone,omitzero"`
}

// Book is which node has which port, kept in a file. One goroutine at a time
// may use it.
type Book struct {
	file  string
	ports Range
	nodes map[string]record
	owner map[int]string // the other way round
	lost  []Change       // what Open found wrong in the file
}

// maxFile caps the file, in bytes; a node takes about 100.
const maxFile = 64 << 20

// Open reads the book. A file that does not exist is an empty one; "" is a
// book that is not kept.
func Open(file string, r Range) (*Book, error) {
	b := &Book{file: file, ports: r, nodes: make(map[string]record), owner: make(map[int]string)}
	if file == "" {
		return b, nil
	}
	nodes, err := load(file)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(nodes))
	for name := range nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		rec := nodes[name]
		switch other, taken := b.owner[rec.Port]; {
		case !r.Contains(rec.Port):
			b.lost = append(b.lost, Change{Node: name, Cause: Outside, Wanted: rec.Port})
		case taken:
			b.lost = append(b.lost, Change{Node: name, Cause: Collision, Wanted: rec.Port, Other: other})
		default:
			b.nodes[name], b.owner[rec.Port] = rec, name
		}
	}
	return b, nil
}

func load(file string) (map[string]record, error) {
	st, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && st.Size() > maxFile {
		err = fmt.Errorf("it is longer than %d bytes", maxFile)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(file)
	}
	var content struct {
		Ports map[string]record `json:"ports"`
	}
	if err == nil {
		err = json.Unmarshal(text, &content)
	}
	if err != nil {
		return nil, fmt.Errorf("the nodes' RFB ports cannot be read from %s: %w: correct the file, or remove it and have each node's console enabled anew", file, err)
	}
	return content.Ports, nil
}

// Ports gives each of the nodes its port and returns them. A node keeps the
// port that it has; others get one that follows from their name, or the next
// free one. take is asked for each port that a node is to get anew, and
// refuses one that another program uses. A node that is not listed any more
// keeps its port until there is no other to give out; of several the one that
// is gone for longest loses it. The error says that the file could not be
// written.
func (b *Book) Ports(nodes []string, take func(node string, port int) bool, now time.Time) (map[string]int, []Change, error) {
	given := make(map[string]int, len(nodes))
	listed := make(map[string]bool, len(nodes))
	wanted := make(map[string]Change)
	for _, c := range b.lost {
		wanted[c.Node] = c
	}
	b.lost = nil
	changed := false
	for _, name := range nodes {
		listed[name] = true
		if rec, ok := b.nodes[name]; ok {
			given[name] = rec.Port
			changed = changed || !rec.Gone.IsZero()
			b.nodes[name] = record{Port: rec.Port}
		}
	}
	for name, rec := range b.nodes {
		if !listed[name] && rec.Gone.IsZero() {
			rec.Gone, changed = now.UTC().Truncate(time.Second), true
			b.nodes[name] = rec
		}
	}
	var changes []Change
	for _, name := range nodes {
		if given[name] != 0 {
			continue
		}
		port, why := b.find(name, take)
		if was, ok := wanted[name]; ok {
			was.Got, why = port, &was
		}
		if why != nil {
			changes = append(changes, *why)
		}
		if port != 0 {
			given[name], b.nodes[name], b.owner[port], changed = port, record{Port: port}, name, true
		}
	}
	if !changed || b.file == "" {
		return given, changes, nil
	}
	return given, changes, b.save()
}

// find returns a port for a node that has none, 0 where there is none, and why
// it is not the one that follows from its name.
func (b *Book) find(name string, take func(node string, port int) bool) (int, *Change) {
	var why *Change
	first := b.ports.First + derive(name, b.ports.Size())
	for i := range b.ports.Size() {
		port := b.ports.First + (first-b.ports.First+i)%b.ports.Size()
		cause := Collision
		other, taken := b.owner[port]
		if !taken {
			if take(name, port) {
				return port, got(why, port)
			}
			cause = InUse
		}
		if why == nil {
			why = &Change{Node: name, Cause: cause, Wanted: port, Other: other}
		}
	}
	for _, gone := range b.gone() {
		if port := b.nodes[gone].Port; take(name, port) {
			delete(b.nodes, gone)
			return port, got(why, port)
		}
	}
	return 0, &Change{Node: name, Cause: Exhausted}
}

func got(why *Change, port int) *Change {
	if why != nil {
		why.Got = port
	}
	return why
}

// gone lists the nodes that were removed, the one longest gone first.
func (b *Book) gone() []string {
	var list []string
	for name, rec := range b.nodes {
		if !rec.Gone.IsZero() {
			list = append(list, name)
		}
	}
	slices.SortFunc(list, func(x, y string) int {
		if c := b.nodes[x].Gone.Compare(b.nodes[y].Gone); c != 0 {
			return c
		}
		return strings.Compare(x, y)
	})
	return list
}

// derive is what follows from a name: a number below n.
func derive(name string, n int) int {
	sum := sha256.Sum256([]byte(name))
	return int(binary.BigEndian.Uint64(sum[:8]) % uint64(n)) //nolint:gosec // it is below n
}

// save writes the file anew, so that a crash leaves the old one or the new.
func (b *Book) save() error {
	err := b.write()
	if err != nil {
		err = fmt.Errorf("the nodes' RFB ports cannot be kept in %s: %w: after a restart a node may have another port", b.file, err)
	}
	return err
}

func (b *Book) write() error {
	text, err := json.MarshalIndent(map[string]any{"ports": b.nodes}, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(b.file), filepath.Base(b.file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), b.file)
}
