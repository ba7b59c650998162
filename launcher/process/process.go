// Package process runs consoles as processes of this machine: one
// ironglass-supervisor per node, each in a session of its own, with a private
// directory that holds its socket, its log and a record of what it is.
//
// The directories are the only state. A service that crashed leaves its
// consoles running; the next one on the same directory adopts those that
// still answer and clears away the rest.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/ironglass/ironglass/launcher"
)

// Config is how a Launcher behaves. Dir is required; the zero value of
// everything else is the default. It is not changed after New.
type Config struct {
	// Dir holds the directories of the running consoles. It is created with
	// mode 0700, and one Launcher at a time may use it. Where the name of a
	// socket in it would be longer than the system allows, a short private
	// directory in XDG_RUNTIME_DIR or the system's temporary directory, with
	// a name derived from Dir, is used instead.
	Dir string
	// Supervisor is the path of the ironglass-supervisor program; "" looks
	// beside the running program and then in PATH.
	Supervisor string
	// IdleExit is after how long without a viewer a console ends by itself;
	// 0 is 10 minutes, negative is never.
	IdleExit time.Duration
	// StartTimeout bounds the time from starting a supervisor to its
	// greeting; 0 is one minute.
	StartTimeout time.Duration
	// StopGrace is how long a console may take to end when asked before it
	// is killed; 0 is 10 s.
	StopGrace time.Duration
	// Log takes what happens, and the lines that supervisors write; nil is
	// discarded.
	Log *slog.Logger
}

// Values for what a Config leaves at zero.
const (
	defaultIdleExit     = 10 * time.Minute
	defaultStartTimeout = time.Minute
	defaultStopGrace    = 10 * time.Second
)

// ErrClosed is returned by calls on a Launcher that was closed.
var ErrClosed = errors.New("the launcher was closed")

// Launcher is a launcher.Launcher and launcher.Explainer whose instances are
// processes. All methods may be called from any goroutine.
type Launcher struct {
	cfg  Config
	dir  string   // where the instances' directories are
	lock *os.File // dir itself, held with flock until Close
	log  *slog.Logger

	ctx    context.Context // ends with Close; every start derives from it
	cancel context.CancelCauseFunc
	starts sync.WaitGroup // the goroutines of starts
	alive  sync.WaitGroup // the goroutines of instances

	hurryOnce sync.Once
	hurry     chan struct{} // closed by Hurry

	closing sync.Once
	closed  error // what Close returned; written inside closing only

	mu        sync.Mutex
	shut      bool
	instances map[string]*instance // by ID; removed when the process is gone
	starting  map[string]*start    // by ID; removed when the start is over
	words     map[string]string    // by ID: why the last instance ended
}

var (
	_ launcher.Launcher  = (*Launcher)(nil)
	_ launcher.Explainer = (*Launcher)(nil)
)

// New takes the directory into use and adopts the consoles in it that still
// run; what is left of others is removed. Close must be called at the end.
// The errors say what to do: another service that holds the directory, a
// directory of somebody else, a name too long.
func New(ctx context.Context, cfg Config) (*Launcher, error) {
	if cfg.IdleExit == 0 {
		cfg.IdleExit = defaultIdleExit
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = defaultStartTimeout
	}
	if cfg.StopGrace == 0 {
		cfg.StopGrace = defaultStopGrace
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := runDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	l := &Launcher{
		cfg:       cfg,
		dir:       dir,
		lock:      lock,
		log:       cfg.Log,
		instances: make(map[string]*instance),
		starting:  make(map[string]*start),
		words:     make(map[string]string),
		hurry:     make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	if err := l.adoptAll(ctx); err != nil {
		return nil, multierror.Append(err, l.Close())
	}
	return l, nil
}

// Dir is where the consoles' private directories are.
func (l *Launcher) Dir() string { return l.dir }

// Stop ends the instance and returns when its processes and its directory are
// gone. A start that is under way is called off. An ID that names nothing is
// no error. When ctx ends first the console is still being ended.
func (l *Launcher) Stop(ctx context.Context, id string) error {
	l.mu.Lock()
	s := l.starting[id]
	l.mu.Unlock()
	if s != nil {
		s.cancel(errStopped)
		if err := await(ctx, id, s.done); err != nil {
			return err
		}
	}
	l.mu.Lock()
	i := l.instances[id]
	l.mu.Unlock()
	if i == nil {
		return nil
	}
	i.end()
	return await(ctx, id, i.gone)
}

// await waits until over is closed.
func await(ctx context.Context, id string, over <-chan struct{}) error {
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for console %s to end: %w", id, context.Cause(ctx))
	}
}

// List returns the instances that run, sorted by node. Those that are only
// just being started or ended are not among them.
func (l *Launcher) List(context.Context) ([]launcher.Instance, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shut {
		return nil, ErrClosed
	}
	list := make([]launcher.Instance, 0, len(l.instances))
	for _, i := range l.instances {
		if i.ready && !i.ending() && i.running() {
			list = append(list, i.public())
		}
	}
	sort.Slice(list, func(a, b int) bool { return list[a].Node < list[b].Node })
	return list, nil
}

// explainWait is how long Explain waits for a console that no longer answers
// to be gone: its connections close a little before it writes its last words.
const explainWait = 2 * time.Second

// Explain returns why the last instance with this ID ended: the last line it
// wrote, or how it was ended. It is "" for one that runs and answers, and for
// one that is not known.
func (l *Launcher) Explain(ctx context.Context, id string) string {
	l.mu.Lock()
	i := l.instances[id]
	l.mu.Unlock()
	if i != nil {
		ctx, cancel := context.WithTimeout(ctx, explainWait)
		defer cancel()
		if probe(ctx, i.public()) == nil {
			return ""
		}
		select {
		case <-i.gone:
		case <-ctx.Done():
			return ""
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.words[id]
}

// Hurry makes the end of consoles immediate, from now on and for those that
// are being ended: they are killed, and not asked first.
func (l *Launcher) Hurry() { l.hurryOnce.Do(func() { close(l.hurry) }) }

// Close calls off the starts that are under way, ends every console that this
// Launcher started or adopted, waits until they are gone, and lets go of the
// directory. Further calls do nothing and return the same.
func (l *Launcher) Close() error {
	l.closing.Do(func() { l.closed = l.close() })
	return l.closed
}

func (l *Launcher) close() error {
	l.mu.Lock()
	l.shut = true
	l.mu.Unlock()
	l.cancel(ErrClosed)
	l.starts.Wait()
	l.mu.Lock()
	for _, i := range l.instances {
		i.end()
	}
	l.mu.Unlock()
	l.alive.Wait()

	var errs *multierror.Error
	// Removing fails while something is left inside, which then is to stay.
	if left, err := os.ReadDir(l.dir); err == nil && len(left) == 0 {
		if err := os.Remove(l.dir); err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	if err := l.lock.Close(); err != nil {
		errs = multierror.Append(errs, err)
	}
	return errs.ErrorOrNil()
}
