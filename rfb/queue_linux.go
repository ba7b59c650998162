package rfb

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// mostUnsent is how many bytes the system may hold of a viewer's connection
// that have not been sent for the first time, so that a write takes as long as
// the path does and a frame is not made while another waits there.
const mostUnsent = 128 << 10

// mostUnheard is for how long the other end's machine may answer nothing
// before the system gives the connection up, which would be up to a quarter of
// an hour.
const mostUnheard = 30 * time.Second

// boundQueue bounds what the system queues on conn, and how long it waits for
// a machine that is lost. What fails costs fluency and nothing else.
func boundQueue(conn net.Conn) {
	control(conn, func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, mostUnsent)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(mostUnheard/time.Millisecond))
	})
}

// The times in seconds after which the system asks an idle machine whether it
// is there, and asks again: those of package net, and those for a viewer that
// holds something down.
const (
	probeSeldom    = 15
	probeEachOther = 1
)

// probeOften makes the system ask the other end's machine each second whether
// it is there, or as seldom as usual.
func probeOften(conn net.Conn, often bool) {
	every := probeSeldom
	if often {
		every = probeEachOther
	}
	control(conn, func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, every)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, every)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	})
}

// pathQuiet is for how long nothing at all has come from the other end's
// machine; known is false where that cannot be told.
func pathQuiet(conn net.Conn) (quiet time.Duration, known bool) {
	control(conn, func(fd int) {
		if info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			quiet, known = time.Duration(min(info.Last_ack_recv, info.Last_data_recv))*time.Millisecond, true
		}
	})
	return quiet, known
}

// control gives f the socket of conn, where it is TCP, be it below TLS or a
// websocket.
func control(conn net.Conn, f func(fd int)) {
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
	_ = raw.Control(func(fd uintptr) { f(int(fd)) })
}
