package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"strings"

	"github.com/klauspost/compress/zlib"
)

// ClipboardFlags are the first field of an Extended Clipboard message
// (rfbproto 7.8, "Extended Clipboard"): formats in the low half, what is done
// with them in the high one.
type ClipboardFlags uint32

// Formats, which a ClipboardCaps says a size of, and actions. Of these only
// caps comes with others, which are then those that its sender can take.
const (
	ClipboardText    ClipboardFlags = 1 << 0
	ClipboardRTF     ClipboardFlags = 1 << 1
	ClipboardHTML    ClipboardFlags = 1 << 2
	ClipboardDIB     ClipboardFlags = 1 << 3
	ClipboardFiles   ClipboardFlags = 1 << 4
	ClipboardFormats ClipboardFlags = 0xffff

	ClipboardCaps    ClipboardFlags = 1 << 24
	ClipboardRequest ClipboardFlags = 1 << 25
	ClipboardPeek    ClipboardFlags = 1 << 26
	ClipboardNotify  ClipboardFlags = 1 << 27
	ClipboardProvide ClipboardFlags = 1 << 28
	ClipboardActions ClipboardFlags = 0xff << 24
)

// Clipboard is the extended form of a ClientCutText or ServerCutText.
type Clipboard struct {
	Flags ClipboardFlags
	// Sizes belongs to ClipboardCaps: for each format in Flags, the lowest bit
	// first, how many bytes may be provided unasked.
	Sizes []uint32
	// Text belongs to ClipboardProvide with ClipboardText: UTF-8 with "\n"
	// line ends. On the wire it is a zlib stream of U32 size and the text with
	// "\r\n" and a zero at its end. Of other formats nothing is read.
	Text string
}

// Limits of clipboard messages in bytes.
const (
	// maxCutTextWire is MaxCutText with every byte a line end, and the zero.
	maxCutTextWire = 2*MaxCutText + 1
	// maxPassedOver is the longest message that is read to its end although
	// it is not taken.
	maxPassedOver = 64 << 20
)

// ClientCutText (6, rfbproto 7.5.6): 3 bytes of padding, S32 length, text in
// Latin-1; with a negative length the extended form.
type ClientCutText struct {
	Text []byte
	// Extended, where not nil, is the message in its extended form.
	Extended *Clipboard
	// TooLong says that there was a text longer than MaxCutText, which was
	// passed over.
	TooLong bool
}

// Append appends the message.
func (m ClientCutText) Append(b []byte) []byte {
	return appendCutText(append(b, byte(TypeClientCutText), 0, 0, 0), cutText(m))
}

// ServerCutText (3, rfbproto 7.6.4) has the form of ClientCutText.
type ServerCutText struct {
	Text     []byte
	Extended *Clipboard
	TooLong  bool
}

// Append appends the message.
func (m ServerCutText) Append(b []byte) []byte {
	return appendCutText(append(b, byte(TypeServerCutText), 0, 0, 0), cutText(m))
}

// ReadServerCutText reads the message after its type, in its extended form
// only where extended says that the client has asked for it.
func ReadServerCutText(r *Reader, extended bool) ServerCutText {
	return ServerCutText(readCutText(r, extended))
}

type cutText struct {
	Text     []byte
	Extended *Clipboard
	TooLong  bool
}

func appendCutText(b []byte, m cutText) []byte {
	if m.Extended == nil {
		return append(binary.BigEndian.AppendUint32(b, uint32(len(m.Text))), m.Text...)
	}
	at := len(b)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = m.Extended.append(b)
	binary.BigEndian.PutUint32(b[at:], uint32(-(len(b) - at - 4)))
	return b
}

func readCutText(r *Reader, extended bool) cutText {
	r.Skip("padding", 3)
	n := r.U32("length")
	switch {
	case int32(n) < 0 && extended:
		return readClipboard(r, -n)
	case n > maxPassedOver:
		r.Failf("clipboard text has %d bytes, more than the %d allowed", n, MaxCutText)
		return cutText{}
	case n > MaxCutText:
		r.Skip("text", int(n))
		return cutText{TooLong: true}
	}
	return cutText{Text: r.Chunk("text", n, MaxCutText)}
}

// append appends what follows the length.
func (m *Clipboard) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(m.Flags))
	if m.Flags&ClipboardCaps != 0 {
		for _, n := range m.Sizes {
			b = binary.BigEndian.AppendUint32(b, n)
		}
		return b
	}
	if m.Flags&ClipboardProvide == 0 {
		return b
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if m.Flags&ClipboardText != 0 {
		text := strings.ReplaceAll(plainLines(m.Text), "\n", "\r\n") + "\x00"
		z.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text)))) //nolint:errcheck // into memory
		io.WriteString(z, text)                                        //nolint:errcheck // into memory
	}
	z.Close() // into memory
	return append(b, packed.Bytes()...)
}

// readClipboard reads the n bytes of an extended form, all of them even where
// they are not taken.
func readClipboard(r *Reader, n uint32) (m cutText) {
	if n < 4 || n > maxPassedOver {
		r.Failf("an extended clipboard message of %d bytes; 4 to %d are possible", n, maxPassedOver)
		return m
	}
	m.Extended = &Clipboard{Flags: ClipboardFlags(r.U32("flags"))}
	n -= 4
	switch f := m.Extended.Flags; {
	case f&ClipboardCaps != 0:
		formats := uint32(bits.OnesCount32(uint32(f & ClipboardFormats)))
		if n < 4*formats {
			r.Failf("clipboard caps of %d bytes for %d formats", n, formats)
			return m
		}
		n -= 4 * formats
		for range formats {
			m.Extended.Sizes = append(m.Extended.Sizes, r.U32("size"))
		}
	case f&ClipboardActions == ClipboardProvide && f&ClipboardText != 0:
		m.Extended.Text, m.TooLong = readProvided(r, n)
		return m
	}
	r.Skip("clipboard data", int(n))
	return m
}

// readProvided reads the text, the first of the formats, out of a zlib stream
// of n bytes, and no more of it than a text may have.
func readProvided(r *Reader, n uint32) (text string, tooLong bool) {
	if r.err != nil {
		return "", false
	}
	in := r.Limited(int64(n))
	text, tooLong, err := inflateText(in)
	r.Skip("clipboard data", int(in.N))
	if err != nil {
		r.Failf("clipboard data: %v", err) // unless the connection's end was the reason
	}
	return text, tooLong
}

func inflateText(in io.Reader) (text string, tooLong bool, err error) {
	z, err := zlib.NewReader(in)
	if err != nil {
		return "", false, err
	}
	defer z.Close() // reads no more
	var head [4]byte
	if _, err := io.ReadFull(z, head[:]); err != nil {
		return "", false, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxCutTextWire {
		return "", true, nil
	}
	b, err := io.ReadAll(io.LimitReader(z, int64(size)))
	switch {
	case err != nil:
		return "", false, err
	case len(b) < int(size):
		return "", false, errors.New("the text is shorter than its size")
	}
	text = PlainText(b)
	if len(text) > MaxCutText {
		return "", true, nil
	}
	return text, false, nil
}
