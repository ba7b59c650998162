package session

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reaper takes in orphans: processes that the session's programs started and
// left behind become children of this program, which collects them when they
// end, and ends them itself with the session. That is a duty of process 1 in
// a container; elsewhere the program asks for it (PR_SET_CHILD_SUBREAPER).
//
// It never takes the end of a process away from the os/exec.Cmd that waits
// for it: processes of our own are started under the reaper's lock, and so
// known before the reaper can look at them. Therefore a program that uses a
// reaper must start all its children through start.
type reaper struct {
	log *slog.Logger

	mu  sync.Mutex
	own map[int]struct{} // started here and not yet waited for
}

// newReaper makes orphans come to this program.
func newReaper(log *slog.Logger) (*reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the parent of orphaned processes (prctl PR_SET_CHILD_SUBREAPER): %w", err)
	}
	return &reaper{log: log, own: make(map[int]struct{})}, nil
}

// begin collects orphans until the function returned is called, which ends
// those that are left.
func (r *reaper) begin() (finish func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.run(ctx)
	}()
	return func() {
		cancel()
		<-done
		r.end(stopGrace)
	}
}

// run collects orphans until ctx ends.
func (r *reaper) run(ctx context.Context) {
	ended := make(chan os.Signal, 1) // several ends may come as one signal
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for {
		r.collect()
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}

// collect waits for every orphan that has ended.
func (r *reaper) collect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	table, err := processes()
	if err != nil {
		r.log.Warn("cannot look for ended processes", "err", err)
		return
	}
	self := os.Getpid()
	for _, p := range table {
		if _, own := r.own[p.pid]; own || p.parent != self || p.state != 'Z' {
			continue
		}
		var status unix.WaitStatus
		if pid, err := unix.Wait4(p.pid, &status, unix.WNOHANG, nil); err == nil && pid == p.pid {
			r.log.Debug("collected an orphan", "pid", pid, "name", p.name, "status", int(status))
		}
	}
}

// start runs fork, which starts one process of our own.
func (r *reaper) start(fork func() (pid int, err error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := fork()
	if err == nil {
		r.own[pid] = struct{}{}
	}
	return err
}

// forget says that the process was waited for by whoever started it.
func (r *reaper) forget(pid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.own, pid)
}

// orphans returns the running processes below this one, except those of our
// own and what descends from them.
func (r *reaper) orphans() []process {
	r.mu.Lock()
	defer r.mu.Unlock()
	table, err := processes()
	if err != nil {
		r.log.Warn("cannot look for orphaned processes", "err", err)
		return nil
	}
	children := make(map[int][]process)
	for _, p := range table {
		children[p.parent] = append(children[p.parent], p)
	}
	var found []process
	for next := []int{os.Getpid()}; len(next) > 0; next = next[1:] {
		for _, p := range children[next[0]] {
			if _, own := r.own[p.pid]; own {
				continue
			}
			next = append(next, p.pid)
			if p.state != 'Z' {
				found = append(found, p)
			}
		}
	}
	return found
}

// end ends all orphans: asked first, and killed after grace.
func (r *reaper) end(grace time.Duration) {
	asked := make(map[int]bool)
	deadline := time.Now().Add(grace)
	for {
		r.collect()
		left := r.orphans()
		if len(left) == 0 {
			return
		}
		now := time.Now()
		for _, p := range left {
			switch {
			case now.After(deadline):
				r.log.Warn("killing a process that the client left behind and that does not end", "pid", p.pid, "name", p.name)
				_ = unix.Kill(p.pid, unix.SIGKILL) // gone already: the next look shows
			case !asked[p.pid]:
				r.log.Debug("ending a process that the client left behind", "pid", p.pid, "name", p.name)
				_ = unix.Kill(p.pid, unix.SIGTERM)
				asked[p.pid] = true
			}
		}
		if now.After(deadline.Add(grace)) {
			r.log.Error("processes that the client left behind cannot be killed", "count", len(left))
			return
		}
		// Those below orphans send this program no signal, so look again.
		time.Sleep(lookAgain)
	}
}
