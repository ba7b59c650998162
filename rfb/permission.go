package rfb

import "sync"

// Permission says what one viewer may do, and may be changed while the viewer
// is served. The zero value lets it do all that its ViewerConfig does. Its
// methods may be called from any goroutine.
type Permission struct {
	mu       sync.Mutex
	viewOnly bool
	v        *viewer // nil while none is served
}

// SetViewOnly drops the viewer's input, its clipboard and its wishes from now
// on, or no more. When it returns, all that the viewer held is let go, keys
// and buttons, and nothing that it sends reaches the source.
func (p *Permission) SetViewOnly(viewOnly bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.viewOnly == viewOnly {
		return
	}
	p.viewOnly = viewOnly
	if p.v != nil {
		p.v.s.input.bar(p.v, viewOnly)
		p.v.s.post(permitted{p.v})
	}
}

// attach makes v the viewer that p is of, nil nobody. A nil Permission never
// changes anything.
func (p *Permission) attach(v *viewer) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.v = v
	if v != nil {
		v.barred.Store(p.viewOnly)
	}
}

// bar changes whether v may act, and lets go of what it holds where it may not.
func (in *input) bar(v *viewer, barred bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	v.barred.Store(barred)
	if barred {
		in.releaseLocked(v)
	}
}

// permitted tells the loop that what a viewer may do has changed: it is said
// anew what its clipboard is good for, and that it may act on the power.
type permitted struct{ v *viewer }

func (ev permitted) do(e *engine) {
	v := ev.v
	if _, there := e.viewers[v]; !there {
		return
	}
	e.offerPower(v)
	e.clipboardListed(v, true)
}

// viewOnly reports whether what the viewer sends is dropped.
func (v *viewer) viewOnly() bool { return v.cfg.ViewOnly || v.s.cfg.ViewOnly || v.barred.Load() }

// mayAct is asked before something that the viewer sent is carried out, on the
// viewer's own goroutine.
func (v *viewer) mayAct() bool {
	if v.viewOnly() {
		return false
	}
	if f := v.cfg.Acts; f != nil {
		f()
	}
	return true
}
