package serve

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ironglass/ironglass/launcher"
	"github.com/ironglass/ironglass/launcher/inventory"
	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/recording"
	"github.com/ironglass/ironglass/proxy/typing"
)

// merged returns the nodes of the file, then those of Ironic. A node that is in
// both by its UUID is the file's, with what Ironic says of its owner and, where
// the file is silent, of its BMC. Names are first the file's.
func (s *service) merged(file *inventory.Inventory, listed []inventory.Node) (*inventory.Inventory, error) {
	all := file.Nodes()
	ours := make(map[string]int, len(all))
	for i, n := range all {
		ours[n.UUID] = i
	}
	for _, n := range listed {
		if at, ok := ours[n.UUID]; ok {
			all[at].About = n.About // its owner is known there better
			if all[at].BMC == nil {
				all[at].BMC = n.BMC
			}
			continue
		}
		if _, taken := file.Find(n.Name); taken {
			s.Log.Warn("a node of Ironic has the name of one of the file: it goes by its UUID", "node", n.Name, "uuid", n.UUID)
			n.Name = "node-" + n.UUID
		}
		all = append(all, n)
	}
	return inventory.New(all)
}

// version tells one state of a node from another by all that its console is
// made from. What is only said about it is no part of that.
func version(n inventory.Node) (string, error) {
	n.About = inventory.About{}
	text, err := json.Marshal(n)
	if err != nil || n.BMC == nil {
		return string(text), err
	}
	// A Secret writes nothing of itself.
	sum := sha256.Sum256([]byte(n.BMC.Password.Reveal()))
	return string(text) + string(sum[:]), nil
}

// nodes makes the proxy's nodes of the inventory's. Only those of the file can
// be an error: others are listed with what is wrong with them.
func (s *service) nodes(file, all *inventory.Inventory) ([]proxy.Node, error) {
	var nodes []proxy.Node
	for _, n := range all.Nodes() {
		node, err := s.node(n)
		if err != nil {
			if _, ours := file.Find(n.UUID); ours {
				return nil, fmt.Errorf("node %s: %w", n.Name, err)
			}
			n.Fault, n.Console = err.Error(), inventory.Console{}
			if node, err = s.node(n); err != nil {
				return nil, fmt.Errorf("node %s: %w", n.Name, err)
			}
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// node makes a node of the proxy's.
func (s *service) node(n inventory.Node) (proxy.Node, error) {
	version, err := version(n)
	if err != nil {
		return proxy.Node{}, err
	}
	node := proxy.Node{
		Name: n.Name, UUID: n.UUID, Width: n.Console.Width, Height: n.Console.Height, Version: version,
		Seats: proxy.SeatPolicy(n.Console.Seats), Lease: proxy.Lease(n.Console.Lease),
		Keys: proxy.Pace(n.Console.Keys), Layout: n.Console.Layout,
		Recording: recording.Settings{
			Mode: recording.Mode(n.Console.Recording.Mode),
			Last: n.Console.Recording.Last, MaxSize: n.Console.Recording.MaxSize,
		},
		About: proxy.About(n.About),
	}
	if node.Layout != "" {
		if err := typing.CheckLayout(node.Layout); err != nil {
			return proxy.Node{}, err
		}
	}
	switch {
	case n.Fault != "":
		node.Kind, node.Unavailable = "none", n.Fault
	case n.Console.RFB != "":
		b, err := proxy.NewNative(nativeConfig(n.Console))
		if err != nil {
			return proxy.Node{}, err
		}
		node.Kind, node.Backend = "rfb", b
	case n.Console.Command != nil:
		// Supervisors type by symbol.
		node.BySymbol = true
		node.Kind, node.Backend = "command", &launched{by: s.launcher, spec: launcher.Spec{
			Node: n.Name, UUID: n.UUID, Command: n.Console.Command,
			Width: n.Console.Width, Height: n.Console.Height,
		}}
	default:
		return proxy.Node{}, errors.New("BMCs' own consoles are not in this version: name a VNC server or an X program for the node's console")
	}
	return node, nil
}

// nativeConfig is how the VNC server of a console is reached.
func nativeConfig(c inventory.Console) proxy.NativeConfig {
	cfg := proxy.NativeConfig{Address: c.RFB, Username: c.Username, PasswordFile: c.PasswordFile}
	if t := c.TLS; t != nil {
		cfg.TLS = &proxy.NativeTLS{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName, Fingerprint: t.Fingerprint}
	}
	return cfg
}
