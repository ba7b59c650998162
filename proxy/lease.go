package proxy

import "time"

// active is told each time that somebody uses the console.
func (c *Console) active(now time.Time) {
	c.activeAt.Store(now.UnixNano())
}
