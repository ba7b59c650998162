package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/ironglass/ironglass/launcher"
	"github.com/ironglass/ironglass/launcher/inventory"
	"github.com/ironglass/ironglass/proxy"
)

// launched is the proxy.Backend of a console that a launcher runs.
type launched struct {
	by   launcher.Launcher
	spec launcher.Spec

	mu sync.Mutex
	id string // of the instance last seen
}

var _ proxy.Backend = (*launched)(nil)

// Start is proxy.Backend's.
func (b *launched) Start(ctx context.Context, phase func(string)) (func(context.Context) (net.Conn, error), string, error) {
	i, err := b.by.Start(ctx, b.spec, phase)
	if err != nil {
		return nil, "", err
	}
	b.saw(i.ID)
	return i.Dial, i.Epoch, nil
}

func (b *launched) saw(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.id = id
}

// Stop is proxy.Backend's.
func (b *launched) Stop(ctx context.Context) error {
	// An instance may have been adopted that this never started.
	all, err := b.by.List(ctx)
	if err != nil {
		return err
	}
	for _, i := range all {
		if i.Node == b.spec.Node {
			b.saw(i.ID)
			return b.by.Stop(ctx, i.ID)
		}
	}
	return nil
}

// Explain is proxy.Backend's.
func (b *launched) Explain(ctx context.Context) string {
	e, ok := b.by.(launcher.Explainer)
	b.mu.Lock()
	id := b.id
	b.mu.Unlock()
	if !ok || id == "" {
		return ""
	}
	return e.Explain(ctx, id)
}

// native is the proxy.Backend of a VNC server that runs by itself.
type native struct {
	network, address string
}

var _ proxy.Backend = (*native)(nil)

// dialTimeout bounds connecting to a native VNC server.
const dialTimeout = 10 * time.Second

// newNative returns the backend of a node whose console is at an address.
func newNative(c inventory.Console) (*native, error) {
	network, address, err := c.Endpoint()
	if err != nil {
		return nil, err
	}
	return &native{network, address}, nil
}

// Start is proxy.Backend's. There is nothing to start, and nothing is tried:
// some VNC servers end with their first connection. What runs there cannot be
// told from what ran there before, so its epoch is always the same.
func (b *native) Start(_ context.Context, phase func(string)) (func(context.Context) (net.Conn, error), string, error) {
	phase("connecting to the VNC server at " + b.address)
	return b.dial, "native", nil
}

func (b *native) dial(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, b.network, b.address)
	if err != nil {
		return nil, b.inWords(err)
	}
	return conn, nil
}

// inWords says why there is no connection, and what to look at.
func (b *native) inWords(err error) error {
	var (
		dns   *net.DNSError
		tired net.Error
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens at %s: is the VNC server running?", b.address)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no socket %s: is the VNC server running?", b.address)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("the socket %s is closed to this user: change its owner or mode", b.address)
	case errors.As(err, &dns):
		return fmt.Errorf("the name of %s is not known (%w): correct console.rfb, or the name service", b.address, err)
	case errors.As(err, &tired) && tired.Timeout():
		return fmt.Errorf("%s does not answer: is the machine on, and no firewall in between?", b.address)
	}
	return fmt.Errorf("%s cannot be reached: %w", b.address, err)
}

// Stop is proxy.Backend's: what was not started here is not ended here.
func (b *native) Stop(context.Context) error { return nil }

// Explain is proxy.Backend's.
func (b *native) Explain(context.Context) string { return "" }
