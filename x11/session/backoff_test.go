package session

import (
	"testing"
	"time"
)

func TestBackoffDoublesUpToItsLimit(t *testing.T) {
	var b backoff
	want := []time.Duration{
		200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond, 1600 * time.Millisecond,
		3200 * time.Millisecond, 6400 * time.Millisecond, 10 * time.Second, 10 * time.Second,
	}
	for i, w := range want {
		if got := b.next(time.Second); got != w {
			t.Errorf("pause %d is %v, want %v", i, got, w)
		}
	}
}

func TestBackoffStartsAgainAfterALongLife(t *testing.T) {
	var b backoff
	b.next(0)
	b.next(0)
	if got := b.next(backoffLife); got != backoffFirst {
		t.Errorf("pause after %v of life is %v, want %v", backoffLife, got, backoffFirst)
	}
	if got := b.next(backoffLife - 1); got != 2*backoffFirst {
		t.Errorf("pause after a shorter life is %v, want %v", got, 2*backoffFirst)
	}
}
