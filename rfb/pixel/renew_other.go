//go:build !amd64 || purego

package pixel

func renewBlocks(_, _ []uint32, _ []uint64) (n int, changed bool) { return 0, false }
