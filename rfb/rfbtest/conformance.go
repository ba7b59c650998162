package rfbtest

import (
	"context"
	"errors"
	"image"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// Subject is a source that TestSource tries, and what can be done to its
// display from behind. What is nil cannot be done. The functions are called
// from one goroutine at a time, whether Run runs or not.
type Subject struct {
	Source rfb.Source
	// Draw changes the picture somehow.
	Draw func(rnd *rand.Rand)
	// Truth is what the display shows, by another way than the source.
	Truth func() *pixel.Frame
	// Resize gives the display another size in pixels.
	Resize func(width, height int)
	// Sizes are those that Resize, and a viewer through rfb.Resizer, try.
	Sizes []image.Point
	// Lose ends the display for good; Run must then end with an error, one
	// that wraps Lost where that is not nil.
	Lose func()
	Lost error
	// Hang makes the display answer nothing any more, until the subject is
	// cleaned up.
	Hang func()
	// Cursors says that the source knows the pointer's shape in each run.
	Cursors bool
}

// TestSource is what every rfb.Source must pass. newSource makes a new subject
// for a test and registers what takes it away with t.Cleanup.
func TestSource(t *testing.T, newSource func(t *testing.T) *Subject) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *Subject)
	}{
		{"Announces", testAnnounces},
		{"Exact", testExact},
		{"GrabIsPresent", testGrabIsPresent},
		{"Resizes", testResizes},
		{"Ends", testEnds},
		{"RunsAgain", testRunsAgain},
		{"Answers", testAnswers},
		{"Resizer", testResizer},
		{"Hangs", testHangs},
		{"Lost", testLost},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Registered first, so that it comes after the subject's end.
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, before) })
			c.test(t, newSource(t))
		})
	}
}

// follower runs a source as a server does: it keeps a picture up to date from
// what is announced and Grab alone.
type follower struct {
	t      *testing.T
	src    rfb.Source
	cancel context.CancelFunc
	result chan error

	mu      sync.Mutex
	changed chan struct{} // closed and made anew at every announcement
	early   int           // of pixels before the size
	late    int           // of them after Run had returned
	ended   bool
	size    image.Point
	damage  pixel.Region
	cursors int

	frame *pixel.Frame // owned by the test
}

var _ rfb.Announced = (*follower)(nil)

// follow begins a run, which ends with the test.
func follow(t *testing.T, src rfb.Source) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &follower{
		t: t, src: src, cancel: cancel, result: make(chan error, 1),
		changed: make(chan struct{}), frame: pixel.NewFrame(1, 1),
	}
	go f.run(ctx)
	t.Cleanup(func() { cancel() })
	return f
}

// run ends with the source's Run.
func (f *follower) run(ctx context.Context) {
	err := f.src.Run(ctx, rfb.NewDesktop(f))
	f.mu.Lock()
	f.ended = true
	close(f.changed)
	f.changed = make(chan struct{})
	f.mu.Unlock()
	f.result <- err
}

func (f *follower) note(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		f.late++
	}
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

// pixels notes that those of r may have changed.
func (f *follower) pixels(r *pixel.Region) {
	f.note(func() {
		f.damage.Union(r)
		if f.size == (image.Point{}) {
			f.early++
		}
	})
}

func (f *follower) Damage(r *pixel.Region) { f.pixels(r) }

// Copy takes the move for damage: what comes of it must be there to be seen.
func (f *follower) Copy(r image.Rectangle, _ image.Point) { f.pixels(pixel.RegionOf(r)) }

func (f *follower) SetScreens(width, height int, _ []rfb.Screen) {
	f.note(func() {
		f.size = image.Pt(width, height)
		f.damage.Clear()
		f.damage.Add(image.Rectangle{Max: f.size})
	})
}

func (f *follower) SetCursor(*pixel.Cursor)  { f.note(func() { f.cursors++ }) }
func (f *follower) SetPointer(_, _ int)      { f.note(func() {}) }
func (f *follower) SetPointerRelative(bool)  { f.note(func() {}) }
func (f *follower) OfferPower(bool)          { f.note(func() {}) }
func (f *follower) SetLEDState(rfb.LEDState) { f.note(func() {}) }
func (f *follower) CutText(string)           { f.note(func() {}) }
func (f *follower) Bell()                    { f.note(func() {}) }
func (f *follower) SetName(string)           { f.note(func() {}) }

// await waits until cond, called with mu held, is true.
func (f *follower) await(what string, cond func() bool) {
	f.t.Helper()
	timeout := time.After(Patience)
	for {
		f.mu.Lock()
		ok, changed, ended := cond(), f.changed, f.ended
		f.mu.Unlock()
		if ok {
			return
		}
		if ended {
			f.t.Fatalf("Run ended with %v before %s", <-f.result, what)
		}
		select {
		case <-changed:
		case <-timeout:
			f.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// update looks at what was announced, once; what cannot be had stays.
func (f *follower) update() (err error) {
	f.mu.Lock()
	size, damage := f.size, f.damage.Clone()
	f.damage.Clear()
	f.mu.Unlock()
	if size == (image.Point{}) {
		return nil
	}
	if f.frame.Width != size.X || f.frame.Height != size.Y {
		f.frame = pixel.NewFrame(size.X, size.Y)
	}
	damage.IntersectRect(f.frame.Rect())
	if damage.Empty() {
		return nil
	}
	err = f.src.Grab(damage, func(view *pixel.Frame) {
		if view.Width < 1 || view.Height < 1 || view.Stride < view.Width || len(view.Pix) < (view.Height-1)*view.Stride+view.Width {
			f.t.Errorf("a view of %dx%d pixels, stride %d, has %d", view.Width, view.Height, view.Stride, len(view.Pix))
			return
		}
		for r := range damage.Rects() {
			pixel.Copy(f.frame, view, r)
		}
	})
	if err != nil {
		f.mu.Lock()
		f.damage.Union(damage)
		f.mu.Unlock()
	}
	return err
}

// settle looks at what is announced until the picture is the display's, which
// is at rest.
func (f *follower) settle(s *Subject) {
	f.t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		f.mu.Lock()
		changed, ended := f.changed, f.ended
		f.mu.Unlock()
		err := f.update()
		want := s.Truth()
		if err == nil && f.frame.Equal(want) {
			return
		}
		if ended {
			f.t.Fatalf("Run ended with %v while the display was there", <-f.result)
		}
		select {
		case <-changed:
		case <-time.After(time.Until(deadline)):
			f.t.Fatalf("at rest the picture is not the display's (Grab: %v): %s", err, Difference(f.frame, want))
		}
	}
}

// end ends the run and checks that it ended as it must.
func (f *follower) end() {
	f.t.Helper()
	f.cancel()
	if err := f.wait(); err != nil && !errors.Is(err, context.Canceled) {
		f.t.Errorf("Run, ended by its context, returned %v", err)
	}
}

// wait waits for Run's end.
func (f *follower) wait() error {
	f.t.Helper()
	select {
	case err := <-f.result:
		return err
	case <-time.After(Patience):
		stacks := make([]byte, 1<<20)
		f.t.Fatalf("Run does not end\n%s", stacks[:runtime.Stack(stacks, true)])
		return nil
	}
}

// quiet checks, at the test's end, that the Desktop was left alone.
func (f *follower) quiet() {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.late > 0 {
		f.t.Errorf("%d announcements came after Run had returned", f.late)
	}
	if f.early > 0 {
		f.t.Errorf("%d announcements of pixels came before the size", f.early)
	}
}

// aWhile is how long is waited for what must not happen.
const aWhile = 20 * time.Millisecond

func random(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, 0x5eed)) }

// The size is announced before any pixels, and the pointer's shape is in
// each run.
func testAnnounces(t *testing.T, s *Subject) {
	f := follow(t, s.Source)
	f.settle(s)
	if want := s.Truth(); f.size != image.Pt(want.Width, want.Height) {
		t.Errorf("the size is %v, not %dx%d", f.size, want.Width, want.Height)
	}
	if s.Cursors {
		f.await("the pointer's shape", func() bool { return f.cursors > 0 })
	}
	f.end()
	f.quiet()
}

// What is drawn is announced, and once the display is at rest the picture is
// exact, however it was looked at meanwhile.
func testExact(t *testing.T, s *Subject) {
	f := follow(t, s.Source)
	f.settle(s)
	if s.Draw == nil {
		f.end()
		return
	}
	rnd := random(1)
	for range 20 {
		s.Draw(rnd)
		f.settle(s)
	}
	for range 5 {
		drawn := make(chan struct{})
		go func() {
			defer close(drawn)
			for range 100 {
				s.Draw(rnd)
			}
		}()
		for busy := true; busy; {
			select {
			case <-drawn:
				busy = false
			default:
				_ = f.update() // it may be busy; the rest is looked at below
				runtime.Gosched()
			}
		}
		f.settle(s)
	}
	f.end()
	f.quiet()
}

// Grab gives the present pixels inside the region, whatever was looked at
// before and nothing announced.
func testGrabIsPresent(t *testing.T, s *Subject) {
	f := follow(t, s.Source)
	f.settle(s)
	rnd := random(2)
	for range 20 {
		if s.Draw != nil {
			s.Draw(rnd)
			f.settle(s)
		}
		want := s.Truth()
		var r pixel.Region
		for range 1 + rnd.IntN(4) {
			at := image.Pt(rnd.IntN(want.Width), rnd.IntN(want.Height))
			r.Add(image.Rectangle{at, at.Add(image.Pt(1+rnd.IntN(100), 1+rnd.IntN(60)))})
		}
		r.IntersectRect(want.Rect())
		got := want.Clone()
		for g := range r.Rects() {
			got.Fill(g, rnd.Uint32()&pixel.Mask)
		}
		err := s.Source.Grab(&r, func(view *pixel.Frame) {
			for g := range r.Rects() {
				pixel.Copy(got, view, g)
			}
		})
		if errors.Is(err, rfb.ErrBusy) {
			continue // the change of something else than pixels is on its way
		}
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(want) {
			t.Fatalf("inside %v the pixels are not the present ones: %s", r.Bounds(), Difference(got, want))
		}
	}
	f.end()
}

// A size that the display takes is announced, and its picture is exact.
func testResizes(t *testing.T, s *Subject) {
	if s.Resize == nil {
		return
	}
	f := follow(t, s.Source)
	f.settle(s)
	rnd := random(3)
	for _, size := range s.Sizes {
		s.Resize(size.X, size.Y)
		f.await("the new size", func() bool { return f.size == size })
		s.Draw(rnd)
		f.settle(s)
	}
	// Many at once, looked at in between.
	for n := range 3 * len(s.Sizes) {
		size := s.Sizes[rnd.IntN(len(s.Sizes))]
		s.Resize(size.X, size.Y)
		s.Draw(rnd)
		if n%2 == 0 {
			_ = f.update() // the settling tells
		}
	}
	f.settle(s)
	f.end()
	f.quiet()
}

// Run ends with its context, at whatever moment that comes, and leaves the
// Desktop alone afterwards.
func testEnds(t *testing.T, s *Subject) {
	rnd := random(4)
	for n := range 12 {
		f := follow(t, s.Source)
		switch {
		case n == 0:
			f.settle(s)
			_ = f.update()
		case n < 4:
			f.await("the size", func() bool { return f.size != image.Point{} })
		case n < 11:
			time.Sleep(time.Duration(rnd.IntN(2000)) * time.Microsecond)
		}
		f.end()
		if s.Draw != nil {
			s.Draw(rnd)
		}
		if n == 0 {
			time.Sleep(aWhile)
		}
		f.quiet()
	}
}

// Run can be called again, and then shows what has become of the display.
func testRunsAgain(t *testing.T, s *Subject) {
	rnd := random(5)
	for n := range 4 {
		f := follow(t, s.Source)
		f.settle(s)
		if s.Draw != nil {
			s.Draw(rnd)
			f.settle(s)
		}
		if s.Cursors {
			f.await("the pointer's shape", func() bool { return f.cursors > 0 })
		}
		f.end()
		f.quiet()
		if s.Draw != nil {
			s.Draw(rnd)
		}
		if s.Resize != nil && len(s.Sizes) > 0 {
			size := s.Sizes[n%len(s.Sizes)]
			s.Resize(size.X, size.Y)
			s.Draw(rnd)
		}
	}
}

// inTime fails the test where f takes longer than anything may.
func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(Patience):
		t.Fatalf("%s does not return", what)
	}
}

// speak says to the source whatever a viewer can, of which there may be much.
func speak(t *testing.T, src rfb.Source, times int) {
	t.Helper()
	inTime(t, "input", func() {
		for n := range times {
			if in, ok := src.(rfb.Input); ok {
				in.PointerEvent(rfb.PointerEvent{X: n % 50, Y: n % 40})
				in.KeyEvent(rfb.KeyEvent{Down: true, Keysym: 'a'})
				in.KeyEvent(rfb.KeyEvent{Keysym: 'a'})
			}
			if c, ok := src.(rfb.Clipboard); ok {
				c.SetCutText("text")
			}
		}
	})
}

// The source's abilities answer while Run runs, and harm nothing.
func testAnswers(t *testing.T, s *Subject) {
	f := follow(t, s.Source)
	f.settle(s)
	speak(t, s.Source, 10)
	if p, ok := s.Source.(rfb.Power); ok {
		inTime(t, "Power", func() {
			ctx, cancel := context.WithTimeout(t.Context(), Patience/2)
			defer cancel()
			_ = p.Power(ctx, rfb.PowerReset) // may be refused
		})
	}
	if s.Draw != nil {
		s.Draw(random(6))
	}
	f.settle(s)
	f.end()
	f.quiet()
}

// A size that a viewer asks for is given or refused in words, and announced.
func testResizer(t *testing.T, s *Subject) {
	r, ok := s.Source.(rfb.Resizer)
	if !ok || s.Resize == nil {
		return
	}
	f := follow(t, s.Source)
	f.settle(s)
	for _, size := range s.Sizes {
		ctx, cancel := context.WithTimeout(t.Context(), Patience)
		err := r.SetDesktopSize(ctx, size.X, size.Y, nil)
		cancel()
		if err != nil {
			t.Fatalf("%v: %v", size, err)
		}
		f.await("the size that was asked for", func() bool { return f.size == size })
		s.Draw(random(7))
		f.settle(s)
	}
	f.end()
	f.quiet()
}

// A display that answers nothing keeps neither input nor Run's end waiting.
func testHangs(t *testing.T, s *Subject) {
	if s.Hang == nil {
		return
	}
	f := follow(t, s.Source)
	f.settle(s)
	for rnd := range 20 { // so that the display is being asked something
		if s.Draw != nil {
			s.Draw(random(uint64(rnd)))
		}
	}
	s.Hang()
	speak(t, s.Source, 1000)
	time.Sleep(aWhile)
	f.cancel()
	_ = f.wait() // what it says of the display is its own
	f.quiet()
}

// Run ends with the reason when the display is lost, at whatever moment it is
// looked at.
func testLost(t *testing.T, s *Subject) {
	if s.Lose == nil {
		return
	}
	f := follow(t, s.Source)
	f.settle(s)
	s.Lose()
	for deadline := time.Now().Add(Patience); ; {
		f.mu.Lock()
		ended := f.ended
		f.damage.Add(image.Rectangle{Max: f.size})
		f.mu.Unlock()
		if ended || time.Now().After(deadline) {
			break
		}
		_ = f.update() // may fail
		time.Sleep(time.Millisecond)
	}
	err := f.wait()
	switch {
	case err == nil || err.Error() == "":
		t.Errorf("Run returned %v when the display was lost", err)
	case errors.Is(err, context.Canceled):
		t.Errorf("Run says %q of a context that has not ended", err)
	case s.Lost != nil && !errors.Is(err, s.Lost):
		t.Errorf("Run says %q, which does not wrap %q", err, s.Lost)
	}
	f.quiet()
}
