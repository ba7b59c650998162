package rfb

import "time"

// A viewer whose network is lost says nothing of it, and what it held down
// would stay down until the system gives the connection up. So a viewer that
// holds something and is silent is asked for a sign of life, by a fence, or
// where it knows none by what its machine does on TCP; without one all that it
// held is let go. It stays connected: when it is heard of again it goes on.
// Nothing of this happens while nothing is held.
const (
	// askAfter is how long a viewer that holds something may be silent before
	// it is asked.
	askAfter = time.Second
	// lostAfter is how long it may be silent altogether. A path that is slower
	// than the difference lets go what is held without moving, which costs
	// less than a key that is stuck.
	lostAfter = 2500 * time.Millisecond
)

// watchLocked begins and ends the watch over what v holds. Input.mu is held.
func (in *input) watchLocked(v *viewer) {
	h := &v.hands
	switch holds := len(h.keys) > 0 || h.buttons != 0; {
	case holds && h.watch == nil:
		h.watch = time.AfterFunc(askAfter, func() {
			if in.stillThere(v) {
				v.s.post(signOfLife{v})
			}
		})
	case !holds && h.watch != nil:
		h.watch.Stop()
		h.watch = nil
		if h.probed {
			h.probed = false
			probeOften(v.conn, false)
		}
	}
}

// stillThere runs on the timer's goroutine while v holds something, and says
// whether v is to be asked for a sign of life.
func (in *input) stillThere(v *viewer) (ask bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	h := &v.hands
	if h.watch == nil {
		return false
	}
	in.fresh(h)
	if in.watchLocked(v); h.watch == nil {
		return false
	}
	silent := time.Since(v.began) - time.Duration(v.heard.Load())
	fences := v.fences.Load()
	if !fences {
		quiet, known := pathQuiet(v.conn)
		if !known {
			return false // its end is all that is ever heard
		}
		silent = min(silent, quiet)
	}
	switch {
	case silent < askAfter:
		h.watch.Reset(askAfter - silent)
	case silent < lostAfter:
		h.watch.Reset(lostAfter - silent)
		if !fences && !h.probed {
			h.probed = true
			probeOften(v.conn, true)
		}
		return fences
	default:
		v.s.cfg.Log.Info("a viewer is silent; the keys and buttons that it holds are let go", "viewer", v.cfg.Label)
		in.releaseLocked(v)
	}
	return false
}

// signOfLife asks a viewer whether it is there.
type signOfLife struct{ v *viewer }

func (ev signOfLife) do(e *engine) {
	if _, there := e.viewers[ev.v]; there {
		e.control(ev.v, ev.v.pace.ask(time.Now()))
	}
}
