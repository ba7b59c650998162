package rfb

import (
	"context"
	"image"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
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
}

// hands is what one viewer holds down. It is guarded by input.mu.
type hands struct {
	keys    map[KeyEvent]struct{} // with Down set
	pointer PointerEvent
	epoch   uint64 // of the source run that was told
}

// maxHeldKeys bounds the memory that a viewer's keys take: nobody has more
// fingers.
const maxHeldKeys = 64

// aim sends what comes to src from now on, of source run gen; nil to nobody.
func (in *input) aim(src Source, gen uint64, mail *mailbox) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.source = src
	in.target, _ = src.(Input)
	in.gen, in.mail = gen, mail
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
		h.keys, h.pointer, h.epoch = nil, PointerEvent{}, in.gen
	}
}

func (in *input) key(v *viewer, e KeyEvent) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.target == nil {
		return
	}
	h := &v.hands
	in.fresh(h)
	held := KeyEvent{Down: true, Keysym: e.Keysym, Keycode: e.Keycode}
	if e.Down {
		if h.keys == nil {
			h.keys = make(map[KeyEvent]struct{})
		}
		if len(h.keys) >= maxHeldKeys {
			return
		}
		h.keys[held] = struct{}{}
	} else {
		delete(h.keys, held)
	}
	in.target.KeyEvent(e)
}

func (in *input) move(v *viewer, m wire.PointerEvent) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.target == nil || in.bounds.Empty() {
		return
	}
	in.fresh(&v.hands)
	e := PointerEvent{
		X:       max(in.bounds.Min.X, min(m.X, in.bounds.Max.X-1)),
		Y:       max(in.bounds.Min.Y, min(m.Y, in.bounds.Max.Y-1)),
		Buttons: m.Buttons,
	}
	v.hands.pointer = e
	in.target.PointerEvent(e)
	if !in.painted.Load() {
		return
	}
	p := image.Pt(e.X, e.Y)
	in.mail.put(in.gen, func(b *mailbox) { b.news.pointer = &p })
}

// release lets go of all that a leaving viewer held, keys and buttons.
func (in *input) release(v *viewer) {
	in.mu.Lock()
	defer in.mu.Unlock()
	h := &v.hands
	if in.target != nil && h.epoch == in.gen {
		for k := range h.keys {
			k.Down = false
			in.target.KeyEvent(k)
		}
		if h.pointer.Buttons != 0 {
			h.pointer.Buttons = 0
			in.target.PointerEvent(h.pointer)
		}
	}
	v.hands = hands{}
}

// resizer is the running source where its size can be changed, else nil.
func (in *input) resizer() Resizer {
	in.mu.Lock()
	defer in.mu.Unlock()
	r, _ := in.source.(Resizer)
	return r
}

// resizeTimeout is how long a source may take to change its size.
const resizeTimeout = 5 * time.Second

// resizeSource changes the source's size and waits for its answer.
func (s *Server) resizeSource(src Resizer, width, height int) error {
	ctx, cancel := context.WithTimeout(context.Background(), resizeTimeout)
	defer cancel()
	return src.SetDesktopSize(ctx, width, height)
}

// cutText hands a viewer's clipboard, which is Latin-1 on the wire, to the
// source.
func (in *input) cutText(text []byte) {
	in.mu.Lock()
	defer in.mu.Unlock()
	c, ok := in.source.(Clipboard)
	if !ok {
		return
	}
	c.SetCutText(fromLatin1(text))
}
