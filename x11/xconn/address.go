package xconn

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// address is a display's name taken apart.
type address struct {
	host   string // "" for a unix socket of this machine
	socket string // path of a unix socket given in full, without ":N"
	number string
	screen int
}

func parseDisplay(display string) (address, error) {
	var a address
	colon := strings.LastIndexByte(display, ':')
	if colon < 0 {
		return a, fmt.Errorf("%w: %q (want :N or host:N; set -display or DISPLAY)", ErrDisplay, display)
	}
	host, number := display[:colon], display[colon+1:]
	number, screen, hasScreen := strings.Cut(number, ".")
	if n, err := strconv.Atoi(number); err != nil || n < 0 || n > 59535 {
		return a, fmt.Errorf("%w: %q has no display number from 0 to 59535", ErrDisplay, display)
	}
	if hasScreen {
		n, err := strconv.Atoi(screen)
		if err != nil || n < 0 {
			return a, fmt.Errorf("%w: %q has no screen number after the point", ErrDisplay, display)
		}
		a.screen = n
	}
	a.number = number
	switch host = strings.TrimPrefix(host, "tcp/"); {
	case host == "" || host == "unix":
	case host[0] == '/':
		a.socket = host + ":" + number
	default:
		a.host = strings.Trim(host, "[]")
	}
	return a, nil
}

// dial opens the socket. A server's abstract socket is tried too, for it is
// all that can be seen of one behind another /tmp.
func (a address) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	if a.host != "" {
		n, _ := strconv.Atoi(a.number) // checked by parseDisplay
		return d.DialContext(ctx, "tcp", net.JoinHostPort(a.host, strconv.Itoa(6000+n)))
	}
	if a.socket != "" {
		return d.DialContext(ctx, "unix", a.socket)
	}
	path := "/tmp/.X11-unix/X" + a.number
	c, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		if c, abstractErr := d.DialContext(ctx, "unix", "@"+path); abstractErr == nil {
			return c, nil
		}
	}
	return c, err
}
