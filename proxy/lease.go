package proxy

import (
	"fmt"
	"time"
)

// Lease is how long a console goes on for people who do not use it. It runs
// while somebody is connected; without viewers a console ends by itself. Zero
// is the default, negative is off.
type Lease struct {
	// Idle is how long it goes on after the last input, or the last time that
	// somebody opened or extended it; default 15 minutes.
	Idle time.Duration
	// Max is how long it goes on altogether, from when it was started for the
	// first of the viewers; by default there is no end.
	Max time.Duration
	// Warning is how long before its end people are shown the time that is
	// left; default a minute, at most half of Idle.
	Warning time.Duration
}

// or returns the lease with the values of d where it has none.
func (l Lease) or(d Lease) Lease {
	orDefault(&l.Idle, d.Idle)
	orDefault(&l.Max, d.Max)
	orDefault(&l.Warning, d.Warning)
	return l
}

// withDefaults fills in the rest.
func (l Lease) withDefaults() Lease {
	l = l.or(Lease{Idle: 15 * time.Minute, Max: -1, Warning: time.Minute})
	if l.Idle > 0 {
		l.Warning = min(l.Warning, l.Idle/2)
	}
	l.Warning = max(l.Warning, 0)
	return l
}

// leaseLead is how long before a warning is due it is looked at whether it
// still is, so that nobody is warned on account of what was known before.
const leaseLead = 2 * time.Second

// lease is a Lease that runs. It is guarded by Console.mu.
type lease struct {
	Lease
	began time.Time // zero while it does not run
	shown time.Time // the idle end that people were told last
}

// ends are when the lease is over for want of use, and at all; zero is never.
func (l *lease) ends(used time.Time) (idle, most time.Time) {
	if l.began.IsZero() {
		return time.Time{}, time.Time{}
	}
	if l.Idle > 0 {
		idle = later(used, l.began).Add(l.Idle)
	}
	if l.Max > 0 {
		most = l.began.Add(l.Max)
	}
	return idle, most
}

// due returns why the lease is over at a time, "" where it is not, and when to
// look again, zero for never: whenever that is, people must be told anew. alert
// is set while any use changes what they must be told.
func (l *lease) due(now, used time.Time) (over string, next time.Time, alert bool) {
	idle, most := l.ends(used)
	switch {
	case !idle.IsZero() && !now.Before(idle):
		return fmt.Sprintf("Nobody used it for %s.", inWords(l.Idle)), next, false
	case !most.IsZero() && !now.Before(most):
		return fmt.Sprintf("Its time of %s is over.", inWords(l.Max)), next, false
	}
	next = sooner(idle, most)
	if idle.IsZero() {
		return "", next, false
	}
	lead := func() time.Time { return l.shown.Add(-l.Warning - leaseLead) }
	if !l.shown.Equal(idle) && (l.shown.IsZero() || !now.Before(lead())) {
		l.shown = idle
	}
	if now.Before(lead()) {
		return "", sooner(next, lead()), false
	}
	return "", next, true
}

// inWords is a time as people say it.
func inWords(d time.Duration) string {
	unit, name := time.Second, "second"
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		unit, name = time.Hour, "hour"
	case d >= time.Minute && d%time.Minute == 0:
		unit, name = time.Minute, "minute"
	case d < time.Second:
		return d.String()
	}
	n := int64(d.Round(unit) / unit)
	if n != 1 {
		name += "s"
	}
	return fmt.Sprintf("%d %s", n, name)
}

// active is told each time that somebody uses the console. It is called with
// locks of the RFB server held.
func (c *Console) active(now time.Time) {
	c.activeAt.Store(now.UnixNano())
	if c.alert.Load() {
		c.clock.Reset(0)
	}
}
