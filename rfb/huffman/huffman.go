// Package huffman says how long the codes of symbols are to be, for the
// formats that have Huffman codes of bounded length: JPEG and deflate.
package huffman

// MaxSymbols is the most symbols there may be.
const MaxSymbols = 288

// MaxLength is the length in bits of the longest codes that may be asked for.
const MaxLength = 16

// Lengths returns how many codes of each length in bits code symbols shortest
// that occur as often as weights says, in ascending order. There are 2 to
// MaxSymbols of them. No code is longer than longest, at most MaxLength, which
// is enough for so many.
func Lengths(weights []uint64, longest int) (lengths [MaxLength + 1]int) {
	// Leaves come first, in ascending order; inner nodes follow, and are made
	// in that order too.
	var (
		weight [2 * MaxSymbols]uint64
		parent [2 * MaxSymbols]uint16
		depth  [2 * MaxSymbols]uint16
		count  [MaxSymbols]uint16 // by depth
	)
	leaves := copy(weight[:], weights)
	leaf, inner, root := 0, leaves, 2*leaves-2
	for node := leaves; node <= root; node++ {
		sum := uint64(0)
		for range 2 {
			least := inner
			if leaf < leaves && (inner == node || weight[leaf] <= weight[inner]) {
				least = leaf
				leaf++
			} else {
				inner++
			}
			sum += weight[least]
			parent[least] = uint16(node)
		}
		weight[node] = sum
	}
	deepest := 0
	for node := root - 1; node >= 0; node-- {
		depth[node] = depth[parent[node]] + 1
		if node < leaves {
			count[depth[node]]++
			deepest = max(deepest, int(depth[node]))
		}
	}
	// Codes that are too long go elsewhere in pairs: one takes their prefix,
	// the other shares that of a shorter one (T.81 figure K.3).
	for ; deepest > longest; deepest-- {
		for count[deepest] > 0 {
			shorter := deepest - 2
			for count[shorter] == 0 {
				shorter--
			}
			count[deepest] -= 2
			count[deepest-1]++
			count[shorter]--
			count[shorter+1] += 2
		}
	}
	for i := range longest + 1 {
		lengths[i] = int(count[i])
	}
	return lengths
}
