package session

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoProgram is wrapped by errors that say a program is missing; the
// message names it and says what to do.
var ErrNoProgram = errors.New("program not found")

// missingError says that a program cannot be run. It is an ErrNoProgram.
type missingError struct{ text string }

func (e *missingError) Error() string { return e.text }
func (e *missingError) Unwrap() error { return ErrNoProgram }

// findProgram returns the file that the command name means.
func findProgram(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EISDIR):
		return "", &missingError{name + " is not an executable file: make it one (chmod +x) or correct the node's command"}
	case strings.ContainsRune(name, '/'):
		return "", &missingError{name + " does not exist: install it or correct the node's command"}
	default:
		return "", &missingError{name + " is not installed or not in PATH: install it or correct the node's command"}
	}
}

// How a client is ended.
const (
	// stopGrace is how long a client that was asked to end may take.
	stopGrace = 5 * time.Second
	// lastWords is how long output is waited for after a client's end, where
	// something it left behind keeps the pipe open.
	lastWords = 200 * time.Millisecond
)

// client is one run of the command. Its methods may be called from any
// goroutine.
type client struct {
	name string // for people: the program without its folder
	cmd  *exec.Cmd
	out  *tail

	// ended is closed by wait when the process and its output have ended;
	// err, set before, is what Wait of the process said.
	ended chan struct{}
	err   error

	stopOnce sync.Once
}

// startClient runs command as a process group of its own, with env and
// nothing to read, and watches it until it has ended.
func startClient(p *parent, command, env []string, log *slog.Logger) (*client, error) {
	path, err := findProgram(command[0])
	if err != nil {
		return nil, err
	}
	c := &client{name: programName(command), ended: make(chan struct{})}
	c.out = &tail{line: func(s string) { log.Debug("client says", "program", c.name, "line", s) }}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	// The files are given as they are, so that Cmd has no goroutine that a
	// descendant could hold by keeping them open.
	c.cmd = &exec.Cmd{
		Path: path, Args: command, Env: env, Stdout: w, Stderr: w,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	err = p.start(func() (int, error) {
		if err := c.cmd.Start(); err != nil {
			return 0, err
		}
		return c.cmd.Process.Pid, nil
	})
	w.Close()
	if err != nil {
		r.Close()
		if errors.Is(err, os.ErrNotExist) { // its interpreter, for instance
			return nil, &missingError{fmt.Sprintf("%s cannot be run: %v", path, err)}
		}
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	log.Info("client started", "program", c.name, "pid", c.cmd.Process.Pid)
	read := make(chan struct{})
	go c.read(r, read)
	go c.wait(p, r, read)
	return c, nil
}

// read takes the output until its end, which comes when the last process
// that holds the pipe ends, or at wait's deadline.
func (c *client) read(r *os.File, done chan<- struct{}) {
	defer close(done)
	b := make([]byte, 4096)
	for {
		n, err := r.Read(b)
		_, _ = c.out.Write(b[:n])
		if err != nil {
			c.out.end()
			return
		}
	}
}

// wait ends with the process. What is left of its group is ended as well: a
// client is what its first process is, and windows that a predecessor left
// behind would lie over those of the next one.
func (c *client) wait(p *parent, r *os.File, read <-chan struct{}) {
	c.err = c.cmd.Wait()
	p.forget(c.cmd.Process.Pid)
	endGroup(c.cmd.Process.Pid, stopGrace)
	_ = r.SetReadDeadline(time.Now().Add(lastWords)) // a pipe can have one
	<-read
	r.Close()
	close(c.ended)
}

// signal passes a signal on to the client's process.
func (c *client) signal(sig syscall.Signal) {
	_ = c.cmd.Process.Signal(sig) // an error: it has ended
}

// stop asks the client to end, kills it after stopGrace, and returns when it
// has ended.
func (c *client) stop() {
	c.stopOnce.Do(func() {
		_ = unix.Kill(-c.cmd.Process.Pid, unix.SIGTERM) // an error: it has ended
		t := time.AfterFunc(stopGrace, func() { _ = unix.Kill(-c.cmd.Process.Pid, unix.SIGKILL) })
		<-c.ended
		t.Stop()
	})
	<-c.ended
}

// result says in a few words how the client ended. It is called after ended.
func (c *client) result() string {
	var exit *exec.ExitError
	switch {
	case c.err == nil:
		return "exit status 0"
	case errors.As(c.err, &exit):
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return "killed by signal " + unix.SignalName(s.Signal())
		}
		return exit.ProcessState.String()
	default:
		return c.err.Error()
	}
}

// endGroup ends what is left of a process group, after grace by force.
func endGroup(group int, grace time.Duration) {
	if unix.Kill(-group, unix.SIGTERM) != nil {
		return // no process is in it
	}
	deadline := time.Now().Add(grace)
	for groupRuns(group) {
		if time.Now().After(deadline) {
			_ = unix.Kill(-group, unix.SIGKILL)
			return
		}
		time.Sleep(lookAgain)
	}
}

// groupRuns reports whether a process of the group has not ended. Those that
// only wait to be collected do not count.
func groupRuns(group int) bool {
	if unix.Kill(-group, 0) != nil {
		return false
	}
	table, err := processes()
	if err != nil {
		return false
	}
	for _, p := range table {
		if p.group == group && p.state != 'Z' {
			return true
		}
	}
	return false
}

// programName is what people call the command: its program without folder.
func programName(command []string) string { return filepath.Base(command[0]) }

// clientEnv is this program's environment with the display in place of what
// it says about displays. An empty auth leaves the authority file as it is.
func clientEnv(environ []string, display, auth string) []string {
	env := make([]string, 0, len(environ)+2)
	for _, e := range environ {
		switch name, _, _ := strings.Cut(e, "="); {
		case name == "DISPLAY", name == "WAYLAND_DISPLAY", name == "WAYLAND_SOCKET":
		case name == "XAUTHORITY" && auth != "":
		default:
			env = append(env, e)
		}
	}
	env = append(env, "DISPLAY="+display)
	if auth != "" {
		env = append(env, "XAUTHORITY="+auth)
	}
	return env
}
