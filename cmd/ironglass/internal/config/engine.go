package config

import (
	"fmt"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// Engine is how ironglass is Ironic's container engine. Ironic calls it with
// arguments of its own, so that all else stands in a file.
type Engine struct {
	// Server is the service's URL; "" is the default.
	Server string
	// TokenFile holds the API's credential, Cert and Key what to prove oneself
	// with; "" is none.
	TokenFile, Cert, Key string
	// StateDir is where it is noted which consoles Ironic has started.
	StateDir string
}

// DefaultEngineStateDir is where that is noted unless it is told otherwise.
const DefaultEngineStateDir = "/var/lib/ironglass/ironic-engine"

// LoadEngine reads and checks the file. Everything that is wrong with it is in
// the error, as Load's.
func LoadEngine(name string) (*Engine, error) {
	text, err := readAtMost(name, maxFile)
	if err != nil {
		return nil, fmt.Errorf("the engine's settings cannot be read: %w", err)
	}
	d := &document{name: name}
	e := &Engine{StateDir: DefaultEngineStateDir}
	if top := d.root(text); top != nil {
		text := func(into *string) func(string, *yaml.Node) {
			return func(path string, n *yaml.Node) { d.text(path, n, into) }
		}
		file := func(into *string) func(string, *yaml.Node) {
			return func(path string, n *yaml.Node) { d.file(path, n, into) }
		}
		d.mapping("", top, []key{
			{name: "server", read: func(path string, n *yaml.Node) {
				if d.text(path, n, &e.Server) {
					d.check(path, n, checkPublicURL(e.Server))
				}
			}},
			{name: "token_file", read: file(&e.TokenFile)},
			{name: "cert", read: file(&e.Cert)},
			{name: "key", read: file(&e.Key)},
			{name: "state_dir", read: text(&e.StateDir)},
		})
		if !filepath.IsAbs(e.StateDir) {
			d.fail(top, "state_dir: %s is to begin with a slash: Ironic starts programs in its own folder", e.StateDir)
		}
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return e, nil
}
