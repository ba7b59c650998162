package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"
)

// provided is a message that provides formats with what was packed.
func provided(t *testing.T, formats ClipboardFlags, chunks ...[]byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	for _, c := range chunks {
		if _, err := z.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	b := binary.BigEndian.AppendUint32([]byte{byte(TypeClientCutText), 0, 0, 0}, uint32(-(packed.Len() + 4)))
	b = binary.BigEndian.AppendUint32(b, uint32(ClipboardProvide|formats))
	return append(b, packed.Bytes()...)
}

func sized(s string) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...) }

// What a peer provides comes out as UTF-8 with "\n", whatever it does to the
// form; formats that are not text, and texts that are too long, are passed
// over, and what follows is read.
func TestClipboardProvided(t *testing.T) {
	long := strings.Repeat("x", MaxCutText)
	for name, c := range map[string]struct {
		message []byte
		want    string
		tooLong bool
	}{
		"as specified":         {provided(t, ClipboardText, sized("a\r\nb\r\n\x00")), "a\nb\n", false},
		"without the zero":     {provided(t, ClipboardText, sized("a\r\nb")), "a\nb", false},
		"other line ends":      {provided(t, ClipboardText, sized("a\nb\rc\r\n\r\nd\x00")), "a\nb\nc\n\nd", false},
		"two zeros":            {provided(t, ClipboardText, sized("a\x00\x00")), "a", false},
		"not UTF-8":            {provided(t, ClipboardText, sized("a\xffb\x00")), "a\uFFFDb", false},
		"empty":                {provided(t, ClipboardText, sized("\x00")), "", false},
		"nothing at all":       {provided(t, ClipboardText, sized("")), "", false},
		"with HTML after it":   {provided(t, ClipboardText|ClipboardHTML, sized("text\x00"), sized("<b>text</b>")), "text", false},
		"HTML alone":           {provided(t, ClipboardHTML, sized("<b>text</b>")), "", false},
		"no format":            {provided(t, 0), "", false},
		"the longest":          {provided(t, ClipboardText, sized(long+"\x00")), long, false},
		"the longest of lines": {provided(t, ClipboardText, sized(strings.Repeat("\r\n", MaxCutText)+"\x00")), strings.Repeat("\n", MaxCutText), false},
		"one byte too long":    {provided(t, ClipboardText, sized(long+"x\x00")), "", true},
		"very long":            {provided(t, ClipboardText, sized(long+long+long)), "", true},
	} {
		r := fullReader(io.MultiReader(bytes.NewReader(c.message), bytes.NewReader(KeyEvent{true, 'k'}.Append(nil))))
		m, err := r.Read()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, ok := m.(ClientCutText)
		if !ok || got.Extended == nil || got.Extended.Text != c.want || got.TooLong != c.tooLong {
			t.Errorf("%s: %.200v", name, m)
		}
		if next, err := r.Read(); err != nil || next != (KeyEvent{true, 'k'}) {
			t.Errorf("%s: what follows is %v, %v", name, next, err)
		}
	}
}

// What is compressed beyond all measure costs no memory: what a text cannot
// have is not inflated.
func TestClipboardBomb(t *testing.T) {
	mebibyte := make([]byte, 1<<20) // a thousandth of it when compressed
	bomb := func(size uint32) []byte {
		chunks := [][]byte{binary.BigEndian.AppendUint32(nil, size)}
		for range 8 {
			chunks = append(chunks, mebibyte)
		}
		return provided(t, ClipboardText, chunks...)
	}
	for name, c := range map[string]struct {
		message []byte
		tooLong bool
	}{
		"that says its size": {bomb(8 << 20), true},
		"that says 4 GiB":    {bomb(1<<32 - 1), true},
		"that says 10":       {bomb(10), false},
	} {
		var before, after runtime.MemStats
		r := fullReader(bytes.NewReader(c.message))
		runtime.ReadMemStats(&before)
		m, err := r.Read()
		runtime.ReadMemStats(&after)
		if err != nil || m.(ClientCutText).TooLong != c.tooLong {
			t.Errorf("a bomb %s: %v, %v", name, m, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("a bomb %s took %d bytes of memory", name, took)
		}
	}
	// One that does not keep what it says is the peer's fault.
	for name, b := range map[string][]byte{
		"shorter than said":     provided(t, ClipboardText, binary.BigEndian.AppendUint32(nil, MaxCutText), []byte("abc")),
		"without a whole size":  provided(t, ClipboardText, []byte{0, 0}),
		"longer than any taken": {6, 0, 0, 0, 0xf0, 0, 0, 0},
	} {
		in := io.MultiReader(bytes.NewReader(b), zeros{})
		if m, err := fullReader(in).Read(); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %.200v, %v", name, m, err)
		}
	}
}

// Plain texts that are too long are passed over as far as that is bearable;
// the extended form counts only once it was listed, and no longer.
func TestPlainCutText(t *testing.T) {
	key := KeyEvent{true, 'k'}
	long := ClientCutText{Text: make([]byte, MaxCutText+1)}.Append(nil)
	r := NewClientReader(NewReader(bytes.NewReader(key.Append(long)), 16))
	m, err := r.Read()
	if cut, ok := m.(ClientCutText); err != nil || !ok || !cut.TooLong || cut.Text != nil {
		t.Errorf("a long text is %.100v, %v", m, err)
	}
	if next, err := r.Read(); next != key {
		t.Errorf("what follows is %v, %v", next, err)
	}
	peek := ClientCutText{Extended: &Clipboard{Flags: ClipboardPeek}}.Append(nil)
	for name, lists := range map[string][]SetEncodings{
		"never listed": nil, "listed no more": {everything, {[]Encoding{EncodingRaw}}},
	} {
		var b []byte
		for _, l := range lists {
			b = l.Append(b)
		}
		r := NewClientReader(NewReader(bytes.NewReader(append(b, peek...)), 16))
		for range lists {
			if _, err := r.Read(); err != nil {
				t.Fatal(err)
			}
		}
		if m, err := r.Read(); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	// The same of the buttons: without the extension bit 7 is a button.
	r = NewClientReader(NewReader(bytes.NewReader(key.Append(PointerEvent{Buttons: 0x80, X: 1, Y: 2}.Append(nil))), 16))
	if m, err := r.Read(); err != nil || m != (PointerEvent{Buttons: 0x80, X: 1, Y: 2}) {
		t.Errorf("a plain eighth button is %v, %v", m, err)
	}
}
