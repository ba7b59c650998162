package notice

import (
	"context"
	"errors"
	"image"
	"sync"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// activityInterval is the time between two steps of the moving dots.
const activityInterval = 250 * time.Millisecond

// maxSize is the largest width and height of an RFB server's picture here, in
// pixels, as rfb.Desktop.Resize takes it.
const maxSize = 16384

// errNotRunning is Grab's answer outside Run, which a server never asks for.
var errNotRunning = errors.New("the status screen is not being shown")

// Source shows a Message. It holds a picture, and the fonts it is drawn with,
// only while Run runs. Its methods may be called from any
// goroutine, those of rfb.Source as that interface says.
type Source struct {
	width, height int
	backdrop      *pixel.Frame // never written

	// changed has a token while Run has not yet seen the present message. It
	// is never closed; Set drops its token where there already is one.
	changed chan struct{}

	mu struct {
		sync.Mutex
		msg Message
		// since is when msg was set, where its countdown starts.
		since time.Time
		// screen is what Run paints and Grab shows; nil while Run does not run.
		screen *screen
	}
}

// New returns a source whose picture has the given size in pixels, or the
// size of the backdrop where that is not nil: it is shown dimmed behind the
// card, and must not change any more. Sizes are brought into 1 to 16384. The
// message is empty until Set is called.
func New(width, height int, backdrop *pixel.Frame) *Source {
	if backdrop != nil && (backdrop.Width < 1 || backdrop.Height < 1) {
		backdrop = nil
	}
	if backdrop != nil {
		width, height = backdrop.Width, backdrop.Height
	}
	return &Source{
		width:    min(max(width, 1), maxSize),
		height:   min(max(height, 1), maxSize),
		backdrop: backdrop,
		changed:  make(chan struct{}, 1),
	}
}

// Set shows m from now on. It returns at once; setting what is already shown
// does nothing.
func (s *Source) Set(m Message) {
	m = m.sentences()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.msg.equal(m) {
		return
	}
	s.mu.msg, s.mu.since = m, time.Now()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Run paints the message and keeps it up to date until ctx ends, and then
// returns nil. Between changes it sleeps: it wakes for Set, for each second
// of a countdown, and four times a second for the moving dots of an Info
// message without a countdown.
func (s *Source) Run(ctx context.Context, d *rfb.Desktop) error {
	s.run(ctx, d)
	return nil
}

// Grab shows the picture that was painted last.
func (s *Source) Grab(_ *pixel.Region, use func(view *pixel.Frame)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.screen == nil {
		return errNotRunning
	}
	use(s.mu.screen.frame)
	return nil
}

// desktop is what Run tells of the picture, of all that rfb.Desktop takes.
type desktop interface {
	Resize(width, height int)
	SetCursor(c *pixel.Cursor)
	Damage(r *pixel.Region)
}

var _ desktop = (*rfb.Desktop)(nil)

func (s *Source) run(ctx context.Context, d desktop) {
	defer s.stop()
	// Viewers may be told the size while the picture is painted.
	d.Resize(s.width, s.height)
	// The pointer's shape is the last picture's, and may be odd or hidden.
	d.SetCursor(pixel.DefaultCursor())
	wake := s.start()
	d.Damage(new(pixel.Region)) // the picture can be had now

	timer := time.NewTimer(wake)
	defer timer.Stop()
	if wake < 0 {
		timer.Stop()
	}
	for {
		var damage image.Rectangle
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
			damage, wake = s.repaint()
		case <-timer.C:
			damage, wake = s.tick()
		}
		if !damage.Empty() {
			d.Damage(pixel.RegionOf(damage))
		}
		if wake < 0 {
			timer.Stop()
		} else {
			timer.Reset(wake)
		}
	}
}

// start makes and paints the picture. It returns how long it stays right,
// negative where that is until the next Set.
func (s *Source) start() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.changed:
	default:
	}
	now := time.Now()
	s.mu.screen = newScreen(s.width, s.height, s.backdrop)
	s.mu.screen.paint(s.mu.msg, s.mu.since, now)
	return s.mu.screen.wake(now)
}

// repaint shows the present message; it returns what changed, and as start.
func (s *Source) repaint() (image.Rectangle, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	damage := s.mu.screen.paint(s.mu.msg, s.mu.since, now)
	return damage, s.mu.screen.wake(now)
}

// tick moves the countdown or the dots on; it returns as repaint.
func (s *Source) tick() (image.Rectangle, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	damage := s.mu.screen.tick(now)
	return damage, s.mu.screen.wake(now)
}

func (s *Source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.screen = nil
}
