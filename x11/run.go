package x11

import (
	"context"
	"fmt"
	"image"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/jezek/xgb/damage"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xproto"
)

// desktop is what Run tells of a *rfb.Desktop's methods.
type desktop interface {
	Damage(*pixel.Region)
	SetScreens(width, height int, screens []rfb.Screen)
	SetCursor(*pixel.Cursor)
	SetPointer(x, y int)
	SetLEDState(rfb.LEDState)
	CutText(text string)
}

// mail is what pump leaves for Run: what is to be looked at, however often
// the server said so. It is guarded by Display.mu.
type mail struct {
	closing bool

	damaged bool
	resized bool // the screen, or its monitors
	cursor  bool
	serial  uint32 // of the new shape
	leds    bool
	moved   bool // a viewer moved the pointer
}

// pump takes the events off xgb's queue, from Open until the connection ends.
// It never waits for the server: what needs a question is Run's to ask.
func (x *Display) pump() {
	defer close(x.done)
	for {
		ev, xerr := x.conn.WaitForEvent()
		switch ev := ev.(type) {
		case nil:
			if xerr == nil {
				x.mu.Lock()
				if !x.mail.closing {
					x.err = fmt.Errorf("%w (display %s)", ErrLost, x.cfg.Display)
				}
				x.mu.Unlock()
				return
			}
			// Of an unchecked request; what it was about has gone already.
			x.log.Debug("X error", "error", xerr)
		case damage.NotifyEvent:
			x.post(func(m *mail) { m.damaged = true })
		case xfixes.CursorNotifyEvent:
			x.post(func(m *mail) { m.cursor, m.serial = true, ev.CursorSerial })
		case xproto.ConfigureNotifyEvent:
			if ev.Window == x.root {
				x.post(func(m *mail) { m.resized = true })
			}
		case xkbEvent:
			if ev[1] == xkbIndicatorState {
				x.post(func(m *mail) { m.leds = true })
			} else {
				x.mapping.Add(1)
			}
		case xproto.MappingNotifyEvent:
			x.mapping.Add(1)
		case xfixes.SelectionNotifyEvent, xproto.SelectionNotifyEvent, xproto.SelectionRequestEvent,
			xproto.PropertyNotifyEvent, xproto.DestroyNotifyEvent:
			x.selections.post(ev)
		}
	}
}

// post changes the mail and wakes Run.
func (x *Display) post(f func(*mail)) {
	x.mu.Lock()
	f(&x.mail)
	x.mu.Unlock()
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// takeMail empties the mail.
func (x *Display) takeMail() mail {
	x.mu.Lock()
	defer x.mu.Unlock()
	m := x.mail
	x.mail = mail{closing: m.closing}
	return m
}

// Run implements rfb.Source.
func (x *Display) Run(ctx context.Context, d *rfb.Desktop) error { return x.run(ctx, d) }

// harvestInterval is the least time between two questions for damage. A
// program that draws without pause would otherwise be asked after every few
// of its requests; a single change after a pause is asked for at once.
const harvestInterval = 2 * time.Millisecond

// run follows the display. The server keeps the damaged region and sends one
// event when it becomes non-empty; run then takes the region and empties it
// in one request. So whatever was drawn before is in the region, whatever is
// drawn later causes a new event, and however much is drawn meanwhile costs
// nothing here. The damage object and the selection of events exist only
// while run runs.
func (x *Display) run(ctx context.Context, d desktop) error {
	// A server that hangs must not keep Run from ending: the connection is
	// given up then.
	ended := make(chan struct{})
	defer close(ended)
	defer context.AfterFunc(ctx, func() {
		select {
		case <-ended:
		case <-time.After(xconn.Grace):
			x.log.Warn("the X server does not answer; giving the connection up")
			x.conn.Expire()
		}
	})()
	f, err := x.follow(d)
	if err != nil {
		return x.lost(err)
	}
	defer f.stop()
	x.sizer.follow(true)
	defer x.sizer.follow(false)
	// A change of colours is no event.
	var colours <-chan time.Time
	if x.format.palette != nil {
		ticker := time.NewTicker(coloursInterval)
		defer ticker.Stop()
		colours = ticker.C
	}
	t := time.NewTimer(0)
	t.Stop()
	defer t.Stop()
	var last time.Time
	damaged := false
	for {
		var due <-chan time.Time
		if damaged {
			due = t.C
		}
		select {
		case <-ctx.Done():
			return nil
		case <-x.done:
			return x.lost(ErrLost)
		case <-due:
			last, damaged = time.Now(), false
			if err := f.harvest(); err != nil {
				return x.lost(err)
			}
			continue
		case <-f.sprite.timer.C:
			if f.sprite.now() {
				if err := f.look(); err != nil {
					return x.lost(err)
				}
			}
			continue
		case <-colours:
			if err := f.colours(); err != nil {
				return x.lost(err)
			}
			continue
		case <-x.wake:
		}
		m := x.takeMail()
		if m.resized {
			if err := f.resize(); err != nil {
				return x.lost(err)
			}
		}
		if m.damaged && !damaged {
			if wait := harvestInterval - time.Since(last); wait > 0 {
				damaged = true
				t.Reset(wait)
			} else {
				if err := f.harvest(); err != nil {
					return x.lost(err)
				}
				last = time.Now()
			}
		}
		if m.cursor {
			if err := f.cursor(m.serial); err != nil {
				return x.lost(err)
			}
		}
		if m.moved {
			f.stir()
		}
		if m.leds {
			if err := f.leds(); err != nil {
				return x.lost(err)
			}
		}
	}
}

// follower is one run's state, owned by it.
type follower struct {
	x      *Display
	d      desktop
	damage damage.Damage
	parts  xfixes.Region
	size   image.Rectangle
	clips  *clipboard // nil where there is none
	sprite *sprite
}

func (x *Display) follow(d desktop) (*follower, error) {
	c := x.conn.Conn
	f := &follower{x: x, d: d, sprite: newSprite()}
	var err error
	if f.damage, err = damage.NewDamageId(c); err != nil {
		return nil, err
	}
	if f.parts, err = xfixes.NewRegionId(c); err != nil {
		return nil, err
	}
	if _, err := x.colours.update(); err != nil { // all is looked at anew
		return nil, err
	}
	x.takeMail() // a size that changes from now on is told again
	if err := f.resize(); err != nil {
		return nil, err
	}
	x.where.forget()
	x.input.start()
	if f.clips, err = x.startClipboard(d); err != nil {
		x.input.stop()
		return nil, err
	}
	x.conn.Batch(func() {
		xfixes.CreateRegion(c, f.parts, nil)
		xfixes.SelectCursorInput(c, x.root, xfixes.CursorNotifyMaskDisplayCursor)
		x.leds.follow(x, true)
		// The new object's region is the whole window, which it tells at once.
		damage.Create(c, f.damage, xproto.Drawable(x.root), damage.ReportLevelNonEmpty)
	})
	err = f.cursor(0)
	if err == nil {
		err = f.leds()
	}
	if err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// stop gives back what the server holds for the run.
func (f *follower) stop() {
	c := f.x.conn.Conn
	f.sprite.timer.Stop()
	f.x.hiders.motion.Store(false)
	f.x.input.stop()
	f.clips.stop()
	f.x.conn.Batch(func() {
		damage.Destroy(c, f.damage)
		xfixes.DestroyRegion(c, f.parts)
		xfixes.SelectCursorInput(c, f.x.root, 0)
		f.x.leds.follow(f.x, false)
	})
}

// resize takes and announces a new size of the screen, or a new layout of its
// monitors, of which the server tells in the same way.
func (f *follower) resize() error {
	z := &f.x.sizer
	z.mu.Lock()
	defer z.mu.Unlock()
	size, screens, err := f.x.layoutLocked()
	if err != nil {
		return err
	}
	if err := f.x.picture.resize(f.x, size.X, size.Y); err != nil {
		return err
	}
	f.size = image.Rectangle{Max: size}
	f.d.SetScreens(size.X, size.Y, screens)
	z.toldLocked()
	return nil
}

// leds announces which lights are lit.
func (f *follower) leds() error {
	if f.x.leds == nil {
		return nil
	}
	lit, err := f.x.leds.lit(f.x)
	if err != nil {
		return err
	}
	f.d.SetLEDState(lit)
	return nil
}

// found announces where the pointer is if neither a viewer put it there nor it
// was announced before.
func (f *follower) found(mark uint64, at image.Point) {
	if f.x.where.found(mark, at) {
		f.d.SetPointer(at.X, at.Y)
	}
}

// colours looks at the colour map and announces the whole screen where a
// colour has changed.
func (f *follower) colours() error {
	changed, err := f.x.colours.update()
	if changed {
		f.d.Damage(pixel.RegionOf(f.size))
	}
	return err
}

// harvest takes the damaged region from the server and announces it.
func (f *follower) harvest() error {
	f.stir()
	// What is drawn often needs new colours.
	if err := f.colours(); err != nil {
		return err
	}
	c := f.x.conn.Conn
	var fetch xfixes.FetchRegionCookie
	var query xproto.QueryPointerCookie
	mark, look := f.x.where.look()
	f.x.conn.Batch(func() {
		damage.Subtract(c, f.damage, xfixes.RegionNone, f.parts)
		fetch = xfixes.FetchRegion(c, f.parts)
		if look {
			query = xproto.QueryPointer(c, f.x.root)
		}
	})
	reply, err := fetch.Reply()
	if err != nil {
		return fmt.Errorf("asking for what changed: %w", err)
	}
	r := new(pixel.Region)
	if len(reply.Rectangles) > mostRects {
		r.Add(rectangle(reply.Extents))
	} else {
		for _, p := range reply.Rectangles {
			r.Add(rectangle(p))
		}
	}
	r.IntersectRect(f.size)
	if !r.Empty() {
		f.d.Damage(r)
	}
	if look {
		p, err := query.Reply()
		if err != nil {
			return fmt.Errorf("asking where the pointer is: %w", err)
		}
		f.found(mark, image.Pt(int(p.RootX), int(p.RootY)))
	}
	return nil
}

// mostRects is how many rectangles of damage are told apart.
const mostRects = 256

func rectangle(p xproto.Rectangle) image.Rectangle {
	return image.Rect(int(p.X), int(p.Y), int(p.X)+int(p.Width), int(p.Y)+int(p.Height))
}
