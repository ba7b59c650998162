package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// process is a line of the process table.
type process struct {
	pid, parent int
	zombie      bool
	args        []string
}

func (p process) String() string { return fmt.Sprintf("%d %s", p.pid, strings.Join(p.args, " ")) }

// is tells whether the process runs the program of this name.
func (p process) is(program string) bool {
	return len(p.args) > 0 && filepath.Base(p.args[0]) == program
}

// processTable reads /proc. Processes that end meanwhile are left out.
func processTable(t testing.TB) []process {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(names) == 0 {
		t.Fatalf("reading the process table: %v", err)
	}
	var table []process
	for _, name := range names {
		stat, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		// pid (comm) state ppid ...; comm may hold anything but ends at the
		// last parenthesis.
		end := bytes.LastIndexByte(stat, ')')
		fields := strings.Fields(string(stat[end+1:]))
		if end < 0 || len(fields) < 2 {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			continue
		}
		parent, err := strconv.Atoi(fields[1])
		if err != nil {
			continue
		}
		p := process{pid: pid, parent: parent, zombie: fields[0] == "Z"}
		if line, err := os.ReadFile(filepath.Join(filepath.Dir(name), "cmdline")); err == nil && len(line) > 0 {
			p.args = strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		} else {
			p.args = []string{"[" + string(stat[bytes.IndexByte(stat, '(')+1:end]) + "]"}
		}
		table = append(table, p)
	}
	return table
}

// descendants returns the processes below root, root not included.
func descendants(t testing.TB, root int) []process {
	t.Helper()
	table := processTable(t)
	below := []int{root}
	var found []process
	for i := 0; i < len(below); i++ {
		for _, p := range table {
			if p.parent == below[i] && !slices.Contains(below, p.pid) {
				below = append(below, p.pid)
				found = append(found, p)
			}
		}
	}
	return found
}

// find returns the one running process below root that is the program and has
// the argument, "" for any.
func find(t testing.TB, root int, program, argument string) (process, error) {
	t.Helper()
	var found []process
	for _, p := range descendants(t, root) {
		if !p.zombie && p.is(program) && (argument == "" || slices.Contains(p.args, argument)) {
			found = append(found, p)
		}
	}
	if len(found) != 1 {
		return process{}, fmt.Errorf("%d processes of %s run below %d instead of one: %v", len(found), program, root, found)
	}
	return found[0], nil
}

// kill ends one process at once.
func kill(t testing.TB, p process) {
	t.Helper()
	if err := unix.Kill(p.pid, unix.SIGKILL); err != nil {
		t.Fatalf("killing %v: %v", p, err)
	}
}

// leavesNothing checks at the end of the test, after the clean-ups that are
// registered later, that every process started meanwhile is gone. The browser
// is shared and stays.
func leavesNothing(t testing.TB) {
	t.Helper()
	before := make(map[int]bool)
	for _, p := range descendants(t, os.Getpid()) {
		before[p.pid] = true
	}
	t.Cleanup(func() {
		eventually(t, "all processes to be gone", func() error {
			var left []string
			for _, p := range descendants(t, os.Getpid()) {
				switch {
				case before[p.pid], isChromium(p):
				case p.zombie && p.parent == os.Getpid():
					// An orphan that ended: nobody else collects it.
					var status unix.WaitStatus
					if _, err := unix.Wait4(p.pid, &status, unix.WNOHANG, nil); err != nil && !errors.Is(err, unix.ECHILD) {
						left = append(left, p.String()+": "+err.Error())
					}
				default:
					left = append(left, p.String())
				}
			}
			if len(left) > 0 {
				return fmt.Errorf("still there:\n%s", strings.Join(left, "\n"))
			}
			return nil
		})
	})
}
