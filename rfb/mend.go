package rfb

import (
	"image"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// A viewer that allows loss is sent photographs as JPEG while they change.
// What it has of them is kept in viewer.lossy, and sent exactly once nothing
// has changed there for a while: by itself where nothing else is to be sent,
// else a little with what is, so that neither waits for ever for the other.
const (
	// mendAfter is how long a cell must have rested.
	mendAfter = 250 * time.Millisecond
	// mendBeside is the least time between two cells sent along with news.
	mendBeside = 100 * time.Millisecond
	// mendSpan is how long the path may be taken by exact pixels at a time,
	// since news that come meanwhile wait for them.
	mendSpan = 50 * time.Millisecond
	// mendCells bounds them where the path is not known or quick.
	mendCells = 16
)

// cellArea is a cell's size in pixels.
const cellArea = cellWidth * cellHeight

// mendable returns what v has at a loss and may be sent exactly now, and when
// more of it will; zero is never.
func (v *viewer) mendable(e *engine, now time.Time) (g *pixel.Region, at time.Time) {
	g = new(pixel.Region)
	if v.lossy.Empty() || !e.hasPixels() {
		return g, at
	}
	open := v.lossy.Clone()
	open.Subtract(&v.dirty)
	open.Intersect(v.wants())
	open.IntersectRect(e.bounds())
	for r := range open.Rects() {
		for c, inside := range e.grid.within(r) {
			if rested := c.changedAt.Add(mendAfter); rested.After(now) {
				at = earlier(at, rested)
			} else {
				g.Add(inside)
			}
		}
	}
	return g, at
}

// mend adds to a frame for v what is to be made exact in it.
func (e *engine) mend(v *viewer, entries []*entry, jobs []job, now time.Time) ([]*entry, []job) {
	g, _ := v.mendable(e, now)
	if g.Empty() {
		return entries, jobs
	}
	most := mendCells * cellArea
	if rate := v.pace.rate; v.continuous && rate > 0 {
		// What has many colours takes about three bytes a pixel.
		most = min(most, int(rate*mendSpan.Seconds())/3)
	}
	if len(entries) > 0 {
		if now.Sub(v.mendedAt) < mendBeside {
			return entries, jobs
		}
		most = 0
	}
	v.mendedAt = now
	var chosen pixel.Region
	area := 0
	for _, r := range cut(g) {
		if n := r.Dx() * r.Dy(); area == 0 || area+n <= most {
			area += n
			chosen.Add(r)
		}
	}
	v.lossy.Subtract(&chosen)
	params := v.params.Lossless()
	for _, r := range cut(&chosen) {
		var en *entry
		en, jobs = e.find(v, r, params, jobs)
		entries = append(entries, en)
		e.s.stats.mended.Add(1)
	}
	return entries, jobs
}

// lose notes which of the pieces that v is sent are not exact.
func (v *viewer) lose(en *entry) {
	for i := range en.pieces {
		if en.pieces[i].Lossy {
			v.lossy.Add(en.pieces[i].Rect.Intersect(image.Rectangle{Max: v.size}))
		}
	}
}
