package jpeg

import (
	"encoding/binary"
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

// chunkBytes is more than chunkSymbols symbols may take, with 16 bits of code
// and 11 of their own and each byte stuffed; and what the writer holds.
const (
	chunkSymbols = 256
	chunkBytes   = chunkSymbols*27/8*2 + 64
)

func newBitWriter(b []byte) bitWriter {
	return bitWriter{buf: b[:cap(b)], n: len(b), free: 64}
}

// reserve takes memory for another chunk.
func (w *bitWriter) reserve() {
	if len(w.buf)-w.n < chunkBytes {
		b := slices.Grow(w.buf[:w.n], chunkBytes)
		w.buf = b[:cap(b)]
	}
}

// end fills the last byte with ones and returns everything written, with room
// for a marker.
func (w *bitWriter) end() []byte {
	w.reserve()
	n := 64 - w.free
	acc := w.acc<<w.free | (1<<w.free - 1)
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
