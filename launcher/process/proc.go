package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// procStat is what is needed of /proc/PID/stat (proc(5)).
type procStat struct {
	state   byte
	session int
	started uint64 // clock ticks since boot
}

// statOf reads the state of a process.
func statOf(pid int) (procStat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	return parseStat(b)
}

// parseStat takes a line of /proc/PID/stat apart. The second field is the
// program's name in parentheses and may itself hold spaces and parentheses,
// so counting begins after the last one.
func parseStat(b []byte) (procStat, error) {
	const (
		state   = 0  // field 3 of proc(5)
		session = 3  // field 6
		started = 19 // field 22
	)
	end := bytes.LastIndexByte(b, ')')
	f := strings.Fields(string(b[end+1:]))
	if end < 0 || len(f) <= started || len(f[state]) != 1 {
		return procStat{}, fmt.Errorf("unexpected line %.80q in /proc/PID/stat", b)
	}
	s, err1 := strconv.Atoi(f[session])
	t, err2 := strconv.ParseUint(f[started], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return procStat{}, err
	}
	return procStat{state: f[state][0], session: s, started: t}, nil
}

// dead reports whether the process has ended, reaped or not.
func (s procStat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

// bootID names this boot of the machine; start times count from it.
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// kin is what tells the processes of one instance from all others.
type kin struct {
	// session is the number of the supervisor, which leads a session, and of
	// that session. It counts only while the supervisor was not reaped, or if
	// the number was not used again since: the kernel gives no process the
	// number of a session that has members. 0 is not to be relied on.
	session int
	// variable is in the environment of the supervisor and, unless they
	// changed it, of all that came from it: a shell in a terminal, which has
	// a session of its own, too.
	variable string
}

// has reports whether the process is one of them and lives.
func (k kin) has(pid int) bool {
	s, err := statOf(pid)
	if err != nil || s.dead() {
		return false
	}
	if k.session != 0 && s.session == k.session {
		return true
	}
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && slices.Contains(strings.Split(string(env), "\x00"), k.variable)
}

// living returns the processes that are of the kin.
func (k kin) living() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil && k.has(pid) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// kill kills a process if it is of the kin. The handle is taken before the
// look, so that a number used again in between is not hit.
func (k kin) kill(pid int) {
	p, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	defer func() { _ = p.Release() }()
	if k.has(pid) {
		_ = p.Kill()
	}
}

const (
	sweepEvery = 10 * time.Millisecond
	sweepLimit = 10 * time.Second
)

// sweep kills what is left of the kin of a supervisor that ended, and waits
// until it is gone.
func (k kin) sweep() error {
	for deadline := time.Now().Add(sweepLimit); ; {
		pids, err := k.living()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			k.kill(pid)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not end although killed", pids)
		}
		time.Sleep(sweepEvery)
	}
}
