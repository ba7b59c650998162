package notice

import (
	"fmt"
	"image"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
)

func TestSourceConforms(t *testing.T) {
	rfbtest.TestSource(t, func(*testing.T) *rfbtest.Subject {
		size := image.Pt(500, 300)
		src := New(size.X, size.Y, nil)
		// Without a countdown and with this tone nothing moves by itself.
		m := Message{Title: "node", Tone: Warning}
		src.Set(m)
		return &rfbtest.Subject{
			Source: src, Cursors: true,
			Draw: func(rnd *rand.Rand) {
				m = Message{
					Title: "node", Tone: Warning + Tone(rnd.IntN(2)), Headline: fmt.Sprint("headline ", rnd.IntN(1000)),
					Lines: []string{strings.Repeat("word ", 1+rnd.IntN(40)), fmt.Sprint(rnd.Uint64())}[:rnd.IntN(3)],
				}
				src.Set(m)
			},
			Truth: func() *pixel.Frame { return painted(size, nil, m.sentences()).frame },
		}
	})
}
