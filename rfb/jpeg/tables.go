package jpeg

import (
	"math/bits"
	"sync/atomic"
)

// zigzag gives for each place in a row by row block its place in zigzag order
// (T.81 figure A.6).
var zigzag = func() (z [64]uint8) {
	u, v := 0, 0
	for i := range z {
		z[8*v+u] = uint8(i)
		switch up := (u+v)%2 == 0; {
		case up && u == 7:
			v++
		case up && v == 0:
			u++
		case up:
			u, v = u+1, v-1
		case v == 7:
			u++
		case u == 0:
			v++
		default:
			u, v = u-1, v+1
		}
	}
	return z
}()

// quantisation has the steps for brightness and colour at quality 50, row by
// row (T.81 tables K.1 and K.2).
var quantisation = [2][64]uint8{
	{
		16, 11, 10, 16, 24, 40, 51, 61,
		12, 12, 14, 19, 26, 58, 60, 55,
		14, 13, 16, 24, 40, 57, 69, 56,
		14, 17, 22, 29, 51, 87, 80, 62,
		18, 22, 37, 56, 68, 109, 103, 77,
		24, 35, 55, 64, 81, 104, 113, 92,
		49, 64, 78, 87, 103, 121, 120, 101,
		72, 92, 95, 98, 112, 100, 103, 99,
	},
	{
		17, 18, 24, 47, 99, 99, 99, 99,
		18, 21, 26, 66, 99, 99, 99, 99,
		24, 26, 56, 99, 99, 99, 99, 99,
		47, 66, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
		99, 99, 99, 99, 99, 99, 99, 99,
	},
}

// tables are what a quality means for brightness and colour.
type tables struct {
	steps      [2][64]uint8 // in zigzag order
	quantisers [2]quantiser
}

// quantiser divides by multiplying: a coefficient x, which is dctScale times
// what it should be, becomes (|x|+half)*reciprocal>>16*shift>>16 with x's
// sign. The tables are in the order in which transform leaves the
// coefficients, column by column, and have each column twice, once for each
// block of a pair.
type quantiser struct {
	half, reciprocal, shift [2 * 64]uint16
	// quiet says for each row, when the columns are transformed, which sum of
	// its absolute values is so small that all in it becomes zero. Only the
	// code in Go looks at it.
	quiet [8]int32
}

// cache has the tables of each quality that was asked for.
var cache [101]atomic.Pointer[tables]

// tablesFor returns the tables of a quality 1 to 100.
func tablesFor(quality int) *tables {
	if t := cache[quality].Load(); t != nil {
		return t
	}
	t := new(tables)
	scale := 200 - 2*quality
	if quality < 50 {
		scale = 5000 / quality
	}
	for i := range quantisation {
		for at, base := range quantisation[i] {
			step := min(max((int(base)*scale+50)/100, 1), 255)
			t.steps[i][zigzag[at]] = uint8(step)
			t.quantisers[i].set(at%8, at/8, uint32(step))
		}
		t.quantisers[i].setQuiet()
	}
	cache[quality].Store(t)
	return t
}

// set makes the quantiser divide the coefficient in column u and row v by step.
func (q *quantiser) set(u, v int, step uint32) {
	divisor := step * dctScale
	// The reciprocal shall have 16 significant bits.
	shift := bits.Len32(divisor-1) - 1
	reciprocal := (1<<(16+shift) + divisor - 1) / divisor
	for _, at := range [2]int{16*u + v, 16*u + 8 + v} {
		q.half[at] = uint16(divisor / 2)
		q.reciprocal[at] = uint16(reciprocal)
		q.shift[at] = uint16(1 << (16 - shift))
	}
}

// setQuiet makes quiet of half. The greatest weight in dct8 is that of cos1,
// 1.39, and its roundings add up to less than 5.
func (q *quantiser) setQuiet() {
	for v := range q.quiet {
		least := q.half[v]
		for u := range 8 {
			least = min(least, q.half[16*u+v])
		}
		q.quiet[v] = (int32(least) - 5) * 100 / 139
	}
}
