package fbs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// seeds are recordings as several programs make them.
func seeds() [][]byte {
	init := wire.ServerInit{Width: 64, Height: 48, Format: rgb, Name: "n"}
	frame := pixel.NewFrame(64, 48)
	frame.Fill(image.Rect(5, 5, 30, 30), 0x336699)
	var list [][]byte
	for _, row := range encoding.All() {
		if row.Encode == nil {
			continue
		}
		var s encoding.Streams
		update := wire.FramebufferUpdate{Rects: 1}.Append(nil)
		for _, p := range row.Encode(nil, frame, frame.Rect(), encoding.Params{Encoding: row.Number, Format: rgb, Quality: -1, Compression: -1}) {
			update = append(s.AppendHeader(update, &p), p.Data...)
		}
		list = append(list, append(header(init), block(17, update...)...))
	}
	resize := wire.RectangleHeader{Rect: image.Rect(0, 0, 20, 20), Encoding: wire.PseudoDesktopSize}.Append(wire.FramebufferUpdate{Rects: 1}.Append(nil))
	hello := append([]byte("RFB 003.008\n"), 1, 1, 0, 0, 0, 0)
	return append(list,
		append(header(init), block(1, append(resize, 2)...)...),
		append([]byte("FBS 001.000\n"), block(0, init.Append(hello)...)...),
	)
}

// FuzzReader: whatever a file holds, reading it ends, and takes no more memory
// than the file.
func FuzzReader(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := fbs.NewReader(bytes.NewReader(b))
		if err != nil {
			return
		}
		if init := r.ServerInit(); init.Width < 1 || init.Height < 1 || init.Format.Validate() != nil {
			t.Errorf("ServerInit %v", init)
		}
		n, last := 0, int64(0)
		for {
			block, err := r.Next()
			if err != nil {
				if _, again := r.Next(); !errors.Is(again, err) {
					t.Errorf("first %v, then %v", err, again)
				}
				break
			}
			if n += len(block.Data); n > len(b) || int64(block.Time) < last {
				t.Fatalf("%d bytes of %d, at %v", n, len(b), block.Time)
			}
			last = int64(block.Time)
		}
	})
}

// FuzzPlayer: whatever a recording holds, it is played to its end or an error.
func FuzzPlayer(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := fbs.NewReader(bytes.NewReader(b))
		if err != nil || r.ServerInit().Width*r.ServerInit().Height > 1<<20 {
			return // the memory that a picture takes is not what is tested
		}
		if data, _, _ := content(r); sizes(data) {
			return
		}
		p := fbs.NewPlayer(fbs.PlayerConfig{Speed: -1, Recording: fbs.Stream(reopen(b))})
		ended := make(chan error, 1)
		srv := rfb.NewServer(p, rfb.ServerConfig{FrameInterval: -1, SourceEnded: func(_ rfb.Source, err error) rfb.Source {
			ended <- err
			return nil
		}})
		defer srv.Close()
		ctx, cancel := context.WithTimeout(t.Context(), rfbtest.Patience)
		defer cancel()
		switch _, err := srv.Snapshot(ctx); {
		case errors.Is(err, context.DeadlineExceeded):
			t.Error("neither a picture nor an error")
		case err != nil && <-ended == nil:
			t.Errorf("it ended without a reason: %v", err)
		}
	})
}

// sizes reports whether b may hold a change of the size.
func sizes(b []byte) bool {
	size, extended := wire.PseudoDesktopSize, wire.PseudoExtendedDesktopSize
	return bytes.Contains(b, binary.BigEndian.AppendUint32(nil, uint32(size))) ||
		bytes.Contains(b, binary.BigEndian.AppendUint32(nil, uint32(extended)))
}
