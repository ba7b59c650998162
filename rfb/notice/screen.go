package notice

import (
	"fmt"
	"image"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// screen is the painted picture and where its moving parts are. The Source's
// mutex guards it.
type screen struct {
	frame    *pixel.Frame
	backdrop *pixel.Frame // nil for a plain ground
	fonts    fonts

	msg   Message
	since time.Time
	lay   layout
	card  *pixel.Frame // the part of frame that the card covers
	// active says that the dots are there, step which of them is lit.
	active bool
	step   int
}

func newScreen(width, height int, backdrop *pixel.Frame) *screen {
	s := &screen{frame: pixel.NewFrame(width, height), backdrop: backdrop, fonts: openFonts()}
	s.ground(s.frame.Rect())
	return s
}

// ground paints what is behind the card.
func (s *screen) ground(r image.Rectangle) {
	if s.backdrop == nil {
		s.frame.Fill(r, colGround)
		return
	}
	r = r.Intersect(s.frame.Rect())
	for y := r.Min.Y; y < r.Max.Y; y++ {
		to, from := s.frame.Row(y, r.Min.X, r.Max.X), s.backdrop.Row(y, r.Min.X, r.Max.X)
		for x, c := range from {
			to[x] = dim(c)
		}
	}
}

// paint shows m, which was set at since, and returns the area that changed.
func (s *screen) paint(m Message, since, now time.Time) image.Rectangle {
	old := s.lay.card
	s.ground(old)
	s.msg, s.since, s.step = m, since, 0
	s.lay = newLayout(s.fonts, s.frame.Rect().Size(), m)
	s.card = part(s.frame, s.lay.card)
	s.lay.paint(s.card, s.fonts, m)
	s.progress(now)
	return old.Union(s.lay.card)
}

// tick brings the moving part up to date and returns its area.
func (s *screen) tick(now time.Time) image.Rectangle {
	s.step++
	s.progress(now)
	return s.lay.progress.Add(s.lay.card.Min)
}

// wake is how long after now the picture stays right, negative where it does
// until the next message.
func (s *screen) wake(now time.Time) time.Duration {
	switch left := s.msg.Until.Sub(now); {
	case s.lay.progress.Empty(): // no room for anything that moves
		return -1
	case s.counting(now):
		// The number shown is left rounded up to seconds; it stays until left
		// is a second less than that.
		return left - (left - 1).Truncate(time.Second)
	case s.active:
		return activityInterval
	default:
		return -1
	}
}

func (s *screen) counting(now time.Time) bool { return s.msg.Until.After(now) }

// progress paints the bottom part of the card: a countdown, or the dots.
func (s *screen) progress(now time.Time) {
	r := s.lay.progress
	s.card.Fill(r, colCard)
	s.active = false
	switch {
	case r.Empty():
	case s.counting(now):
		left := s.msg.Until.Sub(now)
		s.countdown(left, "Next try in "+seconds(left))
	case s.msg.Tone == Info:
		s.active = true
		s.dots()
	case !s.msg.Until.IsZero():
		s.countdown(0, "Trying again"+string(ellipsis))
	}
}

// countdown writes text above a bar that runs empty.
func (s *screen) countdown(left time.Duration, text string) {
	r, unit := s.lay.progress, s.lay.body
	t := s.fonts.regularFace(s.lay.small)
	t.draw(s.card, r.Min, t.cut(text, r.Dx(), false), colTitle)
	bar := image.Rect(r.Min.X, r.Max.Y-max(2, unit/4), r.Max.X, r.Max.Y)
	s.card.Fill(bar, colTrack)
	if total := s.msg.Until.Sub(s.since); total > 0 && left > 0 {
		bar.Max.X = bar.Min.X + int(int64(bar.Dx())*int64(min(left, total)/time.Millisecond+1)/int64(total/time.Millisecond+1))
		s.card.Fill(bar, s.msg.Tone.colour())
	}
}

// dots paints a row of dots, one of which is lit.
func (s *screen) dots() {
	const count = 5
	r, size := s.lay.progress, max(3, s.lay.body/2)
	lit := s.step % (2*count - 2) // there and back again
	if lit >= count {
		lit = 2*count - 2 - lit
	}
	for i := range count {
		at := image.Pt(r.Min.X+i*2*size, r.Max.Y-size)
		colour := uint32(colTrack)
		if i == lit {
			colour = s.msg.Tone.colour()
		}
		roundRect(s.card, image.Rectangle{at, at.Add(image.Pt(size, size))}.Intersect(r), size/2, colour)
	}
}

// seconds writes d, rounded up, as a person reads a clock.
func seconds(d time.Duration) string {
	n := int64((d + time.Second - 1) / time.Second)
	switch {
	case n < 100:
		return fmt.Sprintf("%d s", n)
	case n < 3600:
		return fmt.Sprintf("%d:%02d min", n/60, n%60)
	default:
		return fmt.Sprintf("%d:%02d:%02d h", n/3600, n/60%60, n%60)
	}
}
