package encoding

import (
	"bytes"
	"compress/flate"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

// inflateAll is what another decompressor makes of blocks that end with a sync
// flush.
func inflateAll(t *testing.T, b []byte) []byte {
	t.Helper()
	if !bytes.HasSuffix(b, []byte{0, 0, 0xff, 0xff}) {
		t.Fatalf("%d bytes end with %x, not with a sync flush", len(b), b[max(0, len(b)-4):])
	}
	// A last block, without anything.
	out, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(b), bytes.NewReader([]byte{0x03, 0x00}))))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rows makes data of n bytes in rows: numbers up to most, of which many repeat
// the one before, the row above or what came long before.
func rows(rnd *rand.Rand, n, width, most int) []byte {
	data := make([]byte, n)
	repeat := rnd.IntN(100)
	for i := 0; i < n; {
		var from int
		switch k := rnd.IntN(100); {
		case k >= repeat || i == 0:
			data[i] = byte(rnd.IntN(most))
			i++
			continue
		case k%3 == 0:
			from = i - 1
		case k%3 == 1 && i >= width:
			from = i - width
		default:
			from = rnd.IntN(i)
		}
		for run := 1 + rnd.IntN(300); run > 0 && i < n; run-- {
			data[i] = data[from]
			i, from = i+1, from+1
		}
	}
	return data
}

// Whatever the numbers, the rows and the length, another decompressor makes
// the same of it.
func TestDeflateIndices(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	for i := range 2000 {
		n := rnd.IntN(1 + 1<<(i%17))
		data := rows(rnd, n, 1+rnd.IntN(300), 1+rnd.IntN(256))
		width := 1 + rnd.IntN(300)
		head := []byte("what was there")
		out := deflateIndices(head, data, width)
		if !bytes.HasPrefix(out, head) {
			t.Fatal("it was not appended")
		}
		if n == 0 {
			continue
		}
		if got := inflateAll(t, out[len(head):]); !bytes.Equal(got, data) {
			t.Fatalf("%d numbers in rows of %d came back as others, %d", n, width, len(got))
		}
		if most := n + n/8 + 40; len(out)-len(head) > most {
			t.Fatalf("%d numbers take %d bytes", n, len(out)-len(head))
		}
	}
}

// One number, all numbers alike often, and frequencies that want codes longer
// than there are.
func TestDeflateExtremes(t *testing.T) {
	fibonacci := []byte{}
	for a, b, v := 1, 1, byte(0); a < 10000; a, b, v = b, a+b, v+1 {
		for range a {
			fibonacci = append(fibonacci, v)
		}
	}
	rand.New(rand.NewPCG(4, 5)).Shuffle(len(fibonacci), func(i, j int) {
		fibonacci[i], fibonacci[j] = fibonacci[j], fibonacci[i]
	})
	all := make([]byte, 1<<16)
	for i := range all {
		all[i] = byte(i * 167 >> 3)
	}
	for name, data := range map[string][]byte{
		"one": {7}, "two": {7, 9}, "seven": []byte("1234567"), "eight": []byte("12345678"), "nine": []byte("123456789"),
		"a plain area": make([]byte, 70000), "all": all, "fibonacci": fibonacci,
	} {
		for _, width := range []int{1, 2, 8, 256, 100000} {
			out := deflateIndices(nil, data, width)
			if got := inflateAll(t, out); !bytes.Equal(got, data) {
				t.Errorf("%s in rows of %d: %d numbers came back as others, %d", name, width, len(data), len(got))
			}
		}
	}
	// Little data has no room for codes of its own.
	if n := len(deflateIndices(nil, []byte{0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0}, 4)); n > 12+6 {
		t.Errorf("12 numbers take %d bytes", n)
	}
}

// What is drawn comes out as short as from the general compressor at the level
// that takes twice as long, or nearly.
func TestDeflateIsShort(t *testing.T) {
	for _, g := range golden.All(1280, 1024) {
		s := new(scratch)
		ours, other := 0, 0
		for c := range cells(g.Frame.Rect(), 256, 64) {
			if !s.indexRect(g.Frame, c, 256) || s.pal.n < 2 {
				continue
			}
			data, width := s.index, c.Dx()
			if s.pal.n == 2 {
				data, width = appendBits(nil, data, width), width/8
			}
			ours += len(deflateIndices(nil, data, width))
			other += len(deflate(nil, data, 5))
		}
		t.Logf("%s: %d bytes, level 5 %d", g.Name, ours, other)
		if ours*100 > other*101 {
			t.Errorf("%s: %d bytes, the general compressor makes %d", g.Name, ours, other)
		}
	}
}

func FuzzDeflateIndices(f *testing.F) {
	f.Add([]byte("some numbers"), uint16(4), uint8(3))
	f.Add(bytes.Repeat([]byte("aaaaaaaabbbbccd"), 40), uint16(15), uint8(200))
	f.Fuzz(func(t *testing.T, data []byte, width uint16, times uint8) {
		data = bytes.Repeat(data, 1+int(times%16))
		if len(data) == 0 || len(data) > 1<<17 {
			return
		}
		if got := inflateAll(t, deflateIndices(nil, data, 1+int(width))); !bytes.Equal(got, data) {
			t.Fatalf("%d numbers came back as others, %d", len(data), len(got))
		}
	})
}

func BenchmarkDeflateIndices(b *testing.B) {
	for _, g := range golden.All(1280, 1024)[:3] {
		s := new(scratch)
		var all [][]byte
		for c := range cells(g.Frame.Rect(), 256, 64) {
			if s.indexRect(g.Frame, c, 256) && s.pal.n >= 2 {
				all = append(all, bytes.Clone(s.index))
			}
		}
		for name, compress := range map[string]func(b, data []byte) []byte{
			"own":     func(b, data []byte) []byte { return deflateIndices(b, data, 256) },
			"level 5": func(b, data []byte) []byte { return deflate(b, data, 5) },
		} {
			b.Run(g.Name+"/"+name, func(b *testing.B) {
				var out []byte
				n := 0
				for b.Loop() {
					n = 0
					for _, data := range all {
						out = compress(out[:0], data)
						n += len(out)
					}
				}
				b.ReportMetric(float64(n)/1000, "kB")
			})
		}
	}
}
