package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/launcher/launchertest"
)

const engineCredential = "0123456789abcdef0123456789abcdef"

// engineService is a service as the engine sees it.
type engineService struct {
	mu      sync.Mutex
	nodes   []map[string]any
	enabled map[string]bool // by UUID, once told
	told    []string        // the changes in their order
	ending  int             // how often a console is still being ended
}

func (s *engineService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+engineCredential {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"detail": "The API needs a credential."}`))
		return
	}
	if r.Method == http.MethodGet && r.URL.Path == "/v1/nodes" {
		w.Header().Set("Content-Type", "application/json")
		for _, n := range s.nodes {
			n["stopping"] = s.ending > 0
		}
		if s.ending > 0 {
			s.ending--
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"nodes": s.nodes})
		return
	}
	var body struct{ Enabled bool }
	path := strings.Split(r.URL.Path, "/")
	if r.Method != http.MethodPut || len(path) != 6 || json.NewDecoder(r.Body).Decode(&body) != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	s.enabled[path[3]] = body.Enabled
	if !body.Enabled {
		s.ending = 3
	}
	s.told = append(s.told, fmt.Sprint(path[3], " ", body.Enabled))
	w.WriteHeader(http.StatusAccepted)
}

func engineUUID(i int) string { return fmt.Sprintf("99694c1e-6327-4d58-9466-%012d", i) }

// engineAt is the engine as Ironic starts it: under its own name, in /, with
// an environment without a home.
type engineAt struct {
	t        *testing.T
	dir, bin string
	service  *engineService
}

func newEngine(t *testing.T) *engineAt {
	t.Helper()
	e := &engineAt{t: t, dir: t.TempDir(), service: &engineService{enabled: make(map[string]bool)}}
	for i := range 9 {
		e.service.nodes = append(e.service.nodes, map[string]any{
			"name": fmt.Sprint("rack-", i), "uuid": engineUUID(i), "kind": "command", "state": "cold", "reason": "",
			"rfb": map[string]any{"host": "0.0.0.0", "port": 15900 + i},
		})
	}
	e.service.nodes[7]["kind"], e.service.nodes[7]["reason"] = "none", "driver_info names no BMC"
	e.service.nodes[8]["rfb"] = nil
	server := httptest.NewServer(e.service)
	t.Cleanup(server.Close)
	e.bin = filepath.Join(e.dir, "ironglass-ironic-engine")
	if err := os.Symlink(filepath.Join(launchertest.Build(t, "ironglass"), "ironglass"), e.bin); err != nil {
		t.Fatal(err)
	}
	e.write("token", engineCredential+"\n")
	e.write("engine.yaml", fmt.Sprintf("server: %s\ntoken_file: %s/token\nstate_dir: %s/state\n", server.URL, e.dir, e.dir))
	return e
}

func (e *engineAt) write(name, text string) {
	e.t.Helper()
	if err := os.WriteFile(filepath.Join(e.dir, name), []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// call runs the engine.
func (e *engineAt) call(args ...string) (stdout, stderr string, status int) {
	e.t.Helper()
	cmd := exec.Command(e.bin, args...)
	cmd.Dir = "/"
	cmd.Env = []string{
		"IRONGLASS_ENGINE_CONFIG=" + e.dir + "/engine.yaml", "DOCKER_HOST=unix:///x", "CONTAINER_HOST=unix:///x",
		`APP_INFO={"address": "192.0.2.10", "username": "admin", "password": "it's s3cret"}`,
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		e.t.Error(err)
	}
	if strings.Contains(out.String()+errs.String(), "s3cret") || strings.Contains(errs.String(), engineCredential) {
		e.t.Errorf("%q: a secret is told: %s%s", args, &out, &errs)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// runArgs are Ironic's arguments of run.
func runArgs(i int, conductor string) []string {
	return []string{
		"run", "--detach", "--rm", "--name", "ironic-console-" + engineUUID(i), "--label", "org.openstack.ironic.console=true",
		"--label", "org.openstack.ironic.conductor=" + conductor, "--label", "org.openstack.ironic.node=" + engineUUID(i),
		"--publish", "192.0.2.5::5900", "--pull", "missing", "--env", "APP=redfish-graphical", "--env", "APP_INFO",
		"--env", "READ_ONLY=False", "localhost/ironic-vnc-container",
	}
}

func psArgs(conductor string) []string {
	return []string{"ps", "--all", "--quiet", "--filter", "label=org.openstack.ironic.conductor=" + conductor}
}

// well wants a call to succeed and say only what it should.
func (e *engineAt) well(want string, args ...string) string {
	e.t.Helper()
	out, errs, status := e.call(args...)
	if status != 0 || errs != "" || !regexp.MustCompile("^(?:"+want+")$").MatchString(out) {
		e.t.Errorf("%q: status %d, %q, %q; want %q", args, status, out, errs, want)
	}
	return strings.TrimSpace(out)
}

// badly wants a call to fail with those words in one line.
func (e *engineAt) badly(status int, want string, args ...string) {
	e.t.Helper()
	out, errs, got := e.call(args...)
	if got != status || out != "" || !strings.Contains(errs, want) || strings.Count(errs, "\n") != 1 {
		e.t.Errorf("%q: status %d, %q, %q; want %d, %q", args, got, out, errs, status, want)
	}
}

const idLine = "[0-9a-f]{64}\n"

// TestIronicEngine makes Ironic's calls in Ironic's order.
func TestIronicEngine(t *testing.T) {
	e := newEngine(t)
	name := "ironic-console-" + engineUUID(1)
	e.well("ironglass .*\n", "version")
	e.well("", psArgs("lab")...)
	e.well("", "rm", "--force", name)
	id := e.well(idLine, runArgs(1, "lab")...)
	e.well(`0\.0\.0\.0:15901`+"\n", "port", name, "5900/tcp")
	e.well(`0\.0\.0\.0:15901`+"\n", "port", id, "5900/tcp")
	e.well(id+"\n", psArgs("lab")...)
	e.well("", psArgs("another")...)
	e.well("the console of rack-1 is cold *\n", "logs", name)
	e.badly(1, "is in use", runArgs(1, "lab")...)
	e.well(`0\.0\.0\.0:15901`+"\n", "port", name, "5900/tcp") // of that nothing came
	other := e.well(idLine, runArgs(2, "another")...)
	e.well(other+"\n", psArgs("another")...)
	e.well("the console of rack-1 is cold *\n", "logs", id)
	e.well("", "rm", "--force", id)
	if e.service.ending > 0 {
		t.Error("rm did not wait until the console had ended")
	}
	e.well("", psArgs("lab")...)
	e.badly(1, "no such container", "port", name, "5900/tcp")
	e.badly(1, "no such container", "logs", name)
	e.well("", "rm", "--force", name)
	if got := e.well(idLine, runArgs(1, "lab")...); got == id {
		t.Error("a new container has the ID of the last one")
	}
	want := []string{engineUUID(1) + " true", engineUUID(2) + " true", engineUUID(1) + " false", engineUUID(1) + " true"}
	if got := e.service.told; strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the service was told %q", got)
	}

	// A node that has gone meanwhile does not keep its container.
	e.service.mu.Lock()
	e.service.nodes = e.service.nodes[2:]
	e.service.mu.Unlock()
	e.badly(1, "the service knows no node with the UUID "+engineUUID(1), "port", name, "5900/tcp")
	e.well("", "rm", "--force", name)
	e.badly(1, "the service knows no node", runArgs(1, "lab")...)
	e.badly(1, "rack-7 can have no console: driver_info names no BMC", runArgs(7, "lab")...)
	e.badly(1, "rack-8 has no port for viewers: set rfb.ports", runArgs(8, "lab")...)
	e.well("", psArgs("lab")...)
	left, err := os.ReadDir(filepath.Join(e.dir, "state"))
	if err != nil || len(left) != 1 { // of the other conductor
		t.Errorf("left are %v, %v", left, err)
	}
}

// TestIronicEngineAtOnce: calls for different nodes overlap, and of several
// with one name one succeeds.
func TestIronicEngineAtOnce(t *testing.T) {
	e := newEngine(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := make(map[int]int)
	for i := range 4 {
		for range 3 {
			wg.Go(func() {
				if _, _, status := e.call(runArgs(i, "lab")...); status == 0 {
					mu.Lock()
					defer mu.Unlock()
					won[i]++
				}
			})
		}
		wg.Go(func() { e.well("(?:[0-9a-f]{64}\n)*", psArgs("lab")...) })
	}
	wg.Wait()
	for i := range 4 {
		if won[i] != 1 {
			t.Errorf("of the calls for node %d %d succeeded", i, won[i])
		}
	}
	ids := strings.Fields(e.well("(?:[0-9a-f]{64}\n){4}", psArgs("lab")...))
	for _, id := range ids {
		wg.Go(func() { e.well("", "rm", "--force", id) })
	}
	wg.Wait()
	e.well("", psArgs("lab")...)
	for i := range 4 {
		if e.service.enabled[engineUUID(i)] {
			t.Errorf("node %d is still switched on", i)
		}
	}
}

// TestIronicEngineRefuses: what Ironic does not say is refused, and so is what
// cannot be done, in one line.
func TestIronicEngineRefuses(t *testing.T) {
	e := newEngine(t)
	change := func(from, to string) []string {
		return strings.Split(strings.ReplaceAll(strings.Join(runArgs(1, "lab"), "\n"), from, to), "\n")
	}
	for _, tc := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, 2, "one of version, ps, run, port, logs, rm is to follow"},
		{[]string{"build"}, 2, "one of version, ps, run, port, logs, rm is to follow"},
		{[]string{"version", "x"}, 2, "nothing is to follow"},
		{[]string{"ps"}, 2, "ps --all --quiet --filter label="},
		{[]string{"ps", "--all", "--quiet", "--filter"}, 2, "the value of --filter is missing"},
		{[]string{"ps", "--all", "--quiet", "--filter", "name=x"}, 2, "ps --all --quiet --filter label="},
		{[]string{"rm", "--force", "../../etc/passwd"}, 2, "cannot be a container's name"},
		{[]string{"rm", "--volumes", "x"}, 2, "the option --volumes is none"},
		{[]string{"logs"}, 2, "one name is to follow"},
		{[]string{"port", "x"}, 2, "one name is to follow"},
		{[]string{"port", "x", "22/tcp"}, 1, "there is 5900/tcp alone"},
		{change("--detach", "--privileged"), 2, "the option --privileged is none"},
		{change("--detach\n", ""), 2, "only --detach is possible"},
		{change("localhost/ironic-vnc-container", "image\nsh"), 2, "one image is to follow"},
		{change("ironic.node="+engineUUID(1), "ironic.node=x"), 2, "names no node's UUID"},
		{change("ironic.node="+engineUUID(1), "ironic.node="+engineUUID(2)), 2, "the name is to be ironic-console-" + engineUUID(2)},
		{change("READ_ONLY=False", "READ_ONLY=True"), 1, "set [vnc]read_only to False"},
	} {
		e.badly(tc.status, tc.want, tc.args...)
	}
	e.well(idLine, change("--label\n", "--label=")...) // an equals sign does as well

	e.write("token", "ffffffffffffffffffffffffffffffff\n")
	e.badly(1, "wants the API's credential", "port", "ironic-console-"+engineUUID(1), "5900/tcp")
	e.badly(1, "wants the API's credential", "rm", "--force", "ironic-console-"+engineUUID(1))
	e.badly(1, "wants the API's credential", runArgs(2, "lab")...)
	e.write("engine.yaml", "server: http://127.0.0.1:1\nstate_dir: "+e.dir+"/state\n")
	e.badly(1, "no service answers at http://127.0.0.1:1", runArgs(2, "lab")...)
	e.well(idLine, psArgs("lab")...) // which asks nobody
	e.write("engine.yaml", "servr: x\nstate_dir: state\n")
	_, errs, status := e.call(psArgs("lab")...)
	if status != 2 || !strings.Contains(errs, `engine.yaml:1: the file: unknown key "servr"`) || !strings.Contains(errs, "begin with a slash") {
		t.Errorf("bad settings: %d, %s", status, errs)
	}
	e.well("ironglass .*\n", "version")
}
