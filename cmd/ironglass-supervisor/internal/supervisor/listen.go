package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// address is where to listen, as for net.Listen.
type address struct {
	network, address string
}

func (a address) String() string {
	if a.network == "unix" {
		return "unix:" + a.address
	}
	return a.address
}

// maxSocketPath is the longest path of a unix socket, in bytes (unix(7)).
const maxSocketPath = 107

// parseAddress reads host:port or unix:PATH.
func parseAddress(text string) (address, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		switch {
		case path == "":
			return address{}, errors.New("the socket's path is missing: write it as in unix:/run/console.sock")
		case len(path) > maxSocketPath:
			return address{}, fmt.Errorf("the socket's path is %d bytes long and can have %d at most", len(path), maxSocketPath)
		}
		return address{"unix", path}, nil
	}
	if _, port, err := net.SplitHostPort(text); err != nil || port == "" {
		return address{}, fmt.Errorf("%q is not an address: write it as in 127.0.0.1:5900 or unix:/run/console.sock", text)
	}
	return address{"tcp", text}, nil
}

// exposed refuses to let everybody on the network in, as the security type
// does.
func exposed(typ string) error {
	without := ""
	if typ != "none" {
		without = " without a password"
		if typ == "vencrypt" {
			without += " or -tls-client-ca"
		}
	}
	return fmt.Errorf("the security type %s%s lets everybody in who can reach this address, which is not loopback: "+
		"listen on 127.0.0.1 or a unix socket, or add -insecure", typ, without)
}

// resolved makes the host of a a number, so that what was checked to be
// loopback is also what is listened on.
func (a address) resolved() (address, bool, error) {
	if a.network == "unix" {
		return a, true, nil
	}
	to, err := net.ResolveTCPAddr("tcp", a.address)
	if err != nil {
		return a, false, fmt.Errorf("listen %s: %w", a, err)
	}
	return address{"tcp", to.String()}, to.IP.IsLoopback(), nil
}

// listen opens the socket. Its errors say what to do.
func (a address) listen() (net.Listener, error) {
	if a.network == "unix" {
		return listenUnix(a.address)
	}
	l, err := net.Listen(a.network, a.address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen %s: address in use: another program listens there; choose another with -listen", a)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen %s: permission denied: choose a port above 1023 with -listen", a)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen %s: this machine does not have that address; choose another with -listen", a)
	case err != nil:
		return nil, fmt.Errorf("listen %s: %w", a, err)
	}
	return l, nil
}

// listenUnix opens a unix socket that this user alone can connect to. A
// socket file that nobody serves any more is replaced; a lock on the folder
// keeps two supervisors from both taking the other's for such a one.
func listenUnix(path string) (net.Listener, error) {
	fail := func(err error) (net.Listener, error) { return nil, fmt.Errorf("listen unix:%s: %w", path, err) }
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("the folder %s does not exist: make it, or choose another with -listen", filepath.Dir(path))
		}
		return fail(err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fail(fmt.Errorf("lock the folder: %w", err))
	}
	if err := removeStale(path); err != nil {
		return fail(err)
	}
	// The mask is the whole process's, which has nothing else to create yet.
	mask := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(mask)
	if err != nil {
		return fail(errors.Unwrap(err)) // net's own text repeats the address
	}
	return l, nil
}

// removeStale removes a socket file that nobody serves.
func removeStale(path string) error {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return errors.New("a file that is not a socket is there; choose another path with -listen")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		conn.Close()
		return errors.New("address in use: another program serves there; choose another with -listen")
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, os.ErrNotExist): // removed meanwhile
		return nil
	default:
		return fmt.Errorf("address in use: %w; choose another with -listen", err)
	}
}
