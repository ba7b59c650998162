// Package memory keeps small what a program that shows consoles has resident.
package memory

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Keeper gives back to the system what a burst of work has taken, once it is
// over. Its methods may be called from any goroutine.
//
// Consoles are idle most of the time. Between bursts nothing would make the
// collector run, so that what the first picture, a notice or a film took would
// be kept for ever.
type Keeper struct {
	mu    sync.Mutex
	timer *time.Timer // nil before the first burst and after Stop
	over  bool
}

const (
	// calm is how long after the last burst the memory is given back.
	calm = 2 * time.Second
	// gcPercent is the heap's growth between two collections. The frames are
	// most of the heap and hold no pointers, so collections are cheap.
	gcPercent = 25
)

// Keep sets how often this program's garbage is collected and returns its
// Keeper.
func Keep() *Keeper {
	debug.SetGCPercent(gcPercent)
	return new(Keeper)
}

// Burst says that memory was taken which is free again, or soon will be.
func (k *Keeper) Burst() {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.over:
	case k.timer == nil:
		k.timer = time.AfterFunc(calm, giveBack)
	default:
		k.timer.Reset(calm)
	}
}

// giveBack empties the pools, which takes two collections, and gives back what
// is free then.
func giveBack() {
	runtime.GC()
	debug.FreeOSMemory()
}

// Stop ends it.
func (k *Keeper) Stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	if k.timer != nil {
		k.timer.Stop()
	}
}
