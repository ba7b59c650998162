package notice

import (
	"context"
	"image"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// journal notes what a source announces, with the picture as Grab shows it at
// that moment.
type journal struct {
	src *Source

	mu     sync.Mutex
	size   image.Point
	cursor *pixel.Cursor
	events []event
	missed image.Rectangle // announced, and could not be looked at yet
}

type event struct {
	at     time.Duration // since the source was started
	damage image.Rectangle
	frame  *pixel.Frame
}

func (j *journal) Resize(w, h int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.size = image.Pt(w, h)
	j.note(image.Rect(0, 0, w, h))
}

func (j *journal) SetCursor(c *pixel.Cursor) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.cursor = c
}

func (j *journal) Damage(r *pixel.Region) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size == (image.Point{}) {
		panic("damage before the size")
	}
	j.note(r.Bounds())
}

// note looks at the picture as a server does: what cannot be looked at yet is
// looked at when the source says that it may be tried again.
func (j *journal) note(r image.Rectangle) {
	r = r.Union(j.missed)
	e := event{at: time.Since(bubbleStart), damage: r}
	err := j.src.Grab(pixel.RegionOf(r), func(view *pixel.Frame) { e.frame = view.Clone() })
	if err != nil {
		if len(j.events) > 0 {
			panic(err)
		}
		j.missed = r
		return
	}
	j.missed = image.Rectangle{}
	j.events = append(j.events, e)
}

// take returns what was announced since it was last called.
func (j *journal) take() []event {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := j.events
	j.events = nil
	return e
}

// bubbleStart is the time at which every synctest bubble begins.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// follow runs src and returns what it announces, and how to end it.
func follow(src *Source) (*journal, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	j := &journal{src: src}
	done := make(chan struct{})
	go func() {
		defer close(done)
		src.run(ctx, j)
	}()
	synctest.Wait()
	return j, func() {
		cancel()
		<-done
	}
}

func TestRunShowsTheMessageAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := New(320, 240, nil)
		src.Set(messages["failure"])
		j, stop := follow(src)
		defer stop()
		events := j.take()
		if len(events) != 1 || j.size != image.Pt(320, 240) {
			t.Fatalf("announced %d times, size %v", len(events), j.size)
		}
		if !events[0].frame.Equal(painted(j.size, nil, messages["failure"]).frame) {
			t.Error("the first picture does not show the message")
		}
		if !reflect.DeepEqual(j.cursor, pixel.DefaultCursor()) {
			t.Error("the pointer is not a plain arrow")
		}
	})
}

func TestSetRepaints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := New(0, 0, noise(image.Pt(400, 300)))
		src.Set(messages["failure"])
		j, stop := follow(src)
		defer stop()
		if j.size != image.Pt(400, 300) {
			t.Fatalf("the size is %v, not the backdrop's", j.size)
		}
		first := j.take()[0].frame
		m := Message{Title: "other", Headline: "Smaller", Tone: Failure}
		src.Set(m)
		synctest.Wait()
		events := j.take()
		if len(events) != 1 {
			t.Fatalf("%d announcements of one message", len(events))
		}
		if d := differing(first, events[0].frame); !d.In(events[0].damage) {
			t.Errorf("%v changed, %v was announced", d, events[0].damage)
		}
		if !events[0].frame.Equal(painted(j.size, src.backdrop, m).frame) {
			t.Error("the picture does not show the message")
		}
		src.Set(m)
		time.Sleep(time.Hour)
		if e := j.take(); len(e) != 0 {
			t.Errorf("%d announcements of nothing new", len(e))
		}
	})
}

// A headline or a line that begins with a letter from a to z is shown with a
// capital, other text as it is given, and the node's name always.
func TestSentencesBeginWithACapital(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := New(320, 240, nil)
		lines := []string{"", "zero\nand more", "été", "9 lives", " a", "{z", "`a"}
		src.Set(Message{Title: "node", Headline: "the end", Lines: lines, Tone: Failure})
		j, stop := follow(src)
		defer stop()
		want := Message{Title: "node", Headline: "The end", Tone: Failure,
			Lines: []string{"", "Zero\nand more", "été", "9 lives", " a", "{z", "`a"}}
		if !j.take()[0].frame.Equal(painted(j.size, nil, want).frame) {
			t.Error("what is shown is not what was set with a capital at the beginning")
		}
		if lines[1] != "zero\nand more" {
			t.Error("the caller's lines were changed")
		}
		src.Set(want)
		synctest.Wait()
		if e := j.take(); len(e) != 0 {
			t.Errorf("%d announcements of what was shown already", len(e))
		}
	})
}

func TestCountdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := New(320, 240, nil)
		src.Set(Message{Headline: "Lost", Tone: Warning, Until: time.Now().Add(3500 * time.Millisecond)})
		j, stop := follow(src)
		defer stop()
		last := j.take()[0].frame
		time.Sleep(time.Hour)
		events := j.take()
		var at []time.Duration
		for _, e := range events {
			at = append(at, e.at)
			if d := differing(last, e.frame); d.Empty() || !d.In(e.damage) || e.damage.Dy() > 60 {
				t.Errorf("at %v %v changed, %v was announced", e.at, d, e.damage)
			}
			last = e.frame
		}
		want := []time.Duration{500 * time.Millisecond, 1500 * time.Millisecond, 2500 * time.Millisecond, 3500 * time.Millisecond}
		if !slices.Equal(at, want) {
			t.Errorf("woke at %v, not at %v", at, want)
		}
	})
}

// A message without a countdown keeps its dots moving, up to four times a
// second; other tones sleep.
func TestActivity(t *testing.T) {
	for tone, want := range map[Tone]int{Info: 40, Warning: 0, Failure: 0} {
		synctest.Test(t, func(t *testing.T) {
			src := New(320, 240, nil)
			src.Set(Message{Headline: "Starting", Tone: tone})
			j, stop := follow(src)
			defer stop()
			last := j.take()[0].frame
			time.Sleep(10*time.Second + time.Millisecond)
			synctest.Wait()
			events := j.take()
			if len(events) != want {
				t.Errorf("tone %d: %d announcements in 10 s, not %d", tone, len(events), want)
			}
			for _, e := range events {
				if d := differing(last, e.frame); d.Empty() || !d.In(e.damage) || e.damage.Dx()*e.damage.Dy() > 320*240/10 {
					t.Errorf("at %v %v changed, %v was announced", e.at, d, e.damage)
				}
				last = e.frame
			}
		})
	}
}

// Where the picture has no room for a countdown, nothing wakes for it.
func TestNoRoomToMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := New(20, 10, nil)
		src.Set(Message{Headline: "Lost", Until: time.Now().Add(time.Minute)})
		j, stop := follow(src)
		defer stop()
		time.Sleep(time.Hour)
		if e := j.take(); len(e) != 1 {
			t.Errorf("%d announcements", len(e))
		}
	})
}

// A source can be run again, shows what was set meanwhile, and holds no
// picture in between.
func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := New(320, 240, nil)
		grab := func() error { return src.Grab(new(pixel.Region), func(*pixel.Frame) {}) }
		for _, name := range []string{"failure", "info", "countdown"} {
			src.Set(messages[name])
			if err := grab(); err == nil {
				t.Error("a picture is held while nobody looks")
			}
			j, stop := follow(src)
			if err := grab(); err != nil {
				t.Error(err)
			}
			events := j.take()
			stop()
			want := newScreen(320, 240, nil)
			want.paint(messages[name], bubbleStart, bubbleStart)
			if len(events) != 1 || !events[0].frame.Equal(want.frame) {
				t.Errorf("%s is not shown when run again", name)
			}
		}
	})
}

func TestSizesAreBroughtIntoRange(t *testing.T) {
	for _, c := range []struct {
		w, h     int
		backdrop *pixel.Frame
		want     image.Point
	}{
		{0, -5, nil, image.Pt(1, 1)},
		{20000, 10, nil, image.Pt(16384, 10)},
		{30, 40, &pixel.Frame{}, image.Pt(30, 40)},
		{30, 40, pixel.NewFrame(7, 8), image.Pt(7, 8)},
	} {
		if s := New(c.w, c.h, c.backdrop); image.Pt(s.width, s.height) != c.want {
			t.Errorf("%dx%d became %dx%d", c.w, c.h, s.width, s.height)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	src := New(200, 150, nil)
	ctx, cancel := context.WithCancel(context.Background())
	j := &journal{src: src}
	var wg sync.WaitGroup
	wg.Go(func() { src.run(ctx, j) })
	for range 4 {
		wg.Go(func() {
			for _, m := range messages {
				src.Set(m)
				_ = src.Grab(new(pixel.Region), func(view *pixel.Frame) { view.Clone() })
			}
		})
	}
	last := Message{Headline: "The last word", Tone: Failure}
	want := painted(image.Pt(200, 150), nil, last).frame
	deadline := time.After(60 * time.Second)
	for shown := false; !shown; {
		src.Set(last)
		select {
		case <-deadline:
			t.Fatal("the last message never showed")
		case <-time.After(time.Millisecond):
		}
		_ = src.Grab(new(pixel.Region), func(view *pixel.Frame) { shown = view.Equal(want) })
	}
	cancel()
	wg.Wait()
}
