//go:build !purego

package pixel

// repeatsBlock is goRepeats for a whole block.
func repeatsBlock(src []uint32, stride int) int { return repeatsAVX2(&src[0], stride, &textureLanes) }

// surprisesBlock is goSurprises for a whole block.
func surprisesBlock(src []uint32, stride int) (surprises, edges int) {
	return surprisesAVX2(&src[0], stride, &textureLanes)
}

// textureLanes has what the texture's kernels need: the bounds of a surprise
// and of an edge for the components of a pixel, never to be exceeded by its
// pad byte, and a mask for all pixels of a vector but the first, of 32 and of
// 64 bits.
var textureLanes = [4][32]byte{
	lanes16(1, 1, 1, 0x7fff),
	lanes16(TextureEdge, TextureEdge, TextureEdge, 0x7fff),
	allButFirst(4),
	allButFirst(8),
}

func lanes16(v ...uint16) (l [32]byte) {
	for i := range l {
		l[i] = byte(v[i/2%len(v)] >> (8 * (i % 2)))
	}
	return l
}

func allButFirst(size int) (l [32]byte) {
	for i := size; i < len(l); i++ {
		l[i] = 0xff
	}
	return l
}

//go:noescape
func repeatsAVX2(src *uint32, stride int, k *[4][32]byte) int

//go:noescape
func surprisesAVX2(src *uint32, stride int, k *[4][32]byte) (surprises, edges int)
