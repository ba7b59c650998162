package session

import (
	"fmt"
	"sync"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/notice"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// screen is what the viewers see: the X display, or a notice over its last
// picture. Its methods may be called from any goroutine.
type screen struct {
	server        *rfb.Server
	changed       func() // told after something else is shown
	title         string
	width, height int // of a notice that has no last picture below it

	// lost has the last display whose Run ended by itself.
	lost chan loss

	// turn is held while the server is given another source; its ended may
	// be called meanwhile, so it is not what guards the fields.
	turn sync.Mutex

	mu     sync.Mutex
	shown  rfb.Source
	notice *notice.Source // shown, or nil
}

// loss is a display that could not go on, and why.
type loss struct {
	src rfb.Source
	err error
}

// newScreen returns a screen that shows m. The server, which shows first, is
// set by its maker afterwards, before anything else is called.
func newScreen(title string, width, height int, m notice.Message) (c *screen, first rfb.Source) {
	n := notice.New(width, height, nil)
	m.Title = title
	n.Set(m)
	return &screen{
		title: title, width: width, height: height,
		lost: make(chan loss, 1), shown: n, notice: n,
	}, n
}

// showDisplay shows d, and reports whether it was not shown already.
func (c *screen) showDisplay(d rfb.Source) bool {
	c.turn.Lock()
	defer c.turn.Unlock()
	c.mu.Lock()
	same := c.shown == d
	c.shown, c.notice = d, nil
	c.mu.Unlock()
	if !same {
		c.server.SetSource(d)
		c.changed()
	}
	return !same
}

// showNotice shows m, over the last picture of the display where there was
// one.
func (c *screen) showNotice(m notice.Message) {
	c.turn.Lock()
	defer c.turn.Unlock()
	m.Title = c.title
	if !c.changeNotice(m) {
		c.put(m, c.server.LastFrame())
	}
}

// showPlain shows m over nothing: what earlier viewers saw is not for those
// who come next.
func (c *screen) showPlain(m notice.Message) {
	c.turn.Lock()
	defer c.turn.Unlock()
	m.Title = c.title
	c.put(m, nil)
}

// put shows a new notice, unless something else is put there meanwhile. turn
// is held.
func (c *screen) put(m notice.Message, below *pixel.Frame) {
	if n, first := c.newNotice(c.current(), m, below); first {
		c.server.SetSource(n)
		c.changed()
	}
}

// showsNotice reports whether a notice is shown.
func (c *screen) showsNotice() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.notice != nil
}

// current is what is shown.
func (c *screen) current() rfb.Source {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown
}

// changeNotice changes the text of the notice that is shown, if one is.
func (c *screen) changeNotice(m notice.Message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notice != nil {
		c.notice.Set(m)
	}
	return c.notice != nil
}

// newNotice puts a notice over the picture below, where that is not nil, in
// the place of after, unless something else has already been put there. It
// returns what is to be shown, and whether that is the new notice.
func (c *screen) newNotice(after rfb.Source, m notice.Message, below *pixel.Frame) (rfb.Source, bool) {
	n := notice.New(c.width, c.height, below)
	n.Set(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown != after {
		return c.shown, false
	}
	c.shown, c.notice = n, n
	return n, true
}

// ended is the server's SourceEnded: src could not go on while viewers were
// watching. They see why, until the session has found out as well.
func (c *screen) ended(src rfb.Source, err error) rfb.Source {
	next, first := c.newNotice(src, notice.Message{
		Title: c.title, Headline: "The display was lost", Lines: []string{reason(err)}, Tone: notice.Warning,
	}, c.server.LastFrame())
	if first {
		select {
		case <-c.lost: // an older one, which nobody wants any more
		default:
		}
		c.lost <- loss{src, err} // only one Run at a time can end
		c.changed()
	}
	return next
}

// reason is an error's text, also where there is none.
func reason(err error) string {
	if err == nil {
		return "no reason is known"
	}
	return err.Error()
}

// again is the notice of something that ended and is started again at a
// time.
func again(headline string, lines []string, at time.Time) notice.Message {
	return notice.Message{Headline: headline, Lines: lines, Tone: notice.Warning, Until: at}
}

// starting is the notice while something is being waited for.
func starting(format string, args ...any) notice.Message {
	return notice.Message{Headline: "Starting", Lines: []string{fmt.Sprintf(format, args...)}, Tone: notice.Info}
}
