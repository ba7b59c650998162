package recording_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/proxy/recording"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

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
