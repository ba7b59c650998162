package proxy

import (
	"time"

	"github.com/ironglass/ironglass/rfb"
)

// KeyEvent is rfb.Input's: where a person's keys go on to the node.
func (u *upstream) KeyEvent(e rfb.KeyEvent) {
	u.h.c.active(time.Now())
	u.Client.KeyEvent(e)
}

// PointerEvent is rfb.Input's.
func (u *upstream) PointerEvent(e rfb.PointerEvent) {
	u.h.c.active(time.Now())
	u.Client.PointerEvent(e)
}
