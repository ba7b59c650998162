package fbs_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/wire"
)

// event is a message in a recording.
type event struct {
	at    time.Duration
	kind  wire.ServerMessageType
	rects map[wire.Encoding]int
	area  int // of the rectangles with pixels
}

// messages reads the messages of a recording that was made with the default
// encodings.
func messages(t *testing.T, data []byte) (list []event) {
	t.Helper()
	r, err := fbs.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	frame := pixel.NewFrame(r.ServerInit().Width, r.ServerInit().Height)
	decoders := make(map[wire.Encoding]encoding.Decoder)
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		// A block holds whole messages.
		for rd := wire.NewReader(bytes.NewReader(b.Data), 64<<10); ; {
			kind := wire.ServerMessageType(rd.Next())
			if errors.Is(rd.Err(), io.EOF) {
				break
			}
			ev := event{at: b.Time, kind: kind, rects: make(map[wire.Encoding]int)}
			switch kind {
			case wire.TypeFramebufferUpdate:
				for range wire.ReadFramebufferUpdate(rd).Rects {
					h := wire.ReadRectangleHeader(rd)
					ev.rects[h.Encoding]++
					switch h.Encoding {
					case wire.PseudoDesktopSize:
						frame = pixel.NewFrame(h.Rect.Dx(), h.Rect.Dy())
					case wire.PseudoCursor:
						_, _ = encoding.DecodeCursor(rd, h, rgb)
					case wire.EncodingTight, wire.EncodingCopyRect:
						if decoders[h.Encoding] == nil {
							decoders[h.Encoding] = encoding.ByNumber(h.Encoding).NewDecoder()
						}
						_ = decoders[h.Encoding].Decode(rd, frame, h.Rect, rgb)
						ev.area += h.Rect.Dx() * h.Rect.Dy()
					default:
						t.Fatalf("a rectangle with %v at %v", h.Encoding, b.Time)
					}
				}
			case wire.TypeBell:
			case wire.TypeServerCutText:
				wire.ReadServerCutText(rd, false)
			default:
				t.Fatalf("message type %d at %v", kind, b.Time)
			}
			if rd.Err() != nil {
				t.Fatalf("at %v: %v", b.Time, rd.Err())
			}
			list = append(list, ev)
		}
	}
}

// A recording has only what every player knows, at the time it happened.
func TestMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := take(t, fbs.RecorderConfig{}, append(scenes(),
			func(s *rfbtest.Source) { s.Desktop(func(d *rfb.Desktop) { d.Bell() }) },
			func(s *rfbtest.Source) {
				s.Desktop(func(d *rfb.Desktop) { d.CutText("text"); d.SetName("other"); d.SetLEDState(1) })
			},
			func(s *rfbtest.Source) { s.Fill(image.Rect(0, 0, 40, 40), 0x808080) },
		)...)
		kinds := make(map[wire.ServerMessageType]int)
		rects := make(map[wire.Encoding]int)
		list := messages(t, r.data)
		for i, ev := range list {
			kinds[ev.kind]++
			for e, n := range ev.rects {
				rects[e] += n
			}
			if late := ev.at % step; late > 20*time.Millisecond {
				t.Errorf("message %d is of %v", i, ev.at)
			}
		}
		if kinds[wire.TypeBell] != 1 || kinds[wire.TypeServerCutText] != 0 {
			t.Errorf("messages by type: %v", kinds)
		}
		for _, e := range []wire.Encoding{wire.EncodingTight, wire.EncodingCopyRect, wire.PseudoCursor, wire.PseudoDesktopSize} {
			if rects[e] == 0 {
				t.Errorf("no rectangle with %v: %v", e, rects)
			}
		}
		if last := list[len(list)-1]; last.at != r.length || last.kind != wire.TypeFramebufferUpdate || len(last.rects) != 0 {
			t.Errorf("the recording of %v ends with %v", r.length, last)
		}
	})
}

// The whole picture is recorded with the first change after some time.
func TestKeyFrames(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  fbs.RecorderConfig
		want []time.Duration // of whole pictures
	}{
		"default": {fbs.RecorderConfig{}, []time.Duration{0, 130*time.Second + 3*step, 260*time.Second + 5*step}},
		"rarely":  {fbs.RecorderConfig{KeyFrames: 200 * time.Second}, []time.Duration{0, 260*time.Second + 5*step}},
		"never":   {fbs.RecorderConfig{KeyFrames: -1}, []time.Duration{0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := take(t, c.cfg,
					func(s *rfbtest.Source) { s.Fill(image.Rect(5, 5, 50, 50), 0xffffff) },
					func(*rfbtest.Source) { time.Sleep(130 * time.Second) },
					func(s *rfbtest.Source) { s.Fill(image.Rect(50, 50, 60, 60), 0x00ff00) },
					func(*rfbtest.Source) { time.Sleep(130 * time.Second) },
					func(s *rfbtest.Source) { s.Fill(image.Rect(60, 50, 70, 60), 0x00ffff) },
					func(s *rfbtest.Source) { s.Fill(image.Rect(70, 50, 80, 60), 0x00ffff) })
				var got []time.Duration
				for _, ev := range messages(t, r.data) {
					if ev.area == 320*200 {
						got = append(got, ev.at)
					}
				}
				if len(got) != len(c.want) {
					t.Fatalf("whole pictures at %v instead of %v", got, c.want)
				}
				for i := range got {
					if late := got[i] - c.want[i]; late < 0 || late >= step {
						t.Errorf("whole pictures at %v instead of %v", got, c.want)
					}
				}
			})
		})
	}
}

func TestLimits(t *testing.T) {
	record := func(t *testing.T, w io.Writer, cfg fbs.RecorderConfig, during func(*rfbtest.Source, *rfb.Server)) error {
		src := rfbtest.NewSource(320, 200)
		srv := rfb.NewServer(src, rfb.ServerConfig{})
		defer srv.Close()
		result := make(chan error, 1)
		go func() { result <- fbs.Record(t.Context(), srv, w, cfg) }()
		during(src, srv)
		select {
		case err := <-result:
			return err
		case <-time.After(time.Hour):
			t.Fatal("Record does not end")
			return nil
		}
	}
	busy := func(s *rfbtest.Source, _ *rfb.Server) {
		for i := range uint32(100) {
			s.Fill(image.Rect(0, 0, 320, 200), i*2000003&pixel.Mask)
			time.Sleep(step)
		}
	}
	t.Run("size", func(t *testing.T) {
		for _, most := range []int64{10, 400, 1234} {
			synctest.Test(t, func(t *testing.T) {
				var file bytes.Buffer
				if err := record(t, &file, fbs.RecorderConfig{MaxSize: most}, busy); !errors.Is(err, fbs.ErrLimit) {
					t.Errorf("Record returned %v", err)
				}
				messages(t, file.Bytes())
				if n := int64(file.Len()); n > max(most, 100) || n < most/2 {
					t.Errorf("%d bytes with a limit of %d", n, most)
				}
			})
		}
	})
	t.Run("time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var file bytes.Buffer
			if err := record(t, &file, fbs.RecorderConfig{MaxTime: 3 * time.Second}, busy); !errors.Is(err, fbs.ErrLimit) {
				t.Errorf("Record returned %v", err)
			}
			list := messages(t, file.Bytes())
			if last := list[len(list)-1].at; last < 3*time.Second || last > 3*time.Second+step {
				t.Errorf("the recording ends at %v", last)
			}
		})
	})
	t.Run("writing fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			full := errors.New("no space left on device")
			err := record(t, &failing{err: full}, fbs.RecorderConfig{}, busy)
			if !errors.Is(err, full) {
				t.Errorf("Record returned %v", err)
			}
		})
	})
	t.Run("server closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var file bytes.Buffer
			err := record(t, &file, fbs.RecorderConfig{}, func(_ *rfbtest.Source, srv *rfb.Server) {
				time.Sleep(time.Second)
				srv.Close()
			})
			if !errors.Is(err, rfb.ErrClosed) {
				t.Errorf("Record returned %v", err)
			}
			messages(t, file.Bytes())
		})
	})
}

// locked is a security type that lets nobody in.
type locked struct{ security.None }

func (locked) Number() security.Number { return security.NumberVNCAuth }
func (locked) Server(context.Context, net.Conn) (security.Result, error) {
	return security.Result{}, security.ErrRefused
}

// A recording needs no password and shares what is encoded for others.
func TestOneMoreViewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(320, 200)
		srv := rfb.NewServer(src, rfb.ServerConfig{Security: []security.Type{locked{}}})
		defer srv.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var files [3]bytes.Buffer
		var recorders sync.WaitGroup
		for i := range files {
			recorders.Go(func() {
				// Key frames are each recorder's own.
				if err := fbs.Record(ctx, srv, &files[i], fbs.RecorderConfig{KeyFrames: -1}); err != nil {
					t.Errorf("Record returned %v", err)
				}
			})
		}
		synctest.Wait()
		before := srv.Stats()
		for _, scene := range scenes() {
			scene(src)
			time.Sleep(step)
		}
		after := srv.Stats()
		if after.Viewers != len(files) {
			t.Errorf("%d viewers", after.Viewers)
		}
		encodes, hits := after.EncodeCalls-before.EncodeCalls, after.CacheHits-before.CacheHits
		if hits != encodes*uint64(len(files)-1) {
			t.Errorf("%d pieces were encoded and %d shared", encodes, hits)
		}
		cancel()
		recorders.Wait()
		for i := range files {
			if got, want := said(t, files[i].Bytes()), said(t, files[0].Bytes()); !bytes.Equal(got, want) {
				t.Errorf("recordings of the same differ: %d and %d bytes", len(got), len(want))
			}
		}
	})
}

// said is what the server said in a recording, whenever it was. Of viewers
// that ask at the same time one may be served a frame before another.
func said(t *testing.T, data []byte) (all []byte) {
	t.Helper()
	r, err := fbs.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b.Data...)
	}
}
