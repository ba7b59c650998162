package session

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDemandFollowsTheViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDemand(time.Minute)
		defer d.stop()
		changed := func() bool {
			select {
			case <-d.changed:
				return true
			default:
				return false
			}
		}
		is := func(want, news bool) {
			t.Helper()
			synctest.Wait()
			if got, told := d.wants(), changed(); got != want || told != news {
				t.Errorf("wanted %v, told %v; want %v, %v", got, told, want, news)
			}
		}
		time.Sleep(time.Hour)
		is(false, false)
		d.set(0) // who leaves was never let in
		time.Sleep(time.Hour)
		is(false, false)
		d.set(1)
		is(true, true)
		d.set(2)
		d.set(1)
		time.Sleep(time.Hour)
		is(true, false)
		d.set(0)
		time.Sleep(59 * time.Second)
		d.set(1) // back in time
		time.Sleep(time.Hour)
		is(true, false)
		d.set(0)
		time.Sleep(59 * time.Second)
		is(true, false)
		time.Sleep(2 * time.Second)
		is(false, true)
		d.set(1)
		is(true, true)
	})
}

func TestDemandWithoutLingerIsAlways(t *testing.T) {
	d := newDemand(0)
	defer d.stop()
	for _, n := range []int{0, 1, 0} {
		if d.set(n); !d.wants() {
			t.Errorf("not wanted with %d viewers", n)
		}
	}
}

// The client starts with the first viewer, ends some time after the last, and
// starts again with the next one.
func TestClientOnDemand(t *testing.T) {
	asked := filepath.Join(t.TempDir(), "asked")
	file := script(t, fmt.Sprintf("trap 'echo asked >> %s; kill $!; exit' TERM\n"+
		"xterm -geometry 300x100+0+0 -b 0 -bw 0 -bg '#%06x' -e sh -c '%s' &\nwhile :; do wait; done\n", asked, colour, endless))
	r := run(t, Config{Command: []string{file}, OnDemand: 500 * time.Millisecond})
	eventually(t, "the X server", func() bool { return r.session.Stats().DisplayStarts == 1 })
	if s := r.session.Stats(); s.ClientStarts != 0 {
		t.Fatalf("the client was started without a viewer: %+v", s)
	}
	for n := uint64(1); n <= 2; n++ {
		r.watch()
		r.sees()
		if s := r.session.Stats(); s != (Stats{DisplayStarts: 1, ClientStarts: n, Live: true}) {
			t.Errorf("the totals are %+v", s)
		}
		pid := child(t, "client").pid
		r.leave()
		eventually(t, "the client's end", func() bool {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			p, _ := parseStat(b)
			return err != nil || p.state == 'Z'
		})
		r.logged("the client has ended", "program=client")
	}
	// It was asked to, and was not started again.
	if b, err := os.ReadFile(asked); err != nil || strings.Count(string(b), "asked") != 2 {
		t.Errorf("the client was asked to end: %q, %v", b, err)
	}
	if s := r.session.Stats(); s.ClientStarts != 2 || s.Live {
		t.Errorf("the totals are %+v", s)
	}
	if strings.Contains(r.log.String(), "client ended and will be started again") {
		t.Error("the end that was asked for counts as a fault")
	}
}

// Whoever comes while the client is being ended sees it started anew; and an
// X server that is lost while nobody is there comes back without the client.
func TestViewerComesWhileTheClientEnds(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	file := script(t, fmt.Sprintf("trap 'touch %[1]s; while [ -e %[1]s ]; do sleep 0.05; done; kill $!; exit' TERM\n"+
		"xterm -geometry 300x100+0+0 -b 0 -bw 0 -bg '#%06[2]x' -e sh -c 'trap \"\" TERM; %[3]s' &\nwhile :; do wait; done\n", mark, colour, endless))
	r := run(t, Config{Command: []string{file}, OnDemand: time.Millisecond})
	r.watch()
	r.sees()
	r.leave()
	eventually(t, "a client that is ending", func() bool { _, err := os.Stat(mark); return err == nil })
	r.watch()
	// Nothing of what earlier viewers saw is below the notice.
	if c := r.corner(); c == colour || c == dimmed {
		t.Errorf("the viewer sees %06x", c)
	}
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	r.sees()
	if s := r.session.Stats(); s.ClientStarts != 2 {
		t.Errorf("the totals are %+v", s)
	}
	r.leave()
	eventually(t, "a client that is ending", func() bool { _, err := os.Stat(mark); return err == nil })
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the client's end", func() bool { return strings.Count(r.log.String(), "the client has ended") == 2 })
	kill(t, child(t, "Xvfb"))
	eventually(t, "another X server", func() bool { return r.session.Stats().DisplayStarts == 2 })
	r.watch()
	r.sees()
	if s := r.session.Stats(); s.ClientStarts != 3 {
		t.Errorf("the totals are %+v", s)
	}
	r.leave() // its client would wait for the mark's removal
	eventually(t, "a client that is ending", func() bool { _, err := os.Stat(mark); return err == nil })
	if err := os.Remove(mark); err != nil {
		t.Fatal(err)
	}
}
