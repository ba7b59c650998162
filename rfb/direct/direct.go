// Package direct reads and writes sockets with as little of the Go runtime
// around each system call as possible.
//
// A call of net.Conn's Read or Write tells the scheduler that the thread may
// be away for long. That wakes the runtime's monitor, a thread of its own,
// which then looks on every 20 µs for as long as the program computes: some
// ten wake-ups for a frame that takes a millisecond. A socket that does not
// block has no need of it. What waits, waits in the network poller as ever,
// and deadlines and Close work as ever.
package direct

import "net"

// Wrap returns conn with direct reads and writes where it is a TCP or unix
// connection of this system, else conn itself. What it returns has a NetConn
// method, then, that gives conn, and writes several buffers as one
// (WriteBuffers).
func Wrap(conn net.Conn) net.Conn { return wrap(conn) }
