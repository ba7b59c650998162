package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){"ironglass-supervisor": main})
}

// leakless runs the tests and fails where they leave goroutines.
type leakless struct{ m *testing.M }

func (l leakless) Run() int {
	code := l.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			return 1
		}
	}
	return code
}

func TestScripts(t *testing.T) {
	need(t, "Xvfb")
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			path, err := exec.LookPath("ironglass-supervisor")
			if err != nil {
				return err
			}
			env.Setenv("SUPERVISOR", path)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status,
			"occupy": occupy,
		},
	})
}

// status runs a command that must end with a given status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status STATUS COMMAND [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("the exit status is %d, want %d", got, want)
	}
}

// occupy listens on an address that $OCCUPIED names, until the script's end.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy tcp|unix")
	}
	at := "127.0.0.1:0"
	if args[0] == "unix" {
		at = filepath.Join(ts.Getenv("WORK"), "occupied")
	}
	l, err := net.Listen(args[0], at)
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv("OCCUPIED", l.Addr().String())
}

// TestLinksNothingBig holds the program to what one of many on a machine may
// link: net/http alone takes 3 MB of resident memory, the Prometheus library
// as much again.
func TestLinksNothingBig(t *testing.T) {
	need(t, "go")
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range strings.Lines(string(out)) {
		pkg = strings.TrimSpace(pkg)
		for _, big := range []string{"net/http", "k8s.io/", "github.com/moby/", "github.com/prometheus/", "go.yaml.in/"} {
			if strings.HasPrefix(pkg, big) {
				t.Errorf("%s is linked in", pkg)
			}
		}
	}
}
