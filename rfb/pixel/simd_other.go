//go:build !amd64 || purego

package pixel

// hasVectors says that there is assembly for the machine.
const hasVectors = false

func (*packVectors) pack([]byte, []uint32, int) int { return 0 }

func (*unpackVectors) unpack([]uint32, []byte, int) int { return 0 }

func sameBlocks(_, _ []uint32) int { return 0 }

func hashBlocks(*hashState, []uint32) int { return 0 }
