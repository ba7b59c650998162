package rfb_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"net"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// scriptConn is a peer that has said all it will ever say and reads anything.
type scriptConn struct {
	io.Reader
}

func script(b []byte) *scriptConn {
	return &scriptConn{Reader: bytes.NewReader(b)}
}

func (c *scriptConn) Write(b []byte) (int, error)      { return len(b), nil }
func (c *scriptConn) Close() error                     { return nil }
func (c *scriptConn) LocalAddr() net.Addr              { return nil }
func (c *scriptConn) RemoteAddr() net.Addr             { return nil }
func (c *scriptConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptConn) SetWriteDeadline(time.Time) error { return nil }

// FuzzServerMessages: whatever a server says, a client's run ends with an
// error and nothing else happens.
func FuzzServerMessages(f *testing.F) {
	frame := pixel.NewFrame(64, 48)
	frame.Fill(image.Rect(5, 5, 30, 30), 0x336699)
	for _, row := range encoding.All() {
		if row.Encode == nil || row.Lossy {
			continue
		}
		var s encoding.Streams
		b := wire.FramebufferUpdate{Rects: 1}.Append(nil)
		for _, p := range row.Encode(nil, frame, frame.Rect(), encoding.Params{Encoding: row.Number, Format: pixel.RGB888, Quality: -1, Compression: -1}) {
			b = append(s.AppendHeader(b, &p), p.Data...)
		}
		f.Add(b)
	}
	f.Add(wire.ExtendedDesktopSize{Width: 10, Height: 10}.Append(wire.FramebufferUpdate{Rects: 1}.Append(nil)))
	f.Add(wire.AppendDesktopName(wire.FramebufferUpdate{Rects: 1}.Append(nil), "x"))
	f.Add(wire.AppendBell(wire.ServerCutText{Text: []byte("t")}.Append(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		hello := append(wire.Version38.Append(nil), 1, 1, 0, 0, 0, 0)
		hello = wire.ServerInit{Width: 64, Height: 48, Format: pixel.RGB888}.Append(hello)
		ended := make(chan error, 1)
		client := rfb.NewClient(rfb.ClientConfig{Dial: func(context.Context) (net.Conn, error) { return script(append(hello, b...)), nil }})
		srv := rfb.NewServer(client, rfb.ServerConfig{FrameInterval: -1, Linger: -1, SourceEnded: func(_ rfb.Source, err error) rfb.Source {
			ended <- err
			return nil
		}})
		defer srv.Close()
		_, _ = srv.Snapshot(t.Context())
		if err := <-ended; err == nil {
			t.Error("the run ended without a reason")
		}
	})
}

// FuzzViewer: whatever a viewer says, its Serve call ends, and the server goes
// on.
func FuzzViewer(f *testing.F) {
	hello := append(wire.Version38.Append(nil), 1, 1)
	for _, m := range []wire.ClientMessage{
		wire.SetPixelFormat{Format: pixel.RGB888},
		wire.SetEncodings{Encodings: []wire.Encoding{wire.EncodingTight, wire.PseudoFence, wire.PseudoContinuousUpdates, wire.PseudoExtendedDesktopSize}},
		wire.FramebufferUpdateRequest{Rect: image.Rect(0, 0, 900, 900)},
		wire.EnableContinuousUpdates{Enable: true, Rect: image.Rect(0, 0, 64, 48)},
		wire.SetDesktopSize{Width: 100, Height: 90},
		wire.Fence{Flags: wire.FenceRequest, Payload: []byte{1}},
		wire.KeyEvent{Down: true, Keysym: 'a'},
	} {
		f.Add(m.Append(bytes.Clone(hello)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		srv := rfb.NewServer(rfbtest.NewSource(64, 48), rfb.ServerConfig{FrameInterval: -1})
		defer srv.Close()
		err := srv.Serve(t.Context(), script(b), rfb.ViewerConfig{})
		if errors.Is(err, rfb.ErrClosed) {
			t.Errorf("Serve returned %v", err)
		}
		if _, err := srv.Snapshot(t.Context()); err != nil {
			t.Errorf("the server does not go on: %v", err)
		}
	})
}
