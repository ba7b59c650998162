package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// filmed is a recording as the API lists it.
type filmed struct {
	ID, Mode      string
	Began         time.Time
	Ended         *time.Time
	Bytes         int64
	Seconds       float64
	Width, Height int
}

// films lists a node's recordings.
func (s *service) films(t testing.TB, node string) ([]filmed, error) {
	t.Helper()
	data, err := s.get(t, "/v1/nodes/"+node+"/console/recordings", http.StatusOK)
	if err != nil {
		return nil, err
	}
	var list struct{ Recordings []filmed }
	return list.Recordings, json.Unmarshal(data, &list)
}

// ending plays a recording to its end and returns the last picture, and when
// the end is.
func ending(t testing.TB, data []byte) (*pixel.Frame, time.Duration) {
	t.Helper()
	p := fbs.NewPlayer(fbs.PlayerConfig{Speed: -1, Recording: fbs.Stream(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})})
	srv := rfb.NewServer(p, rfb.ServerConfig{Linger: -1})
	defer srv.Close()
	var got *pixel.Frame
	eventually(t, "the recording's end", func() (err error) {
		if got, err = srv.Snapshot(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !p.State().Finished {
			return fmt.Errorf("it is at %v", p.State().Position)
		}
		got, err = srv.Snapshot(t.Context())
		return err
	})
	return got, p.State().Position
}

func pictureOf(f *pixel.Frame) picture {
	out := picture{width: f.Width, height: f.Height, pixels: make([]uint32, 0, f.Width*f.Height)}
	for y := range f.Height {
		for _, pixel := range f.Row(y, 0, f.Width) {
			out.pixels = append(out.pixels, pixel&0xffffff)
		}
	}
	return out
}

// scene is what was to be seen at a time since the beginning of the recording.
type scene struct {
	at      time.Duration
	picture picture
}

// filmScenes changes a node's picture some times, each of which is recorded
// before the next.
func filmScenes(t testing.TB, s *service, p *tab, n *node, count int) (id string, scenes []scene) {
	t.Helper()
	for i := range count {
		n.tell(t, fmt.Sprintf("draw %d", 30+i))
		want := p.showsExactly(t, n)
		var at time.Duration
		eventually(t, "the picture to be recorded", func() error {
			list, err := s.films(t, n.name)
			if err != nil || len(list) == 0 {
				return fmt.Errorf("%d recordings: %w", len(list), err)
			}
			id = list[0].ID
			data, err := s.get(t, "/v1/nodes/"+n.name+"/console/recordings/"+id, http.StatusOK)
			if err != nil {
				return err
			}
			var got *pixel.Frame
			got, at = ending(t, data)
			return differs(pictureOf(got), want)
		})
		scenes = append(scenes, scene{at, want})
		time.Sleep(300 * time.Millisecond) // of recorded time
	}
	return id, scenes
}

// replayState is what the page knows of its replay.
type replayState struct {
	Position, Speed, Seconds float64
	Playing, Finished        bool
}

func (p *tab) replay(t testing.TB) replayState {
	t.Helper()
	st, err := evaluate[*replayState](p, `window.ironglass.replay`)
	if err != nil {
		t.Fatal(err)
	}
	if st == nil {
		return replayState{Position: -1} // the service has not said it yet
	}
	return *st
}

// awaitReplay waits until ok is true of the replay.
func (p *tab) awaitReplay(t testing.TB, what string, ok func(st replayState) bool) {
	t.Helper()
	eventually(t, "the replay "+what, func() error {
		if st := p.replay(t); !ok(st) {
			return fmt.Errorf("it is %+v", st)
		}
		return nil
	})
}

// showsPicture waits until the canvas is that picture, exactly.
func (p *tab) showsPicture(t testing.TB, what string, want picture) {
	t.Helper()
	var got picture
	defer func() {
		if t.Failed() {
			keepPicture(t, "canvas", got)
			keepPicture(t, "want", want)
		}
	}()
	eventually(t, "the canvas to be "+what, func() (err error) {
		if got, err = p.canvas(); err != nil {
			return err
		}
		return differs(got, want)
	})
}

// dragTo does what a person does with the time line.
func (p *tab) dragTo(t testing.TB, seconds float64) {
	t.Helper()
	_, err := evaluate[*int](p, fmt.Sprintf(`(() => {
		const line = document.getElementById("position");
		for (const [name, at] of [["input", %[1]v / 2], ["input", %[1]v], ["change", %[1]v]]) {
			line.value = at;
			line.dispatchEvent(new Event(name, {bubbles: true}));
		}
		return null;
	})()`, seconds))
	if err != nil {
		t.Fatal(err)
	}
}

// TestReplayPage: the pages list a recording, play it, and go to any place of
// it, whose exact picture they show.
func TestReplayPage(t *testing.T) {
	n := pictureNode(t, "filmed", "640x480")
	n.recording = "full"
	s := startService(t, n)
	console := newTab(t)
	console.openConsole(t, s, n.name)
	n.shown(t)
	id, scenes := filmScenes(t, s, console, n, 5)

	p := newTab(t)
	p.goTo(t, s.url+"/replay.html?node="+n.name)
	p.awaitState(t, "list")
	eventually(t, "the list", func() error {
		text, err := evaluate[string](p, `document.getElementById("recordings").innerText`)
		if err == nil && (!strings.Contains(text, "640 × 480") || !strings.Contains(text, "being recorded")) {
			err = fmt.Errorf("it reads %q", text)
		}
		return err
	})
	keepLooks(t, p, "list")
	p.run(t, "choosing the recording", chromedp.Click(".watch"))
	p.awaitState(t, "connected")
	p.awaitReplay(t, "to play", func(st replayState) bool { return st.Playing && st.Speed == 1 })
	key := func(name, code string) { p.press(t, []stroke{{key: name, code: code}}) }
	key(" ", "Space")
	p.awaitReplay(t, "to pause", func(st replayState) bool { return !st.Playing })

	for _, i := range []int{3, 0, 4, 2, 1, 4, 0} {
		p.dragTo(t, scenes[i].at.Seconds()+0.01)
		p.showsPicture(t, fmt.Sprintf("scene %d", i), scenes[i].picture)
	}
	// Change by change.
	p.dragTo(t, scenes[3].at.Seconds()+0.01)
	p.awaitReplay(t, "to be in scene 3", func(st replayState) bool {
		return math.Abs(st.Position-scenes[3].at.Seconds()-0.01) < 1e-6
	})
	var steps []float64
	for _, c := range []struct {
		key, code string
		there     func(before, now float64) bool
	}{
		{",", "Comma", func(before, now float64) bool { return now < before }},
		{",", "Comma", func(before, now float64) bool { return now < before }},
		{".", "Period", func(before, now float64) bool { return now > before }},
	} {
		before := p.replay(t).Position
		key(c.key, c.code)
		p.awaitReplay(t, "to step", func(st replayState) bool { return c.there(before, st.Position) && !st.Playing })
		steps = append(steps, p.replay(t).Position)
	}
	if steps[0] > scenes[3].at.Seconds() || steps[2] != steps[0] {
		t.Errorf("steps from scene 3, which was there at %v, lead to %v", scenes[3].at, steps)
	}
	p.showsPicture(t, "scene 3", scenes[3].picture)

	// The ends, the middle by a click, the speeds.
	key("End", "End")
	p.awaitReplay(t, "to be at its end", func(st replayState) bool { return st.Position == st.Seconds })
	p.showsPicture(t, "the last scene", scenes[4].picture)
	key("Home", "Home")
	p.awaitReplay(t, "to be at its beginning", func(st replayState) bool { return st.Position == 0 })
	box, err := evaluate[[]float64](p, `(() => { const r = document.getElementById("position").getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; })()`)
	if err != nil {
		t.Fatal(err)
	}
	p.run(t, "clicking on the time line", chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, box[0], box[1]), chromedp.MouseClickXY(box[0], box[1]))
	p.awaitReplay(t, "to be in its middle", func(st replayState) bool {
		return st.Position > st.Seconds*0.48 && st.Position < st.Seconds*0.52
	})
	key("+", "Equal")
	key("+", "Equal")
	p.awaitReplay(t, "to be faster", func(st replayState) bool { return st.Speed == 4 })
	key("-", "Minus")
	p.awaitReplay(t, "to be slower", func(st replayState) bool { return st.Speed == 2 })
	keepLooks(t, p, "player")
	key("Home", "Home")
	key(" ", "Space")
	p.awaitReplay(t, "to end", func(st replayState) bool { return st.Finished })
	p.showsPicture(t, "the last scene", scenes[4].picture)

	// A page that is loaded again is where it was.
	p.dragTo(t, scenes[1].at.Seconds()+0.01)
	key(" ", "Space")
	p.awaitReplay(t, "to pause", func(st replayState) bool { return !st.Playing })
	p.dragTo(t, scenes[1].at.Seconds()+0.01)
	p.showsPicture(t, "scene 1", scenes[1].picture)
	p.run(t, "loading again", chromedp.Reload())
	p.awaitState(t, "connected")
	p.showsPicture(t, "scene 1", scenes[1].picture)

	// The console went on all the while, for one viewer.
	if st, err := s.films(t, n.name); err != nil || len(st) != 1 || st[0].ID != id || st[0].Ended != nil {
		t.Errorf("the recordings are %+v, %v", st, err)
	}
	console.showsExactly(t, n)

	// Where the service is gone the page says so, and comes back with it;
	// the replay has ended with the service.
	s.stop(t)
	p.awaitState(t, "reconnecting")
	s.start(t)
	p.awaitState(t, "refused")
	if text, err := evaluate[string](p, `document.getElementById("overlay").innerText`); err != nil || !strings.Contains(text, "This replay has ended") {
		t.Errorf("the page reads %q, %v", text, err)
	}
	// What was recorded is there.
	p.goTo(t, s.url+"/replay.html?node="+n.name)
	eventually(t, "the recording of before", func() error {
		count, err := evaluate[int](p, `document.querySelectorAll(".recording:not(.under-way)").length`)
		if err == nil && count != 1 {
			err = fmt.Errorf("%d recordings", count)
		}
		return err
	})
	const remove = ".recording:not(.under-way) .remove"
	p.run(t, "deleting", chromedp.Click(remove), chromedp.Click(remove))
	eventually(t, "the recording to be gone", func() error {
		list, err := s.films(t, n.name)
		if err == nil && slices.ContainsFunc(list, func(f filmed) bool { return f.ID == id }) {
			err = fmt.Errorf("the recordings are %+v", list)
		}
		return err
	})
}

// keepLooks keeps pictures of a page at three widths, dark and light, for a
// person to look at, and checks that nothing is wider than the page.
func keepLooks(t *testing.T, p *tab, name string) {
	t.Helper()
	for _, width := range []int64{375, 900, 1440} {
		for _, scheme := range []string{"dark", "light"} {
			p.run(t, "the look", chromedp.EmulateViewport(width, 800))
			if err := p.emulate(scheme); err != nil {
				t.Fatal(err)
			}
			shot, err := p.shot()
			if err != nil {
				t.Fatal(err)
			}
			keepPicture(t, fmt.Sprintf("%s-%d-%s", name, width, scheme), shot)
			over, err := evaluate[float64](p, `document.documentElement.scrollWidth - innerWidth`)
			if err != nil || over > 0 {
				t.Errorf("%s at a width of %d is %v pixels too wide: %v", name, width, over, err)
			}
		}
	}
	p.run(t, "the look of before", chromedp.EmulateViewport(1400, 1150))
}

// emulate gives the page a reader who prefers dark or light.
func (p *tab) emulate(scheme string) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	return err
}

// shot is what the page looks like.
func (p *tab) shot() (picture, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	data, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return picture{}, err
	}
	return decodePNG(data)
}

// TestRecordingSurvivesKill: what was recorded a second before the service is
// killed is there afterwards, and played by the commands.
func TestRecordingSurvivesKill(t *testing.T) {
	for _, mode := range []string{"full", "{mode: ring, minutes: 5}"} {
		t.Run(strings.Trim(mode, "{}"), func(t *testing.T) {
			n := pictureNode(t, "killed", "640x480")
			n.recording = mode
			s := startService(t, n)
			p := newTab(t)
			p.openConsole(t, s, n.name)
			n.shown(t)
			id, scenes := filmScenes(t, s, p, n, 2)
			n.tell(t, "draw 99")
			last := p.showsExactly(t, n)
			time.Sleep(time.Second)
			if err := s.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-s.ended
			s.start(t)
			list, err := s.films(t, n.name)
			i := slices.IndexFunc(list, func(f filmed) bool { return f.ID == id })
			if err != nil || i < 0 || list[i].Ended == nil || list[i].Seconds < scenes[1].at.Seconds() {
				t.Fatalf("the recordings are %+v, %v", list, err)
			}
			file := filepath.Join(t.TempDir(), "killed.fbs")
			for _, args := range [][]string{{"recordings", n.name}, {"recordings", n.name, "-fetch", id, "-to", file}} {
				out, err := exec.CommandContext(t.Context(), built.ironglass, append(args, "-server", s.url)...).CombinedOutput()
				if err != nil || args[len(args)-1] == n.name && !strings.Contains(string(out), id) {
					t.Fatalf("ironglass %q: %v\n%s", args, err, out)
				}
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := ending(t, data)
			if err := differs(pictureOf(got), last); err != nil {
				t.Errorf("the last picture: %v", err)
			}
			replayed(t, file, last)
		})
	}
}

// replayed has `ironglass replay` show a file to a viewer until that has seen
// the picture.
func replayed(t *testing.T, file string, want picture) {
	t.Helper()
	address := freeAddress(t)
	program := startProgram(t, nil, built.ironglass, "replay", "-speed", "50", "-listen", address, file)
	client := rfb.NewClient(rfb.ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}})
	front := rfb.NewServer(client, rfb.ServerConfig{Linger: -1, SourceEnded: func(rfb.Source, error) rfb.Source { return client }})
	defer front.Close()
	eventually(t, "ironglass replay to show the last picture", func() error {
		if err := program.running(); err != nil {
			t.Fatal(err)
		}
		f, err := front.Snapshot(t.Context())
		if err != nil {
			return err
		}
		return differs(pictureOf(f), want)
	})
}
