package session

import (
	"sync"
	"time"
)

// demand says whether the command is to run: always, or from the first viewer
// until some time after the last. It may be used from any goroutine.
type demand struct {
	linger time.Duration // how long after the last viewer; 0 is always
	// changed has a token when the answer has changed.
	changed chan struct{}

	mu      sync.Mutex // guards what follows
	viewers int
	wanted  bool
	timer   *time.Timer
}

// newDemand returns the demand without a viewer. stop must be called.
func newDemand(linger time.Duration) *demand {
	d := &demand{linger: linger, changed: make(chan struct{}, 1), wanted: linger == 0}
	d.timer = time.AfterFunc(time.Hour, d.expire)
	d.timer.Stop()
	return d
}

// wants reports whether the command is to run.
func (d *demand) wants() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.wanted
}

// set says how many viewers there are.
func (d *demand) set(viewers int) {
	if d.linger == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.viewers = viewers
	if viewers > 0 {
		d.timer.Stop()
		d.wantLocked(true)
	} else if d.wanted {
		d.timer.Reset(d.linger)
	}
}

// expire is the timer's end. A viewer that came at the same moment wins.
func (d *demand) expire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.viewers == 0 {
		d.wantLocked(false)
	}
}

func (d *demand) wantLocked(wanted bool) {
	if d.wanted == wanted {
		return
	}
	d.wanted = wanted
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// stop ends the waiting.
func (d *demand) stop() { d.timer.Stop() }
