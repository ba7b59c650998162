package session

import (
	"sync"
	"time"
)

// idle calls expired once no viewer has been there for a time, counted from
// its start too. It may be used from any goroutine.
type idle struct {
	after   time.Duration
	expired func()

	mu      sync.Mutex
	viewers int
	timer   *time.Timer // nil before start and after stop
}

// start begins to count.
func (i *idle) start() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.timer = time.AfterFunc(i.after, i.fire)
	if i.viewers > 0 {
		i.timer.Stop()
	}
}

// set says how many viewers there are.
func (i *idle) set(viewers int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.viewers = viewers
	switch {
	case i.timer == nil:
	case viewers > 0:
		i.timer.Stop()
	default:
		i.timer.Reset(i.after)
	}
}

// fire is the timer's end. A viewer that came at the same moment wins.
func (i *idle) fire() {
	i.mu.Lock()
	over := i.viewers == 0 && i.timer != nil
	i.mu.Unlock()
	if over {
		i.expired()
	}
}

// stop ends the counting.
func (i *idle) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.timer != nil {
		i.timer.Stop()
		i.timer = nil
	}
}
