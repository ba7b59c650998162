package serve

import (
	"fmt"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/openstack"
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
	client, err := openstack.NewHTTP(c.CA)
	if err != nil {
		return nil, fmt.Errorf("nova.ca: %w", err)
	}
	s.compute = client
	cfg := c.Client
	cfg.HTTP = client
	return &proxy.Nova{Client: nova.New(cfg), Hosts: c.Hosts, EnforceSessionTimeout: c.EnforceSessionTimeout}, nil
}
