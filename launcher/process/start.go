package process

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ironglass/ironglass/launcher"
)

// errStopped ends a start that a Stop called off.
var errStopped = errors.New("the console was stopped while it was starting")

// abandoned ends a start that nobody waits for any more, for the reason that
// the last who did gave up.
type abandoned struct{ error }

func (a abandoned) Unwrap() error { return a.error }

// start is the starting of one node's console, shared by all who ask for it
// meanwhile.
type start struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when inst and err are final
	inst   launcher.Instance
	err    error

	mu     sync.Mutex
	phase  string
	asking map[*asker]struct{} // empty again: the start is called off
}

// asker is one caller of Start who waits.
type asker struct{ phase func(string) }

// Start makes the console of spec.Node run; see launcher.Launcher. Callers who
// ask for one node at the same time share one start, which is called off when
// the context of the last of them ends; what the first of them asked for is
// what is started. A console that runs but no longer answers is ended and
// started again. phase must return at once.
func (l *Launcher) Start(ctx context.Context, spec launcher.Spec, phase func(string)) (launcher.Instance, error) {
	if err := check(spec); err != nil {
		return launcher.Instance{}, fmt.Errorf("console %q: %w", spec.Node, err)
	}
	if phase == nil {
		phase = func(string) {}
	}
	me := &asker{phase: phase}
	for {
		if ctx.Err() != nil {
			return launcher.Instance{}, fmt.Errorf("console %q: %w", spec.Node, context.Cause(ctx))
		}
		s, err := l.startOf(spec)
		if err != nil {
			return launcher.Instance{}, fmt.Errorf("console %q: %w", spec.Node, err)
		}
		joined := s.join(me)
		if joined {
			select {
			case <-s.done:
			case <-ctx.Done():
			}
		}
		if !joined || s.leave(me, context.Cause(ctx)) {
			// Called off, by this caller or before: nothing may be left
			// behind when the answer is given.
			<-s.done
		}
		select {
		case <-s.done:
		default:
			return launcher.Instance{}, fmt.Errorf("console %q: %w", spec.Node, context.Cause(ctx))
		}
		if s.err == nil {
			return s.inst, nil
		}
		if by := (abandoned{}); !joined && errors.As(s.err, &by) {
			continue // others gave up just before; this caller did not
		}
		return launcher.Instance{}, fmt.Errorf("console %q: %w", spec.Node, s.err)
	}
}

// startOf returns the start of spec's node that is under way, or begins one.
func (l *Launcher) startOf(spec launcher.Spec) (*start, error) {
	id := ID(spec.Node)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return nil, ErrClosed
	}
	if s := l.starting[id]; s != nil {
		return s, nil
	}
	s := &start{done: make(chan struct{}), asking: make(map[*asker]struct{})}
	s.ctx, s.cancel = context.WithCancelCause(l.ctx)
	l.starting[id] = s
	l.starts.Add(1)
	go l.runStart(s, id, spec)
	return s, nil
}

// join adds a caller, unless the start was called off already.
func (s *start) join(a *asker) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.asking[a] = struct{}{}
	if s.phase != "" {
		a.phase(s.phase)
	}
	return true
}

// leave removes a caller, whose phase function is not called afterwards. The
// last one calls the start off, which is no matter when it is over.
func (s *start) leave(a *asker, why error) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asking, a)
	if len(s.asking) > 0 {
		return false
	}
	s.cancel(abandoned{why})
	return true
}

// tell passes a phase on to everyone who waits.
func (s *start) tell(phase string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phase
	for a := range s.asking {
		a.phase(phase)
	}
}

// runStart is the goroutine of one start. It ends when the console answers or
// has failed to; cancelling s.ctx hastens that.
func (l *Launcher) runStart(s *start, id string, spec launcher.Spec) {
	defer l.starts.Done()
	s.inst, s.err = l.start(s, id, spec)
	l.mu.Lock()
	delete(l.starting, id)
	l.mu.Unlock()
	close(s.done)
	s.cancel(nil)
}

// start returns the running console, or starts it.
func (l *Launcher) start(s *start, id string, spec launcher.Spec) (launcher.Instance, error) {
	l.mu.Lock()
	i := l.instances[id]
	delete(l.words, id)
	l.mu.Unlock()
	if i != nil {
		if i.answersStill(s.ctx) {
			return i.public(), nil
		}
		if s.ctx.Err() != nil {
			return launcher.Instance{}, context.Cause(s.ctx)
		}
		s.tell("ending a console that no longer answers")
		i.end()
		<-i.gone
	}
	s.tell("starting the console on this machine")
	i, err := l.spawn(id, spec)
	if err != nil {
		return launcher.Instance{}, err
	}
	s.tell("waiting for the console's screen")
	ctx, cancel := context.WithTimeoutCause(s.ctx, l.cfg.StartTimeout,
		fmt.Errorf("it did not answer within %v", l.cfg.StartTimeout))
	defer cancel()
	if err := i.awaitGreeting(ctx); err != nil {
		i.end()
		<-i.gone
		if i.words != "" {
			err = fmt.Errorf("%w: %s", err, i.words)
		}
		return launcher.Instance{}, err
	}
	l.mu.Lock()
	i.ready = true
	l.mu.Unlock()
	l.log.Info("supervisor started", "node", spec.Node, "pid", i.rec.PID)
	return i.public(), nil
}

// spawn starts a supervisor for spec in a new directory and hands it its
// settings. The instance is in the table when spawn returns without error.
func (l *Launcher) spawn(id string, spec launcher.Spec) (_ *instance, err error) {
	program, err := l.supervisor()
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath(spec.Command[0]); err != nil {
		return nil, fmt.Errorf("%w: %w: install it, or correct console.command", launcher.ErrNoProgram, err)
	}
	dir := filepath.Join(l.dir, id)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	i, err := l.launch(id, dir, program, spec)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return i, nil
}

// maxSettings is what a pipe takes without a reader (pipe(7)), so that a
// supervisor that does not read cannot hold up the launcher.
const maxSettings = 60 << 10

// launch does what spawn says, in a directory that exists; on error it leaves
// no process.
func (l *Launcher) launch(id, dir, program string, spec launcher.Spec) (*instance, error) {
	if err := os.Mkdir(filepath.Join(dir, runName), 0o700); err != nil {
		return nil, err
	}
	doc, err := json.Marshal(l.settings(dir, spec))
	if err != nil {
		return nil, err
	}
	if len(doc) > maxSettings {
		return nil, fmt.Errorf("console.command is too long (%d bytes with what goes with it, %d at most): put it into a script", len(doc), maxSettings)
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	out, err := os.OpenFile(filepath.Join(dir, logName), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the supervisor has its own by then
	words, err := openFollower(out.Name(), l.log.With("node", spec.Node), false)
	if err != nil {
		return nil, err
	}

	epoch := rand.Text()
	cmd := exec.Command(program, "-config", "-")
	cmd.Env = append(environment(os.Environ()), marker(epoch))
	cmd.Stderr = out
	// A session of its own: Ctrl-C in the service's terminal is not for the
	// console, and whatever it starts can be found by the session's number.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		words.finish(time.Now())
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	i := newInstance(l, id, dir, cmd.Process, words)
	i.cmd = cmd
	i.rec = record{Node: spec.Node, UUID: spec.UUID, Epoch: epoch, PID: cmd.Process.Pid, Boot: boot}
	if err = i.introduce(); err == nil {
		// The record is there before the settings are: a service that crashes
		// in between closes the pipe, and a supervisor without settings ends.
		_, err = stdin.Write(append(doc, '\n'))
	}
	if cerr := stdin.Close(); err == nil {
		err = cerr
	}
	if errors.Is(err, syscall.EPIPE) {
		err = nil // it ended at once; its last words say more than this
	}
	if err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		words.finish(time.Now())
		return nil, err
	}
	l.add(i)
	return i, nil
}

// supervisorName is what the program is called that consoles run under.
const supervisorName = "ironglass-supervisor"

// supervisor finds the program that consoles run under.
func (l *Launcher) supervisor() (string, error) {
	const name = supervisorName
	if p := l.cfg.Supervisor; p != "" {
		if _, err := exec.LookPath(p); err != nil {
			return "", fmt.Errorf("%w: %w: correct launcher.process.supervisor, or build the program there", launcher.ErrNoProgram, err)
		}
		return filepath.Abs(p)
	}
	if self, err := os.Executable(); err == nil {
		if p, err := exec.LookPath(filepath.Join(filepath.Dir(self), name)); err == nil {
			return p, nil
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: %s is neither beside this program nor in PATH: install it there (make build puts both programs into bin), or set launcher.process.supervisor", launcher.ErrNoProgram, name)
	}
	return p, nil
}
