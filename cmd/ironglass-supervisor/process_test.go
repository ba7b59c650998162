package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// long is how long a test waits for what must happen.
const long = 60 * time.Second

// need fails the test where programs are missing under CI=true, and skips it
// elsewhere.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", p)
		}
		t.Skipf("%s is not installed, and this test is about it", p)
	}
}

// eventually waits until ok, and fails the test with what where it does not
// come to that.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(long); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain for: %s", long, what)
		}
	}
}

// TestProgram tests the program as it is released.
func TestProgram(t *testing.T) {
	need(t, "go", "Xvfb", "xterm", "setsid")
	program := filepath.Join(t.TempDir(), "ironglass-supervisor")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, test := range map[string]func(*testing.T, string){
		"ShowsTheProgram":         testShowsTheProgram,
		"Document":                testDocument,
		"SocketIsPrivate":         testSocketIsPrivate,
		"StaleSocketIsReplaced":   testStaleSocketIsReplaced,
		"StopLeavesNothing":       testStopLeavesNothing,
		"KilledTakesItsChildren":  testKilledTakesItsChildren,
		"OrphansAreCollected":     testOrphansAreCollected,
		"Metrics":                 testMetrics,
		"StderrGoesAway":          testStderrGoesAway,
		"GarbageEndsOneOnly":      testGarbageEndsOneOnly,
		"DocumentFromATerminal":   testDocumentFromATerminal,
		"ResidentMemoryAndIdling": testResidentMemoryAndIdling,
		"Process1":                testProcess1,
		"OnDemand":                testOnDemand,
		"Clipboard":               testClipboard,
		"SecretsAreNotPassedOn":   testSecretsAreNotPassedOn,
	} {
		t.Run(name, func(t *testing.T) { test(t, program) })
	}
}

// instance is the program, running.
type instance struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string // its runtime folder
	socket string
	stderr *output
	ended  chan struct{}
}

// output collects what a program writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start runs the program on a unix socket until the test's end, and waits
// until it serves. There may be words before the program that run it.
func start(t *testing.T, program string, stdin io.Reader, args ...string) *instance {
	t.Helper()
	// A test's own folder can have too long a name for a socket's path.
	dir, err := os.MkdirTemp("", "supervisor-test-") //nolint:usetesting // as above
	if err != nil {
		t.Fatal(err)
	}
	s := &instance{t: t, dir: dir, socket: filepath.Join(dir, "rfb"), stderr: new(output), ended: make(chan struct{})}
	command := slices.Concat(strings.Fields(program), []string{"-listen", "unix:" + s.socket, "-runtime-dir", dir, "-log-level", "debug"}, args)
	s.cmd = exec.Command(command[0], command[1:]...)
	s.cmd.Stdin = stdin
	s.cmd.Stderr = s.stderr
	s.cmd.WaitDelay = long // for what keeps stderr open, which must be nobody
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait() // the state is kept
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		s.wait()
		if t.Failed() {
			t.Logf("standard error:\n%s", s.stderr)
		}
		_ = os.RemoveAll(dir)
	})
	s.logged("serving RFB")
	return s
}

// wait waits for the program's end.
func (s *instance) wait() {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(long):
		_ = s.cmd.Process.Kill()
		<-s.ended
		s.t.Error("the supervisor does not end")
	}
}

// logged waits until its standard error has text.
func (s *instance) logged(text string) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%q on standard error", text), func() bool {
		select {
		case <-s.ended:
			if !strings.Contains(s.stderr.String(), text) {
				s.t.Fatalf("the supervisor has ended: %s", s.stderr)
			}
		default:
		}
		return strings.Contains(s.stderr.String(), text)
	})
}

// view connects a viewer, until the test's end.
func (s *instance) view() *rfb.Server {
	client := rfb.NewClient(rfb.ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.socket)
	}})
	v := rfb.NewServer(client, rfb.ServerConfig{Linger: -1})
	s.t.Cleanup(func() { _ = v.Close() })
	return v
}

// sees waits until a picture has the colour in its last corner.
func sees(t *testing.T, v *rfb.Server, colour uint32) *pixel.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	var f *pixel.Frame
	eventually(t, fmt.Sprintf("the colour %06x", colour), func() bool {
		var err error
		if f, err = v.Snapshot(ctx); err != nil {
			t.Fatal(err)
		}
		return f.Pixel(f.Width-20, f.Height-60) == colour
	})
	return f
}

const colour = 0x2468ac

// terminal is a command that shows a terminal in which script runs.
func terminal(script string) []string {
	return []string{"xterm", "-b", "0", "-bw", "0", "-bg", fmt.Sprintf("#%06x", colour), "-e", "sh", "-c", script}
}

// process is one of the process table.
type process struct {
	pid, parent int
	state       string
	name        string
}

// below returns the processes that descend from pid.
func below(t *testing.T, pid int) []process {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	children := make(map[int][]process)
	for _, file := range files {
		if p, ok := readStat(file); ok {
			children[p.parent] = append(children[p.parent], p)
		}
	}
	var found []process
	for next := []int{pid}; len(next) > 0; next = next[1:] {
		found = append(found, children[next[0]]...)
		for _, p := range children[next[0]] {
			next = append(next, p.pid)
		}
	}
	return found
}

func readStat(file string) (p process, ok bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return p, false // it has ended
	}
	_, err = fmt.Sscanf(string(b[bytes.LastIndexByte(b, ')')+1:]), "%s %d", &p.state, &p.parent)
	head, name, _ := strings.Cut(string(b[:bytes.LastIndexByte(b, ')')]), " (")
	p.name = name
	p.pid, _ = strconv.Atoi(head)
	return p, err == nil
}

// runs reports whether a process runs still. One that is not collected by
// whoever has to counts as ended.
func runs(p process) bool {
	now, ok := readStat(fmt.Sprintf("/proc/%d/stat", p.pid))
	return ok && now.state != "Z" && now.name == p.name
}

// named waits for a descendant with a name.
func (s *instance) named(name string) process {
	s.t.Helper()
	var found process
	eventually(s.t, "a process "+name, func() bool {
		for _, p := range below(s.t, s.cmd.Process.Pid) {
			if p.name == name && p.state != "Z" {
				found = p
				return true
			}
		}
		return false
	})
	return found
}

// endsWith waits for the program's end with a status and a last line.
func (s *instance) endsWith(status int, lastLine string) {
	s.t.Helper()
	s.wait()
	if got := s.cmd.ProcessState.ExitCode(); got != status {
		s.t.Errorf("the exit status is %d, want %d", got, status)
	}
	lines := strings.Split(strings.TrimSuffix(s.stderr.String(), "\n"), "\n")
	if got := lines[len(lines)-1]; got != lastLine {
		s.t.Errorf("the last line is %q, want %q", got, lastLine)
	}
}

func testShowsTheProgram(t *testing.T, program string) {
	s := start(t, program, nil, append([]string{"-geometry", "800x600", "--"}, terminal("exec sleep 1000000")...)...)
	f := sees(t, s.view(), colour)
	if f.Width != 800 || f.Height != 600 {
		t.Errorf("the picture has %dx%d pixels, want 800x600", f.Width, f.Height)
	}
}

func testDocument(t *testing.T, program string) {
	doc, err := json.Marshal(map[string]any{
		"geometry": "640x480", "name": "from a document", "view_only": true, "security": []string{"none"},
		"idle_exit": "1h", "command": terminal("exec sleep 1000000"),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, program, bytes.NewReader(doc), "-config", "-", "-geometry", "800x600")
	if f := sees(t, s.view(), colour); f.Width != 800 {
		t.Errorf("the picture is %d pixels wide, want the flag's 800", f.Width)
	}
	s.logged(`name="from a document"`)
}

func testSocketIsPrivate(t *testing.T, program string) {
	s := start(t, program, nil)
	info, err := os.Stat(s.socket)
	if err != nil {
		t.Fatal(err)
	}
	if m := info.Mode().Perm(); m != 0o600 {
		t.Errorf("the socket's mode is %o, want 600", m)
	}
}

func testStaleSocketIsReplaced(t *testing.T, program string) {
	s := start(t, program, nil)
	_ = s.cmd.Process.Kill()
	s.wait()
	if _, err := os.Stat(s.socket); err != nil {
		t.Fatalf("there is no stale socket to replace: %v", err)
	}
	again := exec.Command(program, "-listen", "unix:"+s.socket, "-runtime-dir", s.dir, "-idle-exit", "100ms")
	out, err := again.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if !bytes.Contains(out, []byte("removing what a killed session left behind")) {
		t.Errorf("the folder of the killed one is not removed:\n%s", out)
	}
	if left, _ := os.ReadDir(s.dir); len(left) > 0 {
		t.Errorf("%s is left", left[0].Name())
	}
}

func testStopLeavesNothing(t *testing.T, program string) {
	// The client leaves its session and its process group, and a child of it
	// ignores the request to end.
	s := start(t, program, nil, append([]string{"--"},
		terminal("setsid sh -c 'trap \"\" TERM; sleep 1000001' & exec sleep 1000000")...)...)
	xvfb := s.named("Xvfb")
	s.named("sleep")
	v := s.view()
	sees(t, v, colour)
	all := below(t, s.cmd.Process.Pid)
	number := displayNumber(t, s)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.endsWith(0, "ironglass-supervisor: asked to stop (terminated)")
	for _, p := range append(all, xvfb) {
		if runs(p) {
			t.Errorf("the process %d (%s) is left", p.pid, p.name)
		}
	}
	for _, file := range []string{"/tmp/.X" + number + "-lock", "/tmp/.X11-unix/X" + number} {
		if b, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(xvfb.pid) {
			t.Errorf("%s is left", file)
		}
	}
	if left, _ := os.ReadDir(s.dir); len(left) > 0 {
		t.Errorf("%s is left", left[0].Name())
	}
}

// displayNumber is the number of the supervisor's own X server.
func displayNumber(t *testing.T, s *instance) string {
	t.Helper()
	s.logged("Xvfb is ready")
	_, rest, _ := strings.Cut(s.stderr.String(), "display=:")
	number, _, _ := strings.Cut(rest, " ")
	if number == "" {
		t.Fatal("the log does not have the display's number")
	}
	return number
}

func testKilledTakesItsChildren(t *testing.T, program string) {
	s := start(t, program, nil, append([]string{"--"}, terminal("exec sleep 1000000")...)...)
	sees(t, s.view(), colour)
	all := []process{s.named("Xvfb"), s.named("xterm"), s.named("sleep")}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.wait()
	for _, p := range all {
		eventually(t, "the end of "+p.name, func() bool { return !runs(p) })
	}
}

func testOrphansAreCollected(t *testing.T, program string) {
	// Each of many processes is orphaned and ends.
	script := "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sh -c 'exec true' &); done; exec sleep 1000000"
	s := start(t, program, nil, append([]string{"--"}, terminal(script)...)...)
	s.named("sleep")
	eventually(t, "no process that nobody collects", func() bool {
		for _, p := range below(t, s.cmd.Process.Pid) {
			if p.state == "Z" {
				return false
			}
		}
		return strings.Count(s.stderr.String(), "collected an orphan") >= 10
	})
	// The client's and the X server's own ends are still seen.
	xterm := s.named("xterm")
	if err := syscall.Kill(xterm.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.logged(`result="killed by signal SIGKILL"`)
	if err := syscall.Kill(s.named("Xvfb").pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.logged("the display is lost")
	sees(t, s.view(), colour)
}

func testMetrics(t *testing.T, program string) {
	s := start(t, program, nil, append([]string{"-metrics", "127.0.0.1:0", "--"}, terminal("exec sleep 1000000")...)...)
	s.logged("serving metrics")
	_, rest, _ := strings.Cut(s.stderr.String(), "url=")
	url, _, _ := strings.Cut(rest, "\n")
	sees(t, s.view(), colour)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: long}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	values := make(map[string]string)
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if name, v, ok := strings.Cut(lines.Text(), " "); ok && name != "#" {
			values[name] = v
		}
	}
	for name, want := range map[string]string{
		"ironglass_viewers": "1", "ironglass_display_live": "1",
		"ironglass_display_starts_total": "1", "ironglass_client_starts_total": "1",
	} {
		if values[name] != want {
			t.Errorf("%s is %q, want %s", name, values[name], want)
		}
	}
	if n, err := strconv.ParseFloat(values["ironglass_sent_bytes_total"], 64); err != nil || n < 1000 {
		t.Errorf("ironglass_sent_bytes_total is %q", values["ironglass_sent_bytes_total"])
	}
}

func testStderrGoesAway(t *testing.T, program string) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "rfb")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"-listen", "unix:" + socket, "-runtime-dir", dir, "-log-level", "debug", "--"},
		terminal("exec sleep 1000000")...)...)
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, "serving RFB") {
			break
		}
	}
	r.Close()
	s := &instance{t: t, cmd: cmd, socket: socket, stderr: new(output), ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // the state is kept
		close(s.ended)
	}()
	sees(t, s.view(), colour) // the viewer is logged, into nothing
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.wait()
	if got := cmd.ProcessState.ExitCode(); got != 0 {
		t.Errorf("the exit status is %d, want 0", got)
	}
}

func testGarbageEndsOneOnly(t *testing.T, program string) {
	s := start(t, program, nil, append([]string{"--"}, terminal("exec sleep 1000000")...)...)
	v := s.view()
	sees(t, v, colour)
	for _, garbage := range []string{
		"GET / HTTP/1.1\r\n\r\n",
		"RFB 003.008\n\x01\x01" + strings.Repeat("\xff", 4096),
	} {
		conn, err := net.Dial("unix", s.socket)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(long))
		if _, err := io.WriteString(conn, garbage); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // until it is closed, or reset
		conn.Close()
	}
	s.logged("a connection failed")
	sees(t, v, colour)
}

// testDocumentFromATerminal gives the program a terminal to read the document
// from, by script, which makes one.
func testDocumentFromATerminal(t *testing.T, program string) {
	need(t, "script")
	cmd := exec.Command("script", "--quiet", "--return", "--command", program+" -config -", "/dev/null")
	// Nobody types anything, and the input does not end either.
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.Output()
	if got := cmd.ProcessState.ExitCode(); got != 2 {
		t.Errorf("the exit status is %d, want 2 (%v)", got, err)
	}
	const want = "ironglass-supervisor: -config -: standard input is a terminal: pipe the JSON document into it, or use -config FILE"
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}

// testResidentMemoryAndIdling holds the program to what it may cost while a
// viewer watches a display on which nothing happens.
func testResidentMemoryAndIdling(t *testing.T, program string) {
	s := start(t, program, nil, append([]string{"--"}, terminal("exec sleep 1000000")...)...)
	sees(t, s.view(), colour)
	const most = 20 << 10
	var resident int
	eventually(t, "less than 20 MB resident", func() bool {
		resident = statusOf(t, s.cmd.Process.Pid, "VmRSS:")
		return resident < most
	})
	t.Logf("resident: %d kB", resident)
	eventually(t, "a second with less than 10 ms of processor time", func() bool {
		before := ticks(t, s.cmd.Process.Pid)
		time.Sleep(time.Second)
		return ticks(t, s.cmd.Process.Pid)-before < 1
	})
}

// statusOf is a number of /proc/PID/status.
func statusOf(t *testing.T, pid int, name string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), name)
	var n int
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// ticks is the processor time a process has had, in hundredths of a second.
func ticks(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, errU := strconv.Atoi(f[11])
	system, errS := strconv.Atoi(f[12])
	if errU != nil || errS != nil {
		t.Fatalf("%s", b)
	}
	return user + system
}
