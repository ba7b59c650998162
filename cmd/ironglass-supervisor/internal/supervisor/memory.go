package supervisor

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// memory gives back to the system what a burst of work has taken, once it is
// over. Its methods may be called from any goroutine.
//
// A supervisor is one of many on a machine and idle most of the time. Between
// bursts nothing would make the collector run, so that what the first picture,
// a notice or a film took would be kept for ever.
type memory struct {
	mu    sync.Mutex
	timer *time.Timer // nil before the first burst and after stop
	over  bool
}

const (
	// calm is how long after the last burst the memory is given back.
	calm = 2 * time.Second
	// gcPercent is the heap's growth between two collections. The frames are
	// most of the heap and hold no pointers, so collections are cheap.
	gcPercent = 25
)

// burst says that memory was taken which is free again, or soon will be.
func (m *memory) burst() {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.over:
	case m.timer == nil:
		m.timer = time.AfterFunc(calm, giveBack)
	default:
		m.timer.Reset(calm)
	}
}

// giveBack empties the pools, which takes two collections, and gives back what
// is free then.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}

// stop ends it.
func (m *memory) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.over = true
	if m.timer != nil {
		m.timer.Stop()
	}
}
