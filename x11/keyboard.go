package x11

import (
	"errors"
	"fmt"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/x11/keysym"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

// keyboard types what viewers type. It is owned by input.serve.
//
// The server's own auto-repeat is off while a Run runs. A viewer repeats the
// press of a key that is held, and the server would repeat it as well, for as
// long as the release takes to come through a network that stalls. But with it
// off the server swallows the press of a key that is down already, so a
// repeated press is a release and a press.
type keyboard struct {
	x      *Display
	m      *keymap
	loaded uint32 // Display.mapping when m was loaded
	spares spares
	// held has which key was pressed for which of the viewers' keys, for a
	// release must let go the same one, whatever the modifiers are by then.
	held map[identity]xproto.Keycode
	// repeat says that auto-repeat was on and is to be on again.
	repeat bool
}

// identity is what a press and its release have in common: the scancode
// where the viewer knows it, else the keysym.
type identity struct {
	scancode, keysym uint32
}

func identityOf(e rfb.KeyEvent) identity {
	if e.Keycode != 0 {
		return identity{scancode: e.Keycode}
	}
	return identity{keysym: keysym.Canonical(e.Keysym)}
}

// errClosing ends what waits when the display is closed.
var errClosing = errors.New("the display is being closed")

func newKeyboard(x *Display) (*keyboard, error) {
	k := &keyboard{x: x, held: make(map[identity]xproto.Keycode)}
	k.loaded = x.mapping.Load()
	var err error
	if k.m, err = x.loadKeymap(); err != nil {
		return nil, err
	}
	k.spares.load(k.m)
	if !k.m.evdev {
		x.log.Info("the X server's keycodes are not Linux's; scancodes are not used")
	}
	return k, nil
}

// start turns auto-repeat off.
func (k *keyboard) start() {
	c := k.x.conn.Conn
	r, err := xproto.GetKeyboardControl(c).Reply()
	if err != nil {
		k.x.log.Debug("asking for auto-repeat", "error", err)
		return
	}
	if r.GlobalAutoRepeat == xproto.AutoRepeatModeOn {
		k.repeat = true
		k.setRepeat(xproto.AutoRepeatModeOff)
	}
}

func (k *keyboard) setRepeat(mode uint32) {
	xproto.ChangeKeyboardControl(k.x.conn.Conn, xproto.KbAutoRepeatMode, []uint32{mode})
}

// stop lets all keys go and turns auto-repeat on where it was.
func (k *keyboard) stop() {
	k.letGo()
	if k.repeat {
		k.setRepeat(xproto.AutoRepeatModeOn)
		k.repeat = false
	}
}

// letGo lets all keys go.
func (k *keyboard) letGo() {
	k.x.conn.Batch(func() {
		for _, code := range k.held {
			k.fake(xproto.KeyRelease, code)
		}
	})
	clear(k.held)
}

// event carries out what a viewer's key did. It may ask the server, and wait.
func (k *keyboard) event(e rfb.KeyEvent, quit <-chan struct{}) {
	if err := k.refresh(); err != nil {
		k.x.log.Debug("no key can be typed", "error", err)
		return
	}
	if !e.Down {
		k.release(e)
		return
	}
	if err := k.press(e, quit); err != nil {
		// Which key it was is nobody's business: it may be of a password.
		k.x.log.Debug("a key could not be typed", "error", err)
	}
}

// refresh loads the mapping anew where the server said that it changed.
func (k *keyboard) refresh() error {
	if k.x.mapping.Load() == k.loaded {
		return nil
	}
	return k.reload()
}

func (k *keyboard) reload() error {
	now := k.x.mapping.Load()
	m, err := k.x.loadKeymap()
	if err != nil {
		return err
	}
	k.m, k.loaded = m, now
	k.spares.load(m)
	return nil
}

// release lets go the key that was pressed for this one. Viewers that know
// keysyms alone may press "A" and, Shift being up by then, release "a".
func (k *keyboard) release(e rfb.KeyEvent) {
	id := identityOf(e)
	code, ok := k.held[id]
	if !ok {
		sym := keysym.Canonical(e.Keysym)
		for other, c := range k.held {
			if k.has(c, sym) {
				id, code, ok = other, c, true
				break
			}
		}
	}
	if !ok {
		return
	}
	delete(k.held, id)
	k.fake(xproto.KeyRelease, code)
}

// has reports whether the key has the symbol at any level.
func (k *keyboard) has(code xproto.Keycode, sym uint32) bool {
	for _, s := range k.m.at(code) {
		if s == sym && sym != keysym.NoSymbol {
			return true
		}
	}
	return false
}

// press presses the key that e asks for, with the modifiers that it needs.
func (k *keyboard) press(e rfb.KeyEvent, quit <-chan struct{}) error {
	id := identityOf(e)
	if code, again := k.held[id]; again {
		if k.m.modifierOf[code] != 0 {
			return nil // modifiers do not repeat
		}
		k.fake(xproto.KeyRelease, code)
		delete(k.held, id)
	}
	code, plain, ok := k.byScancode(e)
	if ok && plain {
		k.hold(id, code)
		k.fake(xproto.KeyPress, code)
		return nil
	}
	sym := keysym.Canonical(e.Keysym)
	if sym == keysym.NoSymbol {
		return errors.New("the keyboard has no such scancode")
	}
	if !textual(sym) {
		return k.pressFunction(id, sym, quit)
	}
	pointer, err := xproto.QueryPointer(k.x.conn.Conn, k.x.root).Reply()
	if err != nil {
		return fmt.Errorf("asking for the modifiers: %w", err)
	}
	p, how, ok := k.choose(sym, code, pointer.Mask)
	if !ok {
		bound, err := k.bind(sym, quit)
		if err != nil {
			return err
		}
		if p, how, ok = k.choose(sym, bound, pointer.Mask); !ok {
			return errors.New("a spare key was bound in vain")
		}
	}
	return k.pressAt(id, p, how, pointer.Mask)
}

// textual reports whether the symbol, not its key, is what counts: a
// character, an accent for one, or one of the two meanings of a keypad's key.
func textual(sym uint32) bool {
	_, ok := keysym.Rune(sym)
	return ok || keysym.Dead(sym) || keysym.Keypad(sym) || sym == symLeftTab
}

// byScancode returns the key that the scancode is of. It is to be pressed as
// it is where plain; else only if it gives the symbol that e asks for.
func (k *keyboard) byScancode(e rfb.KeyEvent) (code xproto.Keycode, plain, ok bool) {
	if e.Keycode == 0 || !k.m.evdev {
		return 0, false, false
	}
	n, ok := keysym.Keycode(e.Keycode)
	code = xproto.Keycode(n)
	if !ok || code < k.m.first || code > k.m.last {
		return 0, false, false
	}
	if k.x.cfg.Keys == KeysByCode || e.Keysym == keysym.NoSymbol {
		return code, true, true
	}
	sym := keysym.Canonical(e.Keysym)
	if textual(sym) {
		return code, false, true
	}
	// A function key or a modifier: the key itself, unless the display has
	// another one for it (AltGr on a layout where that key is Alt).
	return code, k.has(code, sym) || len(k.m.places[sym]) == 0, true
}

// pressFunction presses a key by a symbol that is no text, modifiers left
// alone: Shift with F1 is Shift with F1.
func (k *keyboard) pressFunction(id identity, sym uint32, quit <-chan struct{}) error {
	places := k.m.places[sym]
	if len(places) == 0 {
		code, err := k.bind(sym, quit)
		if err != nil {
			return err
		}
		places = []place{{key: code}}
	}
	k.hold(id, places[0].key)
	k.spares.used(places[0].key)
	k.fake(xproto.KeyPress, places[0].key)
	return nil
}

// choose finds the place of a symbol that needs the fewest changes of the
// modifiers, on the preferred key if it is there at all.
func (k *keyboard) choose(sym uint32, preferred xproto.Keycode, state uint16) (best place, how plan, ok bool) {
	least := 0
	for _, p := range k.m.places[sym] {
		h, can := k.m.plan(p, state)
		if !can {
			continue
		}
		cost := h.steps()
		if p.key != preferred {
			cost += 10
		}
		if !ok || cost < least {
			best, how, least, ok = p, h, cost, true
		}
	}
	return best, how, ok
}

// pressAt presses the key with the modifiers that it needs, which are put
// back at once: the viewer's own keys are still as they were.
func (k *keyboard) pressAt(id identity, p place, how plan, state uint16) error {
	var before, after []fakeKey
	tap := func(key xproto.Keycode) {
		before = append(before, fakeKey{xproto.KeyPress, key}, fakeKey{xproto.KeyRelease, key})
		after = append(after, fakeKey{xproto.KeyPress, key}, fakeKey{xproto.KeyRelease, key})
	}
	flip := func(mask uint16, key xproto.Keycode) error {
		if state&mask == 0 {
			before = append(before, fakeKey{xproto.KeyPress, key})
			after = append(after, fakeKey{xproto.KeyRelease, key})
			return nil
		}
		down, err := k.down(mask)
		for _, key := range down {
			before = append(before, fakeKey{xproto.KeyRelease, key})
			after = append(after, fakeKey{xproto.KeyPress, key})
		}
		return err
	}
	if how.capsLock {
		tap(k.m.capsLockKey)
	}
	if how.numLock {
		tap(k.m.numLockKey)
	}
	if how.altGr {
		if err := flip(k.m.level3, k.m.level3Key); err != nil {
			return err
		}
	}
	if how.shift {
		if err := flip(stateShift, k.m.shiftKey); err != nil {
			return err
		}
	}
	k.hold(id, p.key)
	k.spares.used(p.key)
	k.x.conn.Batch(func() {
		for _, f := range before {
			k.fake(f.kind, f.code)
		}
		k.fake(xproto.KeyPress, p.key)
		for _, f := range after {
			k.fake(f.kind, f.code)
		}
	})
	return nil
}

type fakeKey struct {
	kind byte
	code xproto.Keycode
}

// down returns the keys of these modifiers that are held, by whomever.
func (k *keyboard) down(mask uint16) ([]xproto.Keycode, error) {
	r, err := xproto.QueryKeymap(k.x.conn.Conn).Reply()
	if err != nil {
		return nil, fmt.Errorf("asking for the keys that are down: %w", err)
	}
	var codes []xproto.Keycode
	for n, keys := range k.m.modifiers {
		if mask&(1<<n) == 0 {
			continue
		}
		for _, key := range keys {
			if int(key/8) < len(r.Keys) && r.Keys[key/8]&(1<<(key%8)) != 0 {
				codes = append(codes, key)
			}
		}
	}
	return codes, nil
}

// hold notes that the key is down for id, and lets it go first where it is
// down for another.
func (k *keyboard) hold(id identity, code xproto.Keycode) {
	for other, c := range k.held {
		if c == code {
			delete(k.held, other)
			k.fake(xproto.KeyRelease, code)
		}
	}
	k.held[id] = code
}

// fake makes the server believe that a key went down or up.
func (k *keyboard) fake(kind byte, code xproto.Keycode) {
	xtest.FakeInput(k.x.conn.Conn, kind, byte(code), xproto.TimeCurrentTime, 0, 0, 0, 0)
}
