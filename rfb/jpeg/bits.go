package jpeg

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// bitWriter writes codes, and a zero byte after each 0xff (T.81 F.1.2.3).
type bitWriter struct {
	buf []byte // up to its capacity
	n   int    // bytes written
	acc uint64 // bits to be written, the last in the lowest place
	// free is how many more bits acc may take.
	free int
}

// stepBytes is more than a step may take: six blocks of 64 coefficients with
// 16 bits of code and 10 of their own, each byte stuffed; and the same again
// for what the writer holds.
const stepBytes = 6*64*26/8*2 + 64

func newBitWriter(b []byte) bitWriter {
	return bitWriter{buf: b[:cap(b)], n: len(b), free: 64}
}

// reserve takes memory for another step.
func (w *bitWriter) reserve() {
	if len(w.buf)-w.n < stepBytes {
		b := slices.Grow(w.buf[:w.n], stepBytes)
		w.buf = b[:cap(b)]
	}
}

// end fills the last byte with ones and returns everything written, with room
// for a marker.
func (w *bitWriter) end() []byte {
	w.reserve()
	n := 64 - w.free
	acc := w.acc<<w.free | 1<<w.free - 1
	if w.free == 64 {
		acc = 0
	}
	for ; n > 0; n -= 8 {
		w.buf[w.n] = byte(acc >> 56)
		w.n++
		if byte(acc>>56) == 0xff {
			w.buf[w.n] = 0
			w.n++
		}
		acc <<= 8
	}
	return w.buf[:w.n]
}

// put writes a code as the tables have it.
func (w *bitWriter) put(code uint32) {
	n := int(code & 0xff)
	code >>= 8
	if w.free -= n; w.free < 0 {
		w.flush(w.acc<<uint((n+w.free)&63) | uint64(code)>>uint(-w.free&63))
		w.acc = uint64(code) // the upper ones are written and will fall out
		w.free += 64
		return
	}
	w.acc = w.acc<<uint(n&63) | uint64(code)
}

// flush writes 64 bits.
func (w *bitWriter) flush(acc uint64) {
	b := w.buf[w.n : w.n+16]
	// A byte of 0xff has its highest bit set, and clear with one added.
	if acc&^(acc+0x0101010101010101)&0x8080808080808080 == 0 {
		binary.BigEndian.PutUint64(b, acc)
		w.n += 8
		return
	}
	i := 0
	for shift := 56; shift >= 0; shift -= 8 {
		c := byte(acc >> uint(shift))
		b[i&15] = c
		i++
		if c == 0xff {
			b[i&15] = 0
			i++
		}
	}
	w.n += i
}

// block writes the coefficients c of a block, with a bit in nonzero for each
// that is not zero, after one whose first was dc. It returns its own first.
func (w *bitWriter) block(c *[64]int16, nonzero uint64, dc int, h *huffman) int {
	first := int(c[0])
	n, extra := magnitude(first - dc)
	code := h.dc[n&15]
	w.put((code>>8<<n|extra)<<8 | (code&0xff + uint32(n)))

	last := 0
	for nonzero &^= 1; nonzero != 0; nonzero &= nonzero - 1 {
		at := bits.TrailingZeros64(nonzero)
		run := at - last - 1
		last = at
		for ; run > 15; run -= 16 {
			w.put(h.small[zeroRun])
		}
		v := int(c[at&63])
		if small := uint(v + smallMax); small < 2*smallMax {
			w.put(h.small[(uint(run)*2*smallMax+small)%uint(len(h.small))])
			continue
		}
		n, extra := magnitude(v)
		code := h.large[(uint(run)*16+n)&0xff]
		// Code and bits together may be 26 long: too many for a table's
		// entry.
		w.put(code)
		w.put(extra<<8 | uint32(n))
	}
	if last != 63 {
		w.put(h.small[endOfBlock])
	}
	return first
}
