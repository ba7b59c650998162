package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/notice"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// painted is how a message looks, and the rows that do not change while it
// counts down.
func painted(t *testing.T, size *pixel.Frame, m notice.Message) (f *pixel.Frame, still []int) {
	t.Helper()
	var pictures []*pixel.Frame
	for _, wait := range []time.Duration{time.Second, 1000 * time.Second} {
		n := notice.New(size.Width, size.Height, nil)
		m.Until = time.Now().Add(wait)
		n.Set(m)
		s := rfb.NewServer(n, rfb.ServerConfig{Linger: -1})
		p, err := s.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Close()
		pictures = append(pictures, p)
	}
	a, b := pictures[0], pictures[1]
	first, last := a.Height, -1
	for y := range a.Height {
		if !slices.Equal(a.Row(y, 0, a.Width), b.Row(y, 0, b.Width)) {
			first, last = min(first, y), y
		}
	}
	if last < 0 {
		t.Fatal("nothing is counted down")
	}
	for y := range a.Height {
		if y < first || y > last {
			still = append(still, y)
		}
	}
	return a, still
}

// A client that ends again and again leaves its last lines, and no more than
// that, in what viewers read and in the log.
func TestLastWordsOfAClient(t *testing.T) {
	file := script(t, "i=0; while [ $i -lt 500 ]; do echo \"line $i\"; i=$((i+1)); done\n"+
		"head -c 100000 /dev/zero | tr '\\0' x; echo; printf '\\033[31mthe licence server\\033[0m is away'; exit 7\n")
	r := run(t, Config{Command: []string{file}})
	r.watch()
	lines := []string{"line 496", "line 497", "line 498", "line 499", strings.Repeat("x", tailLineLen), "[31mthe licence server[0m is away"}
	m := notice.Message{Title: t.Name(), Headline: "client ended: exit status 7", Lines: lines, Tone: notice.Warning}
	want, still := painted(t, r.picture(), m)
	same := func(got *pixel.Frame) bool {
		return !slices.ContainsFunc(still, func(y int) bool {
			return !slices.Equal(got.Row(y, 0, got.Width), want.Row(y, 0, want.Width))
		})
	}
	m.Lines = slices.Concat(lines[:5], []string{"[31mthe licence server[0m is here"})
	if other, _ := painted(t, want, m); same(other) {
		t.Fatal("the last word makes no difference: it is not compared")
	}
	// It is there between two starts, each longer after the last.
	eventually(t, "the last lines in the picture", func() bool { return same(r.picture()) })
	eventually(t, "several starts", func() bool { return r.session.Stats().ClientStarts >= 3 })
	r.logged("client ended", "result=\"exit status 7\"", fmt.Sprintf("output=%q", fmt.Sprint(lines)))
	for l := range strings.Lines(r.log.String()) {
		if len(l) > 1000 {
			t.Errorf("a line of the log has %d bytes: %.100s...", len(l), l)
		}
	}
}
