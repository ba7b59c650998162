package x11

import (
	"errors"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// coloursInterval is how often the colour map of a screen that has one is
// looked at. The server tells nobody that a program has changed a colour.
const coloursInterval = 100 * time.Millisecond

// colours follows the screen's colour map: the one that is installed, whatever
// map a window has, for that is what a monitor would show. It is owned by
// Open, then by the running Run.
type colours struct {
	x         *Display
	ask       []uint32 // the numbers of all colours
	installed xproto.Colormap
}

func newColours(x *Display) *colours {
	c := &colours{x: x, installed: x.screen.DefaultColormap}
	for n := range x.format.colours {
		c.ask = append(c.ask, uint32(n))
	}
	return c
}

// update takes the present colours and reports whether one has changed. A
// screen without a colour map has none that change.
func (c *colours) update() (changed bool, err error) {
	if len(c.ask) == 0 {
		return false, nil
	}
	conn := c.x.conn
	var list xproto.ListInstalledColormapsCookie
	var query xproto.QueryColorsCookie
	conn.Batch(func() {
		list = xproto.ListInstalledColormaps(conn.Conn, c.x.root)
		query = xproto.QueryColors(conn.Conn, c.installed, c.ask)
	})
	maps, err := list.Reply()
	reply, queryErr := query.Reply()
	if err != nil {
		return false, err
	}
	if n := maps.Cmaps; len(n) > 0 && n[0] != c.installed {
		c.installed = n[0]
		reply, queryErr = xproto.QueryColors(conn.Conn, c.installed, c.ask).Reply()
	}
	var refused xgb.Error
	if errors.As(queryErr, &refused) {
		return false, nil // the map has gone just now; another will be there
	}
	if queryErr != nil {
		return false, queryErr
	}
	return c.x.picture.setPalette(c.x.format, reply.Colors), nil
}

// setPalette reports whether a colour has changed.
func (p *picture) setPalette(f *format, colours []xproto.Rgb) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range colours[:min(len(colours), len(f.palette))] {
		v := uint32(c.Red>>8)<<16 | uint32(c.Green>>8)<<8 | uint32(c.Blue>>8)
		changed = changed || v != f.palette[i]
		f.palette[i] = v
	}
	return changed
}
