package wire

import (
	"bytes"
	"errors"
	"image"
	"io"
	"reflect"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// everything lists what the form of messages depends on.
var everything = SetEncodings{[]Encoding{PseudoExtendedMouseButtons, PseudoExtendedClipboard}}

// fullReader reads the messages of a client that listed everything.
func fullReader(r io.Reader) *ClientReader {
	c := NewClientReader(NewReader(io.MultiReader(bytes.NewReader(everything.Append(nil)), r), 16))
	c.Read() //nolint:errcheck // a whole message
	return c
}

var clientMessages = []ClientMessage{
	SetPixelFormat{pixel.RGB888},
	SetPixelFormat{pixel.PixelFormat{BitsPerPixel: 8, Depth: 8}},
	SetEncodings{[]Encoding{EncodingTight, EncodingRaw, PseudoVMwareCursor, -23}},
	SetEncodings{[]Encoding{}},
	everything,
	FramebufferUpdateRequest{true, image.Rect(1, 2, 300, 4000)},
	FramebufferUpdateRequest{false, image.Rect(0, 0, 0xffff, 0xffff)},
	KeyEvent{true, 0x01000394},
	PointerEvent{Buttons: 0x41, X: 1279, Y: 1023},
	PointerEvent{Buttons: 0x181, X: 3, Y: 4, Extended: true},
	PointerEvent{Extended: true},
	PointerMotion(0x10, image.Pt(-5, 7)),
	ClientCutText{Text: []byte("caf\xe9\nx")},
	ClientCutText{Text: []byte{}},
	ClientCutText{Extended: &Clipboard{Flags: ClipboardCaps | ClipboardText | ClipboardHTML | ClipboardNotify, Sizes: []uint32{1 << 20, 0}}},
	ClientCutText{Extended: &Clipboard{Flags: ClipboardRequest | ClipboardText}},
	ClientCutText{Extended: &Clipboard{Flags: ClipboardPeek}},
	ClientCutText{Extended: &Clipboard{Flags: ClipboardNotify | ClipboardText}},
	ClientCutText{Extended: &Clipboard{Flags: ClipboardProvide | ClipboardText, Text: "grüße\n€ 😀\n"}},
	ClientCutText{Extended: &Clipboard{Flags: ClipboardProvide | ClipboardText}},
	EnableContinuousUpdates{true, image.Rect(0, 0, 1280, 1024)},
	Fence{FenceRequest | FenceSyncNext, []byte("0123456789")},
	ClientXVP{1, 2},
	SetDesktopSize{1920, 1200, []Screen{{7, image.Rect(0, 0, 1920, 1200), 5}, {8, image.Rect(5, 5, 9, 9), 0}}},
	QEMUExtendedKeyEvent{true, 'a', 0x9d},
}

func TestClientMessagesRoundTrip(t *testing.T) {
	var all []byte
	for _, m := range clientMessages {
		all = m.Append(all)
	}
	r := fullReader(bytes.NewReader(all))
	for _, want := range clientMessages {
		got, err := r.Read()
		if err != nil {
			t.Fatalf("%T: %v", want, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %#v, want %#v", got, want)
		}
	}
	if _, err := r.Read(); err != io.EOF { //nolint:errorlint // it must be io.EOF itself
		t.Errorf("at the end: %v", err)
	}
}

// A message that ends early is an unexpected end that names the field.
func TestClientMessagesTruncated(t *testing.T) {
	for _, m := range clientMessages {
		whole := m.Append(nil)
		for n := 1; n < len(whole); n++ {
			_, err := fullReader(bytes.NewReader(whole[:n])).Read()
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%T cut to %d of %d bytes: %v", m, n, len(whole), err)
			}
		}
	}
}

func TestBadClientMessages(t *testing.T) {
	for name, b := range map[string][]byte{
		"unknown type":                {1},
		"unknown QEMU message":        {255, 9},
		"too many encodings":          {2, 0, 0xff, 0xff},
		"clipboard too long":          {6, 0, 0, 0, 0x10, 0, 0, 0},
		"extended clipboard too long": {6, 0, 0, 0, 0x80, 0, 0, 0},
		"extended clipboard of 3":     {6, 0, 0, 0, 0xff, 0xff, 0xff, 0xfd},
		"clipboard caps too short":    {6, 0, 0, 0, 0xff, 0xff, 0xff, 0xfc, 1, 0, 0, 1},
		"clipboard is no zlib":        {6, 0, 0, 0, 0xff, 0xff, 0xff, 0xf0, 16, 0, 0, 1},
		"fence too long":              {248, 0, 0, 0, 0, 0, 0, 0, 65},
		"components overlap":          SetPixelFormat{pixel.PixelFormat{BitsPerPixel: 32, Depth: 24, TrueColour: true, RedMax: 255, GreenMax: 255, BlueMax: 255}}.Append(nil),
	} {
		// Endless zeros follow: the error must come from what was read.
		in := io.MultiReader(bytes.NewReader(b), zeros{})
		if _, err := fullReader(in).Read(); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestVersions(t *testing.T) {
	for in, want := range map[string]Version{
		"RFB 003.003\n": Version33, "RFB 003.005\n": Version33, "RFB 003.006\n": Version33, "RFB 003.016\n": Version33,
		"RFB 003.007\n": Version37, "RFB 003.008\n": Version38, "RFB 003.889\n": Version38,
		"RFB 004.001\n": Version38,
	} {
		if got, err := ParseVersion([]byte(in)); err != nil || got != want {
			t.Errorf("%q is %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "RFB 003.008", "GET / HTTP/1", "RFB 003,008\n", "RFB 00a.008\n", "RFB 002.000\n", "RFB -03.008\n"} {
		if v, err := ParseVersion([]byte(in)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q is %v, %v", in, v, err)
		}
	}
	if got := string(Version38.Append(nil)); got != "RFB 003.008\n" {
		t.Errorf("%q", got)
	}
}

// readBack reads a message, and each beginning of it.
func readBack(t *testing.T, want any, b []byte, skip int, read func(r *Reader) any) {
	t.Helper()
	r := NewReader(bytes.NewReader(b), 16)
	r.Skip("type", skip)
	if got := read(r); r.Err() != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, want %#v, %v", got, want, r.Err())
	}
	if _, err := r.br.ReadByte(); err != io.EOF {
		t.Errorf("%T: not all of it was read", want)
	}
	for n := skip; n < len(b); n++ {
		r := NewReader(bytes.NewReader(b[:n]), 16)
		r.Skip("type", skip)
		if read(r); !errors.Is(r.Err(), io.ErrUnexpectedEOF) {
			t.Errorf("%T cut to %d of %d bytes: %v", want, n, len(b), r.Err())
		}
	}
}

func TestServerMessagesRoundTrip(t *testing.T) {
	init := ServerInit{1280, 1024, pixel.RGB888, "rack1-u12 ü"}
	sizes := ExtendedDesktopSize{Reason: ResizeByThisClient, Result: ResizeInvalid, Width: 800, Height: 600, Screens: []Screen{{1, image.Rect(0, 0, 800, 600), 0}}}
	colours := SetColourMapEntries{3, []Colour{{1, 2, 3}, {65535, 0, 9}}}
	fence := Fence{FenceRequest, []byte("12345678")}
	for _, c := range []struct {
		want any
		wire []byte
		skip int
		read func(r *Reader) any
	}{
		{init, init.Append(nil), 0, func(r *Reader) any { return ReadServerInit(r) }},
		{sizes, sizes.Append(nil), 0, func(r *Reader) any { return ReadExtendedDesktopSize(r, ReadRectangleHeader(r)) }},
		{colours, colours.Append(nil), 1, func(r *Reader) any { return ReadSetColourMapEntries(r) }},
		{FramebufferUpdate{77}, FramebufferUpdate{77}.Append(nil), 1, func(r *Reader) any { return ReadFramebufferUpdate(r) }},
		{fence, fence.Append(nil), 1, func(r *Reader) any { return ReadFence(r) }},
		{ServerXVP{1, XVPInit}, ServerXVP{1, XVPInit}.Append(nil), 1, func(r *Reader) any { return ReadServerXVP(r) }},
		{"name", AppendDesktopName(nil, "name"), 12, func(r *Reader) any { return ReadDesktopName(r) }},
		{uint8(5), AppendLEDState(nil, 5), 12, func(r *Reader) any { return ReadLEDState(r) }},
		{uint8(6), AppendVMwareLEDState(nil, 6), 12, func(r *Reader) any { return ReadVMwareLEDState(r) }},
		{true, AppendPointerMotion(nil, true), 0, func(r *Reader) any { return PointerRelative(ReadRectangleHeader(r)) }},
		{false, AppendPointerMotion(nil, false), 0, func(r *Reader) any { return PointerRelative(ReadRectangleHeader(r)) }},
		{image.Pt(3, 9), AppendCursorPosition(nil, image.Pt(3, 9)), 0, func(r *Reader) any { return ReadRectangleHeader(r).Rect.Min }},
	} {
		readBack(t, c.want, c.wire, c.skip, c.read)
	}
	for _, m := range clientMessages {
		if m, ok := m.(ClientCutText); ok {
			m := ServerCutText(m)
			readBack(t, m, m.Append(nil), 1, func(r *Reader) any { return ReadServerCutText(r, true) })
		}
	}
	for _, size := range [][2]int{{0, 5}, {5, 0}, {MaxSide + 1, 5}} {
		bad := init
		bad.Width, bad.Height = size[0], size[1]
		r := NewReader(bytes.NewReader(bad.Append(nil)), 16)
		if ReadServerInit(r); !errors.Is(r.Err(), ErrProtocol) {
			t.Errorf("size %v: %v", size, r.Err())
		}
	}
}

// FuzzClientMessages: whatever comes, reading ends, in a message that can be
// written again or in an error, and takes no more memory than the limits say.
func FuzzClientMessages(f *testing.F) {
	for _, m := range clientMessages {
		f.Add(m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := fullReader(bytes.NewReader(b))
		for {
			m, err := r.Read()
			if err != nil {
				return
			}
			b := m.Append(nil)
			again, err := fullReader(bytes.NewReader(b)).Read()
			if err != nil || !bytes.Equal(again.Append(nil), b) {
				// Without the pseudo-encodings there is only the plain form.
				again, err = NewClientReader(NewReader(bytes.NewReader(b), 16)).Read()
			}
			if err != nil || !bytes.Equal(again.Append(nil), b) {
				t.Fatalf("%#v comes back as %#v, %v", m, again, err)
			}
		}
	})
}
