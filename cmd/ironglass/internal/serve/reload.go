package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
	"github.com/ironglass/ironglass/launcher/inventory"
	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
)

// tlsConfig reads the certificates that the configuration names.
func tlsConfig(cfg *config.Config) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
	if err != nil {
		return nil, fmt.Errorf("the certificate %s with the key %s cannot be used: %w", cfg.TLS.Cert, cfg.TLS.Key, err)
	}
	t := &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		// Websockets begin in HTTP/1.1.
		NextProtos: []string{"http/1.1"},
	}
	if cfg.ClientCA == "" {
		return t, nil
	}
	text, err := os.ReadFile(cfg.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("api.client_ca cannot be read: %w", err)
	}
	t.ClientCAs = x509.NewCertPool()
	if !t.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM: correct api.client_ca", cfg.ClientCA)
	}
	// People come with a token and without a certificate.
	t.ClientAuth = tls.VerifyClientCertIfGiven
	return t, nil
}

// access says who may use the API.
func access(cfg *config.Config, credential string, k *identity) proxy.Access {
	a := proxy.Access{
		APIToken: credential, ClientCertificates: cfg.ClientCA != "", AllowedOrigins: cfg.AllowedOrigins,
	}
	if k != nil {
		a.Keystone, a.Lessee = k.checker, token.Mode(cfg.Keystone.Lessee)
	}
	return a
}

// reload reads the configuration anew and puts to use what can be changed
// while viewers look: the nodes, who may use the API, certificates and allowed
// origins. What is wrong leaves everything as it was.
func (s *service) reload() {
	// Who moves the audit log away sends the same signal.
	if err := s.proxy.Reopen(); err != nil {
		s.Log.Error("the audit log goes on in its old file", "err", err)
	}
	err := s.tryReload()
	if err == nil {
		return
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		s.Log.Error("the configuration was not reloaded and is as before", "err", line)
	}
}

func (s *service) tryReload() error {
	next, err := config.Load(s.cfg.File)
	if err != nil {
		return err
	}
	credential, err := next.Credential()
	if err != nil {
		return err
	}
	var secured *tls.Config
	if next.TLS != nil && s.secured.Load() != nil {
		if secured, err = tlsConfig(next); err != nil {
			return err
		}
	}
	var rfbSecured *tls.Config
	if next.RFB != nil && next.RFB.TLS != nil && s.rfbSecured.Load() != nil {
		if rfbSecured, err = rfbTLS(next.RFB.TLS); err != nil {
			return err
		}
	}
	_, nodes, err := s.roster(next.Nodes)
	if err != nil {
		return err
	}
	known, err := s.identity(next)
	if err != nil {
		return err
	}
	access := access(next, credential, known)
	if !next.Closed() && !config.Loopback(s.cfg.Listen) {
		return fmt.Errorf("the service listens on %s and would have no credential: restart it, or set api.token_file", s.cfg.Listen)
	}
	// Before the nodes, which may be many: a credential that leaked ends now.
	if err := s.proxy.SetAccess(access); err != nil {
		return err
	}
	if known != s.keystone {
		s.keystone.close()
		s.keystone = known
	}
	if secured != nil {
		s.secured.Store(secured)
	}
	if rfbSecured != nil {
		s.rfbSecured.Store(rfbSecured)
	}
	if err := s.proxy.SetNodes(nodes); err != nil {
		return err
	}
	s.file = next.Nodes
	for _, key := range frozen(s.cfg, next) {
		s.Log.Warn("this part of the configuration counts from the next start", "key", key)
	}
	s.Log.Info("the configuration was reloaded", "nodes", len(nodes))
	return nil
}

// roster is all nodes that there are, if those are what the file lists.
func (s *service) roster(file *inventory.Inventory) (*inventory.Inventory, []proxy.Node, error) {
	all := file
	if s.ironic != nil {
		var err error
		if all, err = s.merged(file, s.ironic.nodes); err != nil {
			return nil, nil, err
		}
	}
	nodes, err := s.nodes(file, all)
	return all, nodes, err
}

// news is where the next list of the inventory's nodes comes from.
func (s *service) news() <-chan []inventory.Node {
	if s.ironic == nil {
		return nil
	}
	return s.ironic.news
}

// relist puts a list of the inventory's nodes to use.
func (s *service) relist(list []inventory.Node) {
	before := s.ironic.nodes
	s.ironic.nodes = list
	_, nodes, err := s.roster(s.file)
	if err == nil {
		err = s.proxy.SetNodes(nodes)
	}
	if err != nil {
		s.ironic.nodes = before
		s.Log.Error("Ironic's nodes are as they were", "err", err)
		return
	}
	s.Log.Info("Ironic's nodes have changed", "nodes", len(nodes))
}

// frozen names the keys that differ and are read at the start alone.
func frozen(now, next *config.Config) []string {
	var keys []string
	for _, k := range []struct {
		name    string
		differs bool
	}{
		{"listen", now.Listen != next.Listen},
		{"public_url", now.PublicURL != next.PublicURL},
		{"linger", now.Linger != next.Linger},
		{"tls", (now.TLS == nil) != (next.TLS == nil)},
		{"rfb", rfbDiffers(now.RFB, next.RFB)},
		{"nova", !reflect.DeepEqual(now.Nova, next.Nova)},
		{"frame_ancestors", !slices.Equal(now.FrameAncestors, next.FrameAncestors)},
		{"lease", now.Lease != next.Lease},
		{"audit", now.AuditFile != next.AuditFile},
		{"launcher", now.Process != next.Process},
		{"inventory", !reflect.DeepEqual(now.Ironic, next.Ironic)},
		{"state_dir", now.StateDir != next.StateDir},
	} {
		if k.differs {
			keys = append(keys, k.name)
		}
	}
	return keys
}
