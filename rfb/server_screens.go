package rfb

import (
	"context"
	"errors"
	"fmt"
	"image"
	"slices"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
)

// What a Resizer's error wraps where more is known than that it could not.
var (
	// ErrProhibited: the display's size may not be changed.
	ErrProhibited = errors.New("the display's size may not be changed")
	// ErrLayout: the display cannot have these screens.
	ErrLayout = errors.New("the display cannot have these screens")
)

// Screen is one of the screens that share a picture (rfbproto, "Screen
// Model").
type Screen struct {
	// ID is the screen's for as long as it exists.
	ID uint32
	// Rect is its place in the picture in pixels. Screens may overlap.
	Rect image.Rectangle
	// Flags have no meaning yet and are carried along.
	Flags uint32
}

// maxScreens is how many the protocol can count.
const maxScreens = 255

// checkScreens returns why a picture of that size cannot have these screens,
// which wraps ErrLayout. None are one that is all of the picture.
func checkScreens(size image.Point, screens []Screen) error {
	if len(screens) > maxScreens {
		return fmt.Errorf("%w: %d of them, more than %d", ErrLayout, len(screens), maxScreens)
	}
	ids := make(map[uint32]struct{}, len(screens))
	for _, s := range screens {
		if s.Rect.Empty() || !s.Rect.In(image.Rectangle{Max: size}) {
			return fmt.Errorf("%w: screen %d is %v in a picture of %dx%d pixels", ErrLayout, s.ID, s.Rect, size.X, size.Y)
		}
		if _, twice := ids[s.ID]; twice {
			return fmt.Errorf("%w: there are two with the number %d", ErrLayout, s.ID)
		}
		ids[s.ID] = struct{}{}
	}
	return nil
}

func toWire(screens []Screen) []wire.Screen {
	w := make([]wire.Screen, len(screens))
	for i, s := range screens {
		w[i] = wire.Screen(s)
	}
	return w
}

func fromWire(w []wire.Screen) []Screen {
	screens := make([]Screen, len(w))
	for i, s := range w {
		screens[i] = Screen(s)
	}
	return screens
}

// onlyScreen is the ID of a screen that is all of the picture. It is not 0: for
// libvncclient (0.9.14) that is no screen, and it keeps its size.
const onlyScreen = 1

// layout is screens, or the one that is all of a picture of that size.
func layout(size image.Point, screens []Screen) []Screen {
	if len(screens) > 0 {
		return screens
	}
	return []Screen{{ID: onlyScreen, Rect: image.Rectangle{Max: size}}}
}

// setDesktopSize carries out a viewer's SetDesktopSize (rfbproto 7.5.10) on
// the viewer's own goroutine.
func (v *viewer) setDesktopSize(m wire.SetDesktopSize) {
	size, screens := image.Pt(m.Width, m.Height), fromWire(m.Screens)
	src := v.s.input.resizer()
	log := v.s.cfg.Log.With("viewer", v.cfg.Label, "width", m.Width, "height", m.Height, "screens", max(1, len(screens)))
	result := wire.ResizeDone
	switch {
	case !v.mayAct() || src == nil:
		result = wire.ResizeProhibited
	case m.Width < 1 || m.Height < 1 || m.Width > wire.MaxSide || m.Height > wire.MaxSide || checkScreens(size, screens) != nil:
		result = wire.ResizeInvalid
	default:
		v.s.post(sizeAsked{v, size, screens})
		if err := v.s.resizeSource(src, size, screens); err != nil {
			log.Info("the display could not be resized", "error", err)
			result = resizeCode(err)
		}
	}
	v.s.post(sizeReplied{v, result})
}

// resizeTimeout is how long a source may take to change its size.
const resizeTimeout = 5 * time.Second

// resizeSource changes the source's size and waits for its answer.
func (s *Server) resizeSource(src Resizer, size image.Point, screens []Screen) error {
	ctx, cancel := context.WithTimeout(context.Background(), resizeTimeout)
	defer cancel()
	return src.SetDesktopSize(ctx, size.X, size.Y, screens)
}

// resizeCode is what a viewer is told of an error.
func resizeCode(err error) int {
	switch {
	case errors.Is(err, ErrProhibited):
		return wire.ResizeProhibited
	case errors.Is(err, ErrLayout):
		return wire.ResizeInvalid
	default:
		return wire.ResizeOutOfResource
	}
}

// sizeAsked is what a viewer wants the picture to be; when it comes so, the
// viewers are told why.
type sizeAsked struct {
	v       *viewer // nil where nothing was asked
	size    image.Point
	screens []Screen
}

func (ev sizeAsked) do(e *engine) {
	e.asked = ev
	ev.v.sizeGranted = false
}

// sizeReplied is the source's answer.
type sizeReplied struct {
	v      *viewer
	result int
}

// maxSizeReplies bounds the answers that wait for a viewer that asks on and on.
const maxSizeReplies = 64

func (ev sizeReplied) do(e *engine) {
	v := ev.v
	if _, there := e.viewers[v]; !there {
		return
	}
	switch {
	case ev.result == wire.ResizeDone && v.sizeGranted:
		return // what it was told, or will be, of the change is the answer
	case ev.result != wire.ResizeDone && e.asked.v == v:
		e.asked = sizeAsked{}
	}
	if len(v.sizeReplies) >= maxSizeReplies {
		v.end(fmt.Errorf("to viewer %s: %w", v.cfg.Label, errNotReading))
		return
	}
	v.sizeReplies = append(v.sizeReplies, ev.result)
}

// setScreens notes the screens of the present size, and whose wish it was
// where either is new.
func (e *engine) setScreens(screens []Screen, resized bool) {
	if !resized && slices.Equal(e.screens, screens) {
		return
	}
	e.screens = screens
	asked := e.asked
	granted := asked.v != nil && asked.size == e.size &&
		(len(screens) <= 1 && len(asked.screens) <= 1 || slices.Equal(asked.screens, screens))
	e.asked = sizeAsked{}
	for v := range e.viewers {
		if v.init != nil || !v.followsSize() {
			continue
		}
		v.sizeStale, v.sizeReason = true, wire.ResizeByServer
		switch {
		case !granted:
		case v == asked.v:
			v.sizeReason, v.sizeGranted = wire.ResizeByThisClient, true
		default:
			v.sizeReason = wire.ResizeByOtherClient
		}
	}
}

// followsSize reports whether the viewer can be told of another size.
func (v *viewer) followsSize() bool { return v.can.desktopSize || v.can.extendedDesktopSize }

// sizeUpdate tells the viewer the picture's size and screens and what came of
// its wishes, in an update of its own as the protocol asks (rfbproto 7.8.14),
// and reports whether the viewer's picture is of another size now.
func (e *engine) sizeUpdate(v *viewer, u *update) (resized bool) {
	if !v.sizeStale && len(v.sizeReplies) == 0 {
		return false
	}
	resized = v.followsSize() && v.size != e.size
	if v.can.extendedDesktopSize {
		m := wire.ExtendedDesktopSize{Width: e.size.X, Height: e.size.Y, Screens: toWire(layout(e.size, e.screens))}
		for _, result := range v.sizeReplies {
			m.Reason, m.Result = wire.ResizeByThisClient, result
			u.raw(m.Append(nil))
			v.sizeStale = v.sizeStale && result != wire.ResizeDone // it says the same
		}
		if v.sizeStale {
			m.Reason, m.Result = v.sizeReason, wire.ResizeDone
			u.raw(m.Append(nil))
		}
	} else if resized {
		u.raw(wire.RectangleHeader{Rect: image.Rectangle{Max: e.size}, Encoding: wire.PseudoDesktopSize}.Append(nil))
	}
	u.end()
	v.sizeStale, v.sizeReason, v.sizeReplies = false, wire.ResizeByServer, nil
	if resized {
		v.size = e.size
		if v.continuous {
			v.area = image.Rectangle{Max: e.size}
		}
		v.lossy.Clear()
		v.dirty.Clear()
		v.dirty.Add(image.Rectangle{Max: e.size})
	}
	return resized
}
