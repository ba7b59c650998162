package rfb

import (
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"sync"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// ErrNoResize is returned by SetDesktopSize where the server cannot or may
// not change its size.
var ErrNoResize = errors.New("the display's size cannot be changed")

// sizeAsk is a SetDesktopSize that waits, and the screens that there are.
type sizeAsk struct {
	turn  sync.Mutex // one at a time
	reply chan int   // has room for one
	shown chan struct{}

	mu      sync.Mutex
	screens []Screen // of the server, as it told them last

}

func newSizeAsk() sizeAsk {
	return sizeAsk{reply: make(chan int, 1), shown: make(chan struct{}, 1)}
}

// SetDesktopSize asks the server for another size and waits for its answer,
// and for the picture of that size. A single screen, or none, is the first
// that the server has.
func (c *Client) SetDesktopSize(ctx context.Context, width, height int, screens []Screen) error {
	s := c.current()
	if s == nil {
		return ErrNotRunning
	}
	if !s.extendedSize.Load() {
		return fmt.Errorf("%w: the server does not offer it", ErrNoResize)
	}
	z := &s.size
	z.turn.Lock()
	defer z.turn.Unlock()
	screens = slices.Clone(layout(image.Pt(width, height), screens))
	z.mu.Lock()
	if len(screens) == 1 && len(z.screens) > 0 {
		screens[0].ID, screens[0].Flags = z.screens[0].ID, z.screens[0].Flags
	}
	z.mu.Unlock()
	// An answer that came too late for an earlier question.
	select {
	case <-z.reply:
	default:
	}
	select {
	case <-z.shown:
	default:
	}
	s.send(wire.SetDesktopSize{Width: width, Height: height, Screens: toWire(screens)})
	select {
	case result := <-z.reply:
		if result != wire.ResizeDone {
			return fmt.Errorf("%w: %w", ErrNoResize, resizeError(result))
		}
	case <-ctx.Done():
		return fmt.Errorf("%w: the server did not answer: %w", ErrNoResize, ctx.Err())
	case <-s.done:
		return ErrNotRunning
	}
	// Whether or not the picture comes in time, the size is granted.
	select {
	case <-z.shown:
	case <-ctx.Done():
	case <-s.done:
	}
	return nil
}

func resizeError(n int) error {
	switch n {
	case wire.ResizeProhibited:
		return ErrProhibited
	case wire.ResizeOutOfResource:
		return errors.New("the display has no such size to give")
	case wire.ResizeInvalid:
		return ErrLayout
	case wire.ResizeForwarded:
		return errors.New("the wish was passed on, and may come true later")
	default:
		return fmt.Errorf("result %d", n)
	}
}

// resize makes a new picture where the size is another.
func (s *session) resize(width, height int) bool {
	wire.CheckSize(s.rd, width, height)
	f := s.c.frame
	if s.rd.Err() != nil || f != nil && f.Width == width && f.Height == height {
		return false
	}
	s.c.frame = pixel.NewFrame(width, height)
	s.shown = false
	s.lacking = *pixel.RegionOf(s.c.frame.Rect())
	return true
}

// announceSize tells the server in front of this client the size and the
// screens of the picture, all of which is there, and whoever waits for it.
func (s *session) announceSize() {
	z := &s.size
	size := image.Pt(s.c.frame.Width, s.c.frame.Height)
	z.mu.Lock()
	screens := z.screens

	z.mu.Unlock()
	if checkScreens(size, screens) != nil {
		screens = nil // nothing that could be shown
	}
	s.d.SetScreens(size.X, size.Y, screens)
	select {
	case z.shown <- struct{}{}:
	default:
	}
}

func (s *session) extendedDesktopSize(m wire.ExtendedDesktopSize) (resized bool) {
	if s.rd.Err() != nil {
		return false
	}
	s.extendedSize.Store(true)
	refused := m.Reason == wire.ResizeByThisClient && m.Result != wire.ResizeDone
	if !refused {
		resized = s.setScreens(m)
	}
	if m.Reason == wire.ResizeByThisClient {
		select {
		case s.size.reply <- m.Result:
		default: // nobody waits
		}
	}
	return resized
}

// setScreens follows the server to other screens, of another size or not.
func (s *session) setScreens(m wire.ExtendedDesktopSize) (resized bool) {
	z := &s.size
	screens := fromWire(m.Screens)
	resized = s.resize(m.Width, m.Height)
	z.mu.Lock()
	same := slices.Equal(z.screens, screens)
	z.screens = screens
	z.mu.Unlock()
	if s.rd.Err() == nil && !resized && s.shown {
		if same {
			select {
			case z.shown <- struct{}{}: // it is shown already
			default:
			}
			return false
		}
		s.announceSize()
	}
	return resized
}
