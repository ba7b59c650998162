package integration

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long anything may take before it counts as never. It is long
// because a busy machine is slow, and costs nothing where all is well.
const patience = 60 * time.Second

// built says where TestMain put the programs. It is written before the first
// test and only read afterwards.
var built struct {
	dir        string
	ironglass  string
	supervisor string
	xclient    string
	xload      string
}

func TestMain(m *testing.M) {
	flag.Parse()
	status, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		status = 1
	}
	os.Exit(status)
}

func testMain(m *testing.M) (status int, err error) {
	// Processes whose parent dies become children of this one, so that none
	// can be overlooked.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return 1, fmt.Errorf("becoming the subreaper: %w", err)
	}
	built.dir, err = os.MkdirTemp("", "ironglass-test-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(built.dir)) }()
	if err := buildPrograms(); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, closeChromium()) }()
	return m.Run(), nil
}

// buildPrograms builds what the tests run, the products as they are shipped:
// static, without cgo. With IRONGLASS_TEST_RACE=1 they are built with the race
// detector instead, which makes them end with status 66 at a data race.
func buildPrograms() error {
	built.ironglass = filepath.Join(built.dir, "ironglass")
	built.supervisor = filepath.Join(built.dir, "ironglass-supervisor")
	built.xclient = filepath.Join(built.dir, "xclient")
	built.xload = filepath.Join(built.dir, "xload")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	args, cgo := []string{"build", "-trimpath", "-buildvcs=false"}, "0"
	if os.Getenv("IRONGLASS_TEST_RACE") == "1" {
		args, cgo = append(args, "-race"), "1"
	}
	args = append(args, "-o", built.dir+"/", "../cmd/ironglass", "../cmd/ironglass-supervisor", "./xclient", "./xload")
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the programs: %w\n%s", err, out)
	}
	return nil
}

// need fails the test where a program is missing that `make test` installs, or
// skips it on a developer's machine that has not got it.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed: run deploy/deps.sh test", program)
		}
		t.Skipf("%s is not installed: run deploy/deps.sh test", program)
	}
}

// eventually calls try until it returns nil, and fails the test with its last
// error when patience is at an end. what completes the sentence "waiting for".
func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	pause := 5 * time.Millisecond
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		time.Sleep(pause)
		pause = min(2*pause, 200*time.Millisecond)
	}
}
