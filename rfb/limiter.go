package rfb

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bounds of what guessing at passwords costs.
const (
	// firstWait is how long the answer to a first wrong password takes. It
	// doubles with each further one, up to longestWait.
	firstWait   = 500 * time.Millisecond
	longestWait = 8 * time.Second
	// longestQueue is how long an answer waits at most for those before it;
	// beyond, it is that there were too many, and says nothing of the password.
	longestQueue = 30 * time.Second
	// forgetAfter is how long after the last wrong password a host is as good
	// as any other.
	forgetAfter = 10 * time.Minute
	// maxHosts bounds the hosts remembered. Where there are more, all further
	// ones are taken for one.
	maxHosts = 1024
)

// errTooMany answers what came while too many answers were waiting.
var errTooMany = errors.New("too many failed attempts from this address: wait a minute and try again")

// limiter slows guessing at passwords, by host. The answers to a host that
// guesses wrong, right ones included, come one after another with growing
// waits between them: otherwise many connections at once would guess as fast
// as ever, and the right password would be the one that is answered at once.
// It may be used by any goroutine.
type limiter struct {
	mu    sync.Mutex
	hosts map[string]*guesses
}

// guesses is what is known of one host. Guarded by limiter.mu.
type guesses struct {
	failures int       // wrong passwords in a row
	last     time.Time // of the last one
	next     time.Time // when the next answer may be given
}

// turn says how long the answer to a proof that came now has to wait, and how
// many wrong ones the host has sent. The error is errTooMany.
func (l *limiter) turn(addr net.Addr, wrong bool, now time.Time) (wait time.Duration, failures int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := hostOf(addr)
	g := l.hosts[key]
	if g != nil && now.Sub(g.last) >= forgetAfter {
		delete(l.hosts, key)
		g = nil
	}
	if g == nil && wrong {
		g = l.rememberLocked(key, now)
	}
	if g == nil {
		return 0, 0, nil
	}
	at := g.next
	if at.Before(now) {
		at = now
	}
	if wrong {
		g.failures++
		g.last = now
		step := longestWait
		if shift := g.failures - 1; shift < 8 {
			step = min(firstWait<<shift, longestWait)
		}
		at = at.Add(step)
	}
	if wait = at.Sub(now); wait > longestQueue {
		return 0, g.failures, errTooMany
	}
	g.next = at
	return wait, g.failures, nil
}

// rememberLocked makes an entry, or finds the one that many share.
func (l *limiter) rememberLocked(key string, now time.Time) *guesses {
	if l.hosts == nil {
		l.hosts = make(map[string]*guesses)
	}
	if len(l.hosts) >= maxHosts {
		for k, g := range l.hosts {
			if now.Sub(g.last) >= forgetAfter {
				delete(l.hosts, k)
			}
		}
	}
	if len(l.hosts) >= maxHosts {
		key = "" // the one more that may be there
	}
	g := l.hosts[key]
	if g == nil {
		g = new(guesses)
		l.hosts[key] = g
	}
	return g
}

// hostOf is the host of an address without its port; of an IPv6 address the
// network of 64 bits, which is what one host has to choose from.
func hostOf(addr net.Addr) string {
	if addr == nil {
		return "?"
	}
	if to, err := netip.ParseAddrPort(addr.String()); err == nil {
		ip := to.Addr().Unmap().WithZone("")
		if ip.Is4() {
			return ip.String()
		}
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.Network() + " " + addr.String()
}
