package notice

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/rfb/pixel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// then is when the painted messages are set.
var then = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func painted(size image.Point, backdrop *pixel.Frame, m Message) *screen {
	s := newScreen(size.X, size.Y, backdrop)
	s.paint(m, then, then)
	return s
}

// differing is the smallest rectangle that holds all pixels in which a and b
// differ.
func differing(a, b *pixel.Frame) (r image.Rectangle) {
	for y := range a.Height {
		if slices.Equal(a.Row(y, 0, a.Width), b.Row(y, 0, b.Width)) {
			continue
		}
		for x := range a.Width {
			if a.Pixel(x, y) != b.Pixel(x, y) {
				r = r.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return r
}

func noise(size image.Point) *pixel.Frame {
	f := pixel.NewFrame(size.X, size.Y)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range f.Pix {
		f.Pix[i] = rnd.Uint32() // pad bytes too: a backdrop may be a view
	}
	return f
}

var messages = map[string]Message{
	"empty":     {},
	"info":      {Title: "rack1-u12", Headline: "Starting the console", Lines: []string{"Starting the X server."}},
	"countdown": {Title: "rack1-u12", Headline: "The program ended", Tone: Warning, Until: then.Add(12 * time.Second), Lines: []string{"It is started again."}},
	"failure":   {Title: "rack1-u12", Headline: "The BMC refused the password", Tone: Failure, Lines: []string{"It answered 401.", "", "Check the password file."}},
	"huge": {Title: strings.Repeat("title ", 500), Headline: strings.Repeat("W", 5000), Until: then.Add(time.Hour),
		Lines: slices.Repeat([]string{strings.Repeat("many words ", 200)}, 300)},
	"odd": {Title: "\xff\xfe\x00\u202e", Headline: "漢字 🙂\tx\r\ny", Tone: 250, Lines: []string{"\n\n", " ", "\u200b"}},
}

var sizes = []image.Point{
	{1, 1}, {2, 3}, {16, 16}, {40, 30}, {160, 120}, {176, 144}, {320, 240}, {640, 480}, {800, 600}, {1024, 768},
	{1280, 1024}, {1920, 1200}, {3840, 2160}, {2000, 60}, {60, 2000},
}

// The card must lie inside the picture with some of the ground to be seen
// around it, and nothing outside the card may be painted on.
func TestCardInsideEveryPicture(t *testing.T) {
	for name, m := range messages {
		for _, size := range sizes {
			t.Run(fmt.Sprintf("%s/%dx%d", name, size.X, size.Y), func(t *testing.T) {
				blank := newScreen(size.X, size.Y, nil)
				s := painted(size, nil, m)
				if !s.lay.card.In(s.frame.Rect()) {
					t.Fatalf("the card %v is not inside the picture", s.lay.card)
				}
				if size.X >= 160 && size.Y >= 120 && !s.lay.card.Inset(-1).In(s.frame.Rect()) {
					t.Errorf("the card %v touches the picture's edge", s.lay.card)
				}
				if d := differing(blank.frame, s.frame); !d.In(s.lay.card) {
					t.Errorf("painted on %v, outside the card %v", d, s.lay.card)
				}
				for _, p := range s.frame.Pix {
					if p&^pixel.Mask != 0 {
						t.Fatalf("pad byte not zero: %#x", p)
					}
				}
				if !s.lay.progress.In(s.card.Rect()) {
					t.Errorf("the moving part %v is outside the card %v", s.lay.progress, s.card.Rect())
				}
			})
		}
	}
}

// Each part of a message must be seen: changing it alone must change the
// picture, where that part is.
func TestEveryPartIsShown(t *testing.T) {
	base := Message{Title: "node-a", Headline: "Head", Lines: []string{"first", "second"}, Tone: Warning, Until: then.Add(9 * time.Second)}
	changes := map[string]struct {
		change func(*Message)
		where  func(l layout) image.Rectangle
	}{
		"title": {func(m *Message) { m.Title = "node-b" },
			func(l layout) image.Rectangle { return image.Rect(0, l.title.Y, l.card.Dx(), l.rule.Min.Y) }},
		"headline": {func(m *Message) { m.Headline = "Hear" },
			func(l layout) image.Rectangle {
				return image.Rect(l.symbol.Max.X, l.headline.Y, l.card.Dx(), l.details.Y)
			}},
		"line": {func(m *Message) { m.Lines[1] = "sekond" },
			func(l layout) image.Rectangle {
				return image.Rect(l.symbol.Max.X, l.details.Y, l.card.Dx(), l.progress.Min.Y)
			}},
		"countdown": {func(m *Message) { m.Until = then.Add(8 * time.Second) },
			func(l layout) image.Rectangle { return l.progress }},
	}
	for _, size := range []image.Point{{320, 240}, {1280, 1024}} {
		a := painted(size, nil, base)
		for name, c := range changes {
			m := base
			m.Lines = slices.Clone(base.Lines)
			c.change(&m)
			b := painted(size, nil, m)
			if d := differing(a.card, b.card); d.Empty() || !d.In(c.where(a.lay)) {
				t.Errorf("%v: another %s changes %v, not something in %v", size, name, d, c.where(a.lay))
			}
		}
	}
}

// Tones must differ by more than colour: in the set of pixels that their
// symbols cover.
func TestTonesDifferInShape(t *testing.T) {
	cover := func(tone Tone) string {
		s := painted(image.Pt(640, 480), nil, Message{Headline: "x", Tone: tone})
		var b strings.Builder
		for y := s.lay.symbol.Min.Y; y < s.lay.symbol.Max.Y; y++ {
			for _, p := range s.card.Row(y, s.lay.symbol.Min.X, s.lay.symbol.Max.X) {
				b.WriteByte(".#"[min(1, p^colCard)])
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	info, warning, failure := cover(Info), cover(Warning), cover(Failure)
	if info == warning || warning == failure || info == failure {
		t.Error("two tones have the same symbol")
	}
	for _, c := range []string{info, warning, failure} {
		if !strings.Contains(c, "#") {
			t.Errorf("a symbol is empty:\n%s", c)
		}
	}
}

// What the fonts lack must be seen as boxes: never be left out.
func TestMissingCharactersShow(t *testing.T) {
	head := func(text string) *pixel.Frame {
		return painted(image.Pt(640, 480), nil, Message{Headline: text, Tone: Failure}).frame
	}
	boxes := head("a□□b")
	for _, text := range []string{"a漢字b", "a\xff\xfeb", "a\x01\x02b", "a🙂🙂b"} {
		if !head(text).Equal(boxes) {
			t.Errorf("%q is not shown with two boxes", text)
		}
	}
	if boxes.Equal(head("ab")) {
		t.Error("a box is not to be seen")
	}
	if !head("a\u202eb").Equal(head("ab")) {
		t.Error("a mark that turns text around is shown")
	}
}

// A backdrop is seen around the card, darker, and is not written.
func TestBackdropIsDimmed(t *testing.T) {
	size := image.Pt(400, 300)
	backdrop := noise(size)
	for i := range 50 {
		backdrop.Pix[i] = 0xffffff
	}
	before := slices.Clone(backdrop.Pix)
	s := painted(size, backdrop, messages["failure"])
	s.paint(messages["empty"], then, then) // a smaller card uncovers some of it
	if !slices.Equal(before, backdrop.Pix) {
		t.Error("the backdrop was written")
	}
	fresh := painted(size, backdrop, messages["empty"])
	if !s.frame.Equal(fresh.frame) {
		t.Errorf("the message before shows through at %v", differing(s.frame, fresh.frame))
	}
	seen := map[uint32]bool{}
	for y := range s.lay.card.Min.Y {
		for x := range size.X {
			p := s.frame.Pixel(x, y)
			seen[p] = true
			if p&0xff > 0x60 || p>>8&0xff > 0x60 || p>>16 > 0x60 {
				t.Fatalf("the backdrop is as bright as %06x at (%d,%d)", p, x, y)
			}
		}
	}
	if len(seen) < 100 {
		t.Errorf("only %d colours of the backdrop are left", len(seen))
	}
}

// Few colours are what makes a status screen small on the wire.
func TestFewColours(t *testing.T) {
	for name, m := range messages {
		seen, last := map[uint32]bool{}, uint32(1)
		for _, p := range painted(image.Pt(1280, 1024), nil, m).frame.Pix {
			if p != last {
				seen[p], last = true, p
			}
		}
		if len(seen) > 64 {
			t.Errorf("%s has %d colours", name, len(seen))
		}
	}
}

func TestWrap(t *testing.T) {
	face := openFonts().regularFace(16)
	for _, text := range []string{
		"", "word", "two words", strings.Repeat("x", 500), "short " + strings.Repeat("y", 90) + " short",
		"  leading and trailing  ", "line\nbreak\r\nkept", strings.Repeat("漢", 80),
	} {
		for _, width := range []int{1, 20, 100, 400} {
			lines := face.wrap(nil, text, width, 10000)
			for _, line := range lines {
				if face.width([]rune(line)) > width && len([]rune(line)) > 1 {
					t.Errorf("%q in %d pixels: line %q is %d wide", text, width, line, face.width([]rune(line)))
				}
			}
			squash := strings.NewReplacer(" ", "", "\n", "", "\r", "", "漢", "□").Replace
			if got := squash(strings.Join(lines, "")); got != squash(text) {
				t.Errorf("%q in %d pixels became %q", text, width, lines)
			}
		}
	}
	if got := face.wrap(nil, "one two", face.width([]rune("one two"))-1, 9); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("not broken at the space: %q", got)
	}
	if got := face.wrap([]string{"a"}, strings.Repeat("word ", 50), 100, 3); len(got) != 3 || got[0] != "a" {
		t.Errorf("asked for 3 lines, got %q", got)
	}
}

func TestCut(t *testing.T) {
	face := openFonts().regularFace(16)
	if got := face.cut("short", 200, false); got != "short" {
		t.Errorf("cut to %q without need", got)
	}
	long := strings.Repeat("long ", 100)
	got := face.cut(long, 200, false)
	if !strings.HasSuffix(got, "…") || !strings.HasPrefix(long, strings.TrimSuffix(got, "…")) || face.width([]rune(got)) > 200 {
		t.Errorf("cut to %q", got)
	}
	if got := face.cut("short", 200, true); got != "short…" {
		t.Errorf("what goes on is shown as %q", got)
	}
}

// Every character of the fonts can be drawn, at its place in a line, and a
// letter looks like itself.
func TestEveryGlyph(t *testing.T) {
	fs := openFonts()
	for name, face := range map[string]*typeface{"regular": fs.regularFace(20), "bold": fs.boldFace(20)} {
		glyphs := 0
		for r := rune(0); r <= 0xffff; r++ {
			if !face.has(r) {
				continue
			}
			glyphs++
			f := pixel.NewFrame(60, 60)
			face.draw(f, image.Pt(20, 10), string(r), 0xffffff)
			blank := unicode.IsSpace(r) || r == 0 // the fonts give U+0000 an empty glyph
			on := differing(f, pixel.NewFrame(60, 60))
			if on.Empty() != blank {
				t.Errorf("%s %U: painted on %v", name, r, on)
			}
			// Two accents on a capital reach into the line above.
			if line := image.Rect(10, 5, 60, 10+face.height); !on.In(line) {
				t.Errorf("%s %U: painted on %v, not in %v", name, r, on, line)
			}
		}
		if glyphs < 600 {
			t.Errorf("%s has only %d characters", name, glyphs)
		}
	}
	// An o has a hole in its middle and a left side.
	f := pixel.NewFrame(60, 60)
	fs.regularFace(40).draw(f, image.Pt(10, 5), "o", 1)
	o := differing(f, pixel.NewFrame(60, 60))
	middle := o.Min.Add(o.Size().Div(2))
	if f.Pixel(middle.X, middle.Y) != 0 {
		t.Error("an o is filled")
	}
	if f.Pixel(o.Min.X+2, middle.Y) == 0 {
		t.Error("an o has no left side")
	}
}
