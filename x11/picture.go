package x11

import (
	"fmt"
	"sync"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// picture reads the screen's pixels, in the best way that works.
type picture struct {
	mu     sync.Mutex // guards what follows; held while a view is in use
	reader reader
	size   [2]int
	// frame is what Grab lends: a view of the reader's memory, or, where that
	// has no words, the pixels as words.
	frame pixel.Frame
	// trim gives memory back from time to time while there are looks and some
	// time after the last; nil before the first.
	trim *time.Timer
	due  bool // trim runs
	used bool // there was a look since it was started
	// rested is Config.Rested.
	rested func()
}

// reader is one way of reading the screen. The picture's lock is held for
// every call.
type reader interface {
	// name says in the log how pixels are read.
	name() string
	// resize takes the screen's size in pixels. After an error the reader is
	// of no use at this size.
	resize(width, height int) error
	// view returns the screen with present pixels inside r.
	view(r *pixel.Region) (*raw, error)
	// trim gives back memory that the next view brings back by itself.
	trim()
	close()
}

// trimAfter is how long after a look at the screen its memory is given back:
// the pages of a mapping count as ours as soon as they are looked at. The timer
// is not set again with each look, and what is still looked at then comes back
// by itself.
const trimAfter = 3 * time.Second

// largestSide is the largest side of a picture in RFB, in pixels, as
// rfb.Desktop has it.
const largestSide = 16384

// openPicture chooses a reader for a screen of this size.
func (x *Display) openPicture(width, height int) error {
	if width > largestSide || height > largestSide {
		return fmt.Errorf("%w: its screen of %dx%d is larger than %dx%d", ErrUnsupported, width, height, largestSide, largestSide)
	}
	p := &x.picture
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rested = x.cfg.Rested
	return p.chooseLocked(x, width, height)
}

// chooseLocked takes the first reader that works.
func (p *picture) chooseLocked(x *Display, width, height int) error {
	if p.reader != nil {
		p.reader.close()
		p.reader = nil
	}
	ways := []struct {
		what string
		open func(*Display, int, int) (reader, error)
	}{
		{"mapped framebuffer", openMapped},
		{"MIT-SHM", openShared},
	}
	if x.cfg.Framebuffer == "" {
		ways = ways[1:]
	}
	for _, way := range ways {
		r, err := way.open(x, width, height)
		if err != nil {
			x.log.Warn("reading the screen in a slower way", "not", way.what, "error", err)
			continue
		}
		p.reader = r
		break
	}
	if p.reader == nil {
		p.reader = newPlain(x, width, height)
	}
	p.size = [2]int{width, height}
	return nil
}

// resize follows the screen's size.
func (p *picture) resize(x *Display, width, height int) error {
	if width > largestSide || height > largestSide {
		return fmt.Errorf("%w: its screen of %dx%d is larger than %dx%d", ErrUnsupported, width, height, largestSide, largestSide)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size == [2]int{width, height} {
		return nil
	}
	p.size = [2]int{width, height}
	if p.reader == nil {
		return ErrLost // closed
	}
	if err := p.reader.resize(width, height); err != nil {
		x.log.Warn("choosing how to read the screen anew", "width", width, "height", height, "error", err)
		if err := p.chooseLocked(x, width, height); err != nil {
			return err
		}
		x.log.Info("reading the screen", "reader", p.reader.name())
	}
	return nil
}

// Grab implements rfb.Source.
func (x *Display) Grab(r *pixel.Region, use func(view *pixel.Frame)) error {
	p := &x.picture
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reader == nil {
		return x.lost(ErrLost) // closed
	}
	view, err := p.reader.view(r)
	if err != nil {
		return x.lost(fmt.Errorf("reading the screen: %w", err))
	}
	x.format.frame(&p.frame, view, r)
	use(&p.frame)
	if p.used = p.due; !p.due {
		p.startTrimLocked()
	}
	return nil
}

func (p *picture) startTrimLocked() {
	p.due, p.used = true, false
	if p.trim == nil {
		p.trim = time.AfterFunc(trimAfter, p.trimNow)
	} else {
		p.trim.Reset(trimAfter)
	}
}

// trimNow is called by the timer.
func (p *picture) trimNow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due = false; p.reader == nil {
		return // closed
	}
	p.reader.trim()
	if p.used {
		p.startTrimLocked()
		return
	}
	p.frame = pixel.Frame{}
	if p.rested != nil {
		p.rested()
	}
}

func (p *picture) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trim != nil {
		p.trim.Stop()
	}
	if p.reader != nil {
		p.reader.close()
		p.reader = nil
	}
	p.frame = pixel.Frame{}
}
