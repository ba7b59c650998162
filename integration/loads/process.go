package loads

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long anything may take before it counts as never.
const patience = 60 * time.Second

// process is a program that was started.
type process struct {
	cmd    *exec.Cmd
	output *tail
	ended  chan struct{} // closed by wait
}

// tail keeps the last of what a program writes.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

const tailBytes = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.Write(p)
	if over := t.b.Len() - tailBytes; over > 0 {
		t.b.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// start starts a program with more environment. Where number is not nil, the
// program is an X server and tells its display's number.
func start(env []string, number *string, name string, args ...string) (*process, error) {
	p := &process{output: new(tail), ended: make(chan struct{})}
	var read, write *os.File
	if number != nil {
		args = append([]string{"-displayfd", "3"}, args...)
		var err error
		if read, write, err = os.Pipe(); err != nil {
			return nil, err
		}
		defer read.Close()
		defer write.Close()
	}
	p.cmd = exec.Command(name, args...)
	if write != nil {
		p.cmd.ExtraFiles = []*os.File{write}
	}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.wait()
	if number == nil {
		return p, nil
	}
	write.Close()
	read.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // the read tells
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		err = fmt.Errorf("%s did not say its display: %w\n%s", name, err, p.output)
		return nil, errors.Join(err, p.stop())
	}
	*number = ":" + strings.TrimSpace(line)
	return p, nil
}

// wait collects the process; it ends with it.
func (p *process) wait() {
	_ = p.cmd.Wait() // the state is kept
	close(p.ended)
}

// running is an error where the program has ended.
func (p *process) running() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended (%v):\n%s", filepath.Base(p.cmd.Path), p.cmd.ProcessState, p.output)
	default:
		return nil
	}
}

// stop ends the program and waits for it.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end when asked to", filepath.Base(p.cmd.Path))
	}
}

// family returns the ids and names of the processes that descend from pid, in
// no order.
func family(pid int) (map[int]string, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	parents, names := make(map[int]int), make(map[int]string)
	for _, file := range stats {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state parent ...; the name may hold anything.
		head, comm, _ := strings.Cut(string(b[:bytes.LastIndexByte(b, ')')]), " (")
		rest := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		id, err1 := strconv.Atoi(head)
		parent, err2 := strconv.Atoi(rest[1])
		if err1 == nil && err2 == nil {
			parents[id], names[id] = parent, comm
		}
	}
	found := make(map[int]string)
	for id, comm := range names {
		for up := parents[id]; up > 1; up = parents[up] {
			if up == pid {
				found[id] = comm
				break
			}
		}
	}
	return found, nil
}

// below returns the id of the process with a name that descends from pid.
func below(pid int, name string) (int, error) {
	all, err := family(pid)
	if err != nil {
		return 0, err
	}
	for id, comm := range all {
		if comm == name {
			return id, nil
		}
	}
	return 0, fmt.Errorf("process %d has no descendant %s", pid, name)
}

// ProcessorTime is how long the threads of a process have computed so far, to
// the nanosecond.
func ProcessorTime(pid int) (time.Duration, error) {
	// The number of another process's clock, see clock_getcpuclockid(3): the
	// process's complement, and 2 for what the scheduler counts.
	const scheduler = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &t); err != nil {
		return 0, fmt.Errorf("the processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// Resident is the memory that a process holds at present, in bytes.
func Resident(pid int) (int64, error) {
	kB, err := status(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	return kB << 10, err
}

// Proportional is the memory that a process holds, with what it shares with
// others shared out among them, in bytes.
func Proportional(pid int) (int64, error) {
	kB, err := status(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:")
	return kB << 10, err
}

// status is a number of a status file of the kernel.
func status(file, field string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s does not say %s", file, field)
}

// switches is how often the threads of a process went to sleep and so were
// woken again.
func switches(pid int) (int64, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, file := range files {
		if n, err := status(file, "voluntary_ctxt_switches:"); err == nil {
			sum += n // else the thread has ended
		}
	}
	return sum, nil
}
