package session

import (
	"runtime"
	"sync"
)

// parent starts all processes of a session, so that the kernel ends them when
// this program dies in whatever way.
//
// The kernel sends a child its parent-death signal (prctl(2),
// PR_SET_PDEATHSIG) when the thread that forked it ends, not the process. Go
// moves goroutines between threads and may end one, so every fork is done on
// one thread that is locked to a goroutine for as long as children live.
//
// Its methods may be called from any goroutine.
type parent struct {
	reaper *reaper // nil where orphans are somebody else's
	calls  chan func()
	done   sync.WaitGroup
}

// newParent starts the thread. It ends in close.
func newParent(r *reaper) *parent {
	p := &parent{reaper: r, calls: make(chan func())}
	p.done.Add(1)
	go p.serve()
	return p
}

// serve is the thread: it runs the calls until close. It never unlocks the
// thread, which ends with it.
func (p *parent) serve() {
	defer p.done.Done()
	runtime.LockOSThread()
	for f := range p.calls {
		f()
	}
}

// start runs fork, which starts one process and returns its number, on the
// thread. The reaper leaves that process alone until forget.
func (p *parent) start(fork func() (pid int, err error)) error {
	errs := make(chan error)
	p.calls <- func() {
		if p.reaper != nil {
			errs <- p.reaper.start(fork)
			return
		}
		_, err := fork()
		errs <- err
	}
	return <-errs
}

// forget says that the process was waited for.
func (p *parent) forget(pid int) {
	if p.reaper != nil {
		p.reaper.forget(pid)
	}
}

// close ends the thread. All children must have ended, and start may not be
// called any more.
func (p *parent) close() {
	close(p.calls)
	p.done.Wait()
}
