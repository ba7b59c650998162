package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
	"github.com/ironglass/ironglass/cmd/ironglass/internal/serve"
	"github.com/ironglass/ironglass/launcher/launchertest"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 90 * time.Second

// running is a service that runs in this program.
type running struct {
	reload chan struct{} // has the configuration read anew
	t      *testing.T
	url    string
	http   *http.Client
	log    *logs
	end    func() // ends it and waits
}

// logs keeps what was logged. It may be written from any goroutine.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// load writes a configuration with state in dir, and reads it.
func load(t *testing.T, dir, text string) *config.Config {
	t.Helper()
	name := filepath.Join(dir, "c.yaml")
	text = fmt.Sprintf("listen: 127.0.0.1:0\nstate_dir: %s/state\n%s", dir, text)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start runs a service until the test ends.
func start(t *testing.T, cfg *config.Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, log: &logs{}, reload: make(chan struct{}), http: &http.Client{Transport: &http.Transport{}, Timeout: patience}}
	ready, over := make(chan string, 1), make(chan error, 1)
	go func() {
		over <- serve.Run(ctx, cfg, serve.Options{
			Log:    slog.New(slog.NewTextHandler(io.MultiWriter(r.log, t.Output()), nil)),
			Ready:  func(url string) { ready <- url },
			Reload: r.reload,
		})
	}()
	var once sync.Once
	r.end = func() {
		once.Do(func() {
			r.http.CloseIdleConnections()
			cancel()
			if err := <-over; err != nil {
				t.Errorf("the service ended with: %v", err)
			}
		})
	}
	select {
	case r.url = <-ready:
	case err := <-over:
		cancel()
		t.Fatalf("the service does not run: %v", err)
	}
	t.Cleanup(r.end)
	return r
}

// get returns the body of a page.
func (r *running) get(path string) (status int, body []byte) {
	r.t.Helper()
	resp, err := r.http.Get(r.url + strings.TrimPrefix(path, "/"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, body
}

// node is a node as the API shows it.
type node struct {
	Name, UUID, Kind, State, Reason string
	Width, Height                   int
}

func (r *running) nodes() map[string]node {
	r.t.Helper()
	_, body := r.get("/v1/nodes")
	var list struct{ Nodes []node }
	if err := json.Unmarshal(body, &list); err != nil {
		r.t.Fatal(err)
	}
	m := make(map[string]node)
	for _, n := range list.Nodes {
		m[n.Name] = n
	}
	return m
}

// eventually waits until ok is true.
func (r *running) eventually(what string, ok func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.t.Fatalf("in vain waited until %s", what)
		}
	}
}

// size is the size of a screenshot.
func (r *running) size(name string) (width, height int) {
	r.t.Helper()
	status, body := r.get("/v1/nodes/" + name + "/console/screenshot?timeout=60s")
	c, err := png.DecodeConfig(bytes.NewReader(body))
	if status != http.StatusOK || err != nil {
		r.t.Fatalf("the screenshot is status %d, %v: %.200q", status, err, body)
	}
	return c.Width, c.Height
}

// look opens a console as a browser does and keeps it open; leave closes it.
// A session that breaks off before is an error.
func (r *running) look(name string) (leave func()) {
	r.t.Helper()
	seen, broken := r.open(name)
	return func() {
		r.t.Helper()
		if err := broken.Load(); err != nil {
			r.t.Errorf("the viewer's session broke off: %v", *err)
		}
		if err := seen.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

// lookOn opens a console; ended waits for the session to break off.
func (r *running) lookOn(name string) (ended func() error) {
	r.t.Helper()
	seen, broken := r.open(name)
	return func() error {
		r.t.Helper()
		r.eventually("the session ends", func() bool { return broken.Load() != nil })
		if err := seen.Close(); err != nil {
			r.t.Error(err)
		}
		return *broken.Load()
	}
}

// open opens a console as a browser does. What the viewer's session ends with
// is put into broken.
func (r *running) open(name string) (seen *rfb.Server, broken *atomic.Pointer[error]) {
	r.t.Helper()
	resp, err := r.http.Post(r.url+"v1/nodes/"+name+"/console/tokens", "application/json", strings.NewReader("{}"))
	if err != nil {
		r.t.Fatal(err)
	}
	var ticket struct {
		URL string `json:"websocket_url"`
	}
	err = json.NewDecoder(resp.Body).Decode(&ticket)
	resp.Body.Close()
	if err != nil {
		r.t.Fatal(err)
	}
	broken = new(atomic.Pointer[error])
	client := rfb.NewClient(rfb.ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) {
		conn, resp, err := websocket.DefaultDialer.DialContext(ctx, ticket.URL, nil)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
		return &stream{Conn: conn}, nil
	}})
	seen = rfb.NewServer(client, rfb.ServerConfig{Linger: -1, SourceEnded: func(_ rfb.Source, err error) rfb.Source {
		broken.Store(&err)
		return nil
	}})
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if _, err := seen.Snapshot(ctx); err != nil {
		r.t.Fatalf("the console cannot be looked at: %v", err)
	}
	return seen, broken
}

// stream is a websocket as a stream of bytes. Reads come from one goroutine,
// and so do writes.
type stream struct {
	*websocket.Conn
	rest io.Reader
}

func (s *stream) Read(p []byte) (int, error) {
	for {
		if s.rest == nil {
			var err error
			if _, s.rest, err = s.NextReader(); err != nil {
				return 0, err
			}
		}
		n, err := s.rest.Read(p)
		if err == io.EOF {
			s.rest = nil
			if n == 0 {
				continue
			}
			err = nil
		}
		return n, err
	}
}

func (s *stream) Write(p []byte) (int, error) {
	return len(p), s.WriteMessage(websocket.BinaryMessage, p)
}

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

// supervisor returns the process and the epoch of the only console that runs.
func supervisor(t *testing.T, cfg *config.Config) (pid int, epoch string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(cfg.StateDir, "run", "*", "instance.json"))
	if err != nil || len(names) != 1 {
		t.Fatalf("running are %v (%v), want one console", names, err)
	}
	text, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	var rec struct {
		PID   int
		Epoch string
	}
	if err := json.Unmarshal(text, &rec); err != nil {
		t.Fatal(err)
	}
	return rec.PID, rec.Epoch
}

// TestConsoleFromStartToEnd has an xterm run by the real supervisor, kills
// that, and ends the service.
func TestConsoleFromStartToEnd(t *testing.T) {
	bin := launchertest.Build(t, "ironglass-supervisor")
	dir := t.TempDir()
	cfg := load(t, dir, "launcher: {process: {supervisor: "+bin+"/ironglass-supervisor}}\n"+
		"nodes: [{name: terminal, console: {command: [xterm, -maximized], geometry: 800x600}}]\n")
	r := start(t, cfg)
	if n := r.nodes()["terminal"]; n.State != "cold" || n.Kind != "command" || n.UUID == "" {
		t.Errorf("before anybody looks the node is %+v", n)
	}
	if w, h := r.size("terminal"); w != 800 || h != 600 {
		t.Errorf("the screen is %dx%d", w, h)
	}
	if n := r.nodes()["terminal"]; n.State != "live" || n.Width != 800 || n.Height != 600 {
		t.Errorf("after a screenshot the node is %+v", n)
	}

	// Somebody looks while the supervisor is killed: it is back by itself.
	viewer := r.look("terminal")
	pid, first := supervisor(t, cfg)
	proc, err := os.FindProcess(pid)
	if err == nil {
		err = proc.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	r.eventually("the console is back", func() bool {
		names, _ := filepath.Glob(filepath.Join(cfg.StateDir, "run", "*", "instance.json"))
		if len(names) != 1 {
			return false
		}
		_, epoch := supervisor(t, cfg)
		return epoch != first && r.nodes()["terminal"].State == "live"
	})
	if !strings.Contains(r.log.String(), `level=WARN msg="supervisor ended" node=terminal why="it was killed by SIGKILL`) {
		t.Error("the log does not say that the supervisor was killed")
	}
	if w, h := r.size("terminal"); w != 800 || h != 600 {
		t.Errorf("after its restart the screen is %dx%d", w, h)
	}
	viewer()

	_, second := supervisor(t, cfg)
	r.end()
	for _, epoch := range []string{first, second} {
		for _, line := range processesOf(t, epoch) {
			t.Errorf("left running: %s", line)
		}
	}
	if _, err := os.Lstat(filepath.Join(cfg.StateDir, "run")); !os.IsNotExist(err) {
		t.Errorf("the consoles' directory is left (%v)", err)
	}
}

// processesOf lists the living processes of a console.
func processesOf(t *testing.T, epoch string) []string {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range names {
		if env, err := os.ReadFile(name); err == nil && bytes.Contains(env, []byte("IRONGLASS_EPOCH="+epoch)) {
			line, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
			found = append(found, filepath.Dir(name)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

// TestNativeServers looks at consoles that are reached and not started, where
// there is nothing to reach.
func TestNativeServers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	r := start(t, load(t, t.TempDir(), "nodes: [{name: port, console: {rfb: \""+closed+"\"}}, {name: socket, console: {rfb: unix:/nowhere/vnc}}]\n"))
	for name, want := range map[string]string{
		"port":   "nothing listens at " + closed + ": is the VNC server running?",
		"socket": "there is no socket /nowhere/vnc: is the VNC server running?",
	} {
		r.eventually("the answer has the words "+want, func() bool {
			status, body := r.get("/v1/nodes/" + name + "/console/screenshot?timeout=1s")
			if status == http.StatusOK {
				t.Fatalf("%s has a screen", name)
			}
			return strings.Contains(string(body), want)
		})
		if n := r.nodes()[name]; n.Kind != "rfb" {
			t.Errorf("the node is %+v", n)
		}
	}
}

// vnc runs a native VNC server and returns its address for console.rfb.
func vnc(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "vnc"))
	if err != nil {
		t.Fatal(err)
	}
	server := rfb.NewServer(rfbtest.NewSource(320, 240), rfb.ServerConfig{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { _ = server.Serve(context.Background(), conn, rfb.ViewerConfig{}) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		_ = server.Close()
		wg.Wait()
	})
	return "unix:" + l.Addr().String()
}

// TestPeople has what the configuration says about people come to pass, and
// ends the service while somebody waits for events.
func TestPeople(t *testing.T) {
	dir := t.TempDir()
	at := vnc(t)
	r := start(t, load(t, dir, "lease: {idle: 1h}\naudit: {file: "+dir+"/audit}\n"+
		"nodes: [{name: a, console: {rfb: \""+at+"\", seats: exclusive, lease: {idle: 1s}}}, {name: b, console: {rfb: \""+at+"\"}}]\n"))
	for path, want := range map[string]string{"a": `"policy":"exclusive","operator":""`, "b": `"idle_seconds":3600`} {
		if status, body := r.get("/v1/nodes/" + path + "/console"); status != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s is status %d and %s, want %s", path, status, body, want)
		}
	}
	leave := r.look("b")
	ended := r.lookOn("a")
	var closed *websocket.CloseError
	if err := ended(); !errors.As(err, &closed) || closed.Code != 4002 {
		t.Errorf("the console that nobody uses ended with %v", err)
	}
	events, err := r.http.Get(r.url + "v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	leave()
	began := time.Now()
	r.end()
	if took := time.Since(began); took > drain {
		t.Errorf("the end took %v", took)
	}
	if body, err := io.ReadAll(events.Body); err != nil || !bytes.HasPrefix(body, []byte("event: nodes\n")) {
		t.Errorf("the events are %q, %v", body, err)
	}
	text, err := os.ReadFile(dir + "/audit")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"token-issued", "session-began", "lease-ended", "session-ended"} {
		if !bytes.Contains(text, []byte(`"action":"`+want+`"`)) {
			t.Errorf("the audit log has no %s:\n%s", want, text)
		}
	}
}

// drain is more than the service takes to end when all is in order.
const drain = 8 * time.Second

// TestMissingPrograms wants words, not a service that ends.
func TestMissingPrograms(t *testing.T) {
	r := start(t, load(t, t.TempDir(), "nodes: [{name: a, console: {command: [ironglass-no-such-program]}}]\n"))
	t.Setenv("PATH", t.TempDir())
	r.eventually("the answer says that the supervisor is missing", func() bool {
		status, body := r.get("/v1/nodes/a/console/screenshot?timeout=1s")
		return status != http.StatusOK && strings.Contains(string(body), "ironglass-supervisor is neither beside this program nor in PATH: install it")
	})
}

func TestPages(t *testing.T) {
	r := start(t, load(t, t.TempDir(), "nodes: []\n"))
	for path, want := range map[string]int{"/": 200, "/healthz": 200, "/readyz": 200, "/metrics": 200, "/vnc_auto.html?token=x": 403, "/v1/nope": 404} {
		if status, body := r.get(path); status != want {
			t.Errorf("%s is status %d, want %d: %.200s", path, status, want, body)
		}
	}
}

// TestCannotOpen looks at services that cannot begin, and at what they leave.
func TestCannotOpen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for name, tc := range map[string]struct {
		spoil func(c *config.Config) error
		want  string
	}{
		"audit log":    {func(c *config.Config) error { c.AuditFile = "/dev/null/audit"; return nil }, "correct audit.file"},
		"port in use":  {func(c *config.Config) error { c.Listen = taken; return nil }, "listen " + taken + ": address in use: "},
		"not here":     {func(c *config.Config) error { c.Listen = "192.0.2.1:0"; return nil }, "listen 192.0.2.1:0: this machine does not have that address"},
		"no directory": {func(c *config.Config) error { c.StateDir = "/dev/null/state"; return nil }, "the state cannot be kept in /dev/null/state: "},
		"bad certificate": {func(c *config.Config) error {
			c.TLS = &config.TLS{Cert: c.File, Key: c.File}
			return nil
		}, "the certificate "},
		"bad key for tokens": {func(c *config.Config) error {
			if err := os.Mkdir(c.StateDir, 0o700); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(c.StateDir, "token-key.pem"), []byte("x"), 0o600)
		}, "holds no Ed25519 private key"},
		"credential gone": {func(c *config.Config) error { c.TokenFile = filepath.Join(c.StateDir, "none"); return nil }, "the API's credential cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := load(t, t.TempDir(), "nodes: []\n")
			if err := tc.spoil(cfg); err != nil {
				t.Fatal(err)
			}
			err := serve.Run(t.Context(), cfg, serve.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error is %v, want one line with %q", err, tc.want)
			}
			if _, err := os.Lstat(filepath.Join(cfg.StateDir, "run")); err == nil {
				t.Error("the consoles' directory is left")
			}
		})
	}
}
