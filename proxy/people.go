package proxy

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/ironglass/ironglass/rfb"
)

// people is who looks at one hub, who of them operates it, and how long that
// goes on. It is guarded by Console.mu.
type people struct {
	seats
	lease
}

// parting is why everybody was sent away, and the error of their sessions.
type parting struct {
	code           int // of the websocket's close frame
	headline, text string
}

func (e *parting) Error() string { return e.headline + ": " + e.text }

func (e *parting) Unwrap() error { return rfb.ErrClosed }

// cause is who caused a change; r is nil where time did.
type cause struct {
	by caller
	r  *http.Request
}

// byItself is the cause of what nobody asked for.
var byItself = cause{}

// settle does what is due among h's people, tells of all that has changed, and
// sets the clock for what will be due. It is called with c.mu held and gives it
// up, because the RFB server must not be waited for under it.
func (c *Console) settle(h *hub, now time.Time, from cause) {
	if c.hub != h {
		c.mu.Unlock()
		return // all of them were sent away
	}
	p := &h.people
	// Use that comes from here on either is seen below or rings the clock.
	c.alert.Store(true)
	used := time.Unix(0, c.activeAt.Load())
	next, alert := p.seats.due(now)
	over := ""
	if p.anybody() {
		if p.began.IsZero() {
			p.began = now
		}
		var at time.Time
		var hot bool
		over, at, hot = p.lease.due(now, used)
		next, alert = sooner(next, at), alert || hot
	}
	news := p.news
	p.news = nil
	var stop func()
	switch {
	case over != "":
		stop = c.haltLocked(&parting{closeLease, "The console was closed", over})
	case next.IsZero():
		c.clock.Stop()
	default:
		c.clock.Reset(next.Sub(now))
	}
	c.alert.Store(alert && over == "")
	c.notifyLocked()
	c.mu.Unlock()

	c.enforce(h)
	for _, n := range news {
		c.audit(n.action, from.by, from.r, c, n.attrs()...)
	}
	if stop != nil {
		c.audit("lease-ended", caller{}, nil, c, slog.String("reason", over))
		stop()
	}
}

func (n seatNews) attrs() []slog.Attr {
	if n.x == nil {
		return nil
	}
	return []slog.Attr{slog.String("session", n.x.id), slog.String("name", n.x.name)}
}

// enforce has the RFB server drop what people send that do not operate. Who
// may no more is stopped before another may.
func (c *Console) enforce(h *hub) {
	c.enforcing.Lock()
	defer c.enforcing.Unlock()
	c.mu.Lock()
	var barred, free []*line
	for _, x := range h.people.all {
		switch {
		case !x.there():
		case h.people.operates(x):
			free = append(free, x.line)
		default:
			barred = append(barred, x.line)
		}
	}
	c.mu.Unlock()
	for _, l := range barred {
		l.may.SetViewOnly(true)
	}
	for _, l := range free {
		l.may.SetViewOnly(false)
	}
}

// tick is the clock's.
func (c *Console) tick() {
	c.mu.Lock()
	if c.hub == nil {
		c.mu.Unlock()
		return
	}
	c.settle(c.hub, time.Now(), byItself)
}

// among has f change something among the people at the console. Where there is
// nobody f is given people that are none.
func (c *Console) among(from cause, f func(p *people, now time.Time) *problem) *problem {
	now := time.Now()
	c.mu.Lock()
	if c.hub == nil {
		c.mu.Unlock()
		return f(&people{seats: seats{exclusive: c.node.Seats == SeatsExclusive}}, now)
	}
	p := f(&c.hub.people, now)
	c.settle(c.hub, now, from)
	return p
}

// mayType reports why keys may not be sent to the node by a call of the API:
// who uses the console by its pages must have the seat, and who does not may
// send keys while nobody has it. secret is that of the caller's session, "" for
// none. nil is that they may, and counts as use. Who sends keys for long asks
// again and again.
func (c *Console) mayType(by caller, secret string) *problem {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var me *session
	if c.hub != nil {
		p := &c.hub.people
		if secret != "" {
			me = p.present(publicID(secret))
		}
		switch o := p.operator; {
		case o == nil || o == me:
		case by.admin && p.idle(now):
		default:
			name := o.name
			if name == "" {
				name = "Somebody else"
			}
			return newProblem(http.StatusConflict, "seat-taken", "%s operates this console. Ask for the seat first.", name)
		}
	}
	if me != nil {
		me.used.Store(now.UnixNano())
	}
	c.active(now)
	return nil
}

// postSeat is POST /v1/nodes/{id}/console/seat: asking for the seat, deciding
// about it and giving it up.
func (s *Service) postSeat(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	var body struct {
		Action  string `json:"action"`
		Session string `json:"session"`
	}
	p := readJSON(w, r, s.cfg.Limits.BodyBytes, &body)
	var id string
	if p == nil {
		id, p = sessionOf(r)
	}
	if p == nil {
		p = c.among(cause{by, r}, func(people *people, now time.Time) *problem {
			other := people.present(body.Session)
			if body.Session != "" && other == nil {
				return newProblem(http.StatusConflict, "seat-session", "Nobody is at this console with the session %.20q.", body.Session)
			}
			return people.act(body.Action, people.present(id), other, by.decides(), now)
		})
	}
	if p != nil {
		respondProblem(w, p)
		return
	}
	s.getSnapshot(w, r, c, by)
}

// postLease is POST /v1/nodes/{id}/console/lease, by which somebody says that
// the console is still looked at.
func (s *Service) postLease(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	var body struct {
		Action string `json:"action"`
	}
	p := readJSON(w, r, s.cfg.Limits.BodyBytes, &body)
	if p == nil && body.Action != "extend" {
		p = newProblem(http.StatusBadRequest, "field", `The field "action" must be "extend".`)
	}
	if p == nil {
		p = c.among(cause{by, r}, func(people *people, now time.Time) *problem {
			if !people.anybody() {
				return newProblem(http.StatusConflict, "lease-none", "Nobody has this console open, so it has no lease to extend.")
			}
			c.activeAt.Store(now.UnixNano())
			return nil
		})
	}
	if p != nil {
		respondProblem(w, p)
		return
	}
	s.audit("lease-extended", by, r, c)
	s.getSnapshot(w, r, c, by)
}
