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

// clipMessages are extended clipboard messages of each kind.
var clipMessages = []wire.ClientCutText{
	clip(wire.ClipboardCaps|clipAll, "", 1000), clip(wire.ClipboardRequest|clipText, ""), clip(wire.ClipboardPeek, ""),
	clip(wire.ClipboardNotify|clipText, ""), clip(wire.ClipboardProvide|clipText, "text\n"),
}

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
	for _, rect := range [][]byte{
		wire.AppendLEDState(nil, 3), wire.AppendVMwareLEDState(nil, 3), wire.AppendPointerMotion(nil, true),
		wire.AppendCursorPosition(nil, image.Pt(3, 4)), wire.RectangleHeader{Encoding: wire.PseudoExtendedMouseButtons}.Append(nil),
		wire.ExtendedDesktopSize{Reason: 1, Width: 64, Height: 48, Screens: onWire(two(64, 48))}.Append(nil),
	} {
		f.Add(append(wire.FramebufferUpdate{Rects: 1}.Append(nil), rect...))
	}
	shape := &pixel.Cursor{Width: 3, Height: 2, HotX: 1, Pix: []uint32{0xff000000, 0xffffffff, 0, 0x80123456, 0, 0xff0000ff}}
	for _, p := range []encoding.Piece{
		encoding.Cursor(shape, pixel.RGB888), encoding.XCursor(shape), encoding.CursorWithAlpha(shape), encoding.VMwareCursor(shape),
	} {
		b := wire.RectangleHeader{Rect: p.Rect, Encoding: p.Encoding}.Append(wire.FramebufferUpdate{Rects: 1}.Append(nil))
		f.Add(append(b, p.Data...))
	}
	for _, m := range clipMessages {
		f.Add(wire.ServerCutText(m).Append(nil))
	}
	f.Add(wire.ServerXVP{Version: 1, Code: wire.XVPInit}.Append(wire.ServerXVP{Version: 1}.Append(nil)))
	f.Add(wire.SetColourMapEntries{Colours: make([]wire.Colour, 3)}.Append(wire.AppendEndOfContinuousUpdates(nil)))
	f.Add(wire.Fence{Flags: wire.FenceRequest, Payload: []byte("12345678")}.Append(wire.Fence{}.Append(nil)))
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
	messages := []wire.ClientMessage{
		wire.SetPixelFormat{Format: pixel.RGB888},
		wire.SetEncodings{Encodings: []wire.Encoding{wire.EncodingTight, wire.PseudoFence, wire.PseudoContinuousUpdates, wire.PseudoExtendedDesktopSize}},
		wire.FramebufferUpdateRequest{Rect: image.Rect(0, 0, 900, 900)},
		wire.EnableContinuousUpdates{Enable: true, Rect: image.Rect(0, 0, 64, 48)},
		wire.SetDesktopSize{Width: 100, Height: 90},
		wire.Fence{Flags: wire.FenceRequest, Payload: []byte{1}},
		wire.KeyEvent{Down: true, Keysym: 'a'},
		wire.QEMUExtendedKeyEvent{Down: true, Keysym: 'a', Keycode: 30},
		wire.PointerEvent{X: 3, Y: 4, Buttons: 1}, wire.PointerEvent{X: 3, Y: 4, Buttons: 0x181, Extended: true},
		wire.PointerMotion(0, image.Pt(5, -5)),
		wire.SetDesktopSize{Width: 64, Height: 48, Screens: onWire(two(64, 48))},
		wire.ClientXVP{Version: 1, Code: wire.XVPReset},
		wire.ClientCutText{Text: []byte("caf\xe9")},
	}
	for _, m := range clipMessages {
		messages = append(messages, m)
	}
	all := wire.SetEncodings{Encodings: []wire.Encoding{
		wire.EncodingZRLE, wire.PseudoExtendedClipboard, wire.PseudoExtendedMouseButtons, wire.PseudoXVP,
		wire.PseudoQEMUPointerMotion, wire.PseudoVMwareCursorPosition, wire.PseudoVMwareLEDState, wire.PseudoExtendedDesktopSize,
	}}.Append(hello)
	for _, m := range messages {
		f.Add(m.Append(bytes.Clone(hello)))
		f.Add(m.Append(bytes.Clone(all)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		src := rfbtest.NewSource(64, 48)
		src.OfferPower(true)
		src.SetPointerRelative(len(b)%2 == 0)
		srv := rfb.NewServer(src, rfb.ServerConfig{FrameInterval: -1})
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
