package pixel

import (
	"math/rand/v2"
	"testing"
)

// Where rows differ is found whatever their length, their alignment and their
// pad bytes, and wherever it is.
func TestFirstAndLastDiff(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 6))
	for n := range 150 {
		a := noise(rnd, n+3, 1).Pix[rnd.IntN(4):][:n]
		b := make([]uint32, n+1)[1:]
		for i := range b {
			b[i] = a[i] | rnd.Uint32()<<24
		}
		if f, l := firstDiff(a, b), lastDiff(a, b); f != n || l != -1 {
			t.Fatalf("%d equal pixels: first difference %d, last %d", n, f, l)
		}
		for i := range b {
			j := i + rnd.IntN(n-i)
			b[i] ^= 1 << rnd.IntN(24)
			if i != j {
				b[j] ^= 1 << rnd.IntN(24)
			}
			if f, l := firstDiff(a, b), lastDiff(a, b); f != i || l != j {
				t.Fatalf("%d pixels that differ at %d and %d: found %d and %d", n, i, j, f, l)
			}
			b[i], b[j] = a[i]|rnd.Uint32()<<24, a[j]|rnd.Uint32()<<24
		}
	}
}

func TestCopyMasked(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 6))
	for n := range 100 {
		src := make([]uint32, n)
		for i := range src {
			src[i] = rnd.Uint32()
		}
		dst := filled(n + 9)
		copyMasked(dst[:n], src)
		for i, p := range dst {
			want := uint32(0xdeadbeef)
			if i < n {
				want = src[i] & Mask
			}
			if p != want {
				t.Fatalf("%d pixels: %08x at %d, want %08x", n, p, i, want)
			}
		}
	}
}

func TestFindEdges(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 6))
	for n := range 300 {
		row := make([]uint32, n)
		for i := range row {
			row[i] = [...]uint32{0, 1, 0xffffff}[rnd.IntN(3)] | rnd.Uint32()<<24
		}
		edges := make([]uint64, n/64+2)
		for i := range edges {
			edges[i] = rnd.Uint64()
		}
		findEdges(edges, row)
		for i := range 64 * len(edges) {
			want := i+1 < n && (row[i]^row[i+1])&Mask != 0
			if got := edges[i/64]>>(i%64)&1 != 0; got != want {
				t.Fatalf("%d pixels: an edge at %d is %v, want %v", n, i, got, want)
			}
		}
	}
}
