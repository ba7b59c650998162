package loads

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// host is the address to connect to by TCP.
func (r *running) host() string {
	if u, err := url.Parse(r.address); err == nil && u.Host != "" {
		return u.Host
	}
	return r.address
}

// startProxied starts the service with the cell's console and looks at it
// once, so that it runs.
func (r *running) startProxied(p Programs, c Cell, dir, port string, load []string) error {
	command, err := json.Marshal(load) // JSON is YAML
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:%s\nstate_dir: %s\nlauncher: {process: {supervisor: %s}}\n"+
		"nodes: [{name: node, console: {command: %s, geometry: %dx%d}}]\n",
		port, filepath.Join(dir, "state"), p.Supervisor, command, c.Size.X, c.Size.Y)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	r.front, err = r.start([]string{"TMPDIR=" + dir, "XDG_RUNTIME_DIR=" + dir}, nil, p.Service, "serve", "-config", config)
	if err != nil {
		return err
	}
	if err := r.listening(); err != nil {
		return err
	}
	base := "http://" + r.address
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	shot, err := client.Get(base + "/v1/nodes/node/console/screenshot?timeout=30s")
	if err != nil {
		return err
	}
	if shot.Body.Close(); shot.StatusCode != http.StatusOK {
		return fmt.Errorf("the console does not run: %s", shot.Status)
	}
	answer, err := client.Post(base+"/v1/nodes/node/console/tokens", "application/json", strings.NewReader(`{"ttl":"1h"}`))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var token struct {
		URL string `json:"websocket_url"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil || token.URL == "" {
		return fmt.Errorf("there is no token: %s, %w", answer.Status, err)
	}
	r.address = token.URL
	if err := r.screen.ready(); err != nil {
		return err
	}
	if r.rfb, err = below(r.front, "ironglass-super"); err != nil { // what the kernel keeps of its name
		return err
	}
	r.x, err = below(r.rfb, "Xvfb")
	return err
}

// Dial opens an RFB connection to an address, or to a websocket's URL as noVNC
// does.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	if !strings.HasPrefix(address, "ws://") {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	d := websocket.Dialer{HandshakeTimeout: patience, ReadBufferSize: 64 << 10}
	ws, resp, err := d.DialContext(ctx, address, nil)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	return &stream{Conn: ws}, nil
}

// stream is a websocket as a net.Conn. Reads come from one goroutine, and so
// do writes.
type stream struct {
	*websocket.Conn
	message io.Reader // what is left of a message
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.message == nil {
			var err error
			if _, s.message, err = s.NextReader(); err != nil {
				return 0, err
			}
		}
		n, err := s.message.Read(p)
		if errors.Is(err, io.EOF) {
			s.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (s *stream) Write(p []byte) (int, error) {
	return len(p), s.WriteMessage(websocket.BinaryMessage, p)
}

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}
