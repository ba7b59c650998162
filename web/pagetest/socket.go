package pagetest

import (
	"io"
	"net"

	"github.com/gorilla/websocket"
)

// socket is a websocket as a net.Conn. Reading and writing may each be done by
// one goroutine at a time.
type socket struct {
	net.Conn // below it: deadlines, addresses and the end

	ws      *websocket.Conn
	message io.Reader // the rest of the one being read
}

func (c *socket) Read(b []byte) (int, error) {
	for {
		if c.message == nil {
			_, m, err := c.ws.NextReader()
			if err != nil {
				return 0, io.EOF
			}
			c.message = m
		}
		n, err := c.message.Read(b)
		if n > 0 || err != io.EOF {
			return n, err
		}
		c.message = nil
	}
}

func (c *socket) Write(b []byte) (int, error) {
	if err := c.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		return 0, err
	}
	return len(b), nil
}
