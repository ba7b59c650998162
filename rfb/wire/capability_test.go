package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func someCapabilities() InteractionCapabilities {
	return InteractionCapabilities{
		ServerMessages: []Capability{CapabilityEndOfContinuousUpdates},
		ClientMessages: []Capability{CapabilityEnableContinuousUpdates, {-5, "VEND", "SIGNATUR"}},
		Encodings:      EncodingCapabilities([]Encoding{EncodingRaw, EncodingTight, EncodingJPEG, PseudoDesktopSize}),
	}
}

func TestInteractionCapabilities(t *testing.T) {
	m := someCapabilities()
	if len(m.Encodings) != 3 || m.Encodings[2] != (Capability{-223, "TGHT", "NEWFBSIZ"}) {
		t.Errorf("the encodings are %v", m.Encodings)
	}
	b := m.Append(nil)
	if len(b) != 8+6*CapabilityLen || !strings.Contains(string(b), "STDVRAW_____") {
		t.Errorf("the message is %q", b)
	}
	rd := NewReader(bytes.NewReader(b), 16)
	if got := ReadInteractionCapabilities(rd); rd.Err() != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("read %+v, %v", got, rd.Err())
	}
	for n := range b {
		rd := NewReader(bytes.NewReader(b[:n]), 16)
		if got := ReadInteractionCapabilities(rd); rd.Err() == nil || got.Encodings != nil {
			t.Errorf("the first %d bytes are read as %+v", n, got)
		}
	}
	for i := range 3 {
		b := make([]byte, 8)
		b[2*i], b[2*i+1] = 0x04, 0x01 // 1025
		rd := NewReader(bytes.NewReader(b), 16)
		if ReadInteractionCapabilities(rd); rd.Err() == nil || !strings.Contains(rd.Err().Error(), "1025, more than the 1024 allowed") {
			t.Errorf("list %d: %v", i, rd.Err())
		}
	}
}

func FuzzInteractionCapabilities(f *testing.F) {
	f.Add(someCapabilities().Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		rd := NewReader(bytes.NewReader(b), 16)
		m := ReadInteractionCapabilities(rd)
		if rd.Err() != nil {
			return
		}
		again := NewReader(bytes.NewReader(m.Append(nil)), 16)
		if got := ReadInteractionCapabilities(again); again.Err() != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v became %+v, %v", m, got, again.Err())
		}
	})
}
