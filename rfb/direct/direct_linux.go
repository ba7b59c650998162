package direct

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is what net's connections over sockets have.
type socket interface {
	net.Conn
	syscall.Conn
}

// conn is a connection over a socket. Its methods may be called from any
// goroutine.
type conn struct {
	socket
	raw syscall.RawConn
}

func wrap(c net.Conn) net.Conn {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return c
	}
	s := c.(socket)
	raw, err := s.SyscallConn()
	if err != nil {
		return c // its next call tells
	}
	return &conn{s, raw}
}

// NetConn returns the connection that was wrapped.
func (c *conn) NetConn() net.Conn { return c.socket }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	var n int
	var errno syscall.Errno
	err := c.raw.Read(func(fd uintptr) bool {
		n, errno = call(unix.SYS_READ, fd, unsafe.Pointer(&p[0]), len(p))
		return errno != unix.EAGAIN
	})
	switch {
	case err != nil:
		return 0, named(err, "read")
	case errno != 0:
		return 0, c.failed("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	done := 0
	var errno syscall.Errno
	err := c.raw.Write(func(fd uintptr) bool {
		for errno = 0; done < len(p); {
			var n int
			if n, errno = call(unix.SYS_WRITE, fd, unsafe.Pointer(&p[done]), len(p)-done); errno != 0 {
				return errno != unix.EAGAIN
			}
			done += n
		}
		return true
	})
	return done, c.written(err, errno)
}

// mostBuffers is how many buffers the system takes at once (IOV_MAX).
const mostBuffers = 1024

// WriteBuffers writes all of bufs, with one system call where they are not too
// many and the system takes them.
func (c *conn) WriteBuffers(bufs net.Buffers) error {
	if len(bufs) == 1 {
		_, err := c.Write(bufs[0])
		return err
	}
	for len(bufs) > 0 {
		part := bufs[:min(len(bufs), mostBuffers)]
		bufs = bufs[len(part):]
		if err := c.writev(part); err != nil {
			return err
		}
	}
	return nil
}

// writev writes what mostBuffers allows.
func (c *conn) writev(bufs net.Buffers) error {
	left := make([]unix.Iovec, 0, len(bufs))
	for _, b := range bufs {
		if len(b) > 0 {
			v := unix.Iovec{Base: &b[0]}
			v.SetLen(len(b))
			left = append(left, v)
		}
	}
	var errno syscall.Errno
	err := c.raw.Write(func(fd uintptr) bool {
		for errno = 0; len(left) > 0; {
			var n int
			if n, errno = call(unix.SYS_WRITEV, fd, unsafe.Pointer(&left[0]), len(left)); errno != 0 {
				return errno != unix.EAGAIN
			}
			left = after(left, n)
		}
		return true
	})
	return c.written(err, errno)
}

// after is what is left of v when n bytes of it were written.
func after(v []unix.Iovec, n int) []unix.Iovec {
	for len(v) > 0 && uint64(n) >= v[0].Len {
		n -= int(v[0].Len)
		v = v[1:]
	}
	if n > 0 {
		v[0].Base = (*byte)(unsafe.Add(unsafe.Pointer(v[0].Base), n))
		v[0].SetLen(int(v[0].Len) - n)
	}
	return v
}

// call makes a system call that does not block, without telling the scheduler.
func call(number, fd uintptr, p unsafe.Pointer, n int) (int, syscall.Errno) {
	for {
		r, _, errno := syscall.RawSyscall(number, fd, uintptr(p), uintptr(n))
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// written is the error of a write: err of the poller, or errno of the call.
func (c *conn) written(err error, errno syscall.Errno) error {
	switch {
	case err != nil:
		return named(err, "write")
	case errno != 0:
		return c.failed("write", errno)
	}
	return nil
}

// failed is an error as net's connections give it.
func (c *conn) failed(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
}

// named is an error of the poller, which calls what was done by another name.
func named(err error, op string) error {
	if e := (*net.OpError)(nil); errors.As(err, &e) {
		e.Op = op
	}
	return err
}
