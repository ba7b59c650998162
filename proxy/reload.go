package proxy

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/ironglass/ironglass/proxy/keystone"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/proxy/typing"
	"github.com/ironglass/ironglass/rfb"
)

// Access says who may use the API and from where. It may be changed while the
// service runs.
type Access struct {
	// APIToken is the bearer credential of the API. Where it is empty and
	// neither ClientCertificates nor Keystone is set, the API is open, and the service must
	// listen on loopback addresses only, which the caller checks. Requests
	// must then also name a loopback address or PublicURL's host.
	APIToken string
	// ClientCertificates lets in who shows a certificate that the TLS server
	// has verified.
	ClientCertificates bool
	// Keystone, if not nil, lets in who sends a token of OpenStack's as
	// X-Auth-Token, as far as the roles in it and the node's About go.
	Keystone *keystone.Checker
	// Lessee is what the project that uses a node may do with it: token.View,
	// token.Operate, or nothing, which is "".
	Lessee token.Mode
	// AllowedOrigins lists the origins, beside the service's own, from which
	// pages may open websockets.
	AllowedOrigins []string
}

// access is an Access in use. It does not change.
type access struct {
	Access
	origins map[string]struct{} // as browsers write them
}

// closed reports whether the API asks for a credential.
func (a *access) closed() bool { return a.APIToken != "" || a.ClientCertificates || a.Keystone != nil }

// SetAccess changes who may use the API and from where. What is open stays
// open. On an error nothing has changed.
func (s *Service) SetAccess(a Access) error {
	next := &access{Access: a, origins: make(map[string]struct{})}
	var errs *multierror.Error
	for _, text := range a.AllowedOrigins {
		u, err := url.Parse(text)
		if err != nil || u.Scheme == "" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			errs = multierror.Append(errs, fmt.Errorf("the allowed origin %q is not of the form https://host or https://host:port", text))
			continue
		}
		next.origins[origin(u)] = struct{}{}
	}
	if err := errs.ErrorOrNil(); err != nil {
		return err
	}
	s.access.Store(next)
	return nil
}

// roster is a set of consoles. It does not change.
type roster struct {
	consoles []*Console // in the order of the configuration
	byName   map[string]*Console
	byUUID   map[string]*Console
}

// add takes a node's console, or says why the node cannot have one.
func (f *roster) add(n Node, recordable func(Node) error, console func(Node) *Console) error {
	uuid := strings.ToLower(n.UUID)
	switch {
	case n.Name == "":
		return errors.New("a node has no name")
	case strings.ContainsAny(n.Name, "/\x00") || n.Name == "." || n.Name == "..":
		return fmt.Errorf("the node's name %q cannot stand in an address", n.Name)
	case n.Seats != "" && n.Seats != SeatsShared && n.Seats != SeatsExclusive:
		return fmt.Errorf("node %q has seats that are %q, not %q or %q", n.Name, n.Seats, SeatsShared, SeatsExclusive)
	case n.Backend == nil && n.Unavailable == "":
		return fmt.Errorf("node %q has nothing that makes its console run", n.Name)
	case f.find(n.Name) != nil:
		return fmt.Errorf("two nodes are called %q", n.Name)
	case uuid != "" && f.find(uuid) != nil:
		return fmt.Errorf("two nodes have the UUID %q", n.UUID)
	}
	if n.Unavailable != "" {
		n.Backend = unavailable(n.Unavailable)
	}
	if n.Width <= 0 || n.Height <= 0 {
		n.Width, n.Height = 1280, 1024
	}
	if n.Layout == "" {
		n.Layout = typing.Default
	}
	if err := typing.CheckLayout(n.Layout); err != nil {
		return fmt.Errorf("node %q: %w", n.Name, err)
	}
	if err := recordable(n); err != nil {
		return err
	}
	c := console(n)
	f.consoles = append(f.consoles, c)
	f.byName[n.Name] = c
	if uuid != "" {
		f.byUUID[uuid] = c
	}
	return nil
}

func (f *roster) find(id string) *Console {
	if c := f.byName[id]; c != nil {
		return c
	}
	return f.byUUID[strings.ToLower(id)]
}

// SetNodes changes which nodes there are. Nodes with the name and the Version
// of one that was there keep their console, its viewers and all that runs for
// it. Those that are gone are stopped, with their viewers told why; those
// that have changed are stopped too, and their viewers are sent to the new
// console, which their pages do by themselves. On an error nothing has
// changed.
func (s *Service) SetNodes(nodes []Node) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	old := s.roster.Load()
	next := &roster{byName: make(map[string]*Console), byUUID: make(map[string]*Console)}
	var changed []*Console // new ones in place of others
	about := make(map[*Console]About)
	var errs *multierror.Error
	for _, n := range nodes {
		err := next.add(n, s.recordable, func(n Node) *Console {
			before := old.byName[n.Name]
			if before != nil && before.node.Version == n.Version && n.Version != "" {
				about[before] = n.About
				return before
			}
			c := newConsole(n, s)
			if before != nil {
				changed = append(changed, c)
			}
			return c
		})
		if err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	if err := errs.ErrorOrNil(); err != nil {
		return err
	}
	if s.life.Err() != nil {
		return ErrClosed
	}
	replaced := make(map[*Console]chan<- struct{})
	for _, c := range changed {
		stopped := make(chan struct{})
		c.stopped = stopped
		c.status.Enabled = old.byName[c.node.Name].Status().Enabled
		replaced[old.byName[c.node.Name]] = stopped
	}
	s.roster.Store(next)
	s.rfb.setNodes(next.consoles)
	for c, a := range about {
		c.setAbout(a)
	}
	s.changes.tell()
	for _, c := range old.consoles {
		if next.byName[c.node.Name] == c {
			continue
		}
		stopped := replaced[c]
		c.log.Info("the configuration has changed", "removed", stopped == nil)
		s.leaving.Go(func() {
			stats := c.retire(stopped)
			s.reloading.Lock()
			defer s.reloading.Unlock()
			s.retired.Add(stats)
		})
	}
	return nil
}

// Console returns the console of the node with that UUID or name, nil where
// there is none.
func (s *Service) Console(id string) *Console { return s.roster.Load().find(id) }

// Consoles returns all consoles in the order of the configuration.
func (s *Service) Consoles() []*Console { return append([]*Console(nil), s.roster.Load().consoles...) }

// stats returns the totals of all that was shown, by consoles that are gone as
// well.
func (s *Service) stats() rfb.Stats {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	sum := s.retired
	for _, c := range s.roster.Load().consoles {
		sum.Add(c.Stats())
	}
	return sum
}
