package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ironglass/ironglass/launcher"
)

// instance is one supervisor process and its directory. Its goroutine, watch,
// follows it from its start or adoption until nothing of it is left.
type instance struct {
	l   *Launcher
	id  string
	dir string
	rec record // not changed once the instance is in the table
	log *slog.Logger

	proc *os.Process
	cmd  *exec.Cmd // nil where the process was adopted
	out  *follower // watch's own once it runs

	ready bool // the greeting was read; guarded by l.mu

	stopOnce sync.Once
	stop     chan struct{} // closed when it is to end
	gone     chan struct{} // closed by watch when nothing is left
	words    string        // why it ended; valid once gone is closed
}

func newInstance(l *Launcher, id, dir string, proc *os.Process, out *follower) *instance {
	return &instance{l: l, id: id, dir: dir, proc: proc, out: out,
		stop: make(chan struct{}), gone: make(chan struct{})}
}

// introduce completes the record with the start time of the process, which
// nobody has reaped yet, and writes it.
func (i *instance) introduce() error {
	st, err := statOf(i.rec.PID)
	if err != nil {
		return err
	}
	i.rec.Started = st.started
	return i.rec.write(i.dir)
}

// add puts the instance into the table and begins to watch it.
func (l *Launcher) add(i *instance) {
	i.log = l.log.With("node", i.rec.Node)
	l.mu.Lock()
	l.instances[i.id] = i
	l.mu.Unlock()
	l.alive.Add(1)
	go i.watch()
}

// public is the instance as callers see it.
func (i *instance) public() launcher.Instance {
	return launcher.Instance{
		ID:      i.id,
		Node:    i.rec.Node,
		Epoch:   i.rec.Epoch,
		Network: "unix",
		Address: filepath.Join(i.dir, socketName),
	}
}

// end asks for the end, which watch brings about.
func (i *instance) end() { i.stopOnce.Do(func() { close(i.stop) }) }

// ending reports whether the end was asked for.
func (i *instance) ending() bool {
	select {
	case <-i.stop:
		return true
	default:
		return false
	}
}

// running reports whether the process is there and has not ended.
func (i *instance) running() bool {
	st, err := statOf(i.rec.PID)
	return err == nil && st.started == i.rec.Started && !st.dead()
}

const (
	// followEvery is how often a console's log is looked at, and how often an
	// adopted process, which cannot be waited for.
	followEvery = 250 * time.Millisecond
	// endEvery is how often an adopted process is looked at that was asked to
	// end.
	endEvery = 20 * time.Millisecond
)

// watch is the instance's goroutine. It ends when the process has, by itself
// or because end was called, and nothing of it is left.
func (i *instance) watch() {
	defer i.l.alive.Done()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	exited := make(chan struct{})
	if i.cmd != nil {
		go i.awaitExit(exited)
	}
	stop, hurry, late := (<-chan struct{})(i.stop), (<-chan struct{})(nil), (<-chan time.Time)(nil)
	for over := false; !over; {
		select {
		case <-exited:
			over = true
		case now := <-tick.C:
			i.out.follow(now)
			over = i.cmd == nil && !i.running()
		case <-stop:
			_ = i.proc.Signal(syscall.SIGTERM)
			grace := time.NewTimer(i.l.cfg.StopGrace)
			defer grace.Stop()
			stop, hurry, late = nil, i.l.hurry, grace.C
			if i.cmd == nil {
				tick.Reset(endEvery)
			}
		case <-hurry:
			hurry = nil
			_ = i.proc.Kill()
		case <-late:
			i.log.Warn("the console does not end when asked, and is killed")
			_ = i.proc.Kill()
		}
	}
	i.bury()
}

// awaitExit closes exited when the process has ended, and leaves it for bury
// to reap: until then its number, and its session's, means nothing else.
func (i *instance) awaitExit(exited chan<- struct{}) {
	defer close(exited)
	for {
		err := unix.Waitid(unix.P_PID, i.rec.PID, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// bury removes what an ended supervisor left: other processes of its kin,
// the directory, its place in the table.
func (i *instance) bury() {
	// An adopted supervisor is reaped by another process, so its number may
	// by now mean one with another start time; then, and only then, nothing
	// of its session was left.
	st, err := statOf(i.rec.PID)
	if err := i.rec.kin(err != nil || st.started == i.rec.Started).sweep(); err != nil {
		i.log.Error("something of the console is left running", "err", err)
	}
	how, level := "it was stopped", slog.LevelInfo
	if i.cmd == nil {
		_ = i.proc.Release()
		if !i.ending() {
			how = "it ended"
		}
	} else if err := i.cmd.Wait(); !i.ending() {
		how = ended(err)
		if err != nil {
			level = slog.LevelWarn
		}
	}
	last := i.out.finish(time.Now())
	if err := os.RemoveAll(i.dir); err != nil {
		i.log.Error("the console's directory cannot be removed", "err", err)
	}
	words := how
	if last != "" {
		words = how + ": " + last
	}
	i.log.Log(context.Background(), level, "supervisor ended", "why", words)
	i.l.mu.Lock()
	delete(i.l.instances, i.id)
	i.l.remember(i.id, words)
	i.l.mu.Unlock()
	i.words = last
	close(i.gone)
}

// ended says in words how a process ended.
func ended(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "it ended by itself"
	case !errors.As(err, &exit):
		return err.Error()
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return fmt.Sprintf("it was killed by %s", unix.SignalName(ws.Signal()))
	}
	return fmt.Sprintf("it failed with status %d", exit.ExitCode())
}

// maxWords bounds the ended instances whose last words are kept.
const maxWords = 4096

// remember keeps why an instance ended. The caller holds l.mu.
func (l *Launcher) remember(id, words string) {
	if _, known := l.words[id]; !known && len(l.words) >= maxWords {
		clear(l.words)
	}
	l.words[id] = words
}

const (
	// probeTimeout bounds one look at a socket; a busy machine may need long.
	probeTimeout = 10 * time.Second
	// probeEvery is the pause between two looks.
	probeEvery = 10 * time.Millisecond
	// greetingLength is the length of the RFB greeting in bytes.
	greetingLength = 12
)

// probe reads the greeting of an instance's RFB server (rfbproto 7.1.1) and
// leaves again.
func probe(ctx context.Context, at launcher.Instance) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := at.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return readGreeting(ctx, conn)
}

// readGreeting reads the 12 bytes, no longer than ctx lasts.
func readGreeting(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var b [greetingLength]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return fmt.Errorf("read the RFB greeting: %w", err)
	}
	if string(b[:4]) != "RFB " {
		return fmt.Errorf("the greeting %q is not RFB", b)
	}
	return nil
}

// awaitGreeting looks at the socket until the greeting can be read, the
// instance ends, or ctx does.
func (i *instance) awaitGreeting(ctx context.Context) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-i.gone:
			return errors.New("the supervisor ended before it answered")
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-pause.C:
		}
		if probe(ctx, i.public()) == nil {
			return nil
		}
		pause.Reset(probeEvery)
	}
}

// answersStill reports whether an instance that was ready still is. One that
// ended, or is being ended, is not.
func (i *instance) answersStill(ctx context.Context) bool {
	if i.ending() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return i.awaitGreeting(ctx) == nil
}
