package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/nova"
)

// nova says how tokens are checked that Nova gave out, nil where there are
// none.
func (s *service) nova() (*proxy.Nova, error) {
	c := s.cfg.Nova
	if c == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("nova.ca cannot be read: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate in PEM: correct nova.ca", c.CA)
		}
	}
	s.openstack = &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: t, IdleConnTimeout: idleTime, ForceAttemptHTTP2: true,
	}
	cfg := c.Client
	cfg.HTTP = &http.Client{Transport: s.openstack}
	return &proxy.Nova{Client: nova.New(cfg), Hosts: c.Hosts, EnforceSessionTimeout: c.EnforceSessionTimeout}, nil
}
