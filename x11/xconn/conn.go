// Package xconn opens connections to X servers. It gives xgb what that
// library lacks: an authority file named by the caller instead of the
// environment, a context for the handshake, buffered reading, several
// requests in one write, and extensions that may be started on one connection
// while another one is in use.
package xconn

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/ironglass/ironglass/rfb/direct"
	"github.com/jezek/xgb"
)

// ErrDisplay is wrapped where a display's name cannot be understood.
var ErrDisplay = errors.New("not the name of an X display")

// xgb writes a line to standard error whenever a connection ends, which is
// nothing a person must know: whoever holds the connection learns of it.
func init() { xgb.Logger.SetOutput(io.Discard) }

// Conn is a connection to an X server. Its methods and xgb's requests on Conn
// may be used from any goroutine. Somebody must take its events all the time
// (WaitForEvent): once xgb's queue of them is full, replies wait too.
type Conn struct {
	*xgb.Conn
	stream *stream
	local  bool
}

// Dial connects to the X server that display names (":1", "unix:1",
// "host:1.0"), showing the cookie that authFile has for it. An empty display
// is $DISPLAY; an empty authFile is $XAUTHORITY, or ~/.Xauthority. ctx ends
// the dialling only.
func Dial(ctx context.Context, display, authFile string) (*Conn, error) {
	if display == "" {
		display = os.Getenv("DISPLAY")
	}
	addr, err := parseDisplay(display)
	if err != nil {
		return nil, err
	}
	nc, err := addr.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to X display %s: %w", display, err)
	}
	cookie, err := addr.cookie(authFile)
	if err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("connecting to X display %s: %w", display, err)
	}
	_, local := nc.(*net.UnixConn)
	nc = direct.Wrap(nc)
	s := newStream(nc)
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	c, err := xgb.NewConnNetWithCookieHex(s, hex.EncodeToString(cookie[:]))
	if err != nil {
		s.release() // nobody reads any more
	}
	if !stop() {
		// The deadline may have been set before or after the handshake ended.
		if err == nil {
			c.Close()
		}
		_ = nc.Close()
		return nil, fmt.Errorf("connecting to X display %s: %w", display, context.Cause(ctx))
	}
	if err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("connecting to X display %s: %w", display, err)
	}
	c.DefaultScreen = addr.screen
	return &Conn{Conn: c, stream: s, local: local}, nil
}

// Grace is how long a server that does not answer is waited for when a
// connection is to end.
const Grace = 2 * time.Second

// Close ends the connection. WaitForEvent gives nil, nil once it has ended,
// which takes no longer than Grace even where the server hangs.
func (c *Conn) Close() {
	c.Expire()
	c.Conn.Close() // says farewell with a round trip
}

// Expire lets the connection end after Grace, and with it all that waits for a
// server that hangs.
func (c *Conn) Expire() { _ = c.stream.SetDeadline(time.Now().Add(Grace)) }

// Local reports whether the server is on this machine, as shared memory needs.
func (c *Conn) Local() bool { return c.local }

// Batch sends what f requests in one write. f must not wait for a reply.
func (c *Conn) Batch(f func()) {
	c.stream.cork()
	defer c.stream.uncork()
	f()
}
