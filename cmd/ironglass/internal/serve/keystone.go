package serve

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
	"github.com/ironglass/ironglass/cmd/ironglass/internal/openstack"
	"github.com/ironglass/ironglass/proxy/keystone"
)

// identity is a Keystone whose tokens open the API.
type identity struct {
	config  config.Keystone
	checker *keystone.Checker
	http    *http.Client
}

// identity returns what checks tokens as cfg says, nil where it says nothing.
// What is known of tokens is kept where nothing has changed.
func (s *service) identity(cfg *config.Config) (*identity, error) {
	k := cfg.Keystone
	if k == nil {
		return nil, nil
	}
	if s.keystone != nil && reflect.DeepEqual(s.keystone.config, *k) {
		return s.keystone, nil
	}
	client, err := openstack.NewHTTP(k.CA)
	if err != nil {
		return nil, fmt.Errorf("api.keystone.ca: %w", err)
	}
	c := keystone.Config{URL: k.URL, HTTP: client, Cache: k.Cache, Log: s.Log}
	if own := k.Credentials; own != nil {
		c.SignIn = func(ctx context.Context) (*gophercloud.ProviderClient, error) { return own.SignIn(ctx, client) }
	}
	return &identity{config: *k, checker: keystone.New(c), http: client}, nil
}

// close closes the connections that wait for more to do. It may be nil.
func (i *identity) close() {
	if i != nil {
		i.http.CloseIdleConnections()
	}
}
