package pixel

import "math/bits"

// hashBlock is how many pixels are hashed in one step.
const hashBlock = 16

// hashState has a sum for each pair of pixels of a block.
type hashState [hashBlock / 2]uint64

// hashKeys are arbitrary; each block's are the last one's with hashStep added,
// so that blocks cannot change places unnoticed.
var hashKeys = hashState{
	0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93,
	0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3, 0x589965cc75374cc3,
}

var hashStep uint64 = 0x1d8e4e27c47d124f

// hashRow returns a hash of a row's colours. Pad bytes do not count. It finds
// rows that are probably equal: it is no protection against somebody who makes
// rows that collide, and changes between versions.
func hashRow(row []uint32) uint64 {
	var s hashState
	n := hashBlocks(&s, row)
	s.add(row[n:], n/hashBlock)
	return s.sum(len(row))
}

// sum is the hash of the n pixels that were added.
func (s *hashState) sum(n int) uint64 {
	h := uint64(n) * hashKeys[0]
	for i := 0; i < len(s); i += 2 {
		hi, lo := bits.Mul64(s[i]^hashKeys[i+1], s[i+1]^hashKeys[i])
		h = bits.RotateLeft64(h, 23) ^ hi ^ lo
	}
	h = (h ^ h>>32) * hashKeys[2]
	return h ^ h>>29
}

// add brings pixels into the sums, of which the first begins the block of
// that number.
func (s *hashState) add(row []uint32, block int) {
	step := uint64(block) * hashStep
	for len(row) >= hashBlock {
		s.block(bytesOf(row[:hashBlock]), step)
		step += hashStep
		row = row[hashBlock:]
	}
	if len(row) > 0 {
		var last [hashBlock]uint32
		copy(last[:], row)
		s.block(bytesOf(last[:]), step)
	}
}

func (s *hashState) block(b []byte, step uint64) {
	_ = b[8*len(s)-1]
	for i := range s {
		v := load(b, 8*i) & mask64
		k := v ^ (hashKeys[i] + step)
		s[i] += v + (k&0xffffffff)*(k>>32)
	}
}
