package rfb

import (
	"net"

	"golang.org/x/sys/unix"
)

// mostUnsent is how many bytes the system may hold of a viewer's connection
// that have not been sent for the first time, so that a write takes as long as
// the path does and a frame is not made while another waits there.
const mostUnsent = 128 << 10

// boundQueue bounds what the system queues on conn, where it is TCP, be it
// below TLS or a websocket. What fails costs fluency and nothing else.
func boundQueue(conn net.Conn) {
	for {
		inner, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = inner.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, mostUnsent)
	})
}
