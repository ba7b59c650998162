package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/wire"
)

// forceScript has the page's session ask for what the list says instead of the
// encodings that noVNC lists, beside the pseudo-encodings that it lists, and
// count by encoding the rectangles that its decoders finish.
const forceScript = `((list) => {
	const rfb = window.ironglass.rfb, messages = rfb.constructor.messages;
	const original = messages.clientEncodings;
	messages.clientEncodings = (sock, all) =>
		original(sock, list.concat(all.filter((n) => n < 0 && n !== -260 && !(n >= -32 && n <= -23))));
	rfb._sendEncodings();
	messages.clientEncodings = original;
	window.testRects = {};
	for (const [number, decoder] of Object.entries(rfb._decoders)) {
		decoder.testDecode = decoder.testDecode || decoder.decodeRect;
		decoder.decodeRect = (...args) => {
			const done = decoder.testDecode(...args);
			if (done) window.testRects[number] = (window.testRects[number] || 0) + 1;
			return done;
		};
	}
})`

// TestNoVNC: noVNC as it is served shows the X screen exactly in each encoding
// that it knows, one at a time, and is sent those that the server can make.
func TestNoVNC(t *testing.T) {
	n, _, p, _ := openPicture(t, "novnc", "801x603")
	quality := func(level int) wire.Encoding { return wire.PseudoQualityLevel0 + wire.Encoding(level) }
	for i, list := range [][]wire.Encoding{
		{wire.EncodingRaw},
		{wire.EncodingRRE},
		{wire.EncodingHextile},
		{wire.EncodingZlib},
		{wire.EncodingTight},
		{wire.EncodingTightPNG},
		{wire.EncodingZRLE},
		{wire.EncodingJPEG, wire.EncodingRaw},
		{wire.EncodingTight, quality(0)},
		{wire.EncodingTight, quality(9)},
		{wire.EncodingTightPNG, quality(5)},
		// Not Raw or Hextile beside it: while a JPEG picture waits to be decoded,
		// noVNC 1.7.0 takes the pixels of those from the wrong place.
		{wire.EncodingJPEG, wire.EncodingZRLE, quality(5)},
		{wire.EncodingTight, wire.EncodingCopyRect},
		{wire.EncodingTight, wire.EncodingCopyRect, quality(6)},
	} {
		t.Run(strings.Trim(fmt.Sprint(list), "[]"), func(t *testing.T) {
			if _, err := evaluate[any](p, fmt.Sprintf(forceScript+"([%s]), null", strings.Join(strings.Fields(strings.Trim(fmt.Sprintf("%d", list), "[]")), ", "))); err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{fmt.Sprintf("draw %d", 60+i), "scroll 16", fmt.Sprintf("bustle %d", 80+i), "scroll 7"} {
				n.tell(t, command)
				p.showsExactly(t, n)
			}
			rects, err := evaluate[map[wire.Encoding]int](p, "window.testRects")
			if err != nil {
				t.Fatal(err)
			}
			lossy := slices.ContainsFunc(list, func(e wire.Encoding) bool { return e >= wire.PseudoQualityLevel0 && e <= wire.PseudoQualityLevel9 })
			row := encoding.ByNumber(list[0])
			if row != nil && row.Encode != nil && rects[list[0]] == 0 && (lossy || !row.Lossy) {
				t.Errorf("no rectangle came in the encoding asked for, but %v", rects)
			}
			for number := range rects {
				if number >= 0 && number != wire.EncodingRaw && !slices.Contains(list, number) {
					t.Errorf("a rectangle came in %v, which was not asked for", number)
				}
			}
		})
	}
}
