package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"
	"go.yaml.in/yaml/v3"

	"github.com/ironglass/ironglass/launcher/inventory"
	"github.com/ironglass/ironglass/proxy/typing"
)

// parse reads a configuration.
func parse(name string, text []byte) (*Config, error) {
	d := &document{name: name}
	c := &Config{File: name, Listen: DefaultListen}
	if top := d.root(text); top != nil {
		d.config(top, c)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// config reads the file's top.
func (d *document) config(top *yaml.Node, c *Config) {
	var listen, nodes *yaml.Node
	d.mapping("", top, []key{
		{name: "listen", read: func(path string, n *yaml.Node) {
			if d.text(path, n, &c.Listen) {
				listen = n
			}
		}},
		{name: "public_url", read: func(path string, n *yaml.Node) {
			if d.text(path, n, &c.PublicURL) {
				d.check(path, n, checkPublicURL(c.PublicURL))
			}
		}},
		{name: "allowed_origins", read: func(path string, n *yaml.Node) { d.origins(path, n, &c.AllowedOrigins) }},
		{name: "frame_ancestors", read: func(path string, n *yaml.Node) { d.origins(path, n, &c.FrameAncestors) }},
		{name: "linger", read: func(path string, n *yaml.Node) { d.duration(path, n, "not at all", &c.Linger) }},
		{name: "lease", read: func(path string, n *yaml.Node) { d.lease(path, n, &c.Lease) }},
		{name: "audit", read: func(path string, n *yaml.Node) {
			before := len(d.found)
			d.mapping(path, n, []key{
				{name: "file", read: func(path string, n *yaml.Node) { d.text(path, n, &c.AuditFile) }},
			})
			if len(d.found) == before && c.AuditFile == "" {
				d.fail(n, "%s names no file: write it as in audit: {file: /var/log/ironglass/audit.jsonl}", path)
			}
		}},
		{name: "tls", read: func(path string, n *yaml.Node) { d.tls(path, n, c) }},
		{name: "rfb", read: func(path string, n *yaml.Node) { d.rfb(path, n, c) }},
		{name: "nova", read: func(path string, n *yaml.Node) { d.nova(path, n, c) }},
		{name: "api", read: func(path string, n *yaml.Node) { d.api(path, n, c) }},
		{name: "launcher", read: func(path string, n *yaml.Node) { d.launcher(path, n, c) }},
		{name: "recording", read: func(path string, n *yaml.Node) { d.recording(path, n, c) }},
		{name: "state_dir", read: func(path string, n *yaml.Node) { d.text(path, n, &c.StateDir) }},
		{name: "inventory", read: func(path string, n *yaml.Node) { d.inventory(path, n, c) }},
		{name: "nodes", read: func(_ string, n *yaml.Node) { nodes = n }},
	})
	switch {
	case nodes != nil:
		d.nodes(nodes, c)
	case c.Ironic != nil:
		c.Nodes, _ = inventory.New(nil) // none are sound
	default:
		d.fail(top, "there are no nodes: list them under nodes, or name an inventory")
	}
	d.listen(top, listen, c)
	d.stateDir(top, c)
}

// check notes an error of a value.
func (d *document) check(path string, n *yaml.Node, err error) {
	if err != nil {
		d.fail(n, "%s: %v", path, err)
	}
}

// listen checks the address, where it was given and where not.
func (d *document) listen(top, n *yaml.Node, c *Config) {
	if n == nil {
		n = top
	}
	host, err := checkListen(c.Listen)
	if err != nil {
		d.check("listen", n, err)
		return
	}
	if !c.Closed() && !loopback(host) {
		d.fail(n, "listen: %s can be reached by others and the API has no credential: set api.token_file, api.client_ca or api.keystone, or listen on %s", c.Listen, DefaultListen)
	}
	if c.ClientCA != "" && c.TLS == nil {
		d.fail(d.clientCA, "api.client_ca: certificates come with TLS alone: set tls, or use api.token_file")
	}
}

// stateDir fills in the default.
func (d *document) stateDir(top *yaml.Node, c *Config) {
	if c.StateDir == "" {
		dir, err := defaultStateDir()
		d.check("state_dir", top, err)
		c.StateDir = dir
	}
	dir, err := filepath.Abs(c.StateDir)
	d.check("state_dir", top, err)
	c.StateDir = dir
	if c.Recording.Dir == "" {
		c.Recording.Dir = filepath.Join(c.StateDir, "recordings")
	}
}

func (d *document) origins(path string, n *yaml.Node, into *[]string) {
	d.texts(path, n, `["https://horizon.example.net"]`, into)
	for _, text := range *into {
		u, err := url.Parse(text)
		if err != nil || !web(u) || strings.Trim(u.Path, "/") != "" {
			d.fail(n, "%s: %q is not an origin: write it as in https://horizon.example.net", path, text)
		}
	}
}

func (d *document) lease(path string, n *yaml.Node, into *inventory.Lease) {
	d.mapping(path, n, []key{
		{name: "idle", read: func(path string, n *yaml.Node) { d.duration(path, n, "never ending", &into.Idle) }},
		{name: "max", read: func(path string, n *yaml.Node) { d.duration(path, n, "no end", &into.Max) }},
		{name: "warning", read: func(path string, n *yaml.Node) { d.duration(path, n, "none", &into.Warning) }},
	})
}

// checkPublicURL checks an address that browsers are sent to.
func checkPublicURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || !web(u) {
		return fmt.Errorf("%q is not a URL for browsers: write it as in https://console.example.net", text)
	}
	return nil
}

// web reports whether u is an address of the web and nothing more.
func web(u *url.URL) bool {
	port := u.Port()
	if port != "" {
		if n, err := parsePort(port); err != nil || n == 0 {
			return false
		}
	}
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

func parsePort(text string) (uint64, error) { return strconv.ParseUint(text, 10, 16) }

func (d *document) tls(path string, n *yaml.Node, c *Config) {
	var t TLS
	file := func(into *string) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) { d.file(path, n, into) }
	}
	before := len(d.found)
	d.mapping(path, n, []key{{name: "cert", read: file(&t.Cert)}, {name: "key", read: file(&t.Key)}})
	if len(d.found) == before && (t.Cert == "" || t.Key == "") {
		d.fail(n, "%s needs both: cert and key, each the name of a PEM file", path)
	}
	c.TLS = &t
}

// file reads the name of a file that must be there.
func (d *document) file(path string, n *yaml.Node, into *string) {
	if !d.text(path, n, into) {
		return
	}
	st, err := os.Stat(*into)
	switch {
	case errors.Is(err, os.ErrNotExist):
		d.fail(n, "%s: there is no file %s: make it, or correct the name", path, *into)
	case err != nil:
		d.fail(n, "%s: %v", path, err)
	case st.IsDir():
		d.fail(n, "%s: %s is a directory: name a file", path, *into)
	}
}

func (d *document) api(path string, n *yaml.Node, c *Config) {
	d.mapping(path, n, []key{
		{name: "token_file", read: func(path string, n *yaml.Node) {
			before := len(d.found)
			d.file(path, n, &c.TokenFile)
			if len(d.found) == before {
				_, err := ReadCredential(c.TokenFile)
				d.check(path, n, err)
			}
		}},
		{name: "client_ca", read: func(path string, n *yaml.Node) {
			d.file(path, n, &c.ClientCA)
			d.clientCA = n
		}},
		{name: "keystone", read: func(path string, n *yaml.Node) { d.keystone(path, n, c) }},
	})
}

func (d *document) launcher(path string, n *yaml.Node, c *Config) {
	const later = "consoles run as processes of this machine; use process: {}"
	d.mapping(path, n, []key{
		{name: "process", read: func(path string, n *yaml.Node) {
			d.mapping(path, n, []key{
				{name: "supervisor", read: func(path string, n *yaml.Node) { d.file(path, n, &c.Process.Supervisor) }},
				{name: "idle_exit", read: func(path string, n *yaml.Node) { d.duration(path, n, "never", &c.Process.IdleExit) }},
			})
		}},
		{name: "docker", later: later},
		{name: "kubernetes", later: later},
	})
}

// nodes reads the list of nodes. What is wrong with a node by itself or with
// all of them together, the inventory says.
func (d *document) nodes(n *yaml.Node, c *Config) {
	if isNull(n) {
		d.fail(n, "nodes is empty: list a node at least, or write [] for none")
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "nodes is to be a list: begin each node with a hyphen, as in - name: rack1-u12")
		return
	}
	list := make([]inventory.Node, len(n.Content))
	lines := make([]map[string]int, len(n.Content))
	faulty := make(map[int]bool)
	for i, item := range n.Content {
		before := len(d.found)
		list[i], lines[i] = d.node(item)
		faulty[i] = len(d.found) > before
	}
	inv, err := inventory.New(list)
	c.Nodes = inv
	var all *multierror.Error
	if !errors.As(err, &all) {
		return
	}
	for _, err := range all.Errors {
		var e *inventory.Error
		if !errors.As(err, &e) {
			d.fail(n, "%v", err)
			continue
		}
		line, ok := lines[e.Node][e.Key]
		if faulty[e.Node] && (!ok || line == complained || e.Key == "console") {
			continue // it is missing for a reason that was given already
		}
		if !ok {
			line = n.Content[e.Node].Line
		}
		which := list[e.Node].Name
		if which == "" {
			which = strconv.Itoa(e.Node + 1)
		}
		d.failAt(line, "node %.80s: %s: %s", which, e.Key, e.Reason)
	}
}

// native reads a VNC server that needs more than an address.
func (d *document) native(path string, n *yaml.Node, con *inventory.Console, lines map[string]int, text func(string, *string) func(string, *yaml.Node)) {
	file := func(key string, into *string) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) {
			lines[key] = n.Line
			d.file(path, n, into)
		}
	}
	lines["console.rfb.password_file"] = n.Line // where it is missing
	d.mapping(path, n, []key{
		{name: "address", read: text("console.rfb", &con.RFB)},
		{name: "username", read: text("console.rfb.username", &con.Username)},
		{name: "password_file", read: file("console.rfb.password_file", &con.PasswordFile)},
		{name: "tls", read: func(path string, n *yaml.Node) {
			lines["console.rfb.tls"] = n.Line
			t := &inventory.TLS{}
			d.mapping(path, n, []key{
				{name: "ca", read: file("console.rfb.tls.ca", &t.CA)},
				{name: "cert", read: file("console.rfb.tls.cert", &t.Cert)},
				{name: "key", read: file("console.rfb.tls.key", &t.Key)},
				{name: "server_name", read: text("console.rfb.tls.server_name", &t.ServerName)},
				{name: "fingerprint", read: text("console.rfb.tls.fingerprint", &t.Fingerprint)},
			})
			con.TLS = t
		}},
	})
	if con.RFB == "" && lines["console.rfb"] != complained {
		d.fail(n, "%s.address is missing: name the VNC server, as in 192.0.2.20:5900", path)
		lines["console"] = complained
	}
}

// complained stands for the line of a key whose value could not be read.
const complained = 0

// node reads one node, and returns the lines of its keys.
func (d *document) node(n *yaml.Node) (inventory.Node, map[string]int) {
	var node inventory.Node
	lines := make(map[string]int)
	text := func(key string, into *string) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) {
			lines[key] = n.Line
			if !d.text(path, n, into) {
				lines[key] = complained
			}
		}
	}
	d.mapping("node", n, []key{
		{name: "name", read: text("name", &node.Name)},
		{name: "uuid", read: text("uuid", &node.UUID)},
		{name: "owner", read: text("owner", &node.About.Owner)},
		{name: "lessee", read: text("lessee", &node.About.Lessee)},
		{name: "bmc", read: func(path string, n *yaml.Node) {
			var bmc inventory.BMC
			d.mapping(path, n, []key{
				{name: "address", read: text("bmc.address", &bmc.Address)},
				{name: "username", read: text("bmc.username", &bmc.Username)},
				{name: "password_file", read: func(path string, n *yaml.Node) { d.file(path, n, &bmc.PasswordFile) }},
			})
			node.BMC = &bmc
		}},
		{name: "console", read: func(path string, n *yaml.Node) {
			lines["console"] = n.Line
			const later = "use command (an X program) or rfb (a VNC server)"
			con := &node.Console
			d.mapping(path, n, []key{
				{name: "command", read: func(path string, n *yaml.Node) {
					lines["console.command"] = n.Line
					d.texts(path, n, `["xterm", "-maximized"]`, &con.Command)
				}},
				{name: "rfb", read: func(path string, n *yaml.Node) {
					if n.Kind != yaml.MappingNode {
						text("console.rfb", &con.RFB)(path, n)
						return
					}
					lines["console.rfb"] = n.Line
					d.native(path, n, con, lines, text)
				}},
				{name: "geometry", read: func(path string, n *yaml.Node) {
					lines["console.geometry"] = n.Line
					var size string
					if d.text(path, n, &size) {
						var err error
						con.Width, con.Height, err = inventory.ParseGeometry(size)
						d.check(path, n, err)
					}
				}},
				{name: "seats", read: text("console.seats", &con.Seats)},
				{name: "lease", read: func(path string, n *yaml.Node) { d.lease(path, n, &con.Lease) }},
				{name: "layout", read: func(path string, n *yaml.Node) {
					if d.text(path, n, &con.Layout) {
						d.check(path, n, typing.CheckLayout(con.Layout))
					}
				}},
				{name: "keys", read: func(path string, n *yaml.Node) { d.keys(path, n, &con.Keys, lines) }},
				{name: "recording", read: func(path string, n *yaml.Node) {
					lines["console.recording"] = n.Line
					d.consoleRecording(path, n, &con.Recording)
				}},
				{name: "recipe", later: later},
				{name: "image", later: later},
			})
		}},
	})
	return node, lines
}

// keys reads how fast keys go to a console.
func (d *document) keys(path string, n *yaml.Node, into *inventory.Keys, lines map[string]int) {
	at := func(key string, read func(path string, n *yaml.Node) bool) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) {
			lines["console.keys."+key] = n.Line
			if !read(path, n) {
				lines["console.keys."+key] = complained
			}
		}
	}
	d.mapping(path, n, []key{
		{name: "hold", read: at("hold", func(path string, n *yaml.Node) bool { return d.span(path, n, &into.Hold) })},
		{name: "interval", read: at("interval", func(path string, n *yaml.Node) bool { return d.span(path, n, &into.Interval) })},
		{name: "longest", read: at("longest", func(path string, n *yaml.Node) bool { return d.span(path, n, &into.Longest) })},
		{name: "rate", read: at("rate", func(path string, n *yaml.Node) bool { return d.count(path, n, &into.Rate) })},
	})
}
