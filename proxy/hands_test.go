package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/proxy/typing"
	"github.com/ironglass/ironglass/rfb"
)

// keyLog is a node that notes what comes and when, in milliseconds.
type keyLog struct {
	began time.Time
	mu    sync.Mutex
	lines []string
}

func (l *keyLog) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%d ", time.Since(l.began).Milliseconds())+fmt.Sprintf(format, args...))
}

func (l *keyLog) KeyEvent(e rfb.KeyEvent) {
	sign := "-"
	if e.Down {
		sign = "+"
	}
	name := fmt.Sprintf("%x", e.Keycode)
	if e.Keycode == 0 {
		name = string(rune(e.Keysym))
	}
	l.note("%s%s", sign, name)
}

func (l *keyLog) PointerEvent(e rfb.PointerEvent) { l.note("@%d,%d:%d", e.X, e.Y, e.Buttons) }
func (l *keyLog) TakesKeycodes() bool             { return true }

// take returns what came since the last call.
func (l *keyLog) take() string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.Join(l.lines, " | ")
	l.lines = nil
	return s
}

// withHands runs f with hands of that pace on a node whose time is the test's.
func withHands(t *testing.T, pace Pace, f func(h *hands, l *keyLog)) {
	synctest.Test(t, func(*testing.T) {
		l := &keyLog{began: time.Now()}
		h := newHands(l, pace)
		f(h, l)
		h.end()
		// Nothing comes after the end.
		l.take()
		h.KeyEvent(rfb.KeyEvent{Down: true, Keysym: 'x'})
		h.PointerEvent(rfb.PointerEvent{Buttons: 1})
		time.Sleep(time.Hour)
		if s := l.take(); s != "" {
			t.Errorf("after the end came %s", s)
		}
	})
}

const shiftCode = 0x2a

// state returns how many events wait, the keys that are held at the node and
// by people, and the buttons.
func (h *hands) state() (waiting, wire, down int, buttons uint16) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.queue), len(h.wire), len(h.down), h.point.Buttons
}

// do carries out what a viewer does: +a and -a are keys of that symbol, +S and
// -S Shift, mX the pointer's motion to X, bX a click's press there, uX the
// release, and a number is a wait in milliseconds.
func do(h *hands, script string) {
	for _, w := range strings.Fields(script) {
		e := rfb.KeyEvent{Down: w[0] == '+', Keysym: uint32(w[1])}
		if w[1] == 'S' {
			e.Keysym, e.Keycode = 0xffe1, shiftCode
		}
		var x, ms int
		switch w[0] {
		case '+', '-':
			h.KeyEvent(e)
		case 'm', 'b', 'u':
			_, _ = fmt.Sscan(w[1:], &x)
			_, _, _, buttons := h.state()
			switch w[0] {
			case 'b':
				buttons = 1
			case 'u':
				buttons = 0
			}
			h.PointerEvent(rfb.PointerEvent{X: x, Buttons: buttons})
		default:
			_, _ = fmt.Sscan(w, &ms)
			time.Sleep(time.Duration(ms) * time.Millisecond)
		}
	}
}

func TestHandsPace(t *testing.T) {
	for _, c := range []struct {
		name         string
		pace         Pace
		script, want string
	}{
		{"none", Pace{}, "+a -a +b -b", "0 +a | 0 -a | 0 +b | 0 -b"},
		{"hold", Pace{Hold: 20 * time.Millisecond}, "+a -a +b -b", "0 +a | 20 -a | 20 +b | 40 -b"},
		{"held long", Pace{Hold: 20 * time.Millisecond}, "+a 50 -a", "0 +a | 50 -a"},
		{"interval", Pace{Interval: 30 * time.Millisecond}, "+a -a +b -b", "0 +a | 30 -a | 60 +b | 90 -b"},
		{"both", Pace{Hold: 50 * time.Millisecond, Interval: 30 * time.Millisecond}, "+S +a -a -S +b -b",
			"0 +2a | 30 +a | 80 -a | 110 -2a | 140 +b | 190 -b"},
		{"slow fingers", Pace{Hold: 20 * time.Millisecond, Interval: 30 * time.Millisecond}, "+a 40 -a 40 +b 40 -b",
			"0 +a | 40 -a | 80 +b | 120 -b"},
		{"overlapping", Pace{Interval: 10 * time.Millisecond}, "+a +b -a -b", "0 +a | 10 +b | 20 -a | 30 -b"},
		// A click waits for the keys before it, motion does not.
		{"click after key", Pace{Interval: 30 * time.Millisecond}, "+a -a m5 b6 u6 +b -b", "0 +a | 0 @5,0:0 | 30 -a | 30 @6,0:1 | 30 @6,0:0 | 60 +b | 90 -b"},
		{"motion after click", Pace{Interval: 30 * time.Millisecond}, "+a -a b6 m7 m8 m9 u9 m10 m11", "0 +a | 30 -a | 30 @6,0:1 | 30 @9,0:1 | 30 @9,0:0 | 30 @11,0:0"},
		{"pointer alone", Pace{Interval: 30 * time.Millisecond}, "m1 b1 m2 u2 m3", "0 @1,0:0 | 0 @1,0:1 | 0 @2,0:1 | 0 @2,0:0 | 0 @3,0:0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			withHands(t, c.pace, func(h *hands, l *keyLog) {
				do(h, c.script)
				time.Sleep(time.Second)
				if got := l.take(); got != c.want {
					t.Errorf("came\n%s\nwant\n%s", got, c.want)
				}
			})
		})
	}
}

func TestHandsRepeats(t *testing.T) {
	for _, c := range []struct {
		name         string
		pace         Pace
		script, want string
	}{
		{"steady", Pace{}, "+a 250 +a 33 +a 33 +a 33 -a", "0 +a | 250 +a | 283 +a | 316 +a | 349 -a"},
		{"late, together", Pace{}, "+a 250 +a 500 +a +a +a +a +a -a", "0 +a | 250 +a | 750 +a | 750 -a"},
		{"all late", Pace{}, "+a +a +a +a -a +b -b", "0 +a | 0 -a | 0 +b | 0 -b"},
		{"press late", Pace{}, "+a 20 +a 33 +a 33 +a 33 +a -a", "0 +a | 119 +a | 119 -a"},
		{"in clumps", Pace{}, "+a 250 +a +a +a 100 +a +a +a 100 +a +a -a", "0 +a | 250 +a | 350 +a | 450 +a | 450 -a"},
		{"slow node", Pace{Interval: 100 * time.Millisecond}, "+a 250 +a 33 +a 33 +a 33 +a 33 +a 33 -a", "0 +a | 250 +a | 382 +a | 482 -a"},
		{"behind a queue", Pace{Interval: 300 * time.Millisecond}, "+b +a 310 +a 100 +c +a 10 +a -a -b -c",
			"0 +b | 300 +a | 600 +c | 900 -a | 1200 -b | 1500 -c"},
		{"modifier", Pace{}, "+S 250 +S 33 +S -S", "0 +2a | 283 -2a"},
		{"two keys", Pace{}, "+a 250 +a +b 33 +a 33 -a 250 +b -b", "0 +a | 250 +a | 250 +b | 283 +a | 316 -a | 566 +b | 566 -b"},
		// A release under another symbol ends all that is known by symbol.
		{"other symbol", Pace{}, "+! -1 +! -!", "0 +! | 0 -1 | 0 +! | 0 -!"},
		{"typed twice", Pace{}, "+a -a +a -a", "0 +a | 0 -a | 0 +a | 0 -a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			withHands(t, c.pace, func(h *hands, l *keyLog) {
				do(h, c.script)
				time.Sleep(5 * time.Second)
				if got := l.take(); got != c.want {
					t.Errorf("came\n%s\nwant\n%s", got, c.want)
				}
			})
		})
	}
}

// Where the machine repeats keys by itself, a key is let go before it does, and
// what the viewer repeats is pressed anew.
func TestHandsLongest(t *testing.T) {
	const longest = 200 * time.Millisecond
	for _, c := range []struct {
		name         string
		pace         Pace
		script, want string
	}{
		{"short", Pace{Longest: longest}, "+a 50 -a", "0 +a | 50 -a"},
		{"release late", Pace{Longest: longest}, "+a 1000 -a 10 +a 10 -a", "0 +a | 200 -a | 1010 +a | 1020 -a"},
		{"repeated", Pace{Longest: longest}, "+a 500 +a 33 +a 33 +a 10 -a", "0 +a | 200 -a | 500 +a | 500 -a | 533 +a | 533 -a | 566 +a | 566 -a"},
		{"repeated soon", Pace{Longest: longest}, "+a 150 +a 33 +a 33 -a", "0 +a | 150 -a | 150 +a | 150 -a | 183 +a | 183 -a"},
		{"modifier", Pace{Longest: longest}, "+S +a 1000 -a -S", "0 +2a | 0 +a | 200 -a | 1000 -2a"},
		{"paced", Pace{Longest: longest, Hold: 20 * time.Millisecond, Interval: 30 * time.Millisecond}, "+a 500 +a 33 +a 33 +a 33 +a 33 -a",
			"0 +a | 200 -a | 500 +a | 530 -a | 566 +a | 596 -a"},
		{"pressed again at once", Pace{Longest: longest}, "+a 150 -a +a 100 -a", "0 +a | 150 -a | 150 +a | 250 -a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			withHands(t, c.pace, func(h *hands, l *keyLog) {
				do(h, c.script)
				time.Sleep(5 * time.Second)
				if got := l.take(); got != c.want {
					t.Errorf("came\n%s\nwant\n%s", got, c.want)
				}
				if _, wire, down, _ := h.state(); wire != 0 || down != 0 {
					t.Errorf("held are %d keys at the node, %d by people", wire, down)
				}
			})
		})
	}
}

// A queue that is full drops presses, never the release of what was pressed,
// and never a modifier.
func TestHandsFull(t *testing.T) {
	withHands(t, Pace{Interval: time.Millisecond}, func(h *hands, l *keyLog) {
		do(h, "+h")
		for range 3 * queueLimit {
			do(h, "+a -a")
		}
		do(h, "+S +b -b -S -h")
		if n, _, _, _ := h.state(); n < queueLimit || n > queueLimit+8 {
			t.Errorf("%d events wait", n)
		}
		time.Sleep(time.Minute)
		got := l.take()
		for _, want := range []string{" +2a", " -2a", " -h"} {
			if !strings.Contains(got, want) {
				t.Errorf("there is no%s", want)
			}
		}
		if strings.Contains(got, "b") || strings.Count(got, "+a") != strings.Count(got, "-a") {
			t.Error("presses and releases do not match")
		}
		if _, wire, down, _ := h.state(); wire != 0 || down != 0 {
			t.Errorf("held are %d keys at the node, %d by people", wire, down)
		}
	})
	// Who changes a modifier without end has everything let go.
	withHands(t, Pace{Interval: time.Millisecond}, func(h *hands, l *keyLog) {
		do(h, "+h b1")
		for range 3 * queueLimit {
			do(h, "+S -S")
		}
		if n, _, _, _ := h.state(); n > 2*queueLimit {
			t.Errorf("%d events wait", n)
		}
		time.Sleep(time.Minute)
		if got := l.take(); !strings.Contains(got, " -h") || !strings.Contains(got, ":1 | ") || !strings.Contains(got, "@1,0:0") {
			t.Error("not all was let go")
		}
		do(h, "+S -S")
		time.Sleep(time.Second)
		if _, wire, _, _ := h.state(); wire != 0 {
			t.Errorf("%d keys are held", wire)
		}
	})
}

func TestHandsEnd(t *testing.T) {
	withHands(t, Pace{Interval: 50 * time.Millisecond}, func(h *hands, l *keyLog) {
		do(h, "+S +a 60 b3 +b -b")
		l.take()
		h.end()
		got := strings.Split(l.take(), " | ")
		// What waits is dropped, and modifiers go last.
		if want := []string{"60 -a", "60 -2a", "60 @3,0:0"}; !slices.Equal(got, want) {
			t.Errorf("at the end came %q, want %q", got, want)
		}
	})
}

func TestTap(t *testing.T) {
	chord, err := typing.ParseChord("us", "Ctrl+Alt+Delete")
	if err != nil {
		t.Fatal(err)
	}
	strokes, err := typing.Strokes("de", "ê")
	if err != nil {
		t.Fatal(err)
	}
	withHands(t, Pace{}, func(h *hands, l *keyLog) {
		if err := h.tap(chord); err != nil {
			t.Error(err)
		}
		if got, want := l.take(), "0 +1d | 10 +38 | 20 +d3 | 30 -d3 | 40 -38 | 50 -1d"; got != want {
			t.Errorf("came\n%s\nwant\n%s", got, want)
		}
		// What people do meanwhile comes before or after.
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(time.Millisecond)
			do(h, "+a -a")
		})
		if err := h.tap(strokes[0].Keys(), strokes[1].Keys()); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if got, want := l.take(), "60 +29 | 70 -29 | 80 +12 | 90 -12 | 90 +a | 90 -a"; got != want {
			t.Errorf("came\n%s\nwant\n%s", got, want)
		}
	})
	withHands(t, Pace{Hold: 40 * time.Millisecond, Interval: 30 * time.Millisecond}, func(h *hands, l *keyLog) {
		if err := h.tap(chord[2:], chord[:2]); err != nil {
			t.Error(err)
		}
		if got, want := l.take(), "0 +d3 | 40 -d3 | 70 +1d | 100 +38 | 140 -38 | 170 -1d"; got != want {
			t.Errorf("came\n%s\nwant\n%s", got, want)
		}
		// The session ends in the middle.
		time.AfterFunc(50*time.Millisecond, h.end)
		if err := h.tap(chord); !errors.Is(err, errHandsEnded) {
			t.Errorf("a tap that was cut off: %v", err)
		}
		if got, want := l.take(), "200 +1d | 220 -1d"; got != want {
			t.Errorf("came\n%s\nwant\n%s", got, want)
		}
		if err := h.tap(chord); !errors.Is(err, errHandsEnded) {
			t.Errorf("a tap after the end: %v", err)
		}
	})
}

// BenchmarkHands is what hands add to a key.
func BenchmarkHands(b *testing.B) {
	h := newHands(&nowhere{}, Pace{})
	defer h.end()
	for b.Loop() {
		h.KeyEvent(rfb.KeyEvent{Down: true, Keysym: 'a', Keycode: 0x1e})
		h.KeyEvent(rfb.KeyEvent{Keysym: 'a', Keycode: 0x1e})
	}
}

// nowhere takes keys.
type nowhere struct{}

func (nowhere) KeyEvent(rfb.KeyEvent)         {}
func (nowhere) PointerEvent(rfb.PointerEvent) {}
func (nowhere) TakesKeycodes() bool           { return true }
