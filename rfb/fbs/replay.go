package fbs

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// replay is a connection that says what the server said when it was recorded,
// and hears nothing. The Client's goroutine reads it.
type replay struct {
	p      *Player
	blocks Blocks
	rest   []byte // of what is to be read now

	given time.Duration // time of the last block given; guarded by Player.mu

	closeOnce sync.Once
	closed    chan struct{}
}

func (c *replay) Read(b []byte) (int, error) {
	for len(c.rest) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// next waits for the next block's time. io.EOF is the end of a recording
// that stays there.
func (c *replay) next() error {
	block, err := c.blocks.Next()
	switch {
	case err == nil:
		if err := c.await(block.Time); err != nil {
			return err
		}
		c.rest = block.Data
		return nil
	case errors.Is(err, ErrTruncated):
		c.p.cfg.Log.Warn("the recording ends here", "error", err)
	case !errors.Is(err, io.EOF):
		return err
	}
	return c.end()
}

// await returns when the time of a block has come.
func (c *replay) await(at time.Duration) error {
	p := c.p
	for {
		p.mu.Lock()
		if p.conn != c {
			p.mu.Unlock()
			return net.ErrClosed
		}
		left := p.clock.until(at, time.Now())
		if left == 0 {
			c.given = at
			p.mu.Unlock()
			return nil
		}
		p.arrivedLocked()
		told := p.told
		p.mu.Unlock()
		if err := c.wait(left, told); err != nil {
			return err
		}
	}
}

// wait returns after d, never where that is negative, or when told is closed.
func (c *replay) wait(d time.Duration, told <-chan struct{}) error {
	var due <-chan time.Time
	if d >= 0 {
		due = time.After(d)
	}
	select {
	case <-due:
	case <-told:
	case <-c.closed:
		return net.ErrClosed
	}
	return nil
}

// end is what comes after the last block.
func (c *replay) end() error {
	p := c.p
	p.mu.Lock()
	if p.conn == c {
		p.arrivedLocked()
		p.finished = true
	}
	p.mu.Unlock()
	if !p.cfg.Loop {
		return io.EOF
	}
	if err := c.wait(loopPause, nil); err != nil {
		return err
	}
	for {
		p.mu.Lock()
		if p.conn == c && !p.clock.paused {
			p.clock.at, p.clock.since = 0, time.Now()
			p.againLocked() // which closes c
		}
		told := p.told
		p.mu.Unlock()
		if err := c.wait(-1, told); err != nil {
			return err
		}
	}
}

// arrivedLocked shows what there is where Seek wanted to come here: all before
// was decoded, for the Client reads on only then.
func (p *Player) arrivedLocked() {
	if p.seeking {
		p.seeking = false
		p.desktop.Damage(new(pixel.Region))
	}
}

// Write passes over what the Client says.
func (c *replay) Write(b []byte) (int, error) { return len(b), nil }

// Close ends the reads.
func (c *replay) Close() error {
	var err error
	c.closeOnce.Do(func() {
		close(c.closed)
		err = c.blocks.Close()
	})
	return err
}

// What else a connection has. Nothing here takes longer than it is to take.

func (c *replay) LocalAddr() net.Addr              { return nil }
func (c *replay) RemoteAddr() net.Addr             { return nil }
func (c *replay) SetDeadline(time.Time) error      { return nil }
func (c *replay) SetReadDeadline(time.Time) error  { return nil }
func (c *replay) SetWriteDeadline(time.Time) error { return nil }
