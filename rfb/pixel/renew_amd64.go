//go:build !purego

package pixel

// renewBlocks is renew for as many pixels as fill whole blocks, and returns
// how many.
func renewBlocks(dst, view []uint32, columns []uint64) (n int, changed bool) {
	n = len(dst) &^ 15
	if !hasVectors || n == 0 {
		return 0, false
	}
	view, columns = view[:n], columns[:(n+63)/64]
	return n, renewAVX2(&dst[0], &view[0], n, &columns[0]) != 0
}

//go:noescape
func renewAVX2(dst, view *uint32, n int, columns *uint64) (changed uint64)
