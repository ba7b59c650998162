package proxy

import (
	"net/http"
	"slices"
	"time"

	"github.com/ironglass/ironglass/proxy/token"
)

// SeatPolicy says who of those that may operate a console does.
type SeatPolicy string

// The policies; "" is SeatsShared.
const (
	// SeatsShared: everybody who may.
	SeatsShared SeatPolicy = "shared"
	// SeatsExclusive: one at a time. The first who may gets the seat. When the
	// operator leaves or releases it, the seat goes to the one who has asked
	// for longest, else to the next who may in the order in which they came.
	SeatsExclusive SeatPolicy = "exclusive"
)

const (
	// seatIdle is after how long without input an operator does not hold up
	// others any more.
	seatIdle = time.Minute
	// seatCountdown is how long such an operator can still keep the seat, by
	// any input, after it was seen that somebody waits for it.
	seatCountdown = 10 * time.Second
)

// seats is who is at a console and who operates it. It is guarded by
// Console.mu.
type seats struct {
	exclusive bool
	all       []*session // in the order in which they came
	operator  *session   // nil where nobody does, or everybody
	since     time.Time  // when the operator got the seat
	grantsAt  time.Time  // when the one who asked first gets it; zero unless it counts down
	news      []seatNews // what happened and was not told yet
}

// seatNews is a change of seats for the audit log.
type seatNews struct {
	action string
	x      *session // whose the seat is then, or who is refused; nil is nobody
}

func (s *seats) find(id string) *session {
	for _, x := range s.all {
		if x.id == id {
			return x
		}
	}
	return nil
}

// present is the session with that id if it is connected, else nil.
func (s *seats) present(id string) *session {
	if x := s.find(id); x != nil && x.there() {
		return x
	}
	return nil
}

// anybody reports whether somebody is connected.
func (s *seats) anybody() bool { return slices.ContainsFunc(s.all, (*session).there) }

// operates reports whether what x sends goes to the node.
func (s *seats) operates(x *session) bool {
	return x.mode == token.Operate && (!s.exclusive || s.operator == x)
}

// give makes x the operator; nil is nobody.
func (s *seats) give(action string, x *session, now time.Time) {
	s.operator, s.since = x, now
	if x != nil {
		x.asked = time.Time{}
	}
	s.news = append(s.news, seatNews{action, x})
}

// first is who has asked for longest of those that are there, else nil.
func (s *seats) first() *session {
	var first *session
	for _, x := range s.all {
		if x.there() && !x.asked.IsZero() && (first == nil || x.asked.Before(first.asked)) {
			first = x
		}
	}
	return first
}

// pass gives the operator's seat to whoever is next.
func (s *seats) pass(action string, now time.Time) {
	next := s.first()
	if next == nil {
		if i := slices.IndexFunc(s.all, func(x *session) bool {
			return x.there() && x.mode == token.Operate && x != s.operator
		}); i >= 0 {
			next = s.all[i]
		}
	}
	s.give(action, next, now)
}

// came follows a session that has connected.
func (s *seats) came(x *session, now time.Time) {
	switch {
	case !s.exclusive:
	case x.mode != token.Operate:
		x.asked = time.Time{}
		if s.operator == x {
			s.pass("seat-passed", now)
		}
	case s.operator == nil:
		s.give("seat-granted", x, now)
	}
}

// gone takes a session out.
func (s *seats) gone(x *session, now time.Time) {
	s.all = slices.DeleteFunc(s.all, func(y *session) bool { return x == y })
	if s.operator == x {
		s.pass("seat-passed", now)
	}
}

// due does what is to happen by itself at a time, and returns when there is
// more to do, zero for never. alert is set while the operator's input changes
// that.
func (s *seats) due(now time.Time) (next time.Time, alert bool) {
	for _, x := range slices.Clone(s.all) {
		if x.there() {
			continue
		}
		if end := x.left.Add(awayTime); now.Before(end) {
			next = sooner(next, end)
		} else {
			s.gone(x, now)
		}
	}
	s.grantsAt = time.Time{}
	first := s.first()
	if s.operator == nil || first == nil {
		return next, false
	}
	idle := later(s.lastUse().Add(seatIdle), first.asked)
	switch end := idle.Add(seatCountdown); {
	case now.Before(idle):
		return sooner(next, idle), false
	case now.Before(end):
		s.grantsAt = end
		return sooner(next, end), true
	}
	s.pass("seat-passed", now)
	return next, false
}

// lastUse is when the operator last used its seat.
func (s *seats) lastUse() time.Time {
	return later(time.Unix(0, s.operator.used.Load()), s.since)
}

// idle reports whether the operator holds up nobody: it is away, or has not
// used its seat for seatIdle.
func (s *seats) idle(now time.Time) bool {
	return !s.operator.there() || now.Sub(s.lastUse()) >= seatIdle
}

// act carries out one of the things that can be done about seats: me does it,
// nil where the request comes from no session, and may be about other, nil
// where it names none. admin may do more.
func (s *seats) act(action string, me, other *session, admin bool, now time.Time) *problem {
	conflict := func(code, format string, args ...any) *problem {
		return newProblem(http.StatusConflict, code, format, args...)
	}
	switch action {
	case "request", "withdraw", "release":
		if me == nil {
			return noSession()
		}
	case "grant", "refuse":
		switch {
		case !admin && (me == nil || me != s.operator):
			return conflict("seat-not-yours", "Only who operates the console can decide that.")
		case other == nil || other.asked.IsZero():
			return conflict("seat-not-requested", "Nobody with this session asks for the seat.")
		}
	case "take":
		if other == nil {
			other = me
		}
		switch {
		case !admin:
			return newProblem(http.StatusForbidden, "seat-admin", "Only an administrator may take the seat. Ask for it instead.")
		case other == nil:
			return noSession()
		}
	default:
		return newProblem(http.StatusBadRequest, "field",
			`The field "action" is none of request, withdraw, grant, refuse, take and release.`)
	}
	if !s.exclusive {
		return conflict("seat-shared", "Everybody operates this console: there is no seat to decide on.")
	}
	switch action {
	case "request":
		switch {
		case me.mode != token.Operate:
			return conflict("seat-view", "Your link lets you look only.")
		case s.operator == nil:
			s.give("seat-granted", me, now)
		case s.operator != me && me.asked.IsZero():
			me.asked = now
			s.news = append(s.news, seatNews{"seat-requested", me})
		}
	case "withdraw":
		me.asked = time.Time{}
	case "release":
		if s.operator != me {
			return conflict("seat-not-yours", "You do not operate the console.")
		}
		s.pass("seat-released", now)
	case "grant":
		s.give("seat-granted", other, now)
	case "refuse":
		other.asked = time.Time{}
		s.news = append(s.news, seatNews{"seat-refused", other})
	case "take":
		if other.mode != token.Operate {
			return conflict("seat-view", "That session may look only.")
		}
		if s.operator != other {
			s.give("seat-taken", other, now)
		}
	}
	return nil
}

func noSession() *problem {
	return newProblem(http.StatusConflict, "seat-session",
		"This is for somebody who has the console open: send the session's secret as %s.", sessionHeader)
}

// sooner is the earlier of two times, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
