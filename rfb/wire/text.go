package wire

import (
	"bytes"
	"strings"
)

// Latin1 is a text as peers without the Extended Clipboard take it (rfbproto
// 7.6.4), with "?" for what Latin-1 lacks, up to MaxCutText bytes.
func Latin1(text string) []byte {
	b := make([]byte, 0, min(len(text), MaxCutText))
	for _, r := range text {
		if r > 0xff {
			r = '?'
		}
		if len(b) == MaxCutText {
			break
		}
		b = append(b, byte(r))
	}
	return b
}

// FromLatin1 is the inverse of Latin1.
func FromLatin1(b []byte) string {
	r := make([]rune, len(b))
	for i, c := range b {
		r[i] = rune(c)
	}
	return string(r)
}

// PlainText makes a text of what a clipboard had as UTF-8: without zeros at
// its end, with "\n" line ends and U+FFFD for what is not UTF-8.
func PlainText(b []byte) string {
	return plainLines(strings.ToValidUTF8(string(bytes.TrimRight(b, "\x00")), "\uFFFD"))
}

// plainLines makes every kind of line end "\n".
func plainLines(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}
