package pixel

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// mask64 is Mask for two pixels in a 64-bit word. It is the same in either
// byte order.
const mask64 = Mask<<32 | Mask

// littleEndian says that the machine keeps a word's lowest byte first, so
// that a row of a Frame in memory is already what RGB888 has on the wire.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// bytesOf is the memory of p. Bytes have no alignment and no pointers, so the
// view is safe for as long as p is.
func bytesOf(p []uint32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(p))), 4*len(p))
}

// Same reports whether two rows of equal length are equal, pad bytes included:
// for frames with zero pad bytes, whether they have the same colours.
func Same(a, b []uint32) bool {
	// The standard library compares bytes with the machine's widest
	// registers, several times faster than a loop of ours.
	return bytes.Equal(bytesOf(a), bytesOf(b))
}

// firstDiff returns the index of the first pixel whose colour differs between
// a and b, which are equally long, or their length.
func firstDiff(a, b []uint32) int {
	i := sameBlocks(a, b)
	x, y := bytesOf(a[i:]), bytesOf(b[i:])
	for len(x) >= 64 && len(y) >= 64 {
		d := (load(x, 0) ^ load(y, 0)) | (load(x, 8) ^ load(y, 8)) |
			(load(x, 16) ^ load(y, 16)) | (load(x, 24) ^ load(y, 24)) |
			(load(x, 32) ^ load(y, 32)) | (load(x, 40) ^ load(y, 40)) |
			(load(x, 48) ^ load(y, 48)) | (load(x, 56) ^ load(y, 56))
		if d&mask64 != 0 {
			break
		}
		x, y = x[64:], y[64:]
		i += 16
	}
	for i < len(a) && (a[i]^b[i])&Mask == 0 {
		i++
	}
	return i
}

// lastDiff returns the index of the last pixel whose colour differs, or -1.
func lastDiff(a, b []uint32) int {
	i := len(a) - 1
	for i >= 0 && (a[i]^b[i])&Mask == 0 {
		i--
	}
	return i
}

// copyMasked copies src to dst, which is as long, with zero pad bytes.
func copyMasked(dst, src []uint32) {
	done := maskVectors.unpack(dst, bytesOf(src), 4)
	dst, src = dst[done:], src[done:]
	d, s := bytesOf(dst), bytesOf(src)
	for len(d) >= 32 && len(s) >= 32 {
		a, b, c, e := load(s, 0), load(s, 8), load(s, 16), load(s, 24)
		store(d, 0, a&mask64)
		store(d, 8, b&mask64)
		store(d, 16, c&mask64)
		store(d, 24, e&mask64)
		d, s = d[32:], s[32:]
	}
	i := len(dst) - len(d)/4
	for ; i < len(dst); i++ {
		dst[i] = src[i] & Mask
	}
}

func load(b []byte, at int) uint64     { return binary.NativeEndian.Uint64(b[at:]) }
func store(b []byte, at int, v uint64) { binary.NativeEndian.PutUint64(b[at:], v) }

// swapRB exchanges red and blue in a word 0x00RRGGBB.
func swapRB(p uint32) uint32 { return bits.ReverseBytes32(p) >> 8 }
