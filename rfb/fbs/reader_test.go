package fbs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

type ioReadCloser = io.ReadCloser

var (
	rgb    = pixel.RGB888
	mapped = pixel.PixelFormat{BitsPerPixel: 8, Depth: 8}
)

// header is what a recording begins with.
func header(init wire.ServerInit) []byte {
	var b bytes.Buffer
	fbs.NewWriter(&b, time.Time{}, init)
	return b.Bytes()
}

// block is a block as other programs write it.
func block(ms uint32, data ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, data...), "\xaa\xaa\xaa"[:-len(data)&3]...) // padding may be anything
	return binary.BigEndian.AppendUint32(b, ms)
}

// content is the data and the times of all blocks after the handshake.
func content(r *fbs.Reader) (data []byte, times []time.Duration, err error) {
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return data, times, nil
		}
		if err != nil {
			return data, times, err
		}
		data = append(data, b.Data...)
		times = append(times, b.Time)
	}
}

func TestWriterReader(t *testing.T) {
	start := time.Unix(1000, 0)
	init := wire.ServerInit{Width: 640, Height: 480, Format: rgb, Name: "a name"}
	var file bytes.Buffer
	w := fbs.NewWriter(&file, start, init)
	large := bytes.Repeat([]byte("0123456"), 30000)
	for i, parts := range [][][]byte{{{1, 2}, {3}}, {large, {4}}, {{5, 6, 7, 8}}} {
		if err := w.Append(start.Add(time.Duration(i)*1500*time.Millisecond), parts...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Append(start.Add(time.Second), []byte{9}); err != nil { // the clock was set back
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Close(start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Append(start, []byte{1}); err == nil {
		t.Error("a closed recording takes more")
	}
	if w.Size() != int64(file.Len()) {
		t.Errorf("Size is %d, the file has %d bytes", w.Size(), file.Len())
	}
	r, err := fbs.NewReader(iotest.OneByteReader(&file))
	if err != nil {
		t.Fatal(err)
	}
	if r.ServerInit() != init {
		t.Errorf("ServerInit came back as %v", r.ServerInit())
	}
	data, times, err := content(r)
	if err != nil {
		t.Fatal(err)
	}
	want := append(append([]byte{1, 2, 3}, large...), 4, 5, 6, 7, 8, 9, 0, 0, 0, 0)
	if !bytes.Equal(data, want) {
		t.Errorf("%d bytes came back, not the %d written", len(data), len(want))
	}
	if got, want := fmt.Sprint(times), "[0s 1.5s 1.5s 1.5s 1.5s 3s 3s 1m0s]"; got != want {
		t.Errorf("the times are %s instead of %s", got, want)
	}
}

// A full disk is told with every call from then on, and nothing is written
// any more.
func TestWriterFails(t *testing.T) {
	full := errors.New("no space left on device")
	out := &failing{err: full}
	w := fbs.NewWriter(out, time.Time{}, wire.ServerInit{Width: 1, Height: 1, Format: rgb})
	for range 2 {
		if err := w.Append(time.Time{}, []byte{1}); !errors.Is(err, full) {
			t.Errorf("Append returned %v", err)
		}
	}
	if err := w.Close(time.Time{}); !errors.Is(err, full) {
		t.Errorf("Close returned %v", err)
	}
	if out.calls != 1 {
		t.Errorf("%d writes", out.calls)
	}
	late := fbs.NewWriter(io.Discard, time.Time{}, wire.ServerInit{})
	if err := late.Append(time.Time{}.Add(fbs.MaxTime+time.Second), []byte{1}); err == nil {
		t.Error("a time that no recording can tell was taken")
	}
}

type failing struct {
	err   error
	calls int
}

func (f *failing) Write([]byte) (int, error) { f.calls++; return 0, f.err }

// What recorders keep of the handshake differs, and how they cut it.
func TestHandshakes(t *testing.T) {
	init := wire.ServerInit{Width: 800, Height: 600, Format: rgb, Name: "x"}
	words := func(ws ...uint32) (b []byte) {
		for _, w := range ws {
			b = binary.BigEndian.AppendUint32(b, w)
		}
		return b
	}
	v33, v37, v38 := []byte("RFB 003.003\n"), []byte("RFB 003.007\n"), []byte("RFB 003.008\n")
	served := init.Append(nil)
	for name, c := range map[string]struct {
		parts [][]byte
		want  string // of the error
	}{
		"3.3":                        {parts: [][]byte{v33, words(1), served}},
		"3.3 with a password":        {parts: [][]byte{v33, words(2), make([]byte, 16), words(0), served}},
		"3.3 with a wrong password":  {[][]byte{v33, words(2), make([]byte, 16), words(1)}, "refused"},
		"3.3 of a refusal":           {[][]byte{v33, words(0, 0)}, "security type 0"},
		"3.7":                        {parts: [][]byte{v37, {1, 1}, served}},
		"3.8 without SecurityResult": {parts: [][]byte{v38, {1, 1}, served}},
		"3.8 with SecurityResult":    {parts: [][]byte{v38, {2, 2, 1}, words(0), served}},
		"3.8 of a refusal":           {[][]byte{v38, {0}}, "refused"},
		"no RFB":                     {[][]byte{[]byte("GET / HTTP/1.1\r\n\r\n")}, "does not speak RFB"},
		"size of nothing":            {[][]byte{v33, words(1, 0), served[4:]}, "0x0 pixels"},
		"long name":                  {[][]byte{v33, words(1), served[:20], words(1 << 30)}, "name-string"},
		"nothing":                    {nil, "handshake"},
	} {
		t.Run(name, func(t *testing.T) {
			messages := []byte{2, 2, 2}
			whole, cut, bytewise := []byte("FBS 001.000\n"), []byte("FBS 001.000\n"), []byte("FBS 001.000\n")
			all := bytes.Join(c.parts, nil)
			if c.want == "" {
				all = append(all, messages...)
			}
			whole = append(whole, block(0, all...)...)
			for _, p := range c.parts {
				cut = append(cut, block(0, p...)...)
			}
			if c.want == "" {
				cut = append(cut, block(0, messages...)...)
			}
			for _, p := range all {
				bytewise = append(bytewise, block(0, p)...)
			}
			for how, file := range map[string][]byte{"one block": whole, "a block each": cut, "a block a byte": bytewise} {
				r, err := fbs.NewReader(bytes.NewReader(file))
				switch {
				case c.want != "":
					if err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("%s: NewReader returned %v", how, err)
					}
					continue
				case err != nil:
					t.Errorf("%s: %v", how, err)
					continue
				}
				data, _, err := content(r)
				if r.ServerInit() != init || !bytes.Equal(data, messages) || err != nil {
					t.Errorf("%s: %v, then %v, %v", how, r.ServerInit(), data, err)
				}
			}
		})
	}
}

// Lengths are believed only as far as there are bytes.
func TestHostileLengths(t *testing.T) {
	begin := header(wire.ServerInit{Width: 1, Height: 1, Format: rgb})
	for _, size := range []uint32{fbs.MaxBlock, fbs.MaxBlock + 1, 1 << 31, 0xfffffffc, 0xffffffff} {
		r, err := fbs.NewReader(bytes.NewReader(binary.BigEndian.AppendUint32(bytes.Clone(begin), size)))
		if err != nil {
			t.Fatal(err)
		}
		allocated := testing.AllocsPerRun(1, func() { _, err = r.Next() })
		if err == nil || errors.Is(err, io.EOF) || allocated > 20 {
			t.Errorf("a block of %d bytes: %v", size, err)
		}
	}
	for _, begin := range []string{"", "FBS", "FBS 001.000", "FBS 001.002\n", "GIF89a......", "RFB 003.003\n"} {
		if _, err := fbs.NewReader(strings.NewReader(begin)); err == nil {
			t.Errorf("%q was taken for a recording", begin)
		}
	}
	failed := errors.New("I/O error")
	if _, err := fbs.NewReader(iotest.ErrReader(failed)); !errors.Is(err, failed) {
		t.Errorf("NewReader returned %v", err)
	}
}

// A file that is cut off anywhere gives what is there of it, and the player
// shows that.
func TestTruncated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := take(t, fbs.RecorderConfig{},
			func(s *rfbtest.Source) { s.Fill(image.Rect(0, 0, 320, 200), 0x204060) },
			func(s *rfbtest.Source) { s.Show(pixel.NewFrame(70, 50)) },
			func(s *rfbtest.Source) {
				s.Draw(func(p *pixel.Frame) *pixel.Region {
					for y := range 30 {
						for x := range p.Row(y, 0, 60) {
							p.Row(y, 0, 60)[x] = uint32(x*x*7919+y*y*104729) & pixel.Mask
						}
					}
					return pixel.RegionOf(image.Rect(0, 0, 60, 30))
				})
			})
		r, err := fbs.NewReader(bytes.NewReader(whole.data))
		if err != nil {
			t.Fatal(err)
		}
		all, _, err := content(r)
		if err != nil {
			t.Fatal(err)
		}
		played := 0
		for n := range whole.data {
			r, err := fbs.NewReader(bytes.NewReader(whole.data[:n]))
			if err != nil {
				if n >= 12 && !errors.Is(err, fbs.ErrTruncated) {
					t.Errorf("%d bytes: NewReader returned %v", n, err)
				}
				continue
			}
			data, _, err := content(r)
			if err != nil && !errors.Is(err, fbs.ErrTruncated) || !bytes.HasPrefix(all, data) {
				t.Errorf("%d bytes: %d bytes of data, %v", n, len(data), err)
			}
			if len(data) == 0 || n%7 != 0 && n < len(whole.data)-40 {
				continue
			}
			played++
			shows(t, whole, n)
		}
		if played < 100 {
			t.Errorf("only %d cuts were played", played)
		}
	})
}

// shows checks that of n bytes of a recording a picture of it is shown, or
// part of one over the one before.
func shows(t *testing.T, whole taken, n int) {
	t.Helper()
	p, srv := stage(t, fbs.PlayerConfig{Recording: fbs.Stream(reopen(whole.data[:n])), Speed: -1})
	defer srv.Close()
	if _, err := srv.Snapshot(t.Context()); err != nil { // which begins
		t.Errorf("%d bytes: %v", n, err)
		return
	}
	synctest.Wait()
	if !p.State().Finished {
		t.Errorf("%d bytes: the end was not reached", n)
	}
	got, _ := srv.Snapshot(t.Context())
	for i, after := range whole.pictures {
		before := pixel.NewFrame(after.Width, after.Height)
		if i > 0 && whole.pictures[i-1].Rect() == after.Rect() {
			before = whole.pictures[i-1]
		}
		if between(got, before, after) {
			return
		}
	}
	t.Errorf("%d bytes: a picture of %v that is none of the recorded ones", n, got.Rect())
}

func between(f, before, after *pixel.Frame) bool {
	if f.Rect() != after.Rect() {
		return false
	}
	for y := range f.Height {
		for x := range f.Width {
			if p := f.Pixel(x, y); p != before.Pixel(x, y) && p != after.Pixel(x, y) {
				return false
			}
		}
	}
	return true
}
