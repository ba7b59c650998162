//go:build !purego

package pixel

import "golang.org/x/sys/cpu"

// hasVectors says that the machine has the instructions that the assembly is
// made of: AVX2, which every server of the last ten years has.
var hasVectors = cpu.X86.HasAVX2

// pack writes as many of row's pixels to d as fill whole vectors, and returns
// how many.
func (p *packVectors) pack(d []byte, row []uint32, size int) int {
	n := len(row) &^ 7
	if p == nil || n == 0 {
		return 0
	}
	d = d[:n*size]
	switch p.arithmetic {
	case bytesOnly:
		packBytesAVX2(&d[0], &row[0], n, 8*size, &p.packTable)
	case narrow:
		packNarrowAVX2(&d[0], &row[0], n, 8*size, &p.packTable)
	case wide:
		packWideAVX2(&d[0], &row[0], n, 8*size, &p.packTable)
	}
	return n
}

// unpack is the inverse of pack.
func (u *unpackVectors) unpack(dst []uint32, b []byte, size int) int {
	n := len(dst) &^ 7
	if u == nil || n == 0 {
		return 0
	}
	b = b[:n*size]
	switch u.arithmetic {
	case bytesOnly:
		unpackBytesAVX2(&dst[0], &b[0], n, 8*size, &u.unpackTable)
	case narrow:
		unpackNarrowAVX2(&dst[0], &b[0], n, 8*size, &u.unpackTable)
	case wide:
		unpackWideAVX2(&dst[0], &b[0], n, 8*size, &u.unpackTable)
	}
	return n
}

// sameBlocks returns how many pixels of a and b, which are equally long, have
// the same colours at the least: it goes on while whole vectors do.
func sameBlocks(a, b []uint32) int {
	n := len(a) &^ 15
	if !hasVectors || n == 0 {
		return 0
	}
	b = b[:n]
	return sameAVX2(&a[0], &b[0], n)
}

// hashBlocks brings as many of row's pixels as fill whole blocks into acc and
// returns how many.
func hashBlocks(acc *hashState, row []uint32) int {
	n := len(row) / hashBlock
	if !hasVectors || n == 0 {
		return 0
	}
	hashAVX2(acc, &row[0], n)
	return n * hashBlock
}

// edgeBlocks sets the bits of edges for as many pixels of row, which has some,
// as fill whole blocks and have a next one, and returns how many.
func edgeBlocks(edges []uint64, row []uint32) int {
	n := (len(row) - 1) &^ 7
	if !hasVectors || n == 0 {
		return 0
	}
	edges = edges[:(n+63)/64]
	edgesAVX2(&edges[0], &row[0], n/8)
	return n
}

//go:noescape
func packBytesAVX2(dst *byte, src *uint32, n, step int, k *packTable)

//go:noescape
func packNarrowAVX2(dst *byte, src *uint32, n, step int, k *packTable)

//go:noescape
func packWideAVX2(dst *byte, src *uint32, n, step int, k *packTable)

//go:noescape
func unpackBytesAVX2(dst *uint32, src *byte, n, step int, k *unpackTable)

//go:noescape
func unpackNarrowAVX2(dst *uint32, src *byte, n, step int, k *unpackTable)

//go:noescape
func unpackWideAVX2(dst *uint32, src *byte, n, step int, k *unpackTable)

//go:noescape
func sameAVX2(a, b *uint32, n int) int

//go:noescape
func hashAVX2(acc *hashState, row *uint32, blocks int)

//go:noescape
func edgesAVX2(edges *uint64, row *uint32, blocks int)
