package rfb

import "github.com/ironglass/ironglass/rfb/wire"

// abilities is what a viewer's SetEncodings listed besides encodings.
type abilities struct {
	copyRect, desktopSize, extendedDesktopSize, desktopName bool
	cursor, xCursor, alphaCursor, vmwareCursor              bool
	fence, continuousUpdates, lastRect                      bool
	extendedKeys, buttons, leds, vmwareLEDs                 bool
	pointerMotion, cursorPosition                           bool
	clipboard, xvp                                          bool
}

// listed reads a viewer's list.
func listed(list []wire.Encoding) (can abilities) {
	for _, n := range list {
		switch n {
		case wire.EncodingCopyRect:
			can.copyRect = true
		case wire.PseudoDesktopSize:
			can.desktopSize = true
		case wire.PseudoExtendedDesktopSize:
			can.extendedDesktopSize = true
		case wire.PseudoDesktopName:
			can.desktopName = true
		case wire.PseudoCursor:
			can.cursor = true
		case wire.PseudoXCursor:
			can.xCursor = true
		case wire.PseudoCursorWithAlpha:
			can.alphaCursor = true
		case wire.PseudoVMwareCursor:
			can.vmwareCursor = true
		case wire.PseudoFence:
			can.fence = true
		case wire.PseudoContinuousUpdates:
			can.continuousUpdates = true
		case wire.PseudoLastRect:
			can.lastRect = true
		case wire.PseudoQEMUExtendedKeyEvent:
			can.extendedKeys = true
		case wire.PseudoExtendedMouseButtons:
			can.buttons = true
		case wire.PseudoQEMULEDState:
			can.leds = true
		case wire.PseudoVMwareLEDState:
			can.vmwareLEDs = true
		case wire.PseudoQEMUPointerMotion:
			can.pointerMotion = true
		case wire.PseudoVMwareCursorPosition:
			can.cursorPosition = true
		case wire.PseudoExtendedClipboard:
			can.clipboard = true
		case wire.PseudoXVP:
			can.xvp = true
		}
	}
	return can
}

// drawCursor reports whether the viewer draws the pointer itself.
func (a *abilities) drawCursor() bool {
	return a.cursor || a.xCursor || a.alphaCursor || a.vmwareCursor
}

// anyLEDs reports whether the viewer can be told the keyboard's lights.
func (a *abilities) anyLEDs() bool { return a.leds || a.vmwareLEDs }
