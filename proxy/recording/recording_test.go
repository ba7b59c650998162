package recording_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/proxy/recording"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const node = "rack1-u12"

// console is a console that runs, with somebody who looks.
type console struct {
	*rfbtest.Source
	srv *rfb.Server
}

func newConsole(t *testing.T, width, height int) console {
	t.Helper()
	c := console{Source: rfbtest.NewSource(width, height)}
	c.srv = rfb.NewServer(c.Source, rfb.ServerConfig{Name: node, Linger: -1})
	if _, err := c.srv.Snapshot(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// taping is one under way.
type taping struct {
	end    context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	states []bool
}

// tape records until stop.
func tape(s *recording.Store, c console, set recording.Settings) *taping {
	r := new(taping)
	ctx, cancel := context.WithCancel(context.Background())
	r.end = cancel
	r.done.Go(func() {
		s.Record(ctx, c.srv, node, set, func(active bool) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.states = append(r.states, active)
		})
	})
	return r
}

func (r *taping) stop() {
	r.end()
	r.done.Wait()
}

func (r *taping) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(r.states)
}

func open(t *testing.T, cfg recording.Config) *recording.Store {
	t.Helper()
	s, err := recording.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func list(t *testing.T, s *recording.Store, node string) []recording.Info {
	t.Helper()
	l, err := s.List(node)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// disk is what the node's files take, without indexes.
func disk(t *testing.T, dir string) (total, largest int64, files int) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, node))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		st, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += st.Size()
		if !strings.HasSuffix(e.Name(), fbs.IndexSuffix) {
			largest = max(largest, st.Size())
			files++
		}
	}
	return total, largest, files
}

// shown is what was to be seen from a time on.
type shown struct {
	from    time.Time
	picture *pixel.Frame
}

// compare plays a recording to and fro and wants what was shown.
func compare(t *testing.T, s *recording.Store, id string, film []shown) {
	t.Helper()
	rec, info, err := s.Open(node, id)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	p := fbs.NewPlayer(fbs.PlayerConfig{Recording: rec})
	srv := rfb.NewServer(p, rfb.ServerConfig{Linger: -1, FrameInterval: -1})
	defer srv.Close()
	p.Pause()
	compared := 0
	for i := range film {
		k := i * 7 % len(film) // not in their order
		at := film[k].from.Sub(info.Began) + 150*time.Millisecond
		if at < 0 || at > info.Duration {
			continue
		}
		p.Seek(at)
		synctest.Wait()
		got, err := srv.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !got.Equal(film[k].picture) {
			t.Fatalf("at %v of %v: %s", at, info.Duration, rfbtest.Difference(got, film[k].picture))
		}
		compared++
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// draw changes the console each step and returns what was to be seen.
func draw(c console, n int, step time.Duration) (film []shown) {
	for i := range n {
		w, h := c.Picture().Width, c.Picture().Height
		switch i % 11 {
		case 3:
			c.Show(golden.TextConsole(w, h))
		case 5:
			c.Move(image.Rect(0, 0, w, h-16), image.Pt(0, 16))
		case 7:
			c.Show(golden.Photo(w+10*(i%3), h))
		default:
			x := i * 13 % (w - 40)
			c.Fill(image.Rect(x, i%30, x+40, i%30+30), uint32(i*7919)&pixel.Mask)
		}
		film = append(film, shown{time.Now(), c.Picture()})
		time.Sleep(step)
	}
	return film
}

func TestFull(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, recording.Config{Dir: dir})
		defer s.Close()
		c := newConsole(t, 320, 200)
		defer c.srv.Close()
		began := time.Now()
		r := tape(s, c, recording.Settings{Mode: recording.Full})
		film := draw(c, 100, 2500*time.Millisecond)

		// While it is under way.
		now := list(t, s, node)
		if len(now) != 1 || !now[0].Ended.IsZero() || s.Stats().Active != 1 {
			t.Fatalf("the recordings are %+v, the figures %+v", now, s.Stats())
		}
		if err := s.Delete(node, now[0].ID); !errors.Is(err, recording.ErrActive) {
			t.Errorf("Delete returned %v", err)
		}
		compare(t, s, now[0].ID, film)

		film = append(film, draw(c, 3, time.Second)...)
		r.stop()
		l := list(t, s, node)
		if len(l) != 1 {
			t.Fatalf("the recordings are %+v", l)
		}
		i := l[0]
		if length := time.Since(began); i.Mode != recording.Full || !i.Began.Equal(began) || i.Duration != length || !i.Ended.Equal(began.Add(length)) {
			t.Errorf("the recording of %v from %v on is %+v", length, began, i)
		}
		if w, h := film[len(film)-1].picture.Width, film[len(film)-1].picture.Height; i.Width != w || i.Height != h {
			t.Errorf("the picture of %dx%d is %dx%d", w, h, i.Width, i.Height)
		}
		if st := s.Stats(); st.Active != 0 || st.Failures != 0 || st.Bytes < uint64(i.Bytes) || r.said() != "[true false]" {
			t.Errorf("figures %+v, states %s", st, r.said())
		}
		compare(t, s, i.ID, film)
		if err := s.Delete(node, i.ID); err != nil {
			t.Error(err)
		}
		if total, _, n := disk(t, dir); total != 0 || n != 0 || len(list(t, s, node)) != 0 {
			t.Errorf("%d bytes in %d files are left", total, n)
		}
		if err := s.Delete(node, i.ID); !errors.Is(err, recording.ErrUnknown) {
			t.Errorf("Delete returned %v", err)
		}
	})
}

// A ring has the last minutes and no more, in time and in bytes.
func TestRing(t *testing.T) {
	for name, c := range map[string]struct {
		set  recording.Settings
		most time.Duration // that is kept
	}{
		"time":  {recording.Settings{Mode: recording.Ring, Last: 5 * time.Minute}, 7*time.Minute + 10*time.Second},
		"bytes": {recording.Settings{Mode: recording.Ring, Last: time.Hour, MaxSize: 4 << 20}, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := open(t, recording.Config{Dir: dir})
				defer s.Close()
				con := newConsole(t, 320, 200)
				defer con.srv.Close()
				r := tape(s, con, c.set)
				var film []shown
				limit := c.set.MaxSize
				if limit == 0 {
					limit = 256 << 20
				}
				for range 40 {
					film = append(film, draw(con, 12, 2500*time.Millisecond)...)
					if total, _, n := disk(t, dir); total > limit || n > 70 {
						t.Fatalf("%d bytes in %d files", total, n)
					}
				}
				r.stop()
				l := list(t, s, node)
				if len(l) != 1 || l[0].Mode != recording.Ring {
					t.Fatalf("the recordings are %+v", l)
				}
				i := l[0]
				ends := film[len(film)-1].from.Add(2500 * time.Millisecond)
				if i.Duration > c.most || !i.Ended.Equal(ends) || name == "time" && i.Duration < c.set.Last {
					t.Errorf("the recording is %+v, its end was at %v", i, ends)
				}
				if total, _, _ := disk(t, dir); name == "bytes" && total < limit/2 {
					t.Errorf("only %d bytes are kept", total)
				}
				compare(t, s, i.ID, film)

				// What is downloaded is one recording that begins by itself.
				rec, info, err := s.Open(node, i.ID)
				if err != nil {
					t.Fatal(err)
				}
				defer rec.Close()
				var joined bytes.Buffer
				if n, err := rec.WriteTo(&joined); err != nil || n != info.Bytes {
					t.Errorf("%d bytes of %d: %v", n, info.Bytes, err)
				}

				// A short look pushes out no more than it is long.
				time.Sleep(time.Hour)
				r = tape(s, con, c.set)
				draw(con, 8, 2500*time.Millisecond)
				r.stop()
				l = list(t, s, node)
				if len(l) != 2 || l[1].ID != i.ID || name == "time" && l[1].Duration < c.set.Last-time.Minute {
					t.Errorf("afterwards the recordings are %+v", l)
				}
			})
		})
	}
}

// Nothing changes for hours: the ring's minutes are those before now.
func TestRingOfQuietConsole(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, recording.Config{Dir: dir})
		defer s.Close()
		c := newConsole(t, 320, 200)
		defer c.srv.Close()
		r := tape(s, c, recording.Settings{Mode: recording.Ring, Last: 5 * time.Minute})
		film := draw(c, 10, 20*time.Second)
		time.Sleep(8 * time.Hour)
		film = append(film, draw(c, 2, time.Second)...)
		r.stop()
		l := list(t, s, node)
		if len(l) != 1 || l[0].Duration < 8*time.Hour || l[0].Duration > 8*time.Hour+6*time.Minute {
			t.Fatalf("the recordings are %+v", l)
		}
		compare(t, s, l[0].ID, film)
	})
}

// A full recording goes on in another file when one is large enough.
func TestSizeCap(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, recording.Config{Dir: dir, MaxTotal: -1})
		defer s.Close()
		c := newConsole(t, 320, 200)
		defer c.srv.Close()
		const most = 600 << 10
		r := tape(s, c, recording.Settings{Mode: recording.Full, MaxSize: most})
		film := draw(c, 150, time.Second)
		if n := s.Stats().Active; n != 1 {
			t.Errorf("%d are active", n)
		}
		under := 0
		for _, i := range list(t, s, node) {
			if i.Ended.IsZero() {
				under++
			}
		}
		if under != 1 {
			t.Errorf("%d recordings are under way", under)
		}
		r.stop()
		total, largest, n := disk(t, dir)
		if largest > most || n < 3 || total < most {
			t.Errorf("%d bytes in %d files, the largest of %d", total, n, largest)
		}
		l := list(t, s, node)
		if len(l) != n {
			t.Errorf("%d recordings in %d files", len(l), n)
		}
		for i := range l {
			compare(t, s, l[i].ID, film)
			if i > 0 && l[i-1].Began.Sub(l[i].Ended) > 10*time.Millisecond {
				t.Errorf("between %v and %v nothing was recorded", l[i].Ended, l[i-1].Began)
			}
		}
		if r.said() != "[true false]" {
			t.Errorf("states %s", r.said())
		}
	})
}

// What is too old and what is too much goes, the oldest first, and nothing
// that is under way.
func TestCleanUp(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, recording.Config{Dir: dir, Keep: 48 * time.Hour, MaxTotal: 4 << 20})
		defer s.Close()
		c := newConsole(t, 320, 200)
		defer c.srv.Close()
		one := func() {
			r := tape(s, c, recording.Settings{Mode: recording.Full})
			draw(c, 8, time.Second)
			r.stop()
			// The clock of files is not that of this test.
			for _, i := range list(t, s, node)[:1] {
				at := i.Began.Add(i.Duration)
				if err := os.Chtimes(filepath.Join(dir, node, i.ID+".fbs"), at, at); err != nil {
					t.Fatal(err)
				}
			}
		}
		one()
		first := list(t, s, node)[0].ID
		time.Sleep(47 * time.Hour)
		one()
		time.Sleep(30 * time.Minute)
		if n := len(list(t, s, node)); n != 2 {
			t.Fatalf("%d recordings after less than two days", n)
		}
		time.Sleep(2 * time.Hour)
		if l := list(t, s, node); len(l) != 1 || l[0].ID == first {
			t.Fatalf("after two days the recordings are %+v", l)
		}
		for range 30 {
			one()
			time.Sleep(time.Minute)
		}
		if total, _, n := disk(t, dir); total > 4<<20 || total < 2<<20 || n < 3 {
			t.Errorf("%d bytes in %d files", total, n)
		}
		l := list(t, s, node)
		for i := 1; i < len(l); i++ {
			if gap := l[i-1].Began.Sub(l[i].Began); gap > 2*time.Minute {
				t.Errorf("one between %v and %v is gone", l[i].Began, l[i-1].Began)
			}
		}

		r := tape(s, c, recording.Settings{Mode: recording.Full})
		film := draw(c, 4, time.Second)
		later := time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC) // by the files' clock too
		s.Clean(later)
		if l := list(t, s, node); len(l) != 1 || !l[0].Ended.IsZero() {
			t.Errorf("what is under way is not what is left: %+v", l)
		}
		r.stop()
		compare(t, s, list(t, s, node)[0].ID, film)
		s.Clean(later)
		if _, err := os.Stat(filepath.Join(dir, node)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the node's empty folder is left: %v", err)
		}
	})
}

// A crash leaves files cut off, without an index or with nothing in them.
func TestAfterCrash(t *testing.T) {
	dir := t.TempDir()
	var film []shown
	var id string
	synctest.Test(t, func(t *testing.T) {
		s := open(t, recording.Config{Dir: dir})
		c := newConsole(t, 320, 200)
		defer c.srv.Close()
		r := tape(s, c, recording.Settings{Mode: recording.Full})
		film = draw(c, 60, 2*time.Second)
		r.stop()
		id = list(t, s, node)[0].ID
		s.Close()
	})
	name := filepath.Join(dir, node, id+".fbs")
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, st.Size()-100); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name + fbs.IndexSuffix); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"20200101T000000.000Z.fbs", "20200101T000001.000Z+0000000000.fbs"} {
		for _, suffix := range []string{"", fbs.IndexSuffix} {
			if err := os.WriteFile(filepath.Join(dir, node, n+suffix), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	other := filepath.Join(dir, node, "notes.txt")
	if err := os.WriteFile(other, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := open(t, recording.Config{Dir: dir})
		defer s.Close()
		l := list(t, s, node)
		if len(l) != 1 || l[0].ID != id || l[0].Duration < 110*time.Second || !l[0].Ended.Equal(l[0].Began.Add(l[0].Duration)) {
			t.Fatalf("the recordings are %+v", l)
		}
		compare(t, s, id, film)
		if _, err := os.Stat(name + fbs.IndexSuffix); err != nil {
			t.Errorf("the index was not made anew: %v", err)
		}
		if _, _, n := disk(t, dir); n != 2 { // and the notes
			t.Errorf("%d files are left", n)
		}
		if _, err := os.Stat(other); err != nil {
			t.Error(err)
		}
	})
}

// A full disk ends the recording and nothing else; when there is room again it
// begins anew.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mounting a small file system: %v", err)
		}
		t.Skipf("mounting a small file system needs root: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := open(t, recording.Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer s.Close()
		c := newConsole(t, 320, 200)
		defer c.srv.Close()
		r := tape(s, c, recording.Settings{Mode: recording.Full})
		for n := 0; s.Stats().Failures == 0; n++ {
			if n > 100 {
				t.Fatal("the disk is never full")
			}
			draw(c, 20, time.Second)
		}
		if st := s.Stats(); st.Active != 0 {
			t.Errorf("figures %+v", st)
		}
		if f, err := c.srv.Snapshot(t.Context()); err != nil || !f.Equal(c.Picture()) {
			t.Errorf("the console does not go on: %v", err)
		}
		first := list(t, s, node)
		if len(first) == 0 || first[0].Ended.IsZero() {
			t.Fatalf("the recordings are %+v", first)
		}
		if err := s.Delete(node, first[0].ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		film := draw(c, 5, time.Second)
		r.stop()
		l := list(t, s, node)
		if len(l) == 0 || l[0].ID == first[0].ID {
			t.Fatalf("the recordings are %+v", l)
		}
		compare(t, s, l[0].ID, film)
		if got := r.said(); !strings.HasPrefix(got, "[true false true") {
			t.Errorf("states %s", got)
		}
		if !strings.Contains(log.String(), "no space left on device") || strings.Count(log.String(), "ERROR") > 4 {
			t.Errorf("the log says:\n%s", &log)
		}
	})
}

func TestTooSmallForAPicture(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := open(t, recording.Config{Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer s.Close()
		c := newConsole(t, 320, 200)
		defer c.srv.Close()
		c.Show(golden.Photo(320, 200))
		r := tape(s, c, recording.Settings{Mode: recording.Full, MaxSize: 1000})
		time.Sleep(150 * time.Second)
		r.stop()
		if n := s.Stats().Failures; n != 3 || !strings.Contains(log.String(), "max_size is too small") {
			t.Errorf("%d failures, the log says:\n%s", n, &log)
		}
		if total, _, n := disk(t, dir); n != 0 {
			t.Errorf("%d bytes in %d files are left", total, n)
		}
	})
}

// A console that ends, or never shows anything, leaves nothing that is no
// recording.
func TestNothingShown(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, recording.Config{Dir: dir})
		defer s.Close()
		srv := rfb.NewServer(rfbtest.NewSource(64, 48), rfb.ServerConfig{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Record(t.Context(), srv, node, recording.Settings{Mode: recording.Ring}, func(bool) {})
		}()
		time.Sleep(time.Hour)
		srv.Close()
		<-done
		if _, _, n := disk(t, dir); n != 0 {
			t.Errorf("%d files are left", n)
		}
	})
}

// Names of nodes are what they are; one service at a time has the folder.
func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := open(t, recording.Config{Dir: dir})
	if _, err := recording.Open(recording.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another service keeps") {
		t.Errorf("a second one got %v", err)
	}
	for _, name := range []string{"..", "a/b", "%2e%2e", "node with space", "ünï", strings.Repeat("n", 63)} {
		if l, err := s.List(name); err != nil || len(l) != 0 {
			t.Errorf("List(%q) gave %v, %v", name, l, err)
		}
		if _, _, err := s.Open(name, "../../etc/passwd"); !errors.Is(err, recording.ErrUnknown) {
			t.Errorf("Open returned %v", err)
		}
	}
	for id, want := range map[string]bool{
		"20260102T030405.678Z": true, "20261302T030405.678Z": false, "": false, "20260102T030405.678Z.fbs": false,
		"20260102T030405.678Z+1": false, "../x": false, "20260102T030405,678Z": false,
	} {
		if got := recording.ValidID(id); got != want {
			t.Errorf("ValidID(%q) is %v", id, got)
		}
	}
	st, err := os.Stat(dir)
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v, %v", st, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s = open(t, recording.Config{Dir: dir})
	s.Close()
	if _, err := recording.Open(recording.Config{Dir: "/proc/nowhere"}); err == nil || !strings.Contains(err.Error(), "set recording.dir") {
		t.Errorf("where no folder can be, Open returned %v", err)
	}
}
