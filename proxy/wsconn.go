package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// errNotBinary says that a viewer sent text where RFB is binary.
var errNotBinary = errors.New("the viewer sent a text message, RFB needs binary ones")

// closeGrace is how long a closed wsConn may still take to send its close
// frame.
const closeGrace = time.Second

// wsConn makes a websocket a net.Conn: what is written at once is one binary
// message, and messages that come in are read as a stream.
//
// Reading and writing may each be done by one goroutine at a time; the rest
// by any.
type wsConn struct {
	ws      *websocket.Conn
	message io.Reader // the rest of the message being read; the reader's

	sent, received atomic.Int64 // bytes of payload
	heard          atomic.Bool  // something came in since the last ping
	parted         atomic.Bool  // the viewer said goodbye

	mu     sync.Mutex
	closed bool
	pings  *time.Timer // nil without pings
	cut    *time.Timer // ends what is left of a closed connection
}

// newWSConn returns the connection that ws carries. A viewer of which nothing
// is heard from one ping to the next but one is gone; without a positive
// interval there are no pings.
func newWSConn(ws *websocket.Conn, interval time.Duration) *wsConn {
	c := &wsConn{ws: ws}
	c.heard.Store(true)
	pong := ws.PongHandler()
	ws.SetPongHandler(func(text string) error {
		c.heard.Store(true)
		return pong(text)
	})
	if interval > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.pings = time.AfterFunc(interval, func() { c.ping(interval) })
	}
	return c
}

// NetConn is the connection below the websocket.
func (c *wsConn) NetConn() net.Conn { return c.ws.NetConn() }

// ping runs on the timer's goroutine and sets the timer again.
func (c *wsConn) ping(interval time.Duration) {
	if !c.heard.Swap(false) {
		_ = c.Close() // the viewer is gone
		return
	}
	// An error shows in the next read or write.
	_ = c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(interval/2))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.pings.Reset(interval)
	}
}

// Read fills b from the messages that come in. The viewer's close is io.EOF.
func (c *wsConn) Read(b []byte) (int, error) {
	for {
		if c.message == nil {
			kind, r, err := c.ws.NextReader()
			if err != nil {
				// What breaks off without a close frame has this code.
				var closed *websocket.CloseError
				c.parted.Store(errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure)
				return 0, readError(err)
			}
			if kind != websocket.BinaryMessage {
				return 0, errNotBinary
			}
			c.message = r
		}
		n, err := c.message.Read(b)
		if errors.Is(err, io.EOF) {
			c.message, err = nil, nil
		}
		if n > 0 {
			c.received.Add(int64(n))
			c.heard.Store(true)
		}
		if n > 0 || err != nil || len(b) == 0 {
			return n, readError(err)
		}
	}
}

// readError says what an error of the websocket means to an RFB server.
func readError(err error) error {
	var closed *websocket.CloseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &closed):
		return io.EOF
	case errors.Is(err, websocket.ErrReadLimit):
		return fmt.Errorf("the viewer sent too large a message: %w", err)
	}
	return err
}

// Write sends b as one message.
func (c *wsConn) Write(b []byte) (int, error) {
	if err := c.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	c.sent.Add(int64(len(b)))
	return len(b), nil
}

// WriteBuffers sends all of bufs as one message. Long buffers are not copied.
func (c *wsConn) WriteBuffers(bufs net.Buffers) error {
	if len(bufs) == 1 {
		_, err := c.Write(bufs[0])
		return err
	}
	w, err := c.ws.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return err
	}
	n := 0
	for _, b := range bufs {
		if _, err := w.Write(b); err != nil {
			return err
		}
		n += len(b)
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.sent.Add(int64(n))
	return nil
}

// Close unblocks reads and writes at once. The connection itself stays for
// closeGrace at most, so that Finish can say why.
func (c *wsConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	if c.pings != nil {
		c.pings.Stop()
	}
	past := time.Unix(1, 0)
	conn := c.ws.NetConn()
	c.cut = time.AfterFunc(closeGrace, func() { conn.Close() })
	return conn.SetDeadline(past)
}

// Finish sends a close frame and ends the connection. It is called when Read
// and Write are no longer.
func (c *wsConn) Finish(code int, reason string) {
	_ = c.Close()
	if len(reason) > maxCloseReason {
		reason = reason[:maxCloseReason]
	}
	// Who does not take it was gone before.
	_ = c.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(closeGrace))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut.Stop()
	_ = c.ws.Close()
}

// maxCloseReason is what a control frame has room for (RFC 6455, 5.5).
const maxCloseReason = 123

// LocalAddr is the service's end.
func (c *wsConn) LocalAddr() net.Addr { return c.ws.LocalAddr() }

// RemoteAddr is the viewer's end, or the last proxy's before here.
func (c *wsConn) RemoteAddr() net.Addr { return c.ws.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *wsConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline bounds reads; a websocket cannot be read any more after one
// that was missed. It has no effect once the connection was closed.
func (c *wsConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.ws.SetReadDeadline(t)
}

// SetWriteDeadline bounds the writes that begin after it.
func (c *wsConn) SetWriteDeadline(t time.Time) error { return c.ws.SetWriteDeadline(t) }
