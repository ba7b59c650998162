package integration

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is a process that a test started and that is ended with the test.
type program struct {
	cmd    *exec.Cmd
	output *logBuffer
	ended  chan struct{} // closed when the process is gone
	err    error         // what Wait said; read after ended
}

// startProgram starts a program with an environment, nil for the test's own.
func startProgram(t testing.TB, env []string, name string, args ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(name, args...), output: &logBuffer{}, ended: make(chan struct{})}
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.wait()
	t.Cleanup(func() {
		p.end(t)
		if t.Failed() {
			t.Logf("%s wrote:\n%s", filepath.Base(name), p.output)
		}
	})
	return p
}

// wait collects the process; it ends with it.
func (p *program) wait() {
	p.err = p.cmd.Wait()
	close(p.ended)
}

// end asks the program to end, and waits for it.
func (p *program) end(t testing.TB) {
	t.Helper()
	select {
	case <-p.ended:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
		t.Errorf("%s did not end on SIGTERM", p.cmd.Path)
	}
}

// running fails the test where the program has ended.
func (p *program) running() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended: %w\n%s", filepath.Base(p.cmd.Path), p.err, p.output)
	default:
		return nil
	}
}

// startX starts an X server that belongs to nobody but the test. Its
// framebuffer file is in dir, "" for none.
func startX(t testing.TB, size, dir string) display {
	t.Helper()
	args := []string{"-screen", "0", size + "x24", "-noreset", "-nolisten", "tcp"}
	if dir != "" {
		args = append(args, "-fbdir", dir)
	}
	return startXServer(t, "Xvfb", args...)
}

// startXServer starts a program that is an X server on a free display.
func startXServer(t testing.TB, name string, args ...string) display {
	t.Helper()
	need(t, name)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	x := &program{cmd: exec.Command(name, append([]string{"-displayfd", "3"}, args...)...), output: &logBuffer{}, ended: make(chan struct{})}
	x.cmd.ExtraFiles = []*os.File{write}
	x.cmd.Stdout, x.cmd.Stderr = x.output, x.output
	err = x.cmd.Start()
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	go x.wait()
	t.Cleanup(func() { x.end(t) })
	if err := read.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	number, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatalf("the X server did not say its display: %v\n%s", err, x.output)
	}
	return display{name: ":" + strings.TrimSpace(number)}
}

// startSupervisor starts a supervisor on a loopback port and returns when it
// can be reached.
func startSupervisor(t testing.TB, args ...string) (supervisor *program, address string) {
	t.Helper()
	dir := shortDir(t)
	address = freeAddress(t)
	// Registered before the program's own clean-up, so that it comes after.
	t.Cleanup(func() {
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Error(err)
		}
		for _, entry := range left {
			t.Errorf("the supervisor left %s in its temporary directory", entry.Name())
		}
	})
	env := append(os.Environ(), "TMPDIR="+dir, "XDG_RUNTIME_DIR="+dir, "GORACE=halt_on_error=1")
	supervisor = startProgram(t, env, built.supervisor, append([]string{"-listen", address}, args...)...)
	t.Cleanup(func() {
		supervisor.end(t)
		if supervisor.err != nil {
			t.Errorf("the supervisor ended with %v on SIGTERM", supervisor.err)
		}
	})
	eventually(t, "the supervisor to listen", func() error {
		if err := supervisor.running(); err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return supervisor, address
}
