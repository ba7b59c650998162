package x11

import (
	"errors"
	"fmt"
	"time"

	"github.com/ironglass/ironglass/x11/keysym"
	"github.com/jezek/xgb/xproto"
)

// spares are keycodes without a key, which are bound to symbols that the
// keyboard lacks. A binding is kept until its keycode is needed for another
// symbol, the one used longest ago first, or no viewer has been there for a
// while: a program may look at the mapping long after the key went down. It is
// owned by the keyboard.
type spares struct {
	free  []xproto.Keycode // never bound, best first
	bound []spare          // used longest ago first
}

type spare struct {
	key  xproto.Keycode
	sym  uint32
	used time.Time
}

// spareRest is how long after its last use a spare keycode may get another
// meaning.
const spareRest = 500 * time.Millisecond

// sparesKept is how long after a Run the bindings stay.
const sparesKept = 10 * time.Second

// load finds the spare keycodes of a mapping. Bindings of ours that are still
// in it stay. High numbers are taken first: programs that look at keycodes
// (QEMU's window) know fewer of them.
func (s *spares) load(m *keymap) {
	kept := s.bound[:0]
	ours := make(map[xproto.Keycode]bool)
	for _, b := range s.bound {
		if syms := m.at(b.key); syms != nil && (syms[0] == b.sym || syms[levelShift] == b.sym) {
			kept = append(kept, b)
			ours[b.key] = true
		}
	}
	s.bound = kept
	s.free = s.free[:0]
	for k := m.last; k > m.first; k-- {
		if m.at(k) == nil && m.modifierOf[k] == 0 && !ours[k] {
			s.free = append(s.free, k)
		}
	}
}

// used notes that the key, if it is a spare one, was used now.
func (s *spares) used(key xproto.Keycode) {
	for i, b := range s.bound {
		if b.key == key {
			b.used = time.Now()
			s.bound = append(append(s.bound[:i:i], s.bound[i+1:]...), b)
			return
		}
	}
}

// bind gives a symbol that the keyboard lacks a key of its own. Where all
// spare ones were used a moment ago it waits. A letter gets both its cases,
// so that Caps Lock does with it what it does with others.
func (k *keyboard) bind(sym uint32, quit <-chan struct{}) (xproto.Keycode, error) {
	s := &k.spares
	var key xproto.Keycode
	switch {
	case len(s.free) > 0:
		key = s.free[0]
		s.free = s.free[1:]
	case len(s.bound) > 0:
		i := k.oldestUp()
		if i < 0 {
			return 0, errors.New("all spare keys are held down")
		}
		oldest := s.bound[i]
		if err := k.pause(spareRest-time.Since(oldest.used), quit); err != nil {
			return 0, err
		}
		key = oldest.key
		s.bound = append(s.bound[:i], s.bound[i+1:]...)
	default:
		return 0, errors.New("the keyboard lacks the symbol and has no spare key for it")
	}
	lower, upper := keysym.Case(sym)
	// All levels that the mapping may show, so that AltGr and a second group
	// make no difference.
	syms := []xproto.Keysym{xproto.Keysym(lower), xproto.Keysym(upper), xproto.Keysym(lower), xproto.Keysym(upper)}
	err := xproto.ChangeKeyboardMappingChecked(k.x.conn.Conn, 1, key, byte(len(syms)), syms).Check()
	if err != nil {
		return 0, fmt.Errorf("binding a spare key: %w", err)
	}
	s.bound = append(s.bound, spare{key, sym, time.Now()})
	if err := k.reload(); err != nil {
		return 0, err
	}
	return key, nil
}

// giveBack makes the spare keycodes what they were, unless somebody else has
// given them another meaning. Before the display is closed it waits until
// programs have had time for the last one.
func (k *keyboard) giveBack(closing bool) {
	n := len(k.spares.bound)
	if n == 0 {
		return
	}
	if last := k.spares.bound[n-1]; closing {
		if k.pause(spareRest-time.Since(last.used), nil) != nil {
			return // the server is gone
		}
	}
	err := k.refresh() // forgets what others have changed
	if err == nil {
		k.x.conn.Batch(func() {
			for _, b := range k.spares.bound {
				xproto.ChangeKeyboardMapping(k.x.conn.Conn, 1, b.key, 1, []xproto.Keysym{keysym.NoSymbol})
			}
		})
		k.spares.bound = nil
		err = k.reload()
	}
	if err != nil {
		k.x.log.Debug("spare keys are not given back", "error", err)
	}
}

// oldestUp is the index of the binding used longest ago whose key is not
// down, -1 where there is none.
func (k *keyboard) oldestUp() int {
	for i, b := range k.spares.bound {
		down := false
		for _, code := range k.held {
			down = down || code == b.key
		}
		if !down {
			return i
		}
	}
	return -1
}

// pause waits, unless the display is closed or lost.
func (k *keyboard) pause(d time.Duration, quit <-chan struct{}) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-quit:
		return errClosing
	case <-k.x.done:
		return ErrLost
	}
}
