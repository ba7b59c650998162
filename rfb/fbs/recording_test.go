package fbs_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// inFiles records the scenes into files that are at most cfg.MaxTime long, with
// an index beside each, from within a bubble.
func inFiles(t *testing.T, dir string, cfg fbs.RecorderConfig, scenes ...func(s *rfbtest.Source)) (r taken, parts []fbs.Part) {
	t.Helper()
	src := rfbtest.NewSource(320, 200)
	srv := rfb.NewServer(src, rfb.ServerConfig{Name: "node"})
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := time.Now()
	var recorder sync.WaitGroup
	recorder.Go(func() {
		for {
			p := fbs.Part{Path: filepath.Join(dir, time.Now().Format("150405.000")+".fbs"), At: time.Since(began)}
			parts = append(parts, p)
			err := recordFile(ctx, srv, p.Path, cfg)
			if err == nil {
				return
			}
			if !errors.Is(err, fbs.ErrLimit) {
				t.Errorf("Record returned %v", err)
				return
			}
		}
	})
	for _, scene := range append([]func(*rfbtest.Source){func(*rfbtest.Source) {}}, scenes...) {
		scene(src)
		r.pictures = append(r.pictures, src.Picture())
		time.Sleep(step)
		r.length += step
	}
	cancel()
	recorder.Wait()
	return r, parts
}

func recordFile(ctx context.Context, srv *rfb.Server, name string, cfg fbs.RecorderConfig) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	index, err := os.Create(name + fbs.IndexSuffix)
	if err != nil {
		return err
	}
	defer index.Close()
	first := true
	cfg.KeyFrame = func(k fbs.KeyFrame) error {
		_, err := index.Write(fbs.AppendIndex(nil, k, first))
		first = false
		return err
	}
	return fbs.Record(ctx, srv, f, cfg)
}

// openAll opens the parts until the test ends.
func openAll(t *testing.T, parts ...fbs.Part) *fbs.Recording {
	t.Helper()
	rec, err := fbs.Open(parts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rec.Close() })
	return rec
}

// counting counts the blocks that are read.
type counting struct {
	fbs.Playable
	n *atomic.Int64
}

type countingBlocks struct {
	fbs.Blocks
	n *atomic.Int64
}

func (c counting) Blocks(at time.Duration) (fbs.Blocks, error) {
	b, err := c.Playable.Blocks(at)
	return countingBlocks{b, c.n}, err
}

func (c countingBlocks) Next() (fbs.Block, error) {
	c.n.Add(1)
	return c.Blocks.Next()
}

// plays goes to and fro in a recording and wants the exact picture each time.
func plays(t *testing.T, rec fbs.Playable, r taken) {
	t.Helper()
	p, srv := stage(t, fbs.PlayerConfig{Recording: rec})
	at := func(i int) time.Duration { return time.Duration(i)*step + step/2 }
	p.Pause()
	for _, i := range []int{0, 9, 3, 4, 8, 8, 5, 10, 1, 7, 6, 2, 0, 10} {
		p.Seek(at(i))
		sees(t, srv, r.pictures[i], i)
		time.Sleep(time.Hour)
		sees(t, srv, r.pictures[i], i)
	}
	p.Seek(at(2))
	p.Resume()
	for i := 2; i < len(r.pictures); i++ {
		sees(t, srv, r.pictures[i], i)
		time.Sleep(step)
	}
	synctest.Wait()
	if got := p.State().Position; !p.State().Finished || got != r.length {
		t.Errorf("at the end, %v, the position is %v, finished %v", r.length, got, p.State().Finished)
	}
}

// A recording is sought in from its key frames, wherever it is known from that
// they are.
func TestRecordingSeeks(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, index string){
		"index":           func(*testing.T, string) {},
		"no index":        func(t *testing.T, index string) { check(t, os.Remove(index)) },
		"index cut off":   func(t *testing.T, index string) { check(t, os.Truncate(index, 12+16+7)) },
		"index empty":     func(t *testing.T, index string) { check(t, os.Truncate(index, 0)) },
		"index of other":  func(t *testing.T, index string) { damageIndex(t, index, 12+16+7, 1) },
		"index of future": func(t *testing.T, index string) { damageIndex(t, index, 12+3*16+2, 1) },
		"index made anew": func(t *testing.T, index string) {
			want, err := os.ReadFile(index)
			check(t, err)
			check(t, os.Remove(index))
			check(t, fbs.Reindex(index[:len(index)-len(fbs.IndexSuffix)]))
			if got, err := os.ReadFile(index); err != nil || !bytes.Equal(got, want) {
				t.Errorf("it is %x instead of %x (%v)", got, want, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				r, parts := inFiles(t, dir, fbs.RecorderConfig{KeyFrames: 2 * step}, scenes()...)
				change(t, parts[0].Path+fbs.IndexSuffix)
				rec := openAll(t, parts...)
				if n := rec.KeyFrames(); len(parts) != 1 || n < 4 {
					t.Errorf("%d key frames in %d files", n, len(parts))
				}
				if rec.Duration() != r.length {
					t.Errorf("it is %v long, not %v", rec.Duration(), r.length)
				}
				if w, h := rec.Size(); w != 410 || h != 155 {
					t.Errorf("the last picture is of %dx%d", w, h)
				}
				var blocks atomic.Int64
				plays(t, counting{rec, &blocks}, r)

				// From beginning to end and back, without what is between.
				p, srv := stage(t, fbs.PlayerConfig{Recording: counting{rec, &blocks}})
				p.Pause()
				sees(t, srv, r.pictures[0], "beginning")
				blocks.Store(0)
				for range 10 {
					p.Seek(10*step + step/2)
					sees(t, srv, r.pictures[10], "end")
					p.Seek(step / 2)
					sees(t, srv, r.pictures[0], "beginning")
				}
				if n := blocks.Load(); n > 20*6 {
					t.Errorf("%d blocks were read for 20 pictures", n)
				}
			})
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func damageIndex(t *testing.T, name string, at int, with byte) {
	t.Helper()
	b, err := os.ReadFile(name)
	check(t, err)
	b[at] ^= with
	check(t, os.WriteFile(name, b, 0o600))
}

// Several files that follow each other are one recording, and are joined into
// one that any player plays.
func TestParts(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, parts := inFiles(t, dir, fbs.RecorderConfig{MaxTime: 3 * step, KeyFrames: 2 * step}, scenes()...)
		if len(parts) != 4 {
			t.Fatalf("%d files", len(parts))
		}
		rec := openAll(t, parts...)
		plays(t, rec, r)
		var joined bytes.Buffer
		n, err := rec.WriteTo(&joined)
		if err != nil || n != rec.Bytes() || int64(joined.Len()) != n {
			t.Fatalf("%d bytes of %d were written: %v", n, rec.Bytes(), err)
		}
		plays(t, fbs.Stream(reopen(joined.Bytes())), r)

		// What is left when the oldest are gone begins where the rest did.
		rest := slices.Clone(parts[1:])
		for i := range rest {
			rest[i].At -= parts[1].At
		}
		rec = openAll(t, rest...)
		if want := r.length - parts[1].At; rec.Duration() != want {
			t.Errorf("the rest is %v long, not %v", rec.Duration(), want)
		}
		p, srv := stage(t, fbs.PlayerConfig{Recording: rec})
		p.Pause()
		for i := len(r.pictures) - 1; ; i-- {
			to := time.Duration(i)*step + step/2 - parts[1].At
			if to < 0 {
				break
			}
			p.Seek(to)
			sees(t, srv, r.pictures[i], i)
		}
		// The last part's own time goes on in the whole.
		joined.Reset()
		if _, err := rec.WriteTo(&joined); err != nil {
			t.Fatal(err)
		}
		list := messages(t, joined.Bytes())
		if last := list[len(list)-1].at; last != rec.Duration() {
			t.Errorf("joined it is %v long, not %v", last, rec.Duration())
		}
	})
}

// Steps go from change to change.
func TestChanges(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, parts := inFiles(t, dir, fbs.RecorderConfig{MaxTime: 4 * step, KeyFrames: 2 * step}, scenes()...)
		rec := openAll(t, parts...)
		var times []time.Duration
		for at := time.Duration(0); at < rec.Duration(); {
			at = rec.NextChange(at)
			times = append(times, at)
		}
		if len(times) < 10 || times[len(times)-1] != r.length {
			t.Errorf("changes at %v", times)
		}
		at := rec.Duration()
		for i := len(times) - 2; i >= 0; i-- {
			if at = rec.PreviousChange(at); at != times[i] {
				t.Fatalf("before %v there is a change at %v", times[i+1], at)
			}
		}
		if at := rec.PreviousChange(times[0]); at != 0 {
			t.Errorf("before the first change there is one at %v", at)
		}
	})
}

// Wherever a file is cut off, what is whole of it is played.
func TestRecordingCutOff(t *testing.T) {
	dir := t.TempDir()
	var r taken
	var parts []fbs.Part
	synctest.Test(t, func(t *testing.T) {
		r, parts = inFiles(t, dir, fbs.RecorderConfig{KeyFrames: 2 * step}, scenes()...)
	})
	all, err := os.ReadFile(parts[0].Path)
	check(t, err)
	name := filepath.Join(dir, "cut.fbs")
	index, err := os.ReadFile(parts[0].Path + fbs.IndexSuffix)
	check(t, err)
	check(t, os.WriteFile(name+fbs.IndexSuffix, index, 0o600))
	first := 12 + 4 + 12 + 4 + len(wire.ServerInit{Name: "node"}.Append(nil)) + 4
	var last time.Duration
	for n := 0; n <= len(all); n = max(n+1, min(n+n/300, len(all)-20)) {
		check(t, os.WriteFile(name, all[:n], 0o600))
		rec, err := fbs.Open(fbs.Part{Path: name})
		if n < first {
			if err == nil {
				t.Fatalf("%d bytes were opened", n)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if d := rec.Duration(); d < last || d > r.length || rec.Bytes() > int64(n) {
			t.Errorf("%d bytes: %v long, %d bytes", n, d, rec.Bytes())
		} else {
			last = d
		}
		var whole bytes.Buffer
		if _, err := rec.WriteTo(&whole); err != nil {
			t.Fatal(err)
		}
		rd, err := fbs.NewReader(&whole)
		check(t, err)
		for err == nil {
			_, err = rd.Next()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes: what is whole of it ends with %v", n, err)
		}
		rec.Close()
	}
	if last != r.length {
		t.Errorf("all of it is %v long", last)
	}
}

// Changes without a pause are recorded as often as was asked, the last of them
// at the latest when they are over.
func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(320, 200)
		srv := rfb.NewServer(src, rfb.ServerConfig{Linger: -1})
		defer srv.Close()
		var out bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		const interval = 100 * time.Millisecond
		go func() { done <- fbs.Record(ctx, srv, &out, fbs.RecorderConfig{Interval: interval}) }()
		time.Sleep(time.Second)
		for i := range uint32(300) {
			src.Fill(image.Rect(0, 0, 50, 50), i*7+1)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		src.Fill(image.Rect(0, 0, 50, 50), 0xffffff)
		time.Sleep(time.Second)
		cancel()
		check(t, <-done)
		var pictures []time.Duration
		for _, ev := range messages(t, out.Bytes()) {
			if ev.area > 0 {
				pictures = append(pictures, ev.at)
			}
		}
		for i := 1; i < len(pictures); i++ {
			if d := pictures[i] - pictures[i-1]; d < interval {
				t.Errorf("updates at %v and %v", pictures[i-1], pictures[i])
			}
		}
		if n := len(pictures); n < 30 || n > 35 {
			t.Errorf("%d updates", n)
		}
		if at := pictures[1]; at != time.Second {
			t.Errorf("the first change was recorded at %v", at)
		}
		if at := pictures[len(pictures)-1]; at != 5*time.Second {
			t.Errorf("the last change was recorded at %v", at)
		}
		_, show := stage(t, fbs.PlayerConfig{Recording: fbs.Stream(reopen(out.Bytes())), Speed: -1})
		if _, err := show.Snapshot(t.Context()); err != nil { // which begins
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		sees(t, show, src.Picture(), "end")
	})
}

// FuzzOpen: whatever lies in the files, opening them takes no more than they
// hold and what is opened can be read.
func FuzzOpen(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, []byte("FBS index 1\n"))
		f.Add(s, fbs.AppendIndex(nil, fbs.KeyFrame{Offset: 60, Width: 20, Height: 20}, true))
	}
	dir := f.TempDir()
	name := filepath.Join(dir, "f.fbs")
	f.Fuzz(func(t *testing.T, b, index []byte) {
		check(t, os.WriteFile(name, b, 0o600))
		check(t, os.WriteFile(name+fbs.IndexSuffix, index, 0o600))
		rec, err := fbs.Open(fbs.Part{Path: name})
		if err != nil {
			return
		}
		defer rec.Close()
		var joined bytes.Buffer
		if n, err := rec.WriteTo(&joined); err != nil || n != rec.Bytes() || n > int64(len(b)) {
			t.Errorf("%d bytes of %d: %v", n, rec.Bytes(), err)
		}
		for _, at := range []time.Duration{0, rec.Duration() / 2, rec.Duration(), fbs.MaxTime} {
			if k := rec.KeyFrame(at); k > at {
				t.Errorf("the key frame at or before %v is at %v", at, k)
			}
			if next := rec.NextChange(at); next > rec.Duration() {
				t.Errorf("after %v there is a change at %v", at, next)
			}
			rec.PreviousChange(at)
			blocks, err := rec.Blocks(at)
			for err == nil {
				_, err = blocks.Next()
			}
		}
	})
}
