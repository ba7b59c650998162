//go:build !amd64 || purego

package pixel

func repeatsBlock([]uint32, int) int { panic("pixel: no vectors") }

func surprisesBlock([]uint32, int) (surprises, edges int) { panic("pixel: no vectors") }
