//go:build !linux

package rfb

import (
	"net"
	"time"
)

// boundQueue does nothing: fences alone say what a connection holds.
func boundQueue(net.Conn) {}

// probeOften does nothing.
func probeOften(net.Conn, bool) {}

// pathQuiet cannot tell.
func pathQuiet(net.Conn) (quiet time.Duration, known bool) { return 0, false }
