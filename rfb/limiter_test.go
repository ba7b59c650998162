package rfb

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"
)

func tcp(host string, port int) net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(host), Port: port}
}

func TestLimiter(t *testing.T) {
	var l limiter
	now := time.Now()
	try := func(host string, wrong bool) time.Duration {
		t.Helper()
		wait, _, err := l.turn(tcp(host, int(now.UnixNano()%60000)), wrong, now)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	// Guesses one after another: each waits longer, up to a limit.
	for _, ms := range []int{500, 1000, 2000, 4000, 8000, 8000, 8000} {
		want := time.Duration(ms) * time.Millisecond
		if got := try("192.0.2.1", true); got != want {
			t.Fatalf("a wait of %v, want %v", got, want)
		}
		now = now.Add(want)
	}
	if got := try("192.0.2.1", false); got != 0 {
		t.Errorf("the right password waits %v", got)
	}
	// Guesses at once: they queue, and a right one among them.
	if got := try("192.0.2.1", true); got != 8*time.Second {
		t.Errorf("a wait of %v", got)
	}
	if got := try("192.0.2.1", false); got != 8*time.Second {
		t.Errorf("a right one between wrong ones waits %v", got)
	}
	for i, want := range []time.Duration{16 * time.Second, 24 * time.Second} {
		if got := try("192.0.2.1", true); got != want {
			t.Errorf("guess %d waits %v", i, got)
		}
	}
	for _, wrong := range []bool{true, true} {
		if _, n, err := l.turn(tcp("192.0.2.1", 9), wrong, now); !errors.Is(err, errTooMany) || n < 10 {
			t.Errorf("after %d wrong ones: %v", n, err)
		}
	}
	// Nobody else waits.
	if got := try("192.0.2.2", false) + try("2001:db8::1", false); got != 0 {
		t.Errorf("others wait %v", got)
	}
	// What was done is forgotten in the end.
	now = now.Add(forgetAfter)
	if got := try("192.0.2.1", false); got != 0 {
		t.Errorf("a wait of %v", got)
	}
	if got := try("192.0.2.1", true); got != firstWait {
		t.Errorf("a wait of %v", got)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	var l limiter
	now := time.Now()
	turn := func(i int) time.Duration {
		wait, _, _ := l.turn(tcp(fmt.Sprintf("2001:db8:%x::1", i), 1), true, now)
		return wait
	}
	for i := range 3 * maxHosts {
		turn(i)
	}
	if n := len(l.hosts); n > maxHosts+1 {
		t.Fatalf("%d hosts are remembered", n)
	}
	// Those that there is no room for are as one, and those known are known.
	if wait := turn(5 * maxHosts); wait != 0 { // errTooMany by now
		t.Errorf("a host too many waits %v", wait)
	}
	if wait := turn(1); wait != firstWait+2*firstWait {
		t.Errorf("a known host waits %v", wait)
	}
	now = now.Add(forgetAfter)
	turn(7 * maxHosts)
	if n := len(l.hosts); n != 1 {
		t.Errorf("%d hosts are remembered", n)
	}
}

func TestHostOf(t *testing.T) {
	for addr, want := range map[net.Addr]string{
		tcp("192.0.2.1", 5):        "192.0.2.1",
		tcp("::ffff:192.0.2.1", 6): "192.0.2.1",
		tcp("2001:db8::1:2", 7):    "2001:db8::/64",
		&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 1}: "fe80::/64",
		&net.UnixAddr{Net: "unix", Name: "@"}:                           "unix @",
		nil:                                                             "?",
	} {
		if got := hostOf(addr); got != want {
			t.Errorf("%v is host %q, want %q", addr, got, want)
		}
	}
}
