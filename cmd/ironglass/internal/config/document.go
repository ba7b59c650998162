package config

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-multierror"
	"go.yaml.in/yaml/v3"
)

// document is a configuration file while it is being read. It walks the tree
// of nodes rather than have it decoded into a struct: so each complaint, about
// a key that is not known or a value that makes no sense, names its line, and
// all of them come at once.
type document struct {
	name     string
	found    []complaint
	clientCA *yaml.Node // api.client_ca, where it is given
}

// complaint is something wrong at a line.
type complaint struct {
	line int
	text string
}

// key is one key that a mapping may have.
type key struct {
	name string
	// read takes the value; path is the key with those above it.
	read func(path string, value *yaml.Node)
	// later, if not empty, says what to use in place of a key that this
	// version does not have.
	later string
}

// fail notes what is wrong at a place of the file.
func (d *document) fail(at *yaml.Node, format string, args ...any) {
	d.failAt(at.Line, format, args...)
}

func (d *document) failAt(line int, format string, args ...any) {
	d.found = append(d.found, complaint{line, fmt.Sprintf(format, args...)})
}

// err returns all that was wrong, in the order of the lines.
func (d *document) err() error {
	if len(d.found) == 0 {
		return nil
	}
	sort.SliceStable(d.found, func(a, b int) bool { return d.found[a].line < d.found[b].line })
	errs := &multierror.Error{ErrorFormat: oneALine}
	for _, c := range d.found {
		errs = multierror.Append(errs, fmt.Errorf("%s:%d: %s", d.name, c.line, c.text))
	}
	return errs
}

// oneALine lists errors without a heading.
func oneALine(errs []error) string {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// yamlLine is how the YAML package says where something is wrong.
var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)

// root reads the text and returns the mapping at its top, nil where there is
// none to go on with.
func (d *document) root(text []byte) *yaml.Node {
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	var top, more yaml.Node
	err := dec.Decode(&top)
	if err == nil {
		if next := dec.Decode(&more); next == nil {
			d.fail(&more, "a second document begins here: a configuration is one document, so remove the line of hyphens")
		} else if !errors.Is(next, io.EOF) {
			err = next
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		d.failAt(1, "the file is empty: it needs a list of nodes at least")
	case err != nil:
		line, what := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
			what = m[2]
		}
		d.failAt(line, "this is not YAML: %s", what)
	default:
		return top.Content[0]
	}
	return nil
}

// resolve follows an alias, of which YAML allows one in place of any value.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// isNull reports whether a key has no value.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// mapping reads the keys of a mapping; no value at all is an empty one.
func (d *document) mapping(path string, n *yaml.Node, keys []key) {
	n = resolve(n)
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s is to have keys under it: %s", subject(path), names(keys))
		return
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(keys, func(k key) bool { return k.name == name.Value })
		full := join(path, name.Value)
		switch first, twice := seen[name.Value]; {
		case name.Kind != yaml.ScalarNode || at < 0:
			d.fail(name, "%s: unknown key %q: use one of %s", subject(path), name.Value, names(keys))
		case twice:
			d.fail(name, "%s is there twice, first in line %d: remove one", full, first)
		case keys[at].later != "":
			d.fail(name, "%s is not in this version: %s", full, keys[at].later)
		default:
			keys[at].read(full, resolve(value))
		}
		seen[name.Value] = name.Line
	}
}

// subject names the mapping at path.
func subject(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// names lists the keys that this version has.
func names(keys []key) string {
	var list []string
	for _, k := range keys {
		if k.later == "" {
			list = append(list, k.name)
		}
	}
	return strings.Join(list, ", ")
}

// text reads a string, and reports whether there is one. Numbers and the like
// are taken as they are written.
func (d *document) text(path string, n *yaml.Node, into *string) bool {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || isNull(n) || n.Value == "" {
		d.fail(n, "%s is to be a text, and not empty", path)
		return false
	}
	if strings.ContainsRune(n.Value, 0) {
		d.fail(n, "%s holds a NUL character", path)
		return false
	}
	*into = n.Value
	return true
}

// texts reads a list of strings.
func (d *document) texts(path string, n *yaml.Node, example string, into *[]string) {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "%s is to be a list: write it as in %s", path, example)
		return
	}
	list := make([]string, 0, len(n.Content))
	for _, c := range n.Content {
		c = resolve(c)
		if c.Kind != yaml.ScalarNode || isNull(c) {
			d.fail(c, "%s is to be a list of texts: write it as in %s", path, example)
			return
		}
		list = append(list, c.Value)
	}
	*into = list
}

// duration reads a time as Go writes it; 0 is read as off, which is negative.
func (d *document) duration(path string, n *yaml.Node, zero string, into *time.Duration) {
	var text string
	if !d.text(path, n, &text) {
		return
	}
	v, err := time.ParseDuration(text)
	switch {
	case err != nil || v < 0:
		d.fail(n, "%s: %q is not a duration: write it as in 90s or 1h30m, or 0 for %s", path, text, zero)
	case v == 0:
		*into = -1
	default:
		*into = v
	}
}

// span reads a short time as Go writes it, where 0 is none, and reports whether
// it is one.
func (d *document) span(path string, n *yaml.Node, into *time.Duration) bool {
	var text string
	if !d.text(path, n, &text) {
		return false
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		d.fail(n, "%s: %q is not a duration: write it as in 20ms", path, text)
		return false
	}
	*into = v
	return true
}

// count reads a whole number above 0, and reports whether it is one.
func (d *document) count(path string, n *yaml.Node, into *int) bool {
	var text string
	if !d.text(path, n, &text) {
		return false
	}
	v, err := strconv.Atoi(text)
	if err != nil || v <= 0 {
		d.fail(n, "%s: %q is not a whole number above 0: write it as in 20", path, text)
		return false
	}
	*into = v
	return true
}
