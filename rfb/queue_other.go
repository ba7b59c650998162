//go:build !linux

package rfb

import "net"

// boundQueue does nothing: fences alone say what a connection holds.
func boundQueue(net.Conn) {}
