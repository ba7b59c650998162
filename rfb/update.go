package rfb

import (
	"image"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// job is an entry that this frame has to encode.
type job struct {
	entry *entry
	cell  *cell        // nil for what is not kept
	src   *pixel.Frame // with the rectangle at shift
	shift image.Point
}

// part is what one viewer is sent of this frame.
type part struct {
	v       *viewer
	entries []*entry   // that are not in u yet
	u       update     // what is not with the writer yet
	rest    chan batch // to the writer, where it has the beginning already
}

// send encodes, once for all, what the viewers who can take a frame have not
// got yet, and hands it to their writers.
func (e *engine) send(now time.Time) {
	var jobs []job
	var parts []*part
	for v := range e.viewers {
		if !v.sendable(now) || e.frame == nil && e.lent.by == nil {
			continue
		}
		p := &part{v: v, u: update{streams: &v.streams}}
		// Before there is a picture, black would only take the place of what
		// the viewer shows meanwhile.
		if e.hasPixels() && (v.size == e.size || !v.followsSize()) {
			p.entries, jobs = e.plan(v, jobs)
			p.entries, jobs = e.mend(v, p.entries, jobs, now)
		}
		parts = append(parts, p)
	}
	e.encode(jobs, func() {
		for _, p := range parts {
			e.advance(p, now)
		}
		runtime.Gosched() // the writers' turn, where there is one processor
	})
	for _, p := range parts {
		e.hand(p, now)
	}
	e.prune(jobs)
}

// plan finds the entries that v is to be sent, and the jobs to make them.
func (e *engine) plan(v *viewer, jobs []job) ([]*entry, []job) {
	region := v.due()
	if region.Empty() {
		return nil, jobs
	}
	v.dirty.Subtract(region)
	v.lossy.Subtract(region)
	var entries []*entry
	if v.size != e.size {
		// What the viewer believes to be there and is not is black.
		outside := region.Clone()
		outside.Subtract(pixel.RegionOf(e.bounds()))
		region.IntersectRect(e.bounds())
		for _, r := range cut(outside) {
			en := &entry{rect: r, params: v.params}
			black := &pixel.Frame{Pix: make([]uint32, r.Dx()), Width: r.Dx(), Height: r.Dy()}
			jobs = append(jobs, job{entry: en, src: black, shift: r.Min})
			entries = append(entries, en)
		}
	}
	rects := cut(region)
	if v.params.Quality >= 0 {
		rects = e.grid.join(rects)
	}
	for _, r := range rects {
		var en *entry
		en, jobs = e.find(v, r, v.params, jobs)
		entries = append(entries, en)
	}
	return entries, jobs
}

// find returns the entry for r of the present picture, from the grid or new.
func (e *engine) find(v *viewer, r image.Rectangle, params encoding.Params, jobs []job) (*entry, []job) {
	var serial uint64
	if v.overlaid && r.Overlaps(e.cursor.rect()) {
		serial = e.cursor.serial
	}
	c := e.grid.holder(r)
	for _, en := range c.entries {
		if en.rect == r && en.params == params && en.cursor == serial {
			e.s.stats.hits.Add(1)
			return en, jobs
		}
	}
	en := &entry{rect: r, params: params, cursor: serial}
	c.entries = append(c.entries, en)
	j := job{entry: en, cell: c, src: e.frame}
	if serial != 0 {
		j.src, j.shift = e.cursor.painted(e.frame, r), r.Min
	}
	return en, append(jobs, j)
}

// helpedArea is how many pixels are worth another core: waking one takes about
// as long as encoding a few thousand.
const helpedArea = 32 << 10

// heavyArea is how many pixels make a frame heavy: on one core they take about
// as long as there is between two frames.
const heavyArea = 2 << 20

// streamedArea is after how many pixels what is encoded goes on its way while
// the rest is encoded, so that a large picture does not take as long as both
// ends and the path together. So much is encoded in about a millisecond.
const streamedArea = 128 << 10

// encode carries out the jobs on as many cores as there are. The frame does
// not change meanwhile, for only the loop changes it. After each streamedArea
// but the last, some is called.
func (e *engine) encode(jobs []job, some func()) {
	if len(jobs) == 0 {
		return
	}
	began := time.Now()
	var next atomic.Int64
	var encoded atomic.Int64 // pixels
	work := func(after func()) {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(jobs) {
				return
			}
			jobs[i].run()
			encoded.Add(int64(jobs[i].area()))
			after()
		}
	}
	var helpers sync.WaitGroup
	area := 0
	for _, j := range jobs {
		area += j.area()
	}
	if f := e.cfg.Heavy; f != nil && area >= heavyArea {
		f(true)
		defer f(false)
	}
	for range min(runtime.GOMAXPROCS(0), len(jobs), 1+area/helpedArea) - 1 {
		helpers.Go(func() { work(func() {}) })
	}
	streamed := int64(0)
	work(func() {
		if n := encoded.Load(); n-streamed >= streamedArea && n < int64(area) {
			streamed = n
			some()
		}
	})
	helpers.Wait()
	for _, j := range jobs {
		if j.cell == nil {
			continue
		}
		for i := range j.entry.pieces {
			e.grid.bytes += len(j.entry.pieces[i].Data)
		}
		if j.entry.params.Quality >= 0 {
			e.grid.judge(j.entry)
		}
	}
	e.s.stats.encodes.Add(uint64(len(jobs)))
	e.s.stats.encodeTime.Add(int64(time.Since(began)))
}

// area is how many pixels the job has.
func (j job) area() int { return j.entry.rect.Dx() * j.entry.rect.Dy() }

func (j job) run() {
	en := j.entry
	en.pieces = encoding.Encode(nil, j.src, en.rect.Sub(j.shift), en.params)
	if j.shift != (image.Point{}) {
		for i := range en.pieces {
			en.pieces[i].Rect = en.pieces[i].Rect.Add(j.shift)
		}
	}
	en.done.Store(true)
}

// shares reports whether two viewers are sent the same pieces.
func (e *engine) shares() bool {
	var seen [8]encoding.Params
	n := 0
	for v := range e.viewers {
		if n == len(seen) || slices.Contains(seen[:n], v.params) {
			return true
		}
		seen[n] = v.params
		n++
	}
	return false
}

// prune keeps the memory of the pieces bounded: where no two viewers are sent
// the same, such as one and its recorder, nobody else is there to want them.
func (e *engine) prune(jobs []job) {
	if !e.shares() {
		for _, j := range jobs {
			if j.cell != nil {
				e.grid.empty(j.cell)
			}
		}
	}
	if e.grid.bytes > e.cfg.CacheBytes {
		e.grid.emptyAll()
	}
	e.s.stats.cacheBytes.Store(int64(e.grid.bytes))
}

// advance gives the writer what is encoded of a part, where the viewer knows
// updates whose end is not known at their beginning. The rest is hand's.
func (e *engine) advance(p *part, now time.Time) {
	n := 0
	for n < len(p.entries) && p.entries[n].done.Load() {
		n++
	}
	if n == 0 || !p.v.can.lastRect {
		return
	}
	var b batch
	if p.rest == nil {
		e.begin(p) // is of no new size, since there are entries
		p.u.leaveOpen()
		// One batch for each entry at most, so that the loop never waits.
		p.rest = make(chan batch, len(p.entries))
		b.rest = p.rest
	}
	e.pieces(p, n)
	b.bufs, b.n = p.u.take()
	if b.rest != nil {
		p.v.hand(b, now)
	} else {
		p.v.pace.handed(b.n, now)
		p.rest <- b
	}
}

// hand gives the rest of a part to its viewer's writer.
func (e *engine) hand(p *part, now time.Time) {
	if p.rest != nil || e.begin(p) {
		e.pieces(p, len(p.entries))
	}
	// Else the rest is for the new size and needs another request, where the
	// viewer sends requests.
	v, u := p.v, &p.u
	if u.total > 0 {
		v.requested = false
		v.request.Clear()
		e.s.stats.updates.Add(1)
		e.s.stats.rects.Add(uint64(u.total))
	}
	u.end()
	if u.total > 0 && v.continuous && v.can.fence {
		u.add(v.pace.ask(now))
	}
	var b batch
	switch b.bufs, b.n = u.take(); {
	case p.rest != nil:
		v.pace.handed(b.n, now)
		p.rest <- b
		close(p.rest)
	case len(b.bufs) > 0:
		v.hand(b, now)
	}
}

// begin begins a viewer's update with what goes before pixels. It returns
// false where there may be none, because the viewer's picture is of another
// size now.
func (e *engine) begin(p *part) bool {
	v, u := p.v, &p.u
	u.add(v.control)
	v.control = nil
	for _, m := range e.clipboardDue(v) {
		u.share(m)
	}
	if v.mapStale {
		u.add(colourMap())
		v.mapStale = false
	}
	if e.sizeUpdate(v, u) {
		return false
	}
	e.extras(v, u)
	for _, m := range v.moves {
		p := encoding.CopyRect(m.rect, m.from)
		u.piece(&p)
	}
	v.moves = nil
	return true
}

// pieces adds the next n entries.
func (e *engine) pieces(p *part, n int) {
	for _, en := range p.entries[:n] {
		for i := range en.pieces {
			p.u.piece(&en.pieces[i])
		}
		p.v.lose(en)
	}
	p.entries = p.entries[n:]
}

// extras adds the pseudo-rectangles that are due.
func (e *engine) extras(v *viewer, u *update) {
	if v.keysStale {
		u.raw(wire.RectangleHeader{Encoding: wire.PseudoQEMUExtendedKeyEvent}.Append(nil))
		v.keysStale, v.keysTold = false, true
	}
	if v.nameStale && v.can.desktopName {
		u.raw(wire.AppendDesktopName(nil, e.name))
		v.nameStale = false
	}
	if v.ledsStale && v.can.anyLEDs() {
		if v.can.leds {
			u.raw(wire.AppendLEDState(nil, uint8(e.leds)))
		} else {
			u.raw(wire.AppendVMwareLEDState(nil, uint8(e.leds)))
		}
		v.ledsStale = false
	}
	e.pointerExtras(v, u)
	if v.wantsCursor(e) {
		p := e.cursor.message(v)
		u.piece(&p)
		v.cursorStale = false
	}
}

// update is a FramebufferUpdate that is being put together for one viewer,
// with what goes before and after it.
type update struct {
	streams *encoding.Streams
	bufs    net.Buffers
	own     []byte // the last of bufs, while it can still grow
	head    []byte // the head of the update that is begun, a buffer of its own
	open    bool   // it ends with a LastRect, not after a number of rectangles
	rects   int
	total   int
	n       int
}

// shortData is up to what length shared data is copied rather than written
// from where it is: a buffer of its own costs more than the copy.
const shortData = 512

// add appends bytes that are nobody else's.
func (u *update) add(b []byte) {
	if len(b) == 0 {
		return
	}
	u.n += len(b)
	u.own = append(u.own, b...)
}

// flushOwn makes the bytes of our own a buffer.
func (u *update) flushOwn() {
	if len(u.own) > 0 {
		u.bufs = append(u.bufs, u.own)
		u.own = nil
	}
}

// rect begins the next rectangle, and the update with the first one or where
// it can count no further.
func (u *update) rect() {
	if u.rects == wire.MaxRects-1 && !u.open {
		u.end()
	}
	u.begin()
	u.rects++
	u.total++
	if !u.open { // else it may be with the writer already
		wire.FramebufferUpdate{Rects: u.rects}.Append(u.head[:0])
	}
}

// leaveOpen makes the update one that ends with a LastRect instead of after so
// many rectangles. Its head is written then.
func (u *update) leaveOpen() {
	u.begin()
	u.open = true
	wire.FramebufferUpdate{Rects: wire.MaxRects}.Append(u.head[:0])
}

// begin writes the head where there is none yet.
func (u *update) begin() {
	if u.head == nil {
		u.flushOwn()
		u.head = wire.FramebufferUpdate{}.Append(nil)
		u.bufs = append(u.bufs, u.head)
		u.n += len(u.head)
	}
}

func (u *update) raw(b []byte) {
	u.rect()
	u.add(b)
}

func (u *update) piece(p *encoding.Piece) {
	u.rect()
	before := len(u.own)
	u.own = u.streams.AppendHeader(u.own, p)
	u.n += len(u.own) - before
	u.share(p.Data)
}

// share appends bytes that are others' too.
func (u *update) share(b []byte) {
	if len(b) <= shortData {
		u.add(b)
		return
	}
	u.flushOwn()
	u.bufs = append(u.bufs, b)
	u.n += len(b)
}

// end ends the FramebufferUpdate.
func (u *update) end() {
	if u.open {
		u.add(wire.RectangleHeader{Encoding: wire.PseudoLastRect}.Append(nil))
	}
	u.rects, u.head, u.open = 0, nil, false
}

// take returns what was put together since it was called last.
func (u *update) take() (bufs net.Buffers, n int) {
	u.flushOwn()
	bufs, n = u.bufs, u.n
	u.bufs, u.n = nil, 0
	return bufs, n
}

// colourMap is the message that makes a viewer's colour map the cube of
// colours that the converter writes indices of.
func colourMap() []byte {
	m := wire.SetColourMapEntries{}
	for _, c := range pixel.ColourMap() {
		m.Colours = append(m.Colours, wire.Colour{R: c[0], G: c[1], B: c[2]})
	}
	return m.Append(nil)
}
