// Package launcher starts and finds the instances that show nodes' consoles:
// one ironglass-supervisor per node, as a local process or in a container.
// The engine that runs them is the only record of what runs.
package launcher

import (
	"context"
	"errors"
	"net"
)

// Launcher runs instances on one kind of engine. All methods may be called
// from any goroutine.
type Launcher interface {
	// Start makes the instance of spec.Node run and returns when its RFB
	// greeting can be read. It is idempotent by spec.Node: an instance that
	// runs is returned as it is. phase, if not nil, is told what is being
	// waited for, in words for a person. The error names the node and what to
	// do; nothing is left behind then.
	Start(ctx context.Context, spec Spec, phase func(string)) (Instance, error)
	// Stop ends the instance and returns when it is gone. One that does not
	// exist is no error.
	Stop(ctx context.Context, id string) error
	// List returns the instances that run, adopted ones included.
	List(ctx context.Context) ([]Instance, error)
}

// Explainer is a Launcher that can say why an instance ended.
type Explainer interface {
	// Explain returns the last words of the instance, one line without
	// secrets, or "" where nothing is known.
	Explain(ctx context.Context, id string) string
}

// Spec is what an instance is to show.
type Spec struct {
	// Node is the node's name, UUID its identifier where it has one.
	Node, UUID string
	// Command is the X program to run, with its arguments.
	Command []string
	// Width and Height are the screen's size in pixels; 0 is the
	// supervisor's default.
	Width, Height int
	// ViewOnly drops all input.
	ViewOnly bool
}

// Instance is a console that runs.
type Instance struct {
	// ID is what the engine calls it; deterministic for a node.
	ID string
	// Node is the name from its Spec.
	Node string
	// Epoch differs between two starts of the same node's instance.
	Epoch string
	// Network and Address are where its RFB server listens, as for net.Dial.
	Network, Address string
}

// Dial connects to the instance's RFB server.
func (i Instance) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, i.Network, i.Address)
}

// ErrNoProgram is wrapped by errors that say a program is missing on the
// machine or in the image; the message names it and how to get it.
var ErrNoProgram = errors.New("program not found")
