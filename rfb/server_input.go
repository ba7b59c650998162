package rfb

import (
	"image"
	"sync"
	"sync/atomic"
	"time"
)

// input carries viewers' keys and pointers to the source. It does not pass
// through the loop, so that a key never waits for a frame to be encoded.
type input struct {
	mu     sync.Mutex
	source Source // nil while no source runs
	target Input  // nil where it takes no input
	bounds image.Rectangle
	mail   *mailbox
	gen    uint64 // of the source run that target belongs to
	// painted is set while a viewer has the pointer painted into its picture
	// and the loop must know where the pointer is.
	painted atomic.Bool
	// relative and power are what the running source said last; put is where
	// a viewer put its pointer last. They are set under mail's lock and mu.
	relative, power atomic.Bool
	put             atomic.Uint64
}

// hands is what one viewer holds down. It is guarded by input.mu.
type hands struct {
	keys    map[KeyEvent]struct{} // with Down set
	place   place
	buttons uint16
	epoch   uint64      // of the source run that was told
	watch   *time.Timer // while something is held; see stillThere
	probed  bool        // the system asks this viewer's machine often
}

// maxHeldKeys bounds the memory that a viewer's keys take: nobody has more
// fingers. A viewer that lets go "a" after it pressed "A" gets there all the
// same; then all is let go once.
const maxHeldKeys = 64

// aim sends what comes to src from now on, of source run gen; nil to nobody.
func (in *input) aim(src Source, gen uint64, mail *mailbox) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.source = src
	in.target, _ = src.(Input)
	in.gen, in.mail = gen, mail
	in.relative.Store(false)
	in.power.Store(false)
	in.put.Store(0)
}

// resize says where the pointer can be.
func (in *input) resize(r image.Rectangle) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.bounds = r
}

// fresh forgets what h held under an earlier source, which knows no more.
func (in *input) fresh(h *hands) {
	if h.epoch != in.gen {
		h.keys, h.buttons, h.epoch = nil, 0, in.gen
	}
}

func (in *input) key(v *viewer, e KeyEvent) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.target == nil || v.barred.Load() {
		return
	}
	h := &v.hands
	in.fresh(h)
	held := KeyEvent{Down: true, Keysym: e.Keysym, Keycode: e.Keycode}
	if e.Down {
		if h.keys == nil {
			h.keys = make(map[KeyEvent]struct{})
		}
		if _, again := h.keys[held]; !again && len(h.keys) >= maxHeldKeys {
			in.keysUp(h)
		}
		h.keys[held] = struct{}{}
	} else {
		delete(h.keys, held)
	}
	in.target.KeyEvent(e)
	in.watchLocked(v)
}

// keysUp lets go of h's keys.
func (in *input) keysUp(h *hands) {
	for k := range h.keys {
		k.Down = false
		in.target.KeyEvent(k)
	}
	clear(h.keys)
}

// release lets go of all that a leaving viewer held, keys and buttons.
func (in *input) release(v *viewer) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.releaseLocked(v)
}

func (in *input) releaseLocked(v *viewer) {
	h := &v.hands
	if in.target != nil && h.epoch == in.gen {
		in.keysUp(h)
		if h.buttons != 0 {
			h.buttons = 0
			in.point(h, image.Point{})
		}
	}
	h.keys, h.buttons = nil, 0
	in.watchLocked(v)
	v.hands = hands{}
}

// resizer is the running source where its size can be changed, else nil.
func (in *input) resizer() Resizer {
	in.mu.Lock()
	defer in.mu.Unlock()
	r, _ := in.source.(Resizer)
	return r
}

// cutText hands v's clipboard to the source, and reports whether it takes any.
func (in *input) cutText(v *viewer, text string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	c, ok := in.source.(Clipboard)
	if !ok || v.barred.Load() {
		return false
	}
	c.SetCutText(text)
	return true
}
