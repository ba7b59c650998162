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

var clientMessages = []ClientMessage{
	SetPixelFormat{pixel.RGB888},
	SetPixelFormat{pixel.PixelFormat{BitsPerPixel: 8, Depth: 8}},
	SetEncodings{[]Encoding{EncodingTight, EncodingRaw, PseudoVMwareCursor, PseudoExtendedClipboard, -23}},
	SetEncodings{[]Encoding{}},
	FramebufferUpdateRequest{true, image.Rect(1, 2, 300, 4000)},
	FramebufferUpdateRequest{false, image.Rect(0, 0, 0xffff, 0xffff)},
	KeyEvent{true, 0x01000394},
	PointerEvent{0x81, 1279, 1023},
	ClientCutText{[]byte("caf\xe9\nx")},
	ClientCutText{[]byte{}},
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
	r := NewReader(bytes.NewReader(all), 16)
	for _, want := range clientMessages {
		got, err := ReadClientMessage(r)
		if err != nil {
			t.Fatalf("%T: %v", want, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %#v, want %#v", got, want)
		}
	}
	if _, err := ReadClientMessage(r); err != io.EOF { //nolint:errorlint // it must be io.EOF itself
		t.Errorf("at the end: %v", err)
	}
}

// A message that ends early is an unexpected end that names the field.
func TestClientMessagesTruncated(t *testing.T) {
	for _, m := range clientMessages {
		whole := m.Append(nil)
		for n := 1; n < len(whole); n++ {
			_, err := ReadClientMessage(NewReader(bytes.NewReader(whole[:n]), 16))
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
		"fence too long":              {248, 0, 0, 0, 0, 0, 0, 0, 65},
		"components overlap":          SetPixelFormat{pixel.PixelFormat{BitsPerPixel: 32, Depth: 24, TrueColour: true, RedMax: 255, GreenMax: 255, BlueMax: 255}}.Append(nil),
	} {
		// Endless zeros follow: the error must come from what was read.
		in := io.MultiReader(bytes.NewReader(b), zeros{})
		if _, err := ReadClientMessage(NewReader(in, 16)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestVersions(t *testing.T) {
	for in, want := range map[string]Version{
		"RFB 003.003\n": Version33, "RFB 003.005\n": Version33, "RFB 003.006\n": Version33,
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

func TestServerMessagesRoundTrip(t *testing.T) {
	init := ServerInit{1280, 1024, pixel.RGB888, "rack1-u12 ü"}
	sizes := ExtendedDesktopSize{Reason: ResizeByThisClient, Result: ResizeInvalid, Width: 800, Height: 600, Screens: []Screen{{1, image.Rect(0, 0, 800, 600), 0}}}
	colours := SetColourMapEntries{3, []Colour{{1, 2, 3}, {65535, 0, 9}}}
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
		{ServerCutText{[]byte("x")}, ServerCutText{[]byte("x")}.Append(nil), 1, func(r *Reader) any { return ReadServerCutText(r) }},
		{"name", AppendDesktopName(nil, "name"), 12, func(r *Reader) any { return ReadDesktopName(r) }},
	} {
		r := NewReader(bytes.NewReader(c.wire), 16)
		r.Skip("type", c.skip)
		if got := c.read(r); r.Err() != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("got %#v, want %#v, %v", got, c.want, r.Err())
		}
		for n := c.skip; n < len(c.wire); n++ {
			r := NewReader(bytes.NewReader(c.wire[:n]), 16)
			r.Skip("type", c.skip)
			if c.read(r); !errors.Is(r.Err(), io.ErrUnexpectedEOF) {
				t.Errorf("%T cut to %d bytes: %v", c.want, n, r.Err())
			}
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

// FuzzClientMessage: whatever comes, reading ends, in a message that can be
// written again or in an error, and takes no more memory than the limits say.
func FuzzClientMessage(f *testing.F) {
	for _, m := range clientMessages {
		f.Add(m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b), 16)
		for {
			m, err := ReadClientMessage(r)
			if err != nil {
				return
			}
			b := m.Append(nil)
			again, err := ReadClientMessage(NewReader(bytes.NewReader(b), 16))
			if err != nil || !bytes.Equal(again.Append(nil), b) {
				t.Fatalf("%#v comes back as %#v, %v", m, again, err)
			}
		}
	})
}
