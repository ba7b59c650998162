package serve

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
	"github.com/ironglass/ironglass/cmd/ironglass/internal/openstack"
	"github.com/ironglass/ironglass/launcher/inventory"
	"github.com/ironglass/ironglass/launcher/inventory/ironic"
	"github.com/ironglass/ironglass/proxy"
)

// firstRead is how long the start waits for Ironic's nodes. After that it goes
// on with those that were kept.
const firstRead = 15 * time.Second

// followed is an inventory of another service that is followed.
type followed struct {
	source *ironic.Source
	http   *http.Client
	// nodes is the list in use, nil where there never was one; of Run's
	// goroutine.
	nodes []inventory.Node
	// news takes what nodes is to be next. A list that nobody took is replaced.
	news chan []inventory.Node
	stop context.CancelFunc
	done chan struct{} // closed when nothing is followed any more
}

// follow reads Ironic's nodes for the first time and begins to follow them.
func follow(ctx context.Context, cfg *config.Config, s *service) (*followed, error) {
	source, client, err := ironicSource(cfg, s)
	if err != nil {
		return nil, err
	}
	f := &followed{source: source, http: client, news: make(chan []inventory.Node, 1), done: make(chan struct{})}
	first, cancel := context.WithTimeout(ctx, firstRead)
	defer cancel()
	f.nodes, err = source.Read(first)
	if err == nil {
		source.Keep(f.nodes)
	} else {
		f.useCached(s)
	}
	known := f.nodes
	if err != nil {
		known = nil // the kept list has no passwords
	}
	// It outlives this call, and ends with stop.
	ctx, f.stop = context.WithCancel(context.WithoutCancel(ctx))
	go f.run(ctx, known)
	return f, nil
}

// useCached takes the list of the last run.
func (f *followed) useCached(s *service) {
	nodes, at, err := f.source.Cached()
	switch {
	case err != nil:
		s.Log.Error("the last list of Ironic's nodes cannot be used", "err", err)
	case nodes == nil:
		s.Log.Error("Ironic's nodes are not known yet: they come when Ironic answers")
	default:
		s.Log.Warn("Ironic's nodes are those that it had", "read", at, "nodes", len(nodes))
		f.nodes = nodes
	}
}

// run follows the nodes until stop.
func (f *followed) run(ctx context.Context, known []inventory.Node) {
	defer close(f.done)
	f.source.Run(ctx, known, func(list []inventory.Node) {
		select {
		case <-f.news: // nobody needs that any more
		default:
		}
		f.news <- list // there is room: nobody else puts anything there
	})
}

// close ends the following and waits for it.
func (f *followed) close() {
	f.stop()
	<-f.done
	f.http.CloseIdleConnections()
}

// status is proxy.Config's Inventory.
func (f *followed) status() proxy.Inventory {
	st := f.source.Status()
	return proxy.Inventory{
		Source: "ironic", Cause: st.Cause, Reason: st.Reason, ReadAt: st.ReadAt,
		Nodes: st.Nodes, Faulty: st.Faulty, Failures: st.Failures,
	}
}

// ironicSource is what the configuration says of Ironic.
func ironicSource(c *config.Config, s *service) (*ironic.Source, *http.Client, error) {
	i := c.Ironic
	client, err := openstack.NewHTTP(i.CA)
	if err != nil {
		return nil, nil, fmt.Errorf("inventory.ironic.ca: %w", err)
	}
	cfg := ironic.Config{
		Endpoints: i.Endpoints, HTTP: client, Region: i.Region, Interval: i.Interval, Trusted: i.Trusted,
		Cache: filepath.Join(c.StateDir, "ironic.json"), Log: s.Log,
	}
	switch {
	case i.Keystone != nil:
		cfg.Keystone = func(ctx context.Context) (*gophercloud.ProviderClient, error) { return i.Keystone.SignIn(ctx, client) }
	case i.Username != "":
		cfg.Basic = func() (string, string, error) {
			password, err := openstack.ReadSecret(i.PasswordFile)
			return i.Username, password, err
		}
	}
	return ironic.New(cfg), client, nil
}
