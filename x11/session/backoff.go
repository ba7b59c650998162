package session

import "time"

// The pace at which what ended is started again.
const (
	// backoffFirst and backoffMost bound the pause before a restart.
	backoffFirst = 200 * time.Millisecond
	backoffMost  = 10 * time.Second
	// backoffLife is how long something must have run for its next end to
	// count as the first again.
	backoffLife = 30 * time.Second
	// backoffMissing is the pause where nothing but a person's help can make
	// the next try succeed: a program that is not installed.
	backoffMissing = 30 * time.Second
)

// backoff counts the pause before the next start of one thing. Its owner is
// the goroutine that restarts that thing.
type backoff struct {
	pause time.Duration
}

// next returns the pause after an end, where what ended had run for lived.
func (b *backoff) next(lived time.Duration) time.Duration {
	switch {
	case b.pause == 0 || lived >= backoffLife:
		b.pause = backoffFirst
	default:
		b.pause = min(2*b.pause, backoffMost)
	}
	return b.pause
}
