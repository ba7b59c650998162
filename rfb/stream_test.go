package rfb_test

import (
	"bytes"
	"context"
	"image"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// batches is a server's end that keeps the first bytes of each batch.
type batches struct {
	net.Conn
	mu    sync.Mutex
	heads [][]byte
}

func (b *batches) WriteBuffers(bufs net.Buffers) error {
	all := bytes.Join(bufs, nil)
	b.mu.Lock()
	b.heads = append(b.heads, all[:min(len(all), 4)])
	b.mu.Unlock()
	_, err := b.Conn.Write(all)
	return err
}

// taken returns the heads since it was called last.
func (b *batches) taken() [][]byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.heads
	b.heads = nil
	return h
}

// noise fills the picture with what cannot be compressed.
func noise(src *rfbtest.Source, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	src.Draw(func(p *pixel.Frame) *pixel.Region {
		for i := range p.Pix {
			p.Pix[i] = rnd.Uint32() & pixel.Mask
		}
		return pixel.RegionOf(p.Rect())
	})
}

// The pieces of a large picture leave while others are encoded, in one update
// that a LastRect ends, if the viewer knows that; else in one that is counted.
func TestLargePictureGoesInPieces(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the pieces are the same each time
	src := rfbtest.NewSource(1024, 1024)
	noise(src, 1)
	h := serve(t, src, rfb.ServerConfig{})
	for _, list := range [][]wire.Encoding{{wire.EncodingRaw, wire.PseudoLastRect}, {wire.EncodingRaw}} {
		ours, theirs := net.Pipe()
		b := &batches{Conn: theirs}
		h.wg.Go(func() { h.results <- h.Serve(context.Background(), b, rfb.ViewerConfig{}) })
		t.Cleanup(func() { ours.Close() })
		v, err := rfbtest.NewViewer(ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Send(wire.SetEncodings{Encodings: list}); err != nil {
			t.Fatal(err)
		}
		update := func(incremental bool) [][]byte {
			t.Helper()
			b.taken()
			if err := v.Request(incremental); err != nil {
				t.Fatal(err)
			}
			if err := v.ReadUpdate(); err != nil {
				t.Fatal(err)
			}
			if !v.Frame.Equal(src.Picture()) {
				t.Error("the picture is not exact")
			}
			return b.taken()
		}
		for seed := range uint64(2) {
			noise(src, seed)
			heads := update(false)
			want, count := 1, []byte{0, 0, 0, 64} // cells of 256x64
			if slices.Contains(list, wire.PseudoLastRect) {
				want, count = 8, []byte{0, 0, 0xff, 0xff}
			}
			if len(heads) != want || !bytes.Equal(heads[0], count) {
				t.Errorf("with %v: %d batches, the first begins %x; want %d and %x", list, len(heads), heads[0], want, count)
			}
		}
		// What is small is one batch and counted.
		src.Fill(image.Rect(5, 5, 10, 10), 0x123456)
		if heads := update(true); len(heads) != 1 || !bytes.Equal(heads[0], []byte{0, 0, 0, 1}) {
			t.Errorf("a small change came in %x", heads)
		}
	}
}

// Many viewers at different points, some of whom know LastRect, see a large
// picture exactly, whoever encodes what; one that goes away in the middle of
// it takes nothing along.
func TestPiecesAreExact(t *testing.T) {
	src := rfbtest.NewSource(900, 700)
	h := serve(t, src, rfb.ServerConfig{})
	var viewers []*rfbtest.Viewer
	for _, list := range [][]wire.Encoding{
		{wire.EncodingTight, wire.PseudoLastRect, wire.PseudoCursor, wire.EncodingCopyRect},
		{wire.EncodingZRLE, wire.PseudoLastRect}, {wire.EncodingZRLE}, {wire.EncodingHextile, wire.PseudoLastRect},
	} {
		viewers = append(viewers, h.viewer(list...))
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for round := range uint64(4) {
		noise(src, round)
		quitter := h.viewer(wire.EncodingRaw, wire.PseudoLastRect)
		if err := quitter.Request(false); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, quitter.Conn, 300<<10); err != nil {
			t.Fatal(err)
		}
		quitter.Conn.Close()
		for _, v := range viewers {
			if rnd.IntN(2) == 0 {
				await(t, v, src.Picture())
			}
		}
		scribble(rnd, src)
		await(t, viewers[rnd.IntN(len(viewers))], src.Picture())
	}
	for _, v := range viewers {
		await(t, v, src.Picture())
	}
}

// The picture is looked at as soon as a viewer is there, not when it has asked.
func TestLookBeforeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(100, 100)
		src.Fill(image.Rect(0, 0, 50, 50), 0x445566)
		srv := rfb.NewServer(src, rfb.ServerConfig{})
		defer srv.Close()
		ours, theirs := net.Pipe()
		defer ours.Close()
		go srv.Serve(t.Context(), theirs, rfb.ViewerConfig{}) //nolint:errcheck // ends with the test
		v, err := rfbtest.NewViewer(ours)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := src.Grabs(); n != 1 {
			t.Errorf("the picture was looked at %d times before it was asked for", n)
		}
		src.Fill(image.Rect(20, 20, 30, 30), 0x112233)
		synctest.Wait()
		if n := src.Grabs(); n != 1 {
			t.Errorf("it was looked at %d times although nobody can take it", n)
		}
		await(t, v, src.Picture())
	})
}

// A program is told of frames that are worth more than one processor.
func TestHeavy(t *testing.T) {
	for size, want := range map[image.Point][]bool{{X: 2048, Y: 1024}: {true, false}, {X: 1280, Y: 1024}: nil} {
		var told []bool // by the loop, which has ended when it is read
		src := rfbtest.NewSource(size.X, size.Y)
		src.Fill(image.Rect(0, 0, size.X, size.Y), 0x778899)
		h := serve(t, src, rfb.ServerConfig{Heavy: func(begins bool) { told = append(told, begins) }})
		await(t, h.viewer(wire.EncodingZRLE), src.Picture())
		h.Close()
		if !slices.Equal(told, want) {
			t.Errorf("of a frame of %v was told %v, want %v", size, told, want)
		}
	}
}
