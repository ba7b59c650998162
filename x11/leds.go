package x11

import (
	"fmt"

	"github.com/ironglass/ironglass/rfb"
	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// The lights of the keyboard come through XKB, which xgb does not have: the
// three requests and the events that they take are written out here (XKB
// protocol, section 16 and appendix D). The server tells of each change,
// whoever made it, so nothing is asked while nothing changes.
//
// A client that has used XKB is told of a changed mapping by XKB's events, no
// longer always by MappingNotify, so both are listened to.

const (
	xkbName           = "XKEYBOARD"
	xkbUseCoreKbd     = 0x100
	xkbDefaultClass   = 0x300
	xkbDefaultID      = 0x400
	xkbUseExtension   = 0
	xkbSelectEvents   = 1
	xkbNamedIndicator = 15
	// Numbers of events: NewKeyboardNotify, MapNotify, IndicatorStateNotify.
	xkbNewKeyboard    = 0
	xkbMap            = 1
	xkbIndicatorState = 4
	// xkbMapParts are all parts of the mapping that may change.
	xkbMapParts = 0xff
)

// lights are XKB's names of those that RFB has.
var lights = []struct {
	name string
	led  rfb.LEDState
}{{"Scroll Lock", rfb.LEDScrollLock}, {"Num Lock", rfb.LEDNumLock}, {"Caps Lock", rfb.LEDCapsLock}}

// leds asks for the lights. It is set by Open.
type leds struct {
	major byte // the extension's opcode; 0 where the server has none
	atoms []xproto.Atom
}

func init() {
	xgb.NewExtEventFuncs[xkbName] = map[int]xgb.NewEventFun{0: func(b []byte) xgb.Event { return xkbEvent(b) }}
	xgb.NewExtErrorFuncs[xkbName] = map[int]xgb.NewErrorFun{0: func(b []byte) xgb.Error { return xkbError(b) }}
}

// xkbEvent is any event of XKB, whose second byte says which.
type xkbEvent []byte

// Bytes implements xgb.Event.
func (e xkbEvent) Bytes() []byte { return e }

// String implements xgb.Event.
func (e xkbEvent) String() string { return fmt.Sprintf("XKB event %d", e[1]) }

// xkbError is BadKeyboard.
type xkbError []byte

// SequenceId implements xgb.Error.
func (e xkbError) SequenceId() uint16 { return xgb.Get16(e[2:]) }

// BadId implements xgb.Error.
func (e xkbError) BadId() uint32 { return xgb.Get32(e[4:]) }

// Error implements error.
func (e xkbError) Error() string { return fmt.Sprintf("XKB refuses the keyboard %#x", e.BadId()) }

// request makes one of XKB; fields are its 16-bit ones after the header, which
// must fill whole words.
func (l *leds) request(minor byte, fields ...uint16) []byte {
	b := make([]byte, 4+2*len(fields))
	b[0], b[1] = l.major, minor
	xgb.Put16(b[2:], uint16(len(b)/4))
	for i, f := range fields {
		xgb.Put16(b[4+2*i:], f)
	}
	return b
}

// startLEDs starts XKB and selects what tells of a changed mapping. Without it viewers are told of no lights.
func (x *Display) startLEDs() error {
	l := &leds{major: x.conn.Extensions[xkbName]}
	for _, light := range lights {
		r, err := xproto.InternAtom(x.conn.Conn, false, uint16(len(light.name)), light.name).Reply()
		if err != nil {
			return fmt.Errorf("asking for the atom %s: %w", light.name, err)
		}
		l.atoms = append(l.atoms, r.Atom)
	}
	use := x.conn.NewCookie(true, true)
	x.conn.NewRequest(l.request(xkbUseExtension, 1, 0), use)
	r, err := use.Reply()
	if err != nil {
		return fmt.Errorf("asking for the version of XKB: %w", err)
	}
	if r[1] == 0 {
		return nil
	}
	x.leds = l
	const which = 1<<xkbNewKeyboard | 1<<xkbMap
	l.selectEvents(x, which, 0, 1<<xkbNewKeyboard)
	return nil
}

// follow selects the event that a light changed, or no event any more.
func (l *leds) follow(x *Display, on bool) {
	if l == nil {
		return
	}
	const which = 1 << xkbIndicatorState
	clearAll, selectAll := uint16(which), uint16(0)
	if on {
		clearAll, selectAll = 0, which
	}
	l.selectEvents(x, which, clearAll, selectAll)
}

// selectEvents changes which events come: of those in which, none of clearAll
// and all of selectAll; of a changed mapping those of all its parts.
func (l *leds) selectEvents(x *Display, which, clearAll, selectAll uint16) {
	x.conn.NewRequest(l.request(xkbSelectEvents, xkbUseCoreKbd, which, clearAll, selectAll, xkbMapParts, xkbMapParts), x.conn.NewCookie(false, false))
}

// lit asks which lights are lit.
func (l *leds) lit(x *Display) (state rfb.LEDState, err error) {
	asked := make([]*xgb.Cookie, len(lights))
	x.conn.Batch(func() {
		for i, a := range l.atoms {
			asked[i] = x.conn.NewCookie(true, true)
			x.conn.NewRequest(l.request(xkbNamedIndicator, xkbUseCoreKbd, xkbDefaultClass, xkbDefaultID, 0, uint16(a), uint16(a>>16)), asked[i])
		}
	})
	for i, light := range lights {
		r, e := asked[i].Reply()
		switch {
		case e != nil:
			err = fmt.Errorf("asking for the light %s: %w", light.name, e)
		case r[12] != 0 && r[13] != 0: // there is one, and it is lit
			state |= light.led
		}
	}
	return state, err
}
