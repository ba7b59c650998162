package session

import (
	"bytes"
	"os"
	"strconv"
	"time"
)

// lookAgain is the pause between two looks at processes that were told to
// end and of whose end no signal comes.
const lookAgain = 10 * time.Millisecond

// process is one line of the process table.
type process struct {
	pid, parent, group int
	state              byte // as in proc(5): 'Z' has ended and was not waited for
	name               string
}

// processes reads the process table (proc(5), /proc/PID/stat). Processes that
// end meanwhile are left out.
func processes() ([]process, error) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var table []process
	for _, n := range names {
		if n[0] < '0' || n[0] > '9' {
			continue
		}
		stat, err := os.ReadFile("/proc/" + n + "/stat")
		if err != nil {
			continue
		}
		if p, ok := parseStat(stat); ok {
			table = append(table, p)
		}
	}
	return table, nil
}

// parseStat reads the beginning of a /proc/PID/stat: "pid (name) state ppid
// pgrp ...". The name may hold anything, brackets and line ends included.
func parseStat(stat []byte) (p process, ok bool) {
	open, shut := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 1 || shut < open {
		return p, false
	}
	f := bytes.Fields(stat[shut+1:])
	if len(f) < 3 {
		return p, false
	}
	var errPid, errParent, errGroup error
	p.pid, errPid = strconv.Atoi(string(bytes.TrimSpace(stat[:open])))
	p.name = string(stat[open+1 : shut])
	p.state = f[0][0]
	p.parent, errParent = strconv.Atoi(string(f[1]))
	p.group, errGroup = strconv.Atoi(string(f[2]))
	return p, errPid == nil && errParent == nil && errGroup == nil
}
