package fbs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// PlayerConfig is how a Player plays. It must not change once a Player has it.
type PlayerConfig struct {
	// Recording is what is played.
	Recording Playable
	// Speed is how fast time passes in the recording; 0 is 1, negative is
	// without waiting.
	Speed float64
	// Loop begins anew a second after the end, rather than to stay at the
	// last picture.
	Loop bool
	// Log takes what happens; nil discards it.
	Log *slog.Logger
}

// Playable is a recording that a Player can play. Its methods may be called
// from any goroutine.
type Playable interface {
	// Blocks returns the blocks from the last key frame on that is not after
	// at; the beginning counts as one. The caller closes them.
	Blocks(at time.Duration) (Blocks, error)
	// KeyFrame returns the time of that key frame.
	KeyFrame(at time.Duration) time.Duration
}

// Blocks are those of a recording from a key frame on. They are used from one
// goroutine at a time, but for Close, which may be called from any.
type Blocks interface {
	// ServerInit is what the recorded server said of the picture there.
	ServerInit() wire.ServerInit
	// Next is Reader's.
	Next() (Block, error)
	Close() error
}

// Stream is a recording without key frames. open opens it, once for each time
// that it is played from its beginning.
func Stream(open func() (io.ReadCloser, error)) Playable { return plain{open} }

type plain struct{ open func() (io.ReadCloser, error) }

func (p plain) KeyFrame(time.Duration) time.Duration { return 0 }

func (p plain) Blocks(time.Duration) (Blocks, error) {
	file, err := p.open()
	if err != nil {
		return nil, err
	}
	r, err := NewReader(file)
	if err != nil {
		file.Close()
		return nil, err
	}
	return closing{r, file}, nil
}

// closing is a Reader with what it reads.
type closing struct {
	*Reader
	io.Closer
}

// Player shows a recording as an rfb.Source without input. Each Run begins at
// the beginning, or where Seek said while nothing ran. Its methods may be
// called from any goroutine.
//
// A Client decodes the recording; a replay, its connection, gives it the
// blocks when their time has come.
type Player struct {
	cfg PlayerConfig

	mu       sync.Mutex
	told     chan struct{} // closed and made anew when something below changes
	desktop  *rfb.Desktop  // while Run runs
	client   *rfb.Client   // of the present pass
	conn     *replay       // of the present pass, once it was opened
	cancel   func()        // ends the present pass
	clock    clock
	seeking  bool // what there is to see is not shown before Seek's time is reached
	finished bool // the end was reached
}

var _ rfb.Source = (*Player)(nil)

// loopPause is how long the last picture stays before a loop begins anew.
const loopPause = time.Second

// NewPlayer returns a player that does nothing until Run.
func NewPlayer(cfg PlayerConfig) *Player {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Player{cfg: cfg, told: make(chan struct{}), cancel: func() {}, clock: clock{speed: usable(cfg.Speed), stopped: true}}
}

// usable is the speed meant by what PlayerConfig.Speed says.
func usable(speed float64) float64 {
	switch {
	case speed == 0 || math.IsNaN(speed):
		return 1
	case math.IsInf(speed, 0):
		return -1
	default:
		return speed
	}
}

// Run plays until ctx ends, or the recording cannot be played.
func (p *Player) Run(ctx context.Context, d *rfb.Desktop) error {
	p.mu.Lock()
	p.desktop = d
	p.clock.since, p.clock.stopped = time.Now(), false
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.clock.at, p.clock.stopped = 0, true
		p.desktop, p.seeking = nil, false
	}()
	for {
		err := p.pass(ctx, d)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("playing the recording: %w", err)
		}
	}
}

// pass plays the recording from the last key frame before the clock's time
// until ctx ends, or another place is to be begun at (nil).
func (p *Player) pass(ctx context.Context, d *rfb.Desktop) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := rfb.NewClient(rfb.ClientConfig{Dial: p.open, Recorded: true, HandshakeTimeout: -1, Log: p.cfg.Log})
	p.mu.Lock()
	p.client, p.cancel = client, cancel
	p.seeking = p.seeking || p.clock.at > 0
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.client, p.conn, p.cancel, p.finished = nil, nil, func() {}, false
	}()
	err := client.Run(ctx, d)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// open is the Client's Dial.
func (p *Player) open(context.Context) (net.Conn, error) {
	rec := p.cfg.Recording
	for {
		p.mu.Lock()
		at := p.clock.at
		p.mu.Unlock()
		blocks, err := rec.Blocks(at)
		if err != nil {
			return nil, err
		}
		conn := &replay{p: p, blocks: blocks, rest: handshake(blocks.ServerInit()), given: rec.KeyFrame(at), closed: make(chan struct{})}
		if p.begin(conn) {
			return conn, nil
		}
		conn.Close() // Seek went elsewhere meanwhile
	}
}

// begin makes conn that of the present pass, unless it begins at the wrong
// place.
func (p *Player) begin(conn *replay) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cfg.Recording.KeyFrame(p.clock.at) != conn.given {
		return false
	}
	p.conn = conn
	return true
}

// Grab shows use the picture as of the last whole update. It fails while the
// recording is decoded up to the time that Seek said.
func (p *Player) Grab(r *pixel.Region, use func(view *pixel.Frame)) error {
	p.mu.Lock()
	client := p.client
	if p.seeking {
		client = nil
	}
	p.mu.Unlock()
	if client == nil {
		return rfb.ErrBusy
	}
	return client.Grab(r, use)
}

// Pause stops time in the recording.
func (p *Player) Pause() { p.turn(func(c *clock) { c.paused = true }) }

// Resume lets time go on after Pause.
func (p *Player) Resume() { p.turn(func(c *clock) { c.paused = false }) }

// SetSpeed changes how fast time passes, as PlayerConfig.Speed.
func (p *Player) SetSpeed(speed float64) {
	p.turn(func(c *clock) { c.speed = usable(speed) })
}

// turn lets f change how the clock goes on from now.
func (p *Player) turn(f func(c *clock)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.clock.at, p.clock.since = p.positionLocked(now), now
	f(&p.clock)
	p.tellLocked()
}

// Seek goes to that time since the beginning of the recording, or to its end
// where that comes before. The recording is decoded up to there as fast as
// that can be done: from the last key frame before it, or from where it is
// where that is nearer.
func (p *Player) Seek(to time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clock.at, p.clock.since = max(0, to), time.Now()
	switch {
	case p.desktop == nil:
		return // the next Run begins there
	case p.conn != nil && (p.clock.at < p.conn.given || p.cfg.Recording.KeyFrame(p.clock.at) > p.conn.given):
		p.againLocked()
	case p.finished:
		return // it is there
	}
	p.seeking = true
	p.tellLocked()
}

// PlayerState is how a Player is at one moment.
type PlayerState struct {
	// Position is the time since the beginning of the recording that is being
	// shown.
	Position time.Duration
	// Speed is how fast time passes, negative without waiting; Paused that it
	// does not at present.
	Speed  float64
	Paused bool
	// Finished is set once the end of the recording was reached and is shown.
	Finished bool
}

// State returns the present state.
func (p *Player) State() PlayerState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PlayerState{
		Position: p.positionLocked(time.Now()), Speed: p.clock.speed,
		Paused: p.clock.paused, Finished: p.finished,
	}
}

func (p *Player) positionLocked(now time.Time) time.Duration {
	if p.conn != nil && (p.finished || p.clock.speed < 0 && !p.clock.paused) {
		return p.conn.given
	}
	return p.clock.now(now)
}

// againLocked ends the present pass and begins another.
func (p *Player) againLocked() {
	p.cancel()
	p.conn, p.finished = nil, false
}

func (p *Player) tellLocked() {
	close(p.told)
	p.told = make(chan struct{})
}

// clock is the time in the recording.
type clock struct {
	at      time.Duration // at since
	since   time.Time
	speed   float64 // negative: all has come already
	paused  bool
	stopped bool // nothing runs
}

func (c *clock) now(now time.Time) time.Duration {
	if c.paused || c.stopped || c.speed < 0 {
		return c.at
	}
	return c.at + scaled(now.Sub(c.since), c.speed)
}

// until is how long after now the clock is at to; negative where that will not
// come by itself.
func (c *clock) until(to time.Duration, now time.Time) time.Duration {
	switch left := to - c.now(now); {
	case left <= 0 || c.speed < 0 && !c.paused:
		return 0
	case c.paused:
		return -1
	default:
		return max(time.Nanosecond, scaled(left, 1/c.speed))
	}
}

// scaled is d times by, as far as a duration can tell.
func scaled(d time.Duration, by float64) time.Duration {
	f := float64(d) * by
	if f >= float64(MaxTime) {
		return MaxTime
	}
	return time.Duration(f)
}
