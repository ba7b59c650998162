package rfb

import (
	"fmt"
	"image"
	"slices"
	"sync"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// move is an announced copy inside the picture: rect's pixels came from the
// area of its size at from.
type move struct {
	rect image.Rectangle
	from image.Point
}

// source is the area that the move reads.
func (m move) source() image.Rectangle { return m.rect.Sub(m.rect.Min).Add(m.from) }

// stale carries a set of pixels that are not right through the move: what was
// wrong in its source is wrong in its destination afterwards, and what was
// wrong in its destination was replaced.
func (m move) stale(g *pixel.Region) {
	moved := g.Clone()
	moved.IntersectRect(m.source())
	moved.Translate(m.rect.Min.Sub(m.from))
	g.Subtract(pixel.RegionOf(m.rect))
	g.Union(moved)
}

// maxMoves is how many moves are kept before they become damage.
const maxMoves = 32

// changes is what happened to a picture since it was last looked at: first
// the moves in their order, then the damage, which is of pixels as they are
// now.
type changes struct {
	moves  []move
	damage pixel.Region
}

func (c *changes) empty() bool { return len(c.moves) == 0 && c.damage.Empty() }

func (c *changes) clear() {
	c.moves = c.moves[:0]
	c.damage.Clear()
}

func (c *changes) addMove(m move) {
	m.stale(&c.damage)
	c.moves = append(c.moves, m)
	if len(c.moves) > maxMoves {
		c.forgetMoves()
	}
}

// forgetMoves turns the moves into damage, which is always right.
func (c *changes) forgetMoves() {
	for _, m := range c.moves {
		c.damage.Add(m.rect)
	}
	c.moves = c.moves[:0]
}

// add appends what happened after c.
func (c *changes) add(later *changes) {
	for _, m := range later.moves {
		c.addMove(m)
	}
	c.damage.Union(&later.damage)
}

// clip drops what does not fit in a picture of that size.
func (c *changes) clip(r image.Rectangle) {
	if slices.ContainsFunc(c.moves, func(m move) bool { return !m.rect.In(r) || !m.source().In(r) }) {
		c.forgetMoves()
	}
	c.damage.IntersectRect(r)
}

// news is what a source announced besides changes; nil is nothing new.
type news struct {
	size     *image.Point
	screens  []Screen // of that size; nil is one that is all of it
	cursor   **pixel.Cursor
	pointer  *image.Point // where it is
	warp     *image.Point // where the source put it
	relative *bool
	power    *bool
	leds     *LEDState
	name     *string
	cutText  *string
	bell     bool
}

// mailbox is where a source's announcements wait for the loop. What the loop
// has not taken yet is merged, so it is bounded whatever the source does.
type mailbox struct {
	wake chan struct{} // holds one token while there is mail

	mu      sync.Mutex
	gen     uint64 // of the source run whose announcements count
	look    bool   // something was said of the picture, if only that it can be had
	changes changes
	news    news
}

// put changes the mail of source run gen and wakes the loop.
func (b *mailbox) put(gen uint64, f func(b *mailbox)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if gen != b.gen {
		return
	}
	f(b)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// take moves the mail to its reader; look says that the picture was spoken of.
// seen is what was looked at since mail was last taken: moves that waited here
// meanwhile may have been in those pixels already, which makes them as good as
// stale before the moves.
func (b *mailbox) take(into *changes, seen *pixel.Region) (n news, look bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, b.news = b.news, news{}
	if n.size != nil {
		into.clear()
	}
	look, b.look = b.look, false
	if len(b.changes.moves) > 0 {
		into.damage.Union(seen)
	}
	seen.Clear()
	into.add(&b.changes)
	b.changes.clear()
	return n, look
}

// next empties the box and makes it listen to the next source run only.
func (b *mailbox) next() (gen uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gen++
	b.look = false
	b.changes.clear()
	b.news = news{}
	return b.gen
}

func (s *Server) damage(gen uint64, r *pixel.Region) {
	s.mail.put(gen, func(b *mailbox) {
		b.look = true
		b.changes.damage.Union(r)
		b.changes.damage.Simplify(256)
	})
}

func (s *Server) copied(gen uint64, r image.Rectangle, from image.Point) {
	if r.Empty() || r.Min == from {
		return
	}
	s.mail.put(gen, func(b *mailbox) {
		b.look = true
		b.changes.addMove(move{r, from})
	})
}

// resized takes a size and the screens that share it.
func (s *Server) resized(gen uint64, width, height int, screens []Screen) {
	size := image.Pt(width, height)
	if width < 1 || height < 1 || width > wire.MaxSide || height > wire.MaxSide {
		panic(fmt.Sprintf("rfb: a source announced a size of %dx%d pixels", width, height))
	}
	if err := checkScreens(size, screens); err != nil {
		panic(fmt.Sprintf("rfb: a source announced screens that cannot be: %v", err))
	}
	if len(screens) == 1 && screens[0].Rect == (image.Rectangle{Max: size}) {
		screens = nil // whatever its number
	}
	s.mail.put(gen, func(b *mailbox) {
		b.news.size, b.news.screens = &size, screens
		b.look = true
		b.changes.clear()
		b.changes.damage.Add(image.Rectangle{Max: size})
	})
}

func (s *Server) setCursor(gen uint64, c *pixel.Cursor) {
	s.mail.put(gen, func(b *mailbox) { b.news.cursor = &c })
}

func (s *Server) setPointer(gen uint64, p image.Point) {
	s.mail.put(gen, func(b *mailbox) {
		b.news.pointer = &p
		if s.input.put.Load() != packed(p) { // else a viewer put it there
			b.news.warp = &p
		}
	})
}

func (s *Server) setPointerRelative(gen uint64, relative bool) {
	s.mail.put(gen, func(b *mailbox) {
		s.input.relative.Store(relative)
		b.news.relative = &relative
	})
}

func (s *Server) offerPower(gen uint64, offered bool) {
	s.mail.put(gen, func(b *mailbox) {
		s.input.power.Store(offered)
		b.news.power = &offered
	})
}

func (s *Server) setLEDState(gen uint64, l LEDState) {
	s.mail.put(gen, func(b *mailbox) { b.news.leds = &l })
}

func (s *Server) cutText(gen uint64, text string) {
	text = clipString(text, wire.MaxCutText)
	s.mail.put(gen, func(b *mailbox) { b.news.cutText = &text })
}

func (s *Server) bell(gen uint64) {
	s.mail.put(gen, func(b *mailbox) { b.news.bell = true })
}

func (s *Server) setName(gen uint64, name string) {
	name = clipString(name, wire.MaxName)
	s.mail.put(gen, func(b *mailbox) { b.news.name = &name })
}
