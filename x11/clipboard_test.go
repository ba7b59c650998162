package x11

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
	"github.com/ironglass/ironglass/x11/xvfb"
	"github.com/jezek/xgb/xproto"
)

// texts are what must pass both ways.
var texts = map[string]string{
	"umlauts":       "Grüße aus Köln",
	"several lines": "one\ntwo\n\nfour\n",
	"other planes":  "漢字 € 😀 👩‍🚀",
	"long":          strings.Repeat("Zeile für Zeile 😀\n", 20_000),
	"longest":       strings.Repeat("0123456789abcde\n", wire.MaxCutText/16),
}

// xclip is a command of that program on the server's display, which ends with
// ctx.
func xclip(ctx context.Context, t testing.TB, s *xvfb.Server, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("xclip")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip(err) // a machine without it cannot run this
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "DISPLAY="+s.Display, "XAUTHORITY="+s.Auth)
	return cmd
}

// copyText runs a program that owns a selection, until the test ends or
// another program takes it.
func copyText(t testing.TB, s *xvfb.Server, selection, text string) {
	t.Helper()
	cmd := xclip(context.Background(), t, s, "-selection", selection, "-in", "-quiet")
	cmd.Stdin = strings.NewReader(text)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// pasted is what a program gets of a selection.
func pasted(t testing.TB, s *xvfb.Server, selection, target string) (string, error) {
	t.Helper()
	// xclip waits for ever for an owner that does not answer.
	ctx, cancel := context.WithTimeout(t.Context(), patience/2)
	defer cancel()
	out, err := xclip(ctx, t, s, "-selection", selection, "-out", "-target", target).Output()
	return string(out), err
}

// awaitPasted waits until the selection is the text.
func awaitPasted(t testing.TB, s *xvfb.Server, selection, target, want string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got, err := pasted(t, s, selection, target)
		if err == nil && got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s as %s is %.80q (%d bytes, %v), not %.80q", selection, target, got, len(got), err, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// told waits for the viewers' next text.
func (r *recorder) told(t testing.TB, want string) {
	t.Helper()
	r.wait(t, fmt.Sprintf("the text %.80q", want), func() bool { return len(r.texts) > 0 })
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := r.texts[0]; got != want {
		t.Fatalf("the viewers were told %.80q (%d bytes), not %.80q", got, len(got), want)
	}
	r.texts = r.texts[1:]
}

func TestClipboardToViewers(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	x := open(t, config(s))
	r, _ := run(t, x)
	for name, text := range texts {
		for _, selection := range []string{"clipboard", "primary"} {
			t.Run(selection+"/"+name, func(t *testing.T) {
				copyText(t, s, selection, text)
				r.told(t, text)
			})
		}
	}
	t.Run("line ends", func(t *testing.T) {
		copyText(t, s, "clipboard", "a\r\nb\rc\n")
		r.told(t, "a\nb\nc\n")
	})
	// What is not taken leaves the viewers what they have.
	for name, text := range map[string]string{"empty": "", "too long": texts["longest"] + "x"} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, s)
			p.owns("CLIPBOARD")
			copyText(t, s, "clipboard", text)
			p.await("the loss of the selection", func(ev any) bool { _, ok := ev.(xproto.SelectionClearEvent); return ok })
			// It is asked for in its turn, so what comes next is later.
			awaitPasted(t, s, "clipboard", "UTF8_STRING", text)
			time.Sleep(2 * selectionRest)
			copyText(t, s, "primary", "after "+name)
			r.told(t, "after "+name)
		})
	}
}

func TestClipboardFromViewers(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	x := open(t, config(s))
	run(t, x)
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			x.SetCutText(text)
			old := string(wire.Latin1(text))
			for _, selection := range []string{"clipboard", "primary"} {
				awaitPasted(t, s, selection, "UTF8_STRING", text)
				awaitPasted(t, s, selection, "text/plain;charset=utf-8", text)
				awaitPasted(t, s, selection, "text/plain", text)
				awaitPasted(t, s, selection, "STRING", old)
				if wire.FromLatin1([]byte(old)) != text {
					old = text
				}
				awaitPasted(t, s, selection, "TEXT", old)
				old = string(wire.Latin1(text))
			}
		})
	}
	t.Run("too long", func(t *testing.T) {
		x.SetCutText("before")
		x.SetCutText(texts["longest"] + "x")
		awaitPasted(t, s, "clipboard", "UTF8_STRING", "before")
	})
	t.Run("targets", func(t *testing.T) {
		got, err := pasted(t, s, "clipboard", "TARGETS")
		want := []string{"TARGETS", "TIMESTAMP", "MULTIPLE", "UTF8_STRING", "text/plain;charset=utf-8", "text/plain", "TEXT", "STRING"}
		if err != nil || !slices.Equal(strings.Fields(got), want) {
			t.Errorf("targets %q, %v", got, err)
		}
	})
	t.Run("none", func(t *testing.T) {
		x.SetCutText("")
		p := newPeer(t, s)
		for _, name := range []string{"CLIPBOARD", "PRIMARY"} {
			p.awaitOwner(name, none)
		}
	})
}

// A viewer's text goes with the Run, and an X program's text takes its place.
func TestClipboardOwner(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	x := open(t, config(s))
	p := newPeer(t, s)
	x.SetCutText("nobody looks")
	copyText(t, s, "clipboard", "copied before")
	awaitPasted(t, s, "clipboard", "UTF8_STRING", "copied before")
	r, stop := run(t, x)
	x.SetCutText("of a viewer")
	awaitPasted(t, s, "clipboard", "UTF8_STRING", "of a viewer")
	copyText(t, s, "clipboard", "of a program")
	r.told(t, "of a program") // nothing before
	awaitPasted(t, s, "clipboard", "UTF8_STRING", "of a program")
	awaitPasted(t, s, "primary", "UTF8_STRING", "of a viewer")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	p.awaitOwner("PRIMARY", none)
	x.SetCutText("nobody looks any more")
	// The next Run begins anew.
	r, _ = run(t, x)
	copyText(t, s, "primary", "the next")
	r.told(t, "the next")
}

func TestClipboardSettings(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	for name, c := range map[string]struct {
		change             func(*Config)
		sets               string // one that gets viewers' texts
		clipboard, primary bool   // are told
	}{
		"both":      {func(*Config) {}, "CLIPBOARD", true, true},
		"view-only": {func(c *Config) { c.ViewOnly = true }, "", true, true},
		"CLIPBOARD": {func(c *Config) { c.Selections = SelectionsClipboard }, "CLIPBOARD", true, false},
		"PRIMARY":   {func(c *Config) { c.Selections = SelectionsPrimary }, "PRIMARY", false, true},
		"none":      {func(c *Config) { c.Selections = SelectionsNone }, "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(s)
			c.change(&cfg)
			x := open(t, cfg)
			r, _ := run(t, x)
			p := newPeer(t, s)
			p.owns("CLIPBOARD", "PRIMARY")
			x.SetCutText("of a viewer")
			if c.sets != "" {
				p.await("the loss of "+c.sets, func(ev any) bool {
					e, ok := ev.(xproto.SelectionClearEvent)
					return ok && e.Selection == p.atom(c.sets)
				})
				awaitPasted(t, s, strings.ToLower(c.sets), "UTF8_STRING", "of a viewer")
			}
			time.Sleep(2 * selectionRest)
			for name, used := range map[string]bool{"CLIPBOARD": c.clipboard, "PRIMARY": c.primary} {
				kept := p.owner(name) == p.win
				if want := c.sets == "" || !used; kept != want {
					t.Errorf("%s was kept: %v", name, kept)
				}
			}
			for selection, tells := range map[string]bool{"primary": c.primary, "clipboard": c.clipboard} {
				name := strings.ToUpper(selection)
				before := p.owner(name)
				copyText(t, s, selection, selection)
				p.awaitOwner(name, func(w xproto.Window) bool { return w != before })
				if tells {
					r.told(t, selection)
				}
			}
			time.Sleep(3 * selectionRest)
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(r.texts) > 0 {
				t.Errorf("viewers were also told %q", r.texts)
			}
		})
	}
}

// Two programs paste a long text at the same time, and a third vanishes in
// the middle of it.
func TestClipboardTogether(t *testing.T) {
	s := startXvfb(t, xvfb.Config{Width: 320, Height: 200})
	x := open(t, config(s))
	run(t, x)
	x.SetCutText(texts["longest"])
	awaitPasted(t, s, "clipboard", "UTF8_STRING", texts["longest"])
	gone := newPeer(t, s)
	gone.convert("CLIPBOARD", "UTF8_STRING", "PASTE")
	if kind, _ := gone.get("PASTE", true); kind != gone.atom("INCR") {
		t.Fatalf("a long text came as %d", kind)
	}
	gone.awaitPiece("PASTE")
	a, b := newPeer(t, s), newPeer(t, s)
	var got [2]bytes.Buffer
	for _, p := range []*peer{a, b} {
		p.convert("CLIPBOARD", "UTF8_STRING", "PASTE")
		p.get("PASTE", true)
	}
	gone.close()
	for i, more := 0, [2]bool{true, true}; more[0] || more[1]; i++ {
		if n := i % 2; more[n] {
			p := []*peer{a, b}[n]
			p.awaitPiece("PASTE")
			kind, piece := p.get("PASTE", true)
			if kind != p.atom("UTF8_STRING") {
				t.Fatalf("a piece is of type %d", kind)
			}
			got[n].Write(piece)
			more[n] = len(piece) > 0
		}
	}
	for i := range got {
		if got[i].String() != texts["longest"] {
			t.Errorf("program %d got %d bytes that are not the text", i, got[i].Len())
		}
	}
	// Meanwhile the display itself is still told of everything.
	awaitPasted(t, s, "primary", "UTF8_STRING", texts["longest"])
}
