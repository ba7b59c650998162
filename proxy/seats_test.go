package proxy_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
)

func exclusive(_ *proxy.Config, n *proxy.Node) { n.Seats = proxy.SeatsExclusive }

func down(k uint32) rfb.KeyEvent { return rfb.KeyEvent{Down: true, Keysym: k} }
func up(k uint32) rfb.KeyEvent   { return rfb.KeyEvent{Keysym: k} }

// wantKeys checks what the node was told.
func (b *bubble) wantKeys(want ...rfb.KeyEvent) {
	b.t.Helper()
	if got := b.came(); fmt.Sprint(got) != fmt.Sprint(want) {
		b.t.Errorf("the node was told %v, not %v", got, want)
	}
}

func TestSharedSeats(t *testing.T) {
	people(t, nil, func(t *testing.T, b *bubble) {
		ann, bob, eve := b.come("Ann", operates), b.come("Bob", operates), b.come("Eve", views)
		ann.press('a', true)
		bob.press('b', true)
		eve.press('e', true)
		b.wantKeys(down('a'), down('b'))
		s := ann.snapshot()
		if s.Seats.Policy != "shared" || s.Seats.Operator != "" || s.Seats.Count != 3 || len(s.Seats.Sessions) != 3 || s.State != "live" || s.Width != 64 || !s.Enabled {
			t.Fatalf("%+v", s)
		}
		for i, p := range []*person{ann, bob, eve} {
			x := s.Seats.Sessions[i]
			if x.ID != p.id || len(x.ID) != 12 || x.Name != [...]string{"Ann", "Bob", "Eve"}[i] || x.Operating != (p != eve) || x.Remote != "" || x.Since.IsZero() {
				t.Errorf("%d: %+v", i, x)
			}
		}
		if s.You != ann.id || s.Mode != "operate" || s.TokenExpiresAt == nil || eve.snapshot().Mode != "view" {
			t.Errorf("%+v", s)
		}
		s, _ = b.asks(bearer, "", "GET", "", "")
		if s.You != "" || s.Seats.Sessions[1].Remote != "192.0.2.7" || s.TokenExpiresAt != nil {
			t.Errorf("the holder of the credential is told %+v", s)
		}
		wantCode(t, ann.seat("request", nil), "seat-shared")
		wantCode(t, b.seat(bearer, "", "take", bob), "seat-shared")
		if c := b.svc.Console("n").MayType(false, ann.secret) + b.svc.Console("n").MayType(true, ""); c != "" {
			t.Errorf("typing: %s", c)
		}
		bob.leave()
		b.wantKeys(up('b'))
		if got := ann.snapshot().names(); got != "Ann Eve" {
			t.Errorf("there are %s", got)
		}
	})
}

// One operates, the others ask, and whatever the seat does keys follow it.
func TestExclusiveSeat(t *testing.T) {
	people(t, exclusive, func(t *testing.T, b *bubble) {
		eve := b.come("Eve", views)
		b.wantOperator("")
		ann, bob, cid := b.come("Ann", operates), b.come("Bob", operates), b.come("Cid", operates)
		b.wantOperator("Ann")
		ann.press('a', true)
		bob.press('b', true)
		eve.press('e', true)
		b.wantKeys(down('a'))

		wantCode(t, bob.seat("grant", bob), "seat-not-yours")
		wantCode(t, bob.seat("release", nil), "seat-not-yours")
		wantCode(t, bob.seat("take", nil), "seat-admin")
		wantCode(t, ann.seat("grant", bob), "seat-not-requested")
		wantCode(t, eve.seat("request", nil), "token-mode")
		wantCode(t, b.seat(bearer, "", "request", nil), "seat-session")
		wantCode(t, b.seat(bob.token, "no-session-of-any-body", "request", nil), "seat-session")
		wantCode(t, b.seat(bob.token, "short", "request", nil), "session")
		wantCode(t, ann.seat("sit", nil), "field")
		_, code := b.asks(bob.token, bob.secret, "POST", "/seat", `{"action":"request","by":"me"}`)
		wantCode(t, code, "field")

		wantCode(t, bob.seat("request", nil), "")
		after(time.Second)
		wantCode(t, cid.seat("request", nil), "")
		wantCode(t, bob.seat("request", nil), "") // keeps its place
		if x := ann.snapshot().Seats.Sessions[2]; x.RequestedAt == nil || x.ID != bob.id || x.Operating {
			t.Errorf("the operator is shown %+v", x)
		}
		wantCode(t, ann.seat("refuse", bob), "")
		b.wantOperator("Ann")
		wantCode(t, ann.seat("grant", bob), "seat-not-requested")
		wantCode(t, bob.seat("request", nil), "")
		wantCode(t, bob.seat("withdraw", nil), "")
		wantCode(t, ann.seat("grant", bob), "seat-not-requested")
		wantCode(t, bob.seat("request", nil), "")

		b.wantKeys()
		wantCode(t, ann.seat("grant", bob), "")
		b.wantOperator("Bob")
		b.wantKeys(up('a')) // what Ann held is let go
		ann.press('a', true)
		bob.press('b', true)
		b.wantKeys(down('b'))

		// Cid has waited; Ann was first.
		bob.leave()
		b.wantKeys(up('b'))
		b.wantOperator("Cid")
		wantCode(t, cid.seat("release", nil), "")
		b.wantOperator("Ann")
		ann.press('x', true)
		cid.press('x', true)
		b.wantKeys(down('x'))
		ann.leave()
		b.wantKeys(up('x'))
		b.wantOperator("Cid")
		wantCode(t, cid.seat("release", nil), "")
		b.wantOperator("") // nobody else may
		cid.press('y', true)
		b.wantKeys()
		wantCode(t, cid.seat("request", nil), "")
		b.wantOperator("Cid")
		cid.press('y', true)
		b.wantKeys(down('y'))
		cid.leave()
		b.wantOperator("")
		if got := eve.snapshot().names(); got != "Eve" {
			t.Errorf("there are %s", got)
		}
	})
}

// An operator that does nothing is counted down when another asks, and any
// input keeps the seat.
func TestIdleOperator(t *testing.T) {
	people(t, exclusive, func(t *testing.T, b *bubble) {
		ann := b.come("Ann", operates)
		after(30 * time.Second)
		ann.press('a', true)
		ann.press('a', false)
		bob := b.come("Bob", operates)
		asked := time.Now()
		wantCode(t, bob.seat("request", nil), "")
		after(59 * time.Second)
		if s := bob.snapshot(); s.Seats.GrantsAt != nil {
			t.Errorf("%v after Ann's last key it counts down", time.Since(asked))
		}
		after(2 * time.Second)
		s := bob.snapshot()
		if s.Seats.GrantsAt == nil || time.Until(*s.Seats.GrantsAt) > 10*time.Second {
			t.Fatalf("a minute after Ann's last key: %+v", s.Seats)
		}
		ann.press('b', true) // she is back
		ann.press('b', false)
		if s := bob.snapshot(); s.Seats.GrantsAt != nil || s.operator() != "Ann" {
			t.Errorf("after a key it counts down: %+v", s.Seats)
		}
		after(69 * time.Second)
		b.wantOperator("Ann")
		after(2 * time.Second)
		b.wantOperator("Bob")
		b.came()
		ann.press('c', true)
		bob.press('d', true)
		b.wantKeys(down('d'))

		// Who has been idle for long has the countdown only.
		after(5 * time.Minute)
		b.wantOperator("Bob")
		wantCode(t, ann.seat("request", nil), "")
		after(9 * time.Second)
		b.wantOperator("Bob")
		after(2 * time.Second)
		b.wantOperator("Ann")
		b.wantKeys(up('d'))
	})
}

// A connection that breaks off keeps its place for as long as a page takes to
// come back.
func TestAwayOperator(t *testing.T) {
	people(t, exclusive, func(t *testing.T, b *bubble) {
		ann, bob := b.come("Ann", operates), b.come("Bob", operates)
		since := ann.snapshot().Seats.Sessions[0].Since
		ann.press('a', true)
		ann.breakOff()
		b.wantKeys(down('a'), up('a'))
		after(9 * time.Second)
		if s := bob.snapshot(); s.operator() != "Ann" || !s.Seats.Sessions[0].Away || s.Seats.Count != 2 {
			t.Errorf("9 s after the break: %+v", s.Seats)
		}
		ann.open("Ann")
		if s := bob.snapshot(); s.operator() != "Ann" || s.Seats.Sessions[0].Away || !s.Seats.Sessions[0].Since.Equal(since) {
			t.Errorf("with Ann back: %+v", s.Seats)
		}
		ann.press('a', true)
		bob.press('b', true)
		b.wantKeys(down('a'))
		ann.breakOff()
		after(11 * time.Second)
		if s := bob.snapshot(); s.operator() != "Bob" || s.names() != "Bob" {
			t.Errorf("11 s after the break: %+v", s.Seats)
		}
		bob.press('b', true)
		b.wantKeys(up('a'), down('b'))
		ann.open("Ann")
		b.wantOperator("Bob")

		// One that comes back with less loses the seat.
		bob.breakOff()
		bob.token = b.token(views, time.Hour)
		bob.open("Bob")
		b.wantOperator("Ann")
		bob.press('c', true)
		b.wantKeys(up('b'))
	})
}

func TestTakeOver(t *testing.T) {
	people(t, exclusive, func(t *testing.T, b *bubble) {
		ann, bob, eve := b.come("Ann", operates), b.come("Bob", operates), b.come("Eve", views)
		boss := b.come("ignored", token.Claims{Mode: token.Operate, Name: "Boss", Admin: true})
		wantCode(t, b.seat(boss.token, "", "take", nil), "seat-session")
		ann.press('a', true)
		wantCode(t, boss.seat("take", nil), "")
		b.wantOperator("Boss")
		boss.press('b', true)
		ann.press('x', true)
		b.wantKeys(down('a'), up('a'), down('b'))
		if s := boss.snapshot(); s.Seats.Sessions[0].Remote == "" || s.names() != "Ann Bob Eve Boss" {
			t.Errorf("an administrator is shown %+v", s.Seats)
		}
		wantCode(t, b.seat(bearer, "", "take", bob), "")
		b.wantOperator("Bob")
		wantCode(t, b.seat(bearer, "", "take", eve), "seat-view")
		wantCode(t, b.seat(bearer, "", "take", nil), "seat-session")
		wantCode(t, ann.seat("take", ann), "seat-admin")
		wantCode(t, ann.seat("request", nil), "")
		wantCode(t, boss.seat("grant", ann), "") // decides for the operator
		b.wantOperator("Ann")
		bob.leave()
		wantCode(t, b.seat(bearer, "", "take", bob), "seat-session") // is gone
	})
}

// Calls that type need the seat as well.
func TestSeatForTyping(t *testing.T) {
	people(t, exclusive, func(t *testing.T, b *bubble) {
		c := b.svc.Console("n")
		wantCode(t, c.MayType(false, ""), "") // nobody looks
		ann, bob := b.come("Ann", operates), b.come("Bob", operates)
		wantCode(t, c.MayType(false, ann.secret), "")
		wantCode(t, c.MayType(false, bob.secret), "seat-taken")
		wantCode(t, c.MayType(false, ""), "seat-taken")
		wantCode(t, c.MayType(true, ""), "seat-taken")
		after(59 * time.Second)
		wantCode(t, c.MayType(false, ann.secret), "") // is use of the seat
		after(59 * time.Second)
		wantCode(t, c.MayType(true, ""), "seat-taken")
		after(2 * time.Second)
		wantCode(t, c.MayType(false, ""), "seat-taken")
		wantCode(t, c.MayType(true, ""), "") // holds up no script
		wantCode(t, c.MayType(true, ""), "") // which is not use of the seat
	})
}

// What is typed through the API goes by the seat: it ends when another takes
// it, and is noted in the audit log without what it was.
func TestTypingFollowsTheSeat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	people(t, func(cfg *proxy.Config, n *proxy.Node) {
		exclusive(cfg, n)
		n.Keys.Rate = 10
		cfg.AuditFile = path
	}, func(t *testing.T, b *bubble) {
		b.node.source.Desktop(func(d *rfb.Desktop) { d.SetLEDState(0) })
		ann := b.come("Ann", operates)
		boss := b.come("Boss", token.Claims{Mode: token.Operate, Name: "Boss", Admin: true})
		for path, body := range map[string]string{"/text": `{"text":"xyz"}`, "/keys": `{"keys":["F2"]}`} {
			_, code := b.asks(boss.token, boss.secret, "POST", path, body)
			wantCode(t, code, "seat-taken")
		}
		if status, text := b.do(ann.token, ann.secret, "POST", "/keys", `{"keys":["F2"]}`); status != http.StatusNoContent {
			t.Fatalf("keys of who has the seat: %d %s", status, text)
		}
		b.came()
		secret := strings.Repeat("x", 50)
		if status, text := b.do(ann.token, ann.secret, "POST", "/text", `{"text":"`+secret+`"}`); status != http.StatusAccepted {
			t.Fatalf("a text of who has the seat: %d %s", status, text)
		}
		after(2 * time.Second)
		wantCode(t, boss.seat("take", nil), "")
		after(2 * time.Second)
		typed := len(b.came()) / 2
		if typed == 0 || typed > 25 {
			t.Errorf("%d characters were typed", typed)
		}
		after(10 * time.Second)
		if more := b.came(); len(more) > 0 {
			t.Errorf("after the seat was taken came %v", more)
		}
		_, text := b.do(ann.token, ann.secret, "GET", "/text", "")
		if want := fmt.Sprintf("typed %d of 50 characters; Boss operates this console", typed); !strings.Contains(string(text), want) {
			t.Errorf("the text ended as %s, not as %q", text, want)
		}
	})
	all, err := os.ReadFile(path)
	if err != nil || !bytes.Contains(all, []byte(`"action":"keys"`)) || !bytes.Contains(all, []byte(`"characters":50`)) || bytes.Contains(all, []byte("xxx")) {
		t.Errorf("the audit log is %s (%v)", all, err)
	}
}

// Of two websockets of one session the newer goes on in the other's place.
func TestReplacedSession(t *testing.T) {
	people(t, exclusive, func(t *testing.T, b *bubble) {
		ann, bob := b.come("Ann", operates), b.come("Bob", operates)
		ann.press('a', true)
		old := *ann.pipe
		ended := make(chan int, 1)
		b.wg.Go(func() {
			defer close(ended)
			for ann.ended.Load() == nil {
				time.Sleep(time.Millisecond)
			}
			code, text := ann.code()
			if !strings.Contains(text, "elsewhere") {
				t.Errorf("the reason is %q", text)
			}
			ended <- code
		})
		again := &person{b: b, token: ann.token, secret: ann.secret, id: ann.id}
		again.open("Ann in the train")
		if code := <-ended; code != 4003 {
			t.Errorf("the older ended with %d, not 4003", code)
		}
		_ = old.Close()
		b.wantKeys(down('a'), up('a'))
		if s := bob.snapshot(); s.operator() != "Ann in the train" || s.Seats.Count != 2 || s.Seats.Sessions[0].Away {
			t.Errorf("%+v", s.Seats)
		}
		after(time.Minute)
		again.press('z', true)
		b.wantKeys(down('z'))
		if code, _ := again.code(); code != 0 {
			t.Errorf("the newer ended with %d", code)
		}
	})
}

// A crowd is counted, and the list stays short.
func TestCrowd(t *testing.T) {
	people(t, exclusive, func(t *testing.T, b *bubble) {
		var all []*person
		for i := range 70 {
			all = append(all, b.come(fmt.Sprintf("P%02d", i), operates))
		}
		wantCode(t, all[69].seat("request", nil), "")
		s := all[0].snapshot()
		if s.Seats.Count != 70 || len(s.Seats.Sessions) != 64 || s.Seats.Sessions[0].ID != all[0].id || s.Seats.Sessions[1].ID != all[69].id {
			t.Errorf("%d of %d: %s", len(s.Seats.Sessions), s.Seats.Count, s.names())
		}
	})
}

func TestNames(t *testing.T) {
	people(t, nil, func(t *testing.T, b *bubble) {
		b.come("  Åsa\x00\n\u202e Ö\u200bberg 東 ", operates)
		b.come(strings.Repeat("x", 200), operates)
		b.come("", operates)
		p := b.come("claimed", token.Claims{Mode: token.View, Name: "Given"})
		if got, want := p.snapshot().names(), "Åsa Öberg 東 "+strings.Repeat("x", 64)+"  Given"; got != want {
			t.Errorf("the names are %q, not %q", got, want)
		}
	})
}
