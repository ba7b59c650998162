package integration

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// buildVNCProxy builds the program that plays and records with vncproxy. It
// has data races of its own, so it is never built to look for them.
func buildVNCProxy(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "vncproxy")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./vncproxy")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building vncproxy: %v\n%s", err, out)
	}
	return program
}

// scenes are changes of a picture of 400x300 pixels, one after the other.
func scenes() []func(s *rfbtest.Source) {
	show := func(f *pixel.Frame) func(*rfbtest.Source) { return func(s *rfbtest.Source) { s.Show(f) } }
	return []func(s *rfbtest.Source){
		show(golden.TextConsole(400, 300)),
		func(s *rfbtest.Source) { s.Move(image.Rect(0, 0, 400, 284), image.Pt(0, 16)) },
		func(s *rfbtest.Source) { s.SetCursor(pixel.DefaultCursor()) },
		func(s *rfbtest.Source) { s.Fill(image.Rect(20, 30, 333, 77), 0x996633) },
		show(golden.Photo(400, 300)),
		func(s *rfbtest.Source) { s.Move(image.Rect(100, 100, 300, 250), image.Pt(91, 83)) },
		func(s *rfbtest.Source) { s.Fill(image.Rect(1, 2, 3, 4), 0xffffff) },
	}
}

// becomes waits until the server shows want, exactly.
func becomes(t *testing.T, srv *rfb.Server, want *pixel.Frame) {
	t.Helper()
	eventually(t, "the recorded picture", func() error {
		got, err := srv.Snapshot(t.Context())
		if err != nil {
			return err
		}
		if !got.Equal(want) {
			return errors.New(rfbtest.Difference(got, want))
		}
		return nil
	})
}

// counted counts what is written to a recording.
type counted struct {
	io.Writer
	mu     sync.Mutex
	writes int
}

func (c *counted) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.writes++
	c.mu.Unlock()
	return c.Writer.Write(b)
}

func (c *counted) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

// TestPeerPlaysRecording: what was recorded here vncproxy plays, exactly.
func TestPeerPlaysRecording(t *testing.T) {
	program := buildVNCProxy(t)
	for name, list := range map[string][]wire.Encoding{
		"default": nil,
		"ZRLE":    {wire.EncodingZRLE, wire.EncodingCopyRect, wire.PseudoCursor, wire.PseudoDesktopSize},
		"Hextile": {wire.EncodingHextile, wire.EncodingCopyRect, wire.PseudoCursor, wire.PseudoDesktopSize},
		"Raw":     {wire.EncodingRaw, wire.PseudoCursor, wire.PseudoDesktopSize},
	} {
		t.Run(name, func(t *testing.T) {
			leavesNothing(t)
			src := rfbtest.NewSource(640, 480)
			// Other sizes, at the beginning and the end, as well.
			changes := append(scenes(), func(s *rfbtest.Source) { s.Show(golden.Desktop(333, 222)) })
			file := filepath.Join(t.TempDir(), "ours.fbs")
			recordInto(t, file, src, changes, fbs.RecorderConfig{Encodings: list})

			address := freeAddress(t)
			peer := startProgram(t, nil, program, "play", file, address)
			client := rfb.NewClient(rfb.ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", address)
			}})
			eventually(t, "vncproxy to listen", func() error {
				if err := peer.running(); err != nil {
					t.Fatal(err)
				}
				conn, err := net.Dial("tcp", address)
				if err != nil {
					return err
				}
				return conn.Close()
			})
			front := rfb.NewServer(client, rfb.ServerConfig{Linger: -1})
			defer front.Close()
			becomes(t, front, src.Picture())
		})
	}
}

// recordInto records the changes, each of which is recorded before the next.
func recordInto(t *testing.T, file string, src *rfbtest.Source, changes []func(*rfbtest.Source), cfg fbs.RecorderConfig) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	srv := rfb.NewServer(src, rfb.ServerConfig{})
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := &counted{Writer: f}
	recorded := make(chan error, 1)
	go func() { recorded <- fbs.Record(ctx, srv, w, cfg) }()
	for _, change := range append([]func(*rfbtest.Source){func(*rfbtest.Source) {}}, changes...) {
		before := w.count()
		size := src.Picture().Rect()
		change(src)
		want := 1
		if src.Picture().Rect() != size {
			want = 2 // the size, and the picture
		}
		eventually(t, "the change to be recorded", func() error {
			if n := w.count() - before; n < want {
				return fmt.Errorf("%d blocks instead of %d", n, want)
			}
			return nil
		})
	}
	cancel()
	if err := <-recorded; err != nil {
		t.Fatal(err)
	}
}

// TestRecordingOfPeer: what vncproxy recorded of a server here is played here,
// exactly. Its recorder asks for the first size for ever, so it stays.
func TestRecordingOfPeer(t *testing.T) {
	program := buildVNCProxy(t)
	leavesNothing(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	src := rfbtest.NewSource(400, 300)
	srv := rfb.NewServer(src, rfb.ServerConfig{Name: "node"})
	defer srv.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = srv.Serve(context.Background(), conn, rfb.ViewerConfig{})
		}
		served <- err
	}()

	file := filepath.Join(t.TempDir(), "theirs.rbs")
	peer := startProgram(t, nil, program, "record", file, listener.Addr().String())
	for i, change := range append([]func(*rfbtest.Source){func(*rfbtest.Source) {}}, scenes()...) {
		before := srv.Stats().Updates
		change(src)
		eventually(t, "vncproxy to record", func() error {
			if err := peer.running(); err != nil {
				t.Fatal(err)
			}
			sent, taken := srv.Stats().Updates, uint64(strings.Count(peer.output.String(), "update\n"))
			if i > 0 && sent == before || taken < sent || taken == 0 {
				return fmt.Errorf("%d updates were sent, %d since the change, %d recorded", sent, sent-before, taken)
			}
			return nil
		})
	}
	want := src.Picture()
	srv.Close()
	if err := <-served; !errors.Is(err, rfb.ErrClosed) {
		t.Errorf("serving vncproxy ended with %v", err)
	}
	<-peer.ended
	if peer.err != nil {
		t.Fatalf("vncproxy ended with %v\n%s", peer.err, peer.output)
	}

	for _, speed := range []float64{-1, 50} {
		p := fbs.NewPlayer(fbs.PlayerConfig{Speed: speed, Recording: fbs.Stream(func() (io.ReadCloser, error) { return os.Open(file) })})
		front := rfb.NewServer(p, rfb.ServerConfig{Linger: -1})
		becomes(t, front, want)
		eventually(t, "the end", func() error {
			if !p.State().Finished {
				return fmt.Errorf("it is at %v", p.State().Position)
			}
			return nil
		})
		becomes(t, front, want)
		front.Close()
	}
}
