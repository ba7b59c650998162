package pixel

import (
	"hash/maphash"
	"math/rand/v2"
	"testing"
)

// The hash of a row depends on its colours and on nothing else.
func TestHashRow(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 5))
	for n := range 130 {
		f := noise(rnd, n+7, 3)
		v := padded(rnd, f)
		for y := range 3 {
			a, b := hashRow(f.Row(y, 5, 5+n)), hashRow(v.Row(y, 5, 5+n))
			var s hashState
			s.add(f.Row(y, 5, 5+n), 0)
			if a != b || a != s.sum(n) {
				t.Fatalf("%d pixels: %x, with pad bytes %x, in plain Go %x", n, a, b, s.sum(n))
			}
		}
	}
}

// Rows that look alike as rows of screens do have different hashes.
func TestHashTellsRowsApart(t *testing.T) {
	seen := make(map[uint64][]uint32)
	add := func(row []uint32) {
		h := hashRow(row)
		if old, there := seen[h]; there && (len(old) != len(row) || !Same(old, row)) {
			t.Fatalf("%06x and %06x have the same hash", old, row)
		}
		seen[h] = append([]uint32(nil), row...)
	}
	for n := range 100 { // flat ones
		for _, c := range []uint32{0, 1, Mask, 0x808080} {
			row := make([]uint32, n)
			for i := range row {
				row[i] = c
			}
			add(row)
			for i := range row { // and one pixel of them changed by little
				row[i] ^= 1
				add(row)
				row[i] ^= 1
			}
		}
	}
	rnd := rand.New(rand.NewPCG(2, 5))
	text := make([]uint32, 640)
	for range 20000 { // two colours
		for i := range text {
			if rnd.IntN(8) == 0 {
				text[i] = Mask - text[i]
			}
		}
		add(text)
	}
	// Blocks, pairs and pixels in another order.
	row := noise(rnd, 128, 1).Pix
	for _, by := range []int{1, 2, 4, 8, 16, 32} {
		for i := 0; i+2*by <= len(row); i += by {
			for k := range by {
				row[i+k], row[i+by+k] = row[i+by+k], row[i+k]
			}
			add(row)
		}
	}
}

func FuzzHashRow(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Fuzz(func(t *testing.T, b []byte) {
		row := make([]uint32, len(b)/4)
		copy(bytesOf(row), b)
		h := hashRow(row)
		var s hashState
		s.add(row, 0)
		if h != s.sum(len(row)) {
			t.Fatalf("%x, in plain Go %x", h, s.sum(len(row)))
		}
		for i := range row {
			row[i] ^= 0xa5000000
		}
		if hashRow(row) != h {
			t.Fatal("the pad bytes count")
		}
	})
}

func BenchmarkHashRow(b *testing.B) {
	frame := noise(rand.New(rand.NewPCG(1, 1)), 1280, 1024)
	for _, c := range []struct {
		name string
		rows int
	}{{" row", 1}, {" frame", 1024}} {
		run := func(name string, f func()) {
			b.Run(name+c.name, func(b *testing.B) {
				b.SetBytes(int64(4 * 1280 * c.rows))
				for b.Loop() {
					f()
				}
			})
		}
		var sums []uint64
		run("hashRow", func() {
			for y := range c.rows {
				sums = append(sums[:0], hashRow(frame.Row(y, 0, 1280)))
			}
		})
		run("plain Go", func() {
			for y := range c.rows {
				var s hashState
				s.add(frame.Row(y, 0, 1280), 0)
				sums = append(sums[:0], s.sum(1280))
			}
		})
		seed := maphash.MakeSeed()
		run("maphash", func() {
			for y := range c.rows {
				sums = append(sums[:0], maphash.Bytes(seed, bytesOf(frame.Row(y, 0, 1280))))
			}
		})
	}
}
