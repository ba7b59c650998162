package proxy_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

func leased(l proxy.Lease) func(*proxy.Config, *proxy.Node) {
	return func(_ *proxy.Config, n *proxy.Node) { n.Lease = l }
}

// ends waits for the end of a lease that is due, farewell included.
func (p *person) wantEnd(code int, text string) {
	p.b.t.Helper()
	after(2 * time.Second)
	if got, why := p.code(); got != code || !strings.Contains(why, text) {
		p.b.t.Errorf("the session ended with %d %q, not %d %q", got, why, code, text)
	}
}

// wantState checks the console's state.
func (b *bubble) wantState(want proxy.State) proxy.Status {
	b.t.Helper()
	synctest.Wait()
	st := b.svc.Console("n").Status()
	if st.State != want {
		b.t.Fatalf("the console is %v (%s), not %v", st.State, st.Reason, want)
	}
	return st
}

func (n *pipes) counts() (starts, stops int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.starts), n.stops
}

// A console that nobody uses is closed, and opens again with the same token.
func TestIdleLease(t *testing.T) {
	people(t, nil, func(t *testing.T, b *bubble) {
		ann := b.come("Ann", operates)
		eve := b.come("Eve", views)
		began := time.Now()
		after(10 * time.Minute)
		ann.press('a', true) // and holds it
		s := ann.snapshot()
		if s.Lease.IdleSeconds != 900 || s.Lease.WarningSeconds != 60 || s.Lease.ExpiresAt == nil || s.Lease.EndsAt != nil ||
			!s.Lease.ExpiresAt.Equal(began.Add(25*time.Minute)) {
			t.Errorf("after a key: %+v, it is %v", s.Lease, time.Now())
		}
		after(14 * time.Minute)
		_, code := b.asks(eve.token, eve.secret, "POST", "/lease", `{"action":"extend"}`)
		wantCode(t, code, "")
		_, code = b.asks(eve.token, eve.secret, "POST", "/lease", `{"action":"end"}`)
		wantCode(t, code, "field")
		after(15*time.Minute - time.Second)
		b.wantState(proxy.Live)
		if code, _ := ann.code(); code != 0 {
			t.Fatalf("ended with %d", code)
		}
		b.came()
		after(time.Second)
		if st := b.wantState(proxy.Cold); !st.Enabled || st.Reason != "Nobody used it for 15 minutes." {
			t.Errorf("after the lease: %+v", st)
		}
		ann.wantEnd(4002, "Nobody used it for 15 minutes.")
		eve.wantEnd(4002, "Nobody used it for 15 minutes.")
		if starts, stops := b.node.counts(); starts != 1 || stops != 1 {
			t.Errorf("%d starts and %d stops", starts, stops)
		}
		if s, _ := b.asks(bearer, "", "GET", "", ""); s.Seats.Count != 0 || s.Lease.ExpiresAt != nil || s.State != "cold" {
			t.Errorf("afterwards: %+v", s)
		}
		_, code = b.asks(eve.token, "", "POST", "/lease", `{"action":"extend"}`)
		wantCode(t, code, "lease-none")

		after(time.Hour)
		ann.open("Ann")
		b.wantState(proxy.Live)
		b.came()
		ann.press('b', true)
		b.wantKeys(down('b'))
		after(14 * time.Minute)
		b.wantState(proxy.Live)
		after(2 * time.Minute)
		b.wantState(proxy.Cold)
	})
}

// Nothing is cut while somebody works, and nobody is told more often than need
// be.
func TestLeaseOfWork(t *testing.T) {
	people(t, leased(proxy.Lease{Idle: 10 * time.Minute, Warning: 2 * time.Minute}), func(t *testing.T, b *bubble) {
		ann := b.come("Ann", operates)
		events := b.listen(ann.token, ann.secret, "/console/events")
		for range 180 {
			after(20 * time.Second)
			ann.press('a', true)
			ann.press('a', false)
		}
		b.wantState(proxy.Live)
		// What people were told last is never in its last two minutes.
		list := events.take()
		if len(list) < 5 || len(list) > 15 {
			t.Errorf("%d events in an hour of work", len(list))
		}
		for i, e := range list {
			if i > 0 && e.at.After(list[i-1].snapshot.Lease.ExpiresAt.Add(-2*time.Minute)) {
				t.Errorf("event %d comes at %v, after the warning for %v", i, e.at, list[i-1].snapshot.Lease.ExpiresAt)
			}
		}

		// In the last minutes every use is told at once.
		after(9 * time.Minute)
		s := events.take()
		if last := s[len(s)-1].snapshot.Lease; time.Until(*last.ExpiresAt) > time.Minute {
			t.Fatalf("a minute before the end it is said to be at %v", last.ExpiresAt)
		}
		ann.press('a', true)
		after(time.Second)
		s = events.take()
		if len(s) != 1 || time.Until(*s[0].snapshot.Lease.ExpiresAt) < 9*time.Minute {
			t.Errorf("after a key in the last minute came %+v", s)
		}
		after(10 * time.Minute)
		if s = events.take(); s[len(s)-1].snapshot.State != "cold" {
			t.Errorf("at the end came %+v", s)
		}
		ann.wantEnd(4002, "10 minutes")
		events.stop()
	})
}

// The lease runs for people. Without them the console ends when it did.
func TestLeaseWithoutViewers(t *testing.T) {
	people(t, func(cfg *proxy.Config, _ *proxy.Node) {
		cfg.Lease, cfg.Linger = proxy.Lease{Idle: time.Minute}, time.Hour
	}, func(t *testing.T, b *bubble) {
		ann := b.come("Ann", operates)
		after(50 * time.Second)
		ann.leave()
		after(30 * time.Minute)
		b.wantState(proxy.Live)
		ann.open("Ann") // is somebody at work
		after(50 * time.Second)
		b.wantState(proxy.Live)
		// One that comes back after a break is no work.
		ann.breakOff()
		after(5 * time.Second)
		ann.open("Ann")
		after(10 * time.Second)
		ann.wantEnd(4002, "for 1 minute.")
	})
}

func TestLongestLease(t *testing.T) {
	people(t, leased(proxy.Lease{Idle: -1, Max: 2 * time.Hour}), func(t *testing.T, b *bubble) {
		ann := b.come("Ann", operates)
		s := ann.snapshot()
		if s.Lease.IdleSeconds != 0 || s.Lease.ExpiresAt != nil || s.Lease.EndsAt == nil || time.Until(*s.Lease.EndsAt) > 2*time.Hour {
			t.Errorf("%+v", s.Lease)
		}
		for range 115 {
			after(time.Minute)
			ann.press('a', true)
		}
		ann.leave()
		ann.open("Ann") // which begins nothing anew
		after(4 * time.Minute)
		b.wantState(proxy.Live)
		after(time.Minute)
		ann.wantEnd(4002, "Its time of 2 hours is over.")
		b.wantState(proxy.Cold)
		ann.open("Ann")
		after(110 * time.Minute)
		b.wantState(proxy.Live)
	})
}

// What the service says holds where the node says nothing.
func TestLeaseOfNode(t *testing.T) {
	people(t, func(cfg *proxy.Config, n *proxy.Node) {
		cfg.Lease = proxy.Lease{Idle: 40 * time.Second, Max: time.Hour, Warning: time.Hour}
		n.Lease = proxy.Lease{Idle: 90 * time.Second, Max: -1}
	}, func(t *testing.T, b *bubble) {
		if l := b.come("Ann", operates).snapshot().Lease; l.IdleSeconds != 90 || l.WarningSeconds != 45 || l.EndsAt != nil {
			t.Errorf("the lease is %+v", l)
		}
	})
}

// Once with a clock that nobody moves.
func TestLeaseForReal(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, func(c *proxy.Config) { c.Lease.Idle = 1500 * time.Millisecond }, proxy.Node{Name: "n", Backend: m})
	tok := s.token("n", token.Operate)
	v := operator(t, s.view(tok))
	await(t, v, m)
	used := time.Now()
	if err := v.Send(wire.KeyEvent{Down: true, Keysym: 'a'}); err != nil {
		t.Fatal(err)
	}
	ws := v.Conn.(*wsPipe)
	_ = ws.SetReadDeadline(time.Now().Add(rfbtest.Patience))
	var err error
	for err == nil {
		_, _, err = ws.ReadMessage()
	}
	if !websocket.IsCloseError(err, 4002) || !strings.Contains(err.Error(), "Nobody used it") || time.Since(used) < 1500*time.Millisecond {
		t.Errorf("%v after the last key the session ended with %v", time.Since(used), err)
	}
	s.awaitLog("console stopped")
	if _, stops, _ := m.counts(); stops != 1 {
		t.Errorf("%d stops", stops)
	}
	await(t, operator(t, s.view(tok)), m)
}
