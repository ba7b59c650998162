// Package rfbtest has what tests of RFB need: a source and a viewer that do
// what they are told, and pictures to show.
package rfbtest

import (
	"context"
	"image"
	"sync"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// Source is a scripted rfb.Source: a picture that a test draws into, and a
// record of the input that came. Its methods may be called from any goroutine.
type Source struct {
	mu     sync.Mutex
	frame  *pixel.Frame
	cursor *pixel.Cursor
	// screens share the picture; none are one that is all of it.
	screens  []rfb.Screen
	relative bool         // the pointer's motion is wanted
	power    bool         // power is offered
	deny     error        // of SetDesktopSize and Power
	d        *rfb.Desktop // while Run runs
	runs     int
	grabs    int
	refuse   error
	fail     chan error
	events   []any
	told     chan struct{} // closed and made anew at each event and each start or end of Run
}

var (
	_ rfb.Source    = (*Source)(nil)
	_ rfb.Input     = (*Source)(nil)
	_ rfb.Resizer   = (*Source)(nil)
	_ rfb.Clipboard = (*Source)(nil)
	_ rfb.Power     = (*Source)(nil)
)

// NewSource returns a black picture of the given size in pixels.
func NewSource(width, height int) *Source {
	return &Source{frame: pixel.NewFrame(width, height), fail: make(chan error), told: make(chan struct{})}
}

// Run announces the picture and waits for ctx, or for Fail.
func (s *Source) Run(ctx context.Context, d *rfb.Desktop) error {
	s.mu.Lock()
	s.d = d
	s.runs++
	d.SetScreens(s.frame.Width, s.frame.Height, s.screens)
	d.SetPointerRelative(s.relative)
	d.OfferPower(s.power)
	if s.cursor != nil {
		d.SetCursor(s.cursor)
	}
	s.tellLocked()
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.d = nil
		s.tellLocked()
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-s.fail:
		return err
	}
}

// Grab shows use the picture.
func (s *Source) Grab(_ *pixel.Region, use func(view *pixel.Frame)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grabs++
	if s.refuse != nil {
		return s.refuse
	}
	use(s.frame)
	return nil
}

// Draw lets f change the picture and announces the region that f returns.
func (s *Source) Draw(f func(p *pixel.Frame) *pixel.Region) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := f(s.frame)
	if s.d != nil {
		s.d.Damage(r)
	}
}

// Fill paints r in one colour.
func (s *Source) Fill(r image.Rectangle, colour uint32) {
	s.Draw(func(p *pixel.Frame) *pixel.Region {
		p.Fill(r, colour)
		return pixel.RegionOf(r.Intersect(p.Rect()))
	})
}

// Move moves pixels inside the picture and announces it as a copy.
func (s *Source) Move(r image.Rectangle, from image.Point) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frame.Move(r, from)
	if s.d != nil {
		s.d.Copy(r, from)
	}
}

// Show replaces the picture, whatever its size, and announces its size and the
// screens that share it; none are one that is all of it.
func (s *Source) Show(f *pixel.Frame, screens ...rfb.Screen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frame, s.screens = f.Clone(), screens
	if s.d != nil {
		s.d.SetScreens(f.Width, f.Height, screens)
	}
}

// SetPointerRelative says, now and in later runs, whether motion is wanted.
func (s *Source) SetPointerRelative(relative bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.relative = relative
	if s.d != nil {
		s.d.SetPointerRelative(relative)
	}
}

// OfferPower says, now and in later runs, whether Power can be called.
func (s *Source) OfferPower(offered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.power = offered
	if s.d != nil {
		s.d.OfferPower(offered)
	}
}

// Deny makes SetDesktopSize and Power fail with err, nil no more.
func (s *Source) Deny(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deny = err
}

func (s *Source) denied() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deny
}

// Desktop lets f announce what it likes; it does nothing while Run does not
// run.
func (s *Source) Desktop(f func(d *rfb.Desktop)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.d != nil {
		f(s.d)
	}
}

// SetCursor changes the pointer's shape now and for later runs.
func (s *Source) SetCursor(c *pixel.Cursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursor = c
	if s.d != nil {
		s.d.SetCursor(c)
	}
}

// Refuse makes Grab fail with err, nil no more, and announces nothing.
func (s *Source) Refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = err
}

// Fail makes the present Run end with err and returns when it has noticed.
func (s *Source) Fail(err error) { s.fail <- err }

// Picture returns a copy of the picture.
func (s *Source) Picture() *pixel.Frame {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frame.Clone()
}

// Runs is how often Run was called, Running whether it runs, Grabs how often
// Grab was called.
func (s *Source) Runs() int { s.mu.Lock(); defer s.mu.Unlock(); return s.runs }

// Running reports whether Run runs.
func (s *Source) Running() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.d != nil }

// Grabs is how often Grab was called.
func (s *Source) Grabs() int { s.mu.Lock(); defer s.mu.Unlock(); return s.grabs }

// KeyEvent records the event.
func (s *Source) KeyEvent(e rfb.KeyEvent) { s.record(e) }

// PointerEvent records the event.
func (s *Source) PointerEvent(e rfb.PointerEvent) { s.record(e) }

// SetCutText records the text as a string.
func (s *Source) SetCutText(text string) { s.record(text) }

// SetDesktopSize gives the picture the size, black, and the screens, unless it
// is to fail.
func (s *Source) SetDesktopSize(_ context.Context, width, height int, screens []rfb.Screen) error {
	if err := s.denied(); err != nil {
		return err
	}
	s.Show(pixel.NewFrame(width, height), screens...)
	return nil
}

// Power records the action, and fails if it is to.
func (s *Source) Power(_ context.Context, action rfb.PowerAction) error {
	s.record(action)
	return s.denied()
}

func (s *Source) record(e any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	s.tellLocked()
}

func (s *Source) tellLocked() {
	close(s.told)
	s.told = make(chan struct{})
}

// Events returns the first n events that came, and waits for them until ctx
// ends; then it returns those that there are.
func (s *Source) Events(ctx context.Context, n int) []any {
	s.await(ctx, func() bool { return len(s.events) >= n })
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]any(nil), s.events...)
}

// AwaitRunning waits until Run runs, or does not, or ctx ends, and reports
// whether it came so.
func (s *Source) AwaitRunning(ctx context.Context, running bool) bool {
	return s.await(ctx, func() bool { return (s.d != nil) == running })
}

// await waits until cond, called with mu held, is true.
func (s *Source) await(ctx context.Context, cond func() bool) bool {
	for {
		s.mu.Lock()
		ok, told := cond(), s.told
		s.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-told:
		case <-ctx.Done():
			return false
		}
	}
}
