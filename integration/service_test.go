package integration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// service is `ironglass serve` at work.
type service struct {
	url    string // ends without a slash
	dir    string // of its configuration, state and temporary files
	nodes  []*node
	more   string // lines of the configuration besides the usual ones
	cmd    *exec.Cmd
	output *logBuffer

	ended chan struct{} // closed when the process is gone
	err   error         // what Wait said; read after ended
}

// logBuffer collects what a process writes. It may be used from any goroutine.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// freeAddress is a loopback address that nothing listens on at present.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// shortDir is a directory for the test whose name is shorter than that of
// t.TempDir, so that sockets may lie below it.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "igt-") //nolint:usetesting // its name would be too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// newService prepares a service for the nodes without starting it.
func newService(t testing.TB, nodes ...*node) *service {
	t.Helper()
	need(t, "Xvfb", "xauth")
	leavesNothing(t)
	dir := shortDir(t)
	for _, sub := range []string{"tmp", "run", "state"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := &service{dir: dir, nodes: nodes}
	s.configure(t, freeAddress(t))
	return s
}

// configure writes the configuration.
func (s *service) configure(t testing.TB, listen string) {
	t.Helper()
	s.url = "http://" + listen
	var b strings.Builder
	fmt.Fprintf(&b, "listen: %s\nlauncher: {process: {}}\nstate_dir: %s\n%snodes:\n", listen, filepath.Join(s.dir, "state"), s.more)
	for _, n := range s.nodes {
		if n.rfb != "" {
			fmt.Fprintf(&b, "  - name: %s\n    console: {rfb: %s", n.name, n.rfb)
			b.WriteString(n.options + "}\n")
			continue
		}
		// JSON is YAML.
		command, err := json.Marshal(n.command)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "  - name: %s\n    console: {command: %s", n.name, command)
		if n.geometry != "" {
			fmt.Fprintf(&b, ", geometry: %s", n.geometry)
		}
		b.WriteString(n.options + "}\n")
	}
	if err := os.WriteFile(s.config(), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *service) config() string { return filepath.Join(s.dir, "config.yaml") }

// environment keeps the temporary files of the service together, so that what
// is left behind can be seen.
func (s *service) environment() []string {
	return append(os.Environ(),
		"TMPDIR="+filepath.Join(s.dir, "tmp"),
		"XDG_RUNTIME_DIR="+filepath.Join(s.dir, "run"),
		"GORACE=halt_on_error=1",
	)
}

// startService starts a service for the nodes and returns when it is ready.
func startService(t testing.TB, nodes ...*node) *service {
	t.Helper()
	s := newService(t, nodes...)
	s.start(t)
	return s
}

func (s *service) start(t testing.TB) {
	t.Helper()
	s.launch(t)
	eventually(t, "the service to be ready", func() error {
		select {
		case <-s.ended:
			t.Fatalf("the service ended: %v\n%s", s.err, s.output)
		default:
		}
		_, err := s.get(t, "/readyz", http.StatusOK)
		return err
	})
}

// launch starts the service and does not wait for it.
func (s *service) launch(t testing.TB) {
	t.Helper()
	s.output = &logBuffer{}
	s.ended = make(chan struct{})
	s.cmd = exec.Command(built.ironglass, "serve", "-config", s.config())
	s.cmd.Env = s.environment()
	s.cmd.Dir = s.dir
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	s.cmd.WaitDelay = patience // a descendant that keeps the pipe must not keep Wait
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.wait()
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("the service wrote:\n%s", s.output)
		}
	})
}

// wait collects the process; it ends with it.
func (s *service) wait() {
	s.err = s.cmd.Wait()
	close(s.ended)
}

// interrupt does what Ctrl-C does.
func (s *service) interrupt(t testing.TB) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

// stop interrupts the service where it still runs, and checks that it ends
// well and leaves no process, no socket, no lock and no temporary file.
func (s *service) stop(t testing.TB) {
	t.Helper()
	select {
	case <-s.ended:
		return
	default:
	}
	below := descendants(t, s.cmd.Process.Pid)
	var displays []string
	for _, p := range below {
		if p.is("Xvfb") && len(p.args) > 1 {
			for _, arg := range p.args[1:] {
				if number, ok := strings.CutPrefix(arg, ":"); ok {
					displays = append(displays, number)
				}
			}
		}
	}
	for _, n := range s.nodes {
		lines, _ := n.lines() // a node that nobody looked at has no log
		for _, line := range lines {
			if words := strings.Fields(line); len(words) > 1 && words[0] == "display" {
				displays = append(displays, strings.TrimPrefix(words[1], ":"))
			}
		}
	}
	s.interrupt(t)
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.ended
		t.Errorf("the service did not end on SIGINT")
	}
	if s.err != nil {
		t.Errorf("the service ended with %v on SIGINT\n%s", s.err, s.output)
	}
	// What ended properly took everything with it before.
	for _, p := range below {
		for _, now := range processTable(t) {
			if now.pid == p.pid && !now.zombie && strings.Join(now.args, " ") == strings.Join(p.args, " ") {
				t.Errorf("after SIGINT this still runs: %v", p)
			}
		}
	}
	for _, number := range displays {
		checkDisplayGone(t, number)
	}
	for _, sub := range []string{"tmp", "run"} {
		s.checkEmpty(t, filepath.Join(s.dir, sub))
	}
	s.checkNoSockets(t)
}

// checkDisplayGone checks that an X server that ended left neither its lock
// nor its socket. Another server may have taken the number meanwhile; it then
// answers.
func checkDisplayGone(t testing.TB, number string) {
	t.Helper()
	socket := "/tmp/.X11-unix/X" + number
	if conn, err := net.Dial("unix", socket); err == nil {
		conn.Close()
		return
	}
	for _, file := range []string{"/tmp/.X" + number + "-lock", socket} {
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after SIGINT %s is left (%v)", file, err)
		}
	}
}

func (s *service) checkEmpty(t testing.TB, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Error(err)
	}
	for _, entry := range left {
		t.Errorf("after SIGINT %s is left", filepath.Join(dir, entry.Name()))
	}
}

// checkNoSockets allows for keys in the state directory, which are to stay.
func (s *service) checkNoSockets(t testing.TB) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.Type()&fs.ModeSocket != 0 || strings.Contains(entry.Name(), "lock") {
			t.Errorf("after SIGINT %s is left", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// get fetches a path and returns the body where the status is the wanted one.
func (s *service) get(t testing.TB, path string, status int) ([]byte, error) {
	t.Helper()
	return s.do(t, http.MethodGet, path, "", status)
}

func (s *service) do(t testing.TB, method, path, body string, status int) ([]byte, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, 64<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != status {
		return data, fmt.Errorf("%s %s gave %s: %s", method, path, response.Status, data)
	}
	return data, nil
}

// token asks for a token for a node and returns the page's address.
func (s *service) token(t testing.TB, node, request string) (url, websocketURL string) {
	t.Helper()
	data, err := s.do(t, http.MethodPost, "/v1/nodes/"+node+"/console/tokens", request, http.StatusCreated)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Token        string `json:"token"`
		URL          string `json:"url"`
		WebsocketURL string `json:"websocket_url"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	if answer.Token == "" || answer.URL == "" || answer.WebsocketURL == "" {
		t.Fatalf("the answer lacks something: %s", data)
	}
	return answer.URL, answer.WebsocketURL
}

// dialWebsocket opens a websocket. The status is that of the answer, 0 where
// there was none.
func dialWebsocket(t testing.TB, address string) (conn *websocket.Conn, status int, err error) {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), address, nil) //nolint:bodyclose // the library reads and closes it
	if response != nil {
		status = response.StatusCode
	}
	return conn, status, err
}

// sessions counts the connections to the RFB server of a node's supervisor, as
// the kernel knows them: accepted sockets bear the name of the one that
// listens.
func (s *service) sessions(n *node) (int, error) {
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return 0, err
	}
	count := 0
	for line := range strings.Lines(string(table)) {
		// Num RefCount Protocol Flags Type St Inode Path
		fields := strings.Fields(line)
		if len(fields) == 8 && strings.HasPrefix(fields[7], s.dir) && strings.Contains(fields[7], "/"+n.name+"-") && fields[5] == "03" {
			count++
		}
	}
	return count, nil
}

// socket waits for the RFB socket of a node's supervisor.
func (s *service) socket(t testing.TB, n *node) string {
	t.Helper()
	var socket string
	eventually(t, "the socket of node "+n.name, func() error {
		return filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type()&fs.ModeSocket != 0 && strings.Contains(path, "/"+n.name+"-") {
				socket = path
				return fs.SkipAll
			}
			return nil
		})
	})
	if socket == "" {
		t.Fatalf("node %s has no socket below %s", n.name, s.dir)
	}
	return socket
}
