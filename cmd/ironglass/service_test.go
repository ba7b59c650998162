package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"image/png"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ironglass/ironglass/launcher/launchertest"
)

// patience is how long a test waits for what must come.
const patience = 90 * time.Second

// folder is where a service and its programs lie while a test runs.
type folder struct {
	t        *testing.T
	bin, dir string
	env      []string
}

// newFolder builds the programs beside each other, as they are installed, and
// writes a configuration c.yaml whose state is in the folder.
func newFolder(t *testing.T, yaml string) *folder {
	t.Helper()
	f := &folder{t: t, bin: launchertest.Build(t, "ironglass", "ironglass-supervisor"), dir: t.TempDir(), env: os.Environ()}
	f.write("c.yaml", "state_dir: state\n"+yaml)
	return f
}

func (f *folder) write(name, text string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// command is a run of ironglass that is not begun yet.
func (f *folder) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(f.bin, "ironglass"), args...)
	cmd.Dir, cmd.Env = f.dir, f.env
	return cmd
}

// run runs ironglass to its end.
func (f *folder) run(args ...string) (stdout, stderr string, status int) {
	f.t.Helper()
	var out, errs bytes.Buffer
	cmd := f.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		f.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// ask runs a command against the service, which must do it.
func (f *folder) ask(s *service, args ...string) string {
	f.t.Helper()
	out, errs, status := f.run(append(args, "-server", s.url)...)
	if status != 0 {
		f.t.Fatalf("ironglass %s: status %d: %s", strings.Join(args, " "), status, errs)
	}
	return out
}

// service is a service that runs.
type service struct {
	f    *folder
	cmd  *exec.Cmd
	url  string
	over chan struct{} // closed when it has ended

	mu  sync.Mutex
	log bytes.Buffer
}

var address = regexp.MustCompile(`msg="open (https?://[^"]+/) in a browser"`)

// serve starts the service and waits until it says where it is.
func (f *folder) serve() *service {
	f.t.Helper()
	s := &service{f: f, cmd: f.command("serve", "-config", "c.yaml"), over: make(chan struct{})}
	errs, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	found := make(chan string, 1)
	go func() {
		defer close(s.over)
		buf := make([]byte, 4096)
		for {
			n, err := errs.Read(buf)
			s.mu.Lock()
			s.log.Write(buf[:n])
			m := address.FindSubmatch(s.log.Bytes())
			s.mu.Unlock()
			if m != nil && s.url == "" {
				s.url = string(m[1])
				found <- s.url
			}
			if err != nil {
				_ = s.cmd.Wait()
				return
			}
		}
	}()
	f.t.Cleanup(func() {
		// A test that failed may not have ended it, nor it its consoles.
		_ = s.cmd.Process.Signal(os.Interrupt)
		select {
		case <-s.over:
		case <-time.After(patience):
			f.t.Error("the service does not end")
			_ = s.cmd.Process.Kill()
			<-s.over
		}
		if f.t.Failed() {
			f.t.Logf("the service's log:\n%s", s.logged())
		}
	})
	select {
	case <-found:
	case <-s.over:
		f.t.Fatalf("the service does not run:\n%s", s.logged())
	case <-time.After(patience):
		f.t.Fatalf("the service does not say where it is:\n%s", s.logged())
	}
	return s
}

func (s *service) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// signal sends a signal to the service's process alone.
func (s *service) signal(sig os.Signal) {
	s.f.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.f.t.Fatal(err)
	}
}

// ended waits for the service's end and returns its exit status.
func (s *service) ended() int {
	s.f.t.Helper()
	select {
	case <-s.over:
	case <-time.After(patience):
		s.f.t.Fatal("the service does not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

// eventually waits until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

// console is what is known of a console that runs.
type console struct {
	Node, Epoch string
	PID         int
}

// consoles returns those whose records are in the state.
func (f *folder) consoles() []console {
	f.t.Helper()
	names, err := filepath.Glob(filepath.Join(f.dir, "state", "run", "*", "instance.json"))
	if err != nil {
		f.t.Fatal(err)
	}
	var list []console
	for _, name := range names {
		var c console
		text, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(text, &c)
		}
		if err != nil {
			f.t.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

// nothingLeft fails if anything of the consoles is left, but for the keys.
func (f *folder) nothingLeft(all []console) {
	f.t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, name := range names {
		env, _ := os.ReadFile(name)
		for _, c := range all {
			if bytes.Contains(env, []byte("IRONGLASS_EPOCH="+c.Epoch)) {
				line, _ := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline"))
				f.t.Errorf("a process of %s is left: %s", c.Node, bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
			}
		}
	}
	if _, err := os.Lstat(filepath.Join(f.dir, "state", "run")); !errors.Is(err, os.ErrNotExist) {
		f.t.Errorf("the consoles' directory is left (%v)", err)
	}
}

// displays returns the sockets of the X servers that the log names.
func (s *service) displays() map[string]os.FileInfo {
	s.f.t.Helper()
	found := make(map[string]os.FileInfo)
	for _, m := range display.FindAllStringSubmatch(s.logged(), -1) {
		name := "/tmp/.X11-unix/X" + m[1]
		st, err := os.Lstat(name)
		if err != nil {
			s.f.t.Fatal(err)
		}
		found[name] = st
	}
	return found
}

var display = regexp.MustCompile(`msg="Xvfb is ready" .*display=:([0-9]+)`)

const terminals = `
listen: 127.0.0.1:0
nodes:
  - name: terminal
    console: {command: [xterm, -maximized], geometry: 800x600}
  - name: second
    console: {command: [xterm]}
  - name: vm
    console: {rfb: "127.0.0.1:1"}
`

func TestServiceAndItsCommands(t *testing.T) {
	f := newFolder(t, terminals)
	s := f.serve()

	if out := f.ask(s, "nodes"); !regexp.MustCompile(`(?m)^terminal +cold +0 +- +command +[0-9a-f-]{36} +-$`).MatchString(out) {
		t.Errorf("the nodes are\n%s", out)
	}
	for name, want := range map[string][2]int{"terminal": {800, 600}, "second": {1280, 1024}} {
		f.ask(s, "screenshot", name, name+".png")
		picture, err := os.Open(filepath.Join(f.dir, name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := png.DecodeConfig(picture)
		picture.Close()
		if got := [2]int{c.Width, c.Height}; err != nil || got != want {
			t.Errorf("the screenshot of %s is %v (%v), want %v", name, got, err, want)
		}
	}
	if out := f.ask(s, "screenshot", "terminal", "-"); !strings.HasPrefix(out, "\x89PNG") {
		t.Errorf("the screenshot on standard output begins %.20q", out)
	}
	if out := f.ask(s, "nodes"); !regexp.MustCompile(`(?m)^terminal +live +0 +800x600 `).MatchString(out) {
		t.Errorf("the nodes are\n%s", out)
	}

	secret := strings.TrimSpace(f.ask(s, "token", "terminal", "-mode", "view", "-ttl", "5m"))
	if !regexp.MustCompile(`^v4\.public\.[A-Za-z0-9_-]+$`).MatchString(secret) {
		t.Errorf("the token is %q", secret)
	}
	link := strings.TrimSpace(f.ask(s, "open", "terminal"))
	if !strings.HasPrefix(link, s.url) || !strings.Contains(link, "token=v4.public.") {
		t.Errorf("the address is %q", link)
	}

	// A browser is whatever xdg-open starts.
	opener := f.bin + "/xdg-open"
	path := os.Getenv("PATH")
	f.env = append(os.Environ(), "PATH="+f.bin)
	out, errs, status := f.run("open", "terminal", "-browser", "-server", s.url)
	if status != 1 || !strings.HasPrefix(out, s.url) || !strings.Contains(errs, "xdg-open is missing: install xdg-utils") {
		t.Errorf("without a browser: status %d, %q, %q", status, out, errs)
	}
	if err := os.WriteFile(opener, []byte("#!/bin/sh\nPATH="+path+"\nexec echo \"$@\" >opened\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	link = f.ask(s, "open", "-browser", "terminal")
	if opened, err := os.ReadFile(filepath.Join(f.dir, "opened")); err != nil || string(opened) != link {
		t.Errorf("the browser was given %q (%v), printed was %q", opened, err, link)
	}
	f.env = os.Environ()

	for _, tc := range []struct{ args, want string }{
		{"token nobody", `ironglass: There is no node "nobody".` + "\n"},
		{"screenshot nobody x.png", `ironglass: There is no node "nobody".` + "\n"},
	} {
		out, errs, status := f.run(append(strings.Fields(tc.args), "-server", s.url)...)
		if status != 1 || out != "" || !strings.Contains(errs, tc.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("ironglass %s: status %d, %q, %q; want %q", tc.args, status, out, errs, tc.want)
		}
	}

	// The last moment of the wait may fall into the next attempt.
	eventually(t, "the command says that there is no VNC server", func() bool {
		_, errs, status := f.run("screenshot", "vm", "x.png", "-wait", "2s", "-server", s.url)
		if status != 1 {
			t.Fatalf("a console that is not there has a screen: status %d", status)
		}
		return strings.Contains(errs, "nothing listens at 127.0.0.1:1: is the VNC server running?")
	})

	running := f.consoles()
	if len(running) != 2 {
		t.Errorf("running are %v, want two", running)
	}
	var displays map[string]os.FileInfo
	eventually(t, "the log names both displays", func() bool {
		displays = s.displays()
		return len(displays) == 2
	})
	// As Ctrl-C does, were the consoles not in sessions of their own.
	s.signal(os.Interrupt)
	if status := s.ended(); status != 0 {
		t.Errorf("the service ended with status %d", status)
	}
	f.nothingLeft(running)
	for name, before := range displays {
		// Another X server may have the name by now.
		if now, err := os.Lstat(name); err == nil && os.SameFile(before, now) && now.ModTime().Equal(before.ModTime()) {
			t.Errorf("%s is left", name)
		}
	}
	if log := s.logged(); strings.Contains(log, secret) || strings.Contains(log, "v4.public.") {
		t.Error("the log holds a token")
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f := newFolder(t, "listen: "+l.Addr().String()+"\nnodes: []\n")
	_, errs, status := f.run("serve", "-config", "c.yaml")
	if want := "ironglass: listen " + l.Addr().String() + ": address in use: "; status != 1 || !strings.HasPrefix(errs, want) || strings.Count(errs, "\n") != 1 {
		t.Errorf("status %d, %q; want 1 and %q", status, errs, want)
	}
	f.nothingLeft(nil)
}

func TestOneServiceAState(t *testing.T) {
	f := newFolder(t, terminals)
	f.serve()
	_, errs, status := f.run("serve", "-config", "c.yaml")
	if status != 1 || !strings.Contains(errs, "another ironglass runs its consoles in ") {
		t.Errorf("a second service: status %d, %q", status, errs)
	}
}

func TestCrashedServiceIsFollowed(t *testing.T) {
	f := newFolder(t, terminals)
	s := f.serve()
	f.ask(s, "screenshot", "terminal", "x.png")
	f.ask(s, "screenshot", "second", "x.png")
	before := f.consoles()
	s.signal(os.Kill)
	s.ended()

	// The second node is not configured any more when the next one comes.
	f.write("c.yaml", "state_dir: state\nlisten: 127.0.0.1:0\nnodes: [{name: terminal, console: {command: [xterm]}}]\n")
	s = f.serve()
	eventually(t, "the console of the removed node is ended", func() bool { return len(f.consoles()) == 1 })
	if now := f.consoles(); !slices.Contains(before, now[0]) || now[0].Node != "terminal" {
		t.Errorf("running is %v, of %v", now, before)
	}
	f.ask(s, "screenshot", "terminal", "x.png")
	if now := f.consoles(); !slices.Contains(before, now[0]) {
		t.Errorf("the console was started anew: %v, before %v", now, before)
	}
	s.signal(syscall.SIGTERM)
	if status := s.ended(); status != 0 {
		t.Errorf("the service ended with status %d", status)
	}
	f.nothingLeft(before)
}

func TestSecondSignalDoesNotWait(t *testing.T) {
	f := newFolder(t, terminals)
	s := f.serve()
	f.ask(s, "screenshot", "terminal", "x.png")
	running := f.consoles()
	// A supervisor that is stopped cannot end when it is asked to.
	if err := syscall.Kill(running[0].PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.signal(os.Interrupt)
	eventually(t, "the service says that it is ending", func() bool { return strings.Contains(s.logged(), "msg=\"ending: ") })
	s.signal(os.Interrupt)
	if status := s.ended(); status > 1 {
		t.Errorf("the service ended with status %d", status)
	}
	if strings.Contains(s.logged(), "does not end when asked") {
		t.Error("the service waited for the console all the same")
	}
	f.nothingLeft(running)
}

func TestHTTPSWithCredential(t *testing.T) {
	f := newFolder(t, "listen: 127.0.0.1:0\ntls: {cert: cert.pem, key: key.pem}\napi: {token_file: credential}\nnodes: [{name: vm, console: {rfb: \"127.0.0.1:1\"}}]\n")
	cert, key := certificate(t)
	f.write("cert.pem", cert)
	f.write("key.pem", key)
	const credential = "0123456789abcdef0123456789abcdef"
	f.write("credential", credential+"\n")
	f.write("wrong", "fedcba9876543210fedcba9876543210\n")
	s := f.serve()
	if !strings.HasPrefix(s.url, "https://127.0.0.1:") {
		t.Errorf("the service is at %s", s.url)
	}
	if _, errs, status := f.run("nodes", "-server", s.url); status != 1 || !strings.Contains(errs, "cannot be reached: ") || !strings.Contains(errs, "certificate") {
		t.Errorf("with an unknown certificate: status %d, %q", status, errs)
	}
	f.env = append(f.env, "SSL_CERT_FILE=cert.pem")
	for _, args := range [][]string{{"nodes"}, {"nodes", "-token-file", "wrong"}} {
		if _, errs, status := f.run(append(args, "-server", s.url)...); status != 1 || !strings.Contains(errs, "name its file with -token-file") {
			t.Errorf("%v: status %d, %q", args, status, errs)
		}
	}
	if out := f.ask(s, "nodes", "-token-file", "credential"); !strings.Contains(out, "\nvm ") {
		t.Errorf("the nodes are %q", out)
	}
	if link := f.ask(s, "open", "vm", "-token-file", "credential"); !strings.HasPrefix(link, s.url) {
		t.Errorf("the address is %q", link)
	}
	s.signal(os.Interrupt)
	if status := s.ended(); status != 0 {
		t.Errorf("the service ended with status %d", status)
	}
	if strings.Contains(s.logged(), credential) {
		t.Error("the log holds the credential")
	}
}

// TestReload: SIGHUP has the configuration read anew. What is wrong with it
// changes nothing; nodes come and go, and credentials, authorities and
// certificates are those of now.
func TestReload(t *testing.T) {
	const first, second = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	configured := func(port, api, nodes string) string {
		return "listen: 127.0.0.1:" + port + "\ntls: {cert: cert.pem, key: key.pem}\napi: {" + api + "}\nnodes: [" + nodes + "]\n"
	}
	const vm = `{name: vm, console: {rfb: "127.0.0.1:1"}}`
	f := newFolder(t, configured("0", "token_file: credential", vm))
	cert, key := certificate(t)
	other, otherKey := certificate(t)
	for name, text := range map[string]string{
		"cert.pem": cert, "key.pem": key, "other.pem": other, "other.key": otherKey,
		"credential": first + "\n", "second": second + "\n",
	} {
		f.write(name, text)
	}
	f.write("trusted.pem", cert+other)
	f.env = append(f.env, "SSL_CERT_FILE=trusted.pem")
	s := f.serve()
	reload := func(says string) {
		t.Helper()
		before := strings.Count(s.logged(), says)
		s.signal(syscall.SIGHUP)
		eventually(t, "the service to say "+says, func() bool { return strings.Count(s.logged(), says) > before })
	}
	refused := func(args ...string) {
		t.Helper()
		if out, errs, status := f.run(append(args, "-server", s.url)...); status != 1 {
			t.Errorf("%v: status %d, %q %q", args, status, out, errs)
		}
	}

	f.write("c.yaml", "state_dir: state\n"+configured("0", "token_file: credential", `{name: vm, console: {}}`))
	reload("c.yaml:5: node vm: console: it is empty")
	if out := f.ask(s, "nodes", "-token-file", "credential"); !strings.Contains(out, "\nvm ") {
		t.Errorf("after a wrong configuration the nodes are %q", out)
	}

	f.write("c.yaml", "state_dir: state\n"+configured("6080", "token_file: second", vm+`, {name: more, console: {rfb: "127.0.0.1:2"}}`))
	f.write("cert.pem", other)
	f.write("key.pem", otherKey)
	reload("the configuration was reloaded")
	if !strings.Contains(s.logged(), "counts from the next start\" key=listen") {
		t.Error("the log does not say that the address stays")
	}
	refused("nodes", "-token-file", "credential")
	if out := f.ask(s, "nodes", "-token-file", "second"); !strings.Contains(out, "\nvm ") || !strings.Contains(out, "\nmore ") {
		t.Errorf("the nodes are %q", out)
	}
	f.env = append(f.env, "SSL_CERT_FILE=other.pem") // the new certificate is shown
	f.ask(s, "nodes", "-token-file", "second")

	f.write("c.yaml", "state_dir: state\n"+configured("0", "client_ca: other.pem", `{name: more, console: {rfb: "127.0.0.1:2"}}`))
	reload("the configuration was reloaded")
	refused("nodes", "-token-file", "second")
	if out := f.ask(s, "nodes", "-cert", "other.pem", "-key", "other.key"); strings.Contains(out, "\nvm ") || !strings.Contains(out, "\nmore ") {
		t.Errorf("with a certificate the nodes are %q", out)
	}
	f.write("mine.pem", cert)
	f.write("mine.key", key)
	refused("nodes", "-cert", "mine.pem", "-key", "mine.key") // of an authority that is not trusted
	s.signal(os.Interrupt)
	if status := s.ended(); status != 0 {
		t.Errorf("the service ended with status %d", status)
	}
}

// certificate makes a certificate for 127.0.0.1 and its key, in PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}
