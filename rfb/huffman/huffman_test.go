package huffman

import (
	"container/heap"
	"math/rand/v2"
	"slices"
	"testing"
)

// weights are as many numbers in ascending order: even ones, ones that differ
// more and more, and Fibonacci's, whose codes are longest.
func weights(rnd *rand.Rand, n int) []uint64 {
	w := make([]uint64, n)
	spread := 1 + rnd.IntN(20)
	for i := range w {
		w[i] = 1 + rnd.Uint64N(1<<spread)
	}
	if rnd.IntN(3) == 0 {
		w[0], w[min(1, n-1)] = 1, 1
		for i := 2; i < n; i++ {
			w[i] = min(w[i-1]+w[i-2], 1<<22)
		}
	}
	slices.Sort(w)
	return w
}

// cost is how many bits the symbols take, the rarest with the longest codes,
// and whether the lengths are those of a code that leaves nothing unused.
func cost(w []uint64, lengths []int) (bits uint64, whole bool) {
	room, at := 0, 0
	for l := len(lengths) - 1; l > 0; l-- {
		room += lengths[l] << (MaxLength - l)
		for range lengths[l] {
			bits += w[at] * uint64(l)
			at++
		}
	}
	return bits, at == len(w) && room == 1<<MaxLength
}

type sums []uint64

func (s sums) Len() int           { return len(s) }
func (s sums) Less(i, j int) bool { return s[i] < s[j] }
func (s sums) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *sums) Push(v any)        { *s = append(*s, v.(uint64)) }
func (s *sums) Pop() any {
	old := *s
	v := old[len(old)-1]
	*s = old[:len(old)-1]
	return v
}

// shortest is what Huffman's own way comes to: the sum of all joined weights.
func shortest(w []uint64) (bits uint64) {
	s := slices.Clone(sums(w))
	heap.Init(&s)
	for s.Len() > 1 {
		v := heap.Pop(&s).(uint64) + heap.Pop(&s).(uint64)
		bits += v
		heap.Push(&s, v)
	}
	return bits
}

// The codes are whole, none too long, and the shortest possible where their
// length was no hindrance; little longer where it was.
func TestLengths(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 9))
	for range 3000 {
		w := weights(rnd, 2+rnd.IntN(MaxSymbols-1))
		longest := MaxLength - rnd.IntN(2)
		if len(w) <= 19 {
			longest = 7
		}
		lengths := Lengths(w, longest)
		bits, whole := cost(w, lengths[:])
		if !whole {
			t.Fatalf("lengths %v of %d symbols are no whole code", lengths, len(w))
		}
		for l := longest + 1; l < len(lengths); l++ {
			if lengths[l] > 0 {
				t.Fatalf("%d codes of %d bits, more than %d", lengths[l], l, longest)
			}
		}
		least := shortest(w)
		full := lengths[longest] > 0
		if bits < least || !full && bits > least || bits > least+least/4 {
			t.Fatalf("%d symbols take %d bits, want %d; lengths %v", len(w), bits, least, lengths)
		}
	}
}
