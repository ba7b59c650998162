package serve

import (
	"context"
	"sync"

	"github.com/ironglass/ironglass/launcher"
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
func (b *launched) Start(ctx context.Context, phase func(string)) (proxy.Endpoint, error) {
	i, err := b.by.Start(ctx, b.spec, phase)
	if err != nil {
		return proxy.Endpoint{}, err
	}
	b.saw(i.ID)
	return proxy.Endpoint{Dial: i.Dial, Epoch: i.Epoch, Exact: true}, nil
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
