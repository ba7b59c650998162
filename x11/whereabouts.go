package x11

import (
	"image"
	"sync"
)

// whereabouts is where the pointer is as far as viewers know. X tells nobody
// that another program moved it, so it is asked where it is whenever
// something else is asked anyway: what changed, or the pointer's new shape. A
// program that moves the pointer does one or the other, as a rule. What is
// found counts only where no viewer moved it meanwhile.
type whereabouts struct {
	mu      sync.Mutex // guards what follows
	at      image.Point
	known   bool
	moves   uint64 // by viewers, ever
	pending int    // of them those that the server has not been sent
}

// forget is called at the start of a Run.
func (w *whereabouts) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = false
}

// moving notes that a viewer moves the pointer: the movement is queued, or
// is part of the one queued last.
func (w *whereabouts) moving(merged bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moves++
	if !merged {
		w.pending++
	}
}

// moved notes that n queued movements were dropped, or that one was sent,
// after which the pointer is at, nil where that is not known.
func (w *whereabouts) moved(n int, at *image.Point) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending -= n
	w.known = at != nil
	if at != nil {
		w.at = *at
	}
}

// look is called before the server is asked where the pointer is; ok is false
// where the answer would be old news.
func (w *whereabouts) look() (mark uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.moves, w.pending == 0
}

// found takes the answer to a question asked after look, and reports whether
// it is news for viewers.
func (w *whereabouts) found(mark uint64, at image.Point) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if mark != w.moves || w.known && w.at == at {
		return false
	}
	w.at, w.known = at, true
	return true
}
