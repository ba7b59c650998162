package config

import (
	"net/netip"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// RFB is how viewers that are no browsers connect.
type RFB struct {
	// Listen is the host or network address of the nodes' ports.
	Listen string
	// First and Last are the range of the ports, both included.
	First, Last int
	// Connect is the port for HTTP CONNECT; 0 is none.
	Connect int
	// TLS is set where VeNCrypt is offered.
	TLS *MutualTLS
	// None lets in everybody who can connect.
	None bool
}

// MutualTLS names the files of a certificate and of the authorities whose
// certificates the other side must have, in PEM.
type MutualTLS struct{ Cert, Key, ClientCA string }

// defaultRFB is what an empty rfb stands for, but None.
var defaultRFB = RFB{Listen: "127.0.0.1", First: 15900, Last: 16899}

// rfb reads how viewers that are no browsers connect.
func (d *document) rfb(path string, n *yaml.Node, c *Config) {
	r := defaultRFB
	at := map[string]*yaml.Node{"connect": n, "none": n}
	noneSaid := false
	before := len(d.found)
	d.mapping(path, n, []key{
		{name: "listen", read: func(path string, n *yaml.Node) {
			if d.text(path, n, &r.Listen) && !isHost(r.Listen) {
				d.fail(n, "%s: %q is not a host: write it as in 127.0.0.1 or ::1, without a port", path, r.Listen)
			}
		}},
		{name: "ports", read: func(path string, n *yaml.Node) {
			var text string
			if !d.text(path, n, &text) {
				return
			}
			first, last, _ := strings.Cut(text, "-")
			from, err := parsePort(first)
			to, err2 := parsePort(last)
			if err != nil || err2 != nil || from == 0 || from > to {
				d.fail(n, "%s: %q is not a range of ports: write it as in %d-%d", path, text, defaultRFB.First, defaultRFB.Last)
				return
			}
			r.First, r.Last = int(from), int(to) //nolint:gosec // they have 16 bits
		}},
		{name: "connect", read: func(path string, n *yaml.Node) {
			at["connect"] = n
			var text string
			if !d.text(path, n, &text) {
				return
			}
			port, err := parsePort(text)
			if err != nil || port == 0 {
				d.fail(n, "%s: %q is not a port: write a number from 1 to 65535", path, text)
				return
			}
			r.Connect = int(port) //nolint:gosec // it has 16 bits
		}},
		{name: "tls", read: func(path string, n *yaml.Node) { r.TLS = d.mutualTLS(path, n) }},
		{name: "none", read: func(path string, n *yaml.Node) {
			at["none"] = n
			noneSaid = d.flag(path, n, &r.None)
		}},
	})
	if len(d.found) > before {
		return
	}
	if !noneSaid {
		r.None = r.TLS == nil && loopback(r.Listen)
	}
	if !r.None && r.TLS == nil {
		d.fail(at["none"], "%s: viewers that reach %s would have no way to prove who they are: set %s.tls, or %s.none to true to let everybody in", path, r.Listen, path, path)
	}
	if r.Connect >= r.First && r.Connect <= r.Last {
		d.fail(at["connect"], "%s.connect: port %d is one of the nodes' ports %d-%d: take another", path, r.Connect, r.First, r.Last)
	}
	c.RFB = &r
}

// isHost reports whether text is a host alone.
func isHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	return !strings.ContainsAny(text, ":/[] \t")
}

// mutualTLS reads a certificate and whose certificates are taken.
func (d *document) mutualTLS(path string, n *yaml.Node) *MutualTLS {
	var t MutualTLS
	file := func(into *string) func(string, *yaml.Node) {
		return func(path string, n *yaml.Node) { d.file(path, n, into) }
	}
	before := len(d.found)
	d.mapping(path, n, []key{
		{name: "cert", read: file(&t.Cert)}, {name: "key", read: file(&t.Key)}, {name: "client_ca", read: file(&t.ClientCA)},
	})
	if len(d.found) == before && (t.Cert == "" || t.Key == "" || t.ClientCA == "") {
		d.fail(n, "%s needs all three: cert, key and client_ca, each the name of a PEM file", path)
	}
	return &t
}

// flag reads true or false, and reports whether it is one.
func (d *document) flag(path string, n *yaml.Node, into *bool) bool {
	var text string
	if !d.text(path, n, &text) {
		return false
	}
	v, err := strconv.ParseBool(text)
	if err != nil {
		d.fail(n, "%s: %q is neither true nor false", path, text)
		return false
	}
	*into = v
	return true
}
