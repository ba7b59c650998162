package loads

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ConsoleMemory is what the central service holds for consoles, in bytes.
type ConsoleMemory struct {
	Consoles int
	// None is what is resident before the first console, Live with all of them
	// live and one viewer at each, and Rest some time after the viewers left,
	// the consoles still running.
	None, Live, Rest int64
}

// Each is what a live console takes.
func (m ConsoleMemory) Each() int64 { return (m.Live - m.None) / int64(m.Consoles) }

// MeasureConsoles has the service run terminals of a size and looks at all of
// them.
func MeasureConsoles(ctx context.Context, p Programs, size image.Point, consoles int) (m ConsoleMemory, err error) {
	m.Consoles = consoles
	dir, err := os.MkdirTemp("", "loads-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	port, err := freePort()
	if err != nil {
		return m, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "listen: 127.0.0.1:%s\nstate_dir: %s\nlinger: 0\nlauncher: {process: {supervisor: %s}}\nnodes:\n", port, filepath.Join(dir, "state"), p.Supervisor)
	for i := range consoles {
		fmt.Fprintf(&b, "  - {name: node%d, console: {command: [xterm, -maximized], geometry: %dx%d}}\n", i, size.X, size.Y)
	}
	config := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(config, []byte(b.String()), 0o600); err != nil {
		return m, err
	}
	r := &running{address: "127.0.0.1:" + port}
	defer func() {
		if end := r.stop(); err == nil {
			err = end
		}
	}()
	service, err := r.start([]string{"TMPDIR=" + dir, "XDG_RUNTIME_DIR=" + dir}, nil, p.Service, "serve", "-config", config)
	if err != nil {
		return m, err
	}
	if err := r.listening(); err != nil {
		return m, err
	}
	if err := sleep(ctx, time.Second); err != nil {
		return m, err
	}
	if m.None, err = Resident(service); err != nil {
		return m, err
	}
	client := &http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	var viewers []*viewer
	defer func() {
		for _, v := range viewers {
			v.close()
		}
	}()
	for i := range consoles {
		answer, err := client.Post(fmt.Sprintf("http://%s/v1/nodes/node%d/console/tokens", r.address, i), "application/json", strings.NewReader("{}"))
		if err != nil {
			return m, err
		}
		var token struct {
			URL string `json:"websocket_url"`
		}
		err = json.NewDecoder(answer.Body).Decode(&token)
		answer.Body.Close()
		if err != nil {
			return m, err
		}
		v, err := dial(ctx, token.URL, false, false)
		if err != nil {
			return m, r.explain(err)
		}
		viewers = append(viewers, v)
	}
	if err := r.allLive(ctx, client, consoles); err != nil {
		return m, r.explain(err)
	}
	// What a console needs for its start is given back a little later.
	if err := sleep(ctx, 5*time.Second); err != nil {
		return m, err
	}
	if m.Live, err = Resident(service); err != nil {
		return m, err
	}
	for _, v := range viewers {
		v.close()
	}
	viewers = nil
	if err := sleep(ctx, 8*time.Second); err != nil {
		return m, err
	}
	m.Rest, err = Resident(service)
	return m, err
}

// allLive waits until all consoles show their nodes.
func (r *running) allLive(ctx context.Context, client *http.Client, want int) error {
	for deadline := time.Now().Add(2 * patience); ; {
		answer, err := client.Get("http://" + r.address + "/v1/nodes")
		if err != nil {
			return err
		}
		var list struct {
			Nodes []struct{ Name, State, Reason string }
		}
		err = json.NewDecoder(answer.Body).Decode(&list)
		answer.Body.Close()
		if err != nil {
			return err
		}
		live := 0
		for _, n := range list.Nodes {
			if n.State == "live" {
				live++
			}
		}
		if live == want {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d consoles are live: %+v", live, want, list.Nodes)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}
