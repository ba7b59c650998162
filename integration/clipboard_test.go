package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
)

// serveSource shows src on a loopback port until the test ends.
func serveSource(t *testing.T, src rfb.Source) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rfb.NewServer(src, rfb.ServerConfig{Name: "clipboard"})
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed below
			}
			serving.Go(func() {
				if err := server.Serve(context.Background(), conn, rfb.ViewerConfig{}); err != nil && !errors.Is(err, rfb.ErrClosed) {
					t.Errorf("Serve returned %v", err)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		server.Close() // never fails
		serving.Wait()
	})
	return l.Addr().String()
}

// xclip runs xclip on the display's clipboard and returns what it writes.
func (d display) xclip(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "xclip", append([]string{"-selection", "clipboard"}, args...)...)
	cmd.Env = d.environment()
	out, err := cmd.Output()
	return string(out), err
}

// copyText gives the display's clipboard to a program that has this text,
// until the test ends.
func (d display) copyText(t *testing.T, text string) {
	t.Helper()
	p := &program{cmd: exec.Command("xclip", "-selection", "clipboard", "-in", "-quiet"), output: &logBuffer{}, ended: make(chan struct{})}
	p.cmd.Env = d.environment()
	p.cmd.Stdin = strings.NewReader(text)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.wait()
	t.Cleanup(func() { p.end(t) })
}

// focus gives the keyboard of a display without a window manager to the
// window with this in its title.
func (d display) focus(t *testing.T, title string) {
	t.Helper()
	eventually(t, "the window "+title, func() error {
		cmd := exec.Command("xdotool", "search", "--name", title, "windowfocus")
		cmd.Env = d.environment()
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
		}
		return nil
	})
}

// TestClipboard: texts of every kind go between an X clipboard and a source,
// through TigerVNC's viewer.
func TestClipboard(t *testing.T) {
	need(t, "xtigervncviewer", "xclip", "xdotool")
	leavesNothing(t)
	src := rfbtest.NewSource(320, 200)
	src.Fill(image.Rect(0, 0, 320, 200), 0x336699)
	address := serveSource(t, src)
	on := startX(t, "800x600", "")
	v := tigerVNC()[0]
	const limit = 4 << 20
	v.options = append(v.options, "-MaxCutText="+strconv.Itoa(limit), "-SendPrimary=0", "-SetPrimary=0")
	viewer := v.start(t, on, address)
	on.focus(t, "clipboard - TigerVNC")

	texts := map[string]string{
		"umlauts":       "Grüße aus Köln",
		"several lines": "one\ntwo\n\nfour\n",
		"other planes":  "漢字 € 😀 👩‍🚀",
		"long":          strings.Repeat("Zeile für Zeile\n", 50_000),
	}
	for name, text := range texts {
		t.Run("to the viewer/"+name, func(t *testing.T) {
			src.Desktop(func(d *rfb.Desktop) { d.CutText(text) })
			eventually(t, "the X clipboard", func() error {
				if err := viewer.running(); err != nil {
					t.Fatal(err)
				}
				got, err := on.xclip(t.Context(), "-out", "-target", "UTF8_STRING")
				if err == nil && got != text {
					err = fmt.Errorf("it is %.100q", got)
				}
				return err
			})
		})
	}
	for name, text := range texts {
		t.Run("from the viewer/"+name, func(t *testing.T) {
			on.copyText(t, text)
			eventually(t, "the source's clipboard", func() error {
				if err := viewer.running(); err != nil {
					t.Fatal(err)
				}
				events := src.Events(t.Context(), 0)
				for i := len(events) - 1; i >= 0; i-- {
					if got, ok := events[i].(string); ok {
						if got != text {
							return fmt.Errorf("it is %.100q", got)
						}
						return nil
					}
				}
				return errors.New("nothing came")
			})
		})
	}
}
