package keysym

// evdevOffset is added to Linux's number of a key to make an X keycode of it
// (the "evdev" keycodes of XKB), for X keeps the first eight to itself.
const evdevOffset = 8

// extended marks the scancodes that a PC's keyboard prefixes with 0xe0, in
// the form that QEMU's RFB extension gives them.
const extended = 0x80

// linuxKey has Linux's numbers of keys (input-event-codes.h) by scancode (set
// 1, the XT's), for those where they differ: up to F10 and the keypad, Linux
// took the numbers over.
var linuxKey = map[uint32]uint8{
	0x54: 99,                                                         // SysRq with Alt
	0x56: 86,                                                         // between left Shift and Z
	0x57: 87,                                                         // F11
	0x58: 88,                                                         // F12
	0x59: 117,                                                        // keypad =
	0x64: 183, 0x65: 184, 0x66: 185, 0x67: 186, 0x68: 187, 0x69: 188, // F13 to F18
	0x6a: 189, 0x6b: 190, 0x6c: 191, 0x6d: 192, 0x6e: 193, 0x76: 194, // F19 to F24
	0x70: 93,  // katakana and hiragana
	0x71: 123, // hanja
	0x72: 122, // hangul
	0x73: 89,  // ro
	0x77: 91,  // hiragana
	0x78: 90,  // katakana
	0x79: 92,  // henkan
	0x7b: 94,  // muhenkan
	0x7d: 124, // yen
	0x7e: 121, // keypad comma

	extended | 0x10: 165, // previous track
	extended | 0x19: 163, // next track
	extended | 0x1c: 96,  // keypad Enter
	extended | 0x1d: 97,  // right Control
	extended | 0x20: 113, // mute
	extended | 0x21: 140, // calculator
	extended | 0x22: 164, // play and pause
	extended | 0x24: 166, // stop
	extended | 0x2e: 114, // quieter
	extended | 0x30: 115, // louder
	extended | 0x32: 172, // home page
	extended | 0x35: 98,  // keypad /
	extended | 0x37: 99,  // Print
	extended | 0x38: 100, // right Alt
	extended | 0x46: 119, // Pause
	extended | 0x47: 102, // Home
	extended | 0x48: 103, // Up
	extended | 0x49: 104, // Page Up
	extended | 0x4b: 105, // Left
	extended | 0x4d: 106, // Right
	extended | 0x4f: 107, // End
	extended | 0x50: 108, // Down
	extended | 0x51: 109, // Page Down
	extended | 0x52: 110, // Insert
	extended | 0x53: 111, // Delete
	extended | 0x5b: 125, // left Super
	extended | 0x5c: 126, // right Super
	extended | 0x5d: 127, // Menu
	extended | 0x5e: 116, // power
	extended | 0x5f: 142, // sleep
	extended | 0x63: 143, // wake up
	extended | 0x65: 217, // search
	extended | 0x66: 156, // bookmarks
	extended | 0x67: 173, // reload
	extended | 0x68: 128, // stop loading
	extended | 0x69: 159, // forward
	extended | 0x6a: 158, // back
	extended | 0x6b: 157, // computer
	extended | 0x6c: 155, // mail
	extended | 0x6d: 226, // media
}

// sameUpTo is the last scancode that is also Linux's number.
const sameUpTo = 0x53

// Keycode returns the X keycode of the key with this scancode, on a server
// with evdev keycodes. Scancodes are of set 1, with bit 7 set for those
// prefixed with 0xe0 (rfbproto, QEMU Extended Key Event).
func Keycode(scancode uint32) (keycode uint8, ok bool) {
	if scancode >= 1 && scancode <= sameUpTo {
		return uint8(scancode) + evdevOffset, true
	}
	k, ok := linuxKey[scancode]
	return k + evdevOffset, ok
}
