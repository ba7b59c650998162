package jpeg

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

var subsamplings = []Subsampling{Sub444, Sub422, Sub420, SubGray}

// decode returns the frame that image/jpeg makes of a picture.
func decode(t testing.TB, b []byte) *pixel.Frame {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("image/jpeg does not read the picture: %v", err)
	}
	f := pixel.NewFrame(m.Bounds().Dx(), m.Bounds().Dy())
	f.Draw(f.Rect(), m)
	return f
}

// standard returns f at a quality as image/jpeg codes it.
func standard(t testing.TB, m image.Image, quality int) []byte {
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// psnr is how close two frames are, in dB.
func psnr(a, b *pixel.Frame) float64 {
	sum := 0.0
	for i, p := range a.Pix {
		for shift := 0; shift < 24; shift += 8 {
			d := int(p>>shift&0xff) - int(b.Pix[i]>>shift&0xff)
			sum += float64(d * d)
		}
	}
	if sum == 0 {
		return 99
	}
	return 10 * math.Log10(255*255*3*float64(len(a.Pix))/sum)
}

// grey returns what a picture without colours is of.
func grey(f *pixel.Frame) (*image.Gray, *pixel.Frame) {
	m, g := image.NewGray(f.Rect()), pixel.NewFrame(f.Width, f.Height)
	for y := range f.Height {
		for x := range f.Width {
			p := f.Pixel(x, y)
			c, _, _ := color.RGBToYCbCr(uint8(p>>16), uint8(p>>8), uint8(p))
			m.SetGray(x, y, color.Gray{Y: c})
			g.Pix[y*g.Stride+x] = uint32(c) * 0x010101
		}
	}
	return m, g
}

// A picture is at least as good as image/jpeg's, and shorter.
func TestQuality(t *testing.T) {
	screens := len(golden.All(1, 1)) // they come first
	for i, g := range pictures(120, 88) {
		tolerance := 0.3
		if i >= screens {
			tolerance = 0.5 // one coefficient rounded the other way counts often
		}
		for _, s := range subsamplings {
			t.Run(fmt.Sprintf("%s/%v", g.Name, s), func(t *testing.T) {
				var m image.Image = g.Frame.RGBA()
				want := g.Frame
				if s == SubGray {
					m, want = grey(g.Frame)
				}
				for _, quality := range []int{1, 5, 25, 49, 50, 75, 90, 95, 98, 100} {
					theirs := standard(t, m, quality)
					ours := Append(nil, g.Frame, g.Frame.Rect(), quality, s)
					p, q := psnr(want, decode(t, ours)), psnr(want, decode(t, theirs))
					// Where both are hardly to be told from the original, a
					// rounding here or there says nothing.
					if p < min(q-tolerance, 50) {
						t.Errorf("quality %d: %.2f dB, image/jpeg has %.2f dB", quality, p, q)
					}
					if same := s == Sub420 || s == SubGray; same && len(ours) > len(theirs) {
						t.Errorf("quality %d: %d bytes, image/jpeg has %d", quality, len(ours), len(theirs))
					}
				}
			})
		}
	}
}

// Every size comes back, whatever is left of a block.
func TestSizes(t *testing.T) {
	f := golden.Photo(80, 80)
	for _, s := range subsamplings {
		for height := 1; height <= 40; height++ {
			for width := 1; width <= 40; width++ {
				r := image.Rect(0, 0, width, height).Add(image.Pt(width%7, height%5))
				b := Append(nil, f, r, 95, s)
				got := decode(t, b)
				if got.Width != width || got.Height != height {
					t.Fatalf("%v: %dx%d came back as %dx%d", s, width, height, got.Width, got.Height)
				}
				want := pixel.NewFrame(width, height)
				for y := range height {
					copy(want.Row(y, 0, width), f.Row(r.Min.Y+y, r.Min.X, r.Max.X))
				}
				if s == SubGray {
					_, want = grey(want)
				}
				if p := psnr(want, got); p < 35 {
					t.Errorf("%v: %dx%d has %.1f dB", s, width, height, p)
				}
			}
		}
	}
}

// What is said of the subsampling is what image/jpeg understands.
func TestSubsampling(t *testing.T) {
	f := golden.Desktop(100, 50)
	for s, want := range map[Subsampling]image.YCbCrSubsampleRatio{
		Sub444: image.YCbCrSubsampleRatio444, Sub420: image.YCbCrSubsampleRatio420, Sub422: image.YCbCrSubsampleRatio422,
	} {
		m, err := jpeg.Decode(bytes.NewReader(Append(nil, f, f.Rect(), 80, s)))
		if err != nil {
			t.Fatal(err)
		}
		if got := m.(*image.YCbCr).SubsampleRatio; got != want {
			t.Errorf("%v came back as %v", s, got)
		}
	}
	m, err := jpeg.Decode(bytes.NewReader(Append(nil, f, f.Rect(), 80, SubGray)))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m.(*image.Gray); !ok {
		t.Errorf("grey came back as %T", m)
	}
	if s := fmt.Sprint(Sub444, Sub420, Sub422, SubGray, Subsampling(9)); s != "4:4:4 4:2:0 4:2:2 grey Subsampling(9)" {
		t.Error(s)
	}
	// The pseudo-encodings -768+n.
	if Sub444 != 0 || Sub420 != 1 || Sub422 != 2 || SubGray != 3 {
		t.Error("subsamplings are not numbered as RFB does it")
	}
}

// The same pixels give the same bytes, whatever is around them, in their pad
// bytes and before them in the slice, and with or without room.
func TestPixelsOnly(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		width, height := 1+rnd.IntN(70), 1+rnd.IntN(40)
		f := golden.Noise(width, height, uint64(i))
		quality, s := 1+rnd.IntN(100), Subsampling(i%4)
		want := Append(nil, f, f.Rect(), quality, s)

		at := image.Pt(rnd.IntN(40), rnd.IntN(40))
		big := golden.Noise(at.X+width+rnd.IntN(40), at.Y+height+rnd.IntN(40), uint64(i)+1000)
		big.Width -= rnd.IntN(big.Width - at.X - width + 1) // the stride stays
		for y := range height {
			row := big.Row(at.Y+y, at.X, at.X+width)
			for x, p := range f.Row(y, 0, width) {
				row[x] = p | rnd.Uint32()<<24
			}
		}
		prefix := make([]byte, rnd.IntN(9), 9+rnd.IntN(5000))
		got := Append(prefix, big, f.Rect().Add(at), quality, s)
		if !bytes.Equal(got, append(prefix[:len(prefix):len(prefix)], want...)) {
			t.Fatalf("%dx%d, quality %d, %v: other surroundings, other bytes", width, height, quality, s)
		}
	}
}

// A frame whose rows are all the same memory can be as large as a picture may.
func TestLargest(t *testing.T) {
	row := make([]uint32, MaxSize+1)
	for i := range row {
		row[i] = uint32(i) * 0x010203
	}
	wide := &pixel.Frame{Pix: row, Width: len(row), Height: 1}
	high := &pixel.Frame{Pix: row[:8], Width: 8, Height: len(row)}
	for _, r := range []image.Rectangle{image.Rect(0, 0, MaxSize, 1), image.Rect(1, 0, MaxSize+1, 1)} {
		if got := decode(t, Append(nil, wide, r, 50, Sub420)).Rect(); got.Dx() != MaxSize {
			t.Errorf("%v came back as %v", r, got)
		}
	}
	if got := decode(t, Append(nil, high, image.Rect(0, 0, 8, MaxSize), 50, Sub444)).Rect(); got.Dy() != MaxSize {
		t.Errorf("the high one came back as %v", got)
	}
	for name, call := range map[string]func(){
		"empty":     func() { Append(nil, wide, image.Rectangle{}, 50, Sub420) },
		"outside":   func() { Append(nil, wide, image.Rect(0, 0, 1, 2), 50, Sub420) },
		"too wide":  func() { Append(nil, wide, wide.Rect(), 50, Sub420) },
		"too high":  func() { Append(nil, high, high.Rect(), 50, Sub420) },
		"no format": func() { Append(nil, wide, image.Rect(0, 0, 1, 1), 50, 4) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

// Qualities that do not exist are the nearest that do.
func TestQualityLimits(t *testing.T) {
	f := golden.Desktop(64, 64)
	at := func(quality int) []byte { return Append(nil, f, f.Rect(), quality, Sub420) }
	if !bytes.Equal(at(-5), at(1)) || !bytes.Equal(at(0), at(1)) || !bytes.Equal(at(101), at(100)) {
		t.Error("a quality out of range is not the nearest in range")
	}
	for quality := 2; quality <= 100; quality++ {
		if bytes.Equal(at(quality), at(quality-1)) {
			t.Errorf("qualities %d and %d are the same", quality-1, quality)
		}
	}
}

// Calls share nothing, and find the same tables whoever makes them first.
func TestConcurrent(t *testing.T) {
	all := pictures(90, 60)
	var results [4][][]byte
	var wg sync.WaitGroup
	for n := range results {
		wg.Go(func() {
			for i := range 100 {
				f := all[i%len(all)].Frame
				results[n] = append(results[n], Append(nil, f, f.Rect(), i+1, Subsampling(i%4)))
			}
		})
	}
	wg.Wait()
	for n, result := range results[1:] {
		for i, b := range result {
			if !bytes.Equal(b, results[0][i]) {
				t.Errorf("call %d of goroutine %d has other bytes", i, n+1)
			}
		}
	}
}

// Coding takes memory for the picture and nothing else.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("with the race detector, sync.Pool forgets at random")
	}
	f := golden.Photo(300, 230)
	for _, s := range subsamplings {
		b := Append(nil, f, f.Rect(), 90, s)
		b = append(b, make([]byte, chunkBytes)...) // room for the last chunk
		if n := testing.AllocsPerRun(100, func() { b = Append(b[:0], f, f.Rect(), 90, s) }); n != 0 {
			t.Errorf("%v: %v allocations", s, n)
		}
	}
}

// Code lengths are those of a code, leave one code of ones free, and are best
// where 16 bits suffice.
func TestCodeLengths(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	check := func(counts []uint64) {
		t.Helper()
		slices.Sort(counts)
		order := make([]uint64, len(counts))
		for i, c := range counts {
			order[i] = c<<8 | uint64(i)
		}
		lengths := codeLengths(order)
		n, space := 0, 0
		for i, c := range lengths {
			n += int(c)
			space += int(c) << (15 - i)
		}
		if n != len(counts) || space >= 1<<16 {
			t.Fatalf("%d symbols have %d codes that take %d/65536: %v", len(counts), n, space, lengths)
		}
		bits, at, length := uint64(0), len(counts)-1, 0
		for i, c := range lengths {
			for range c {
				bits += counts[at] * uint64(i+1)
				length, at = i+1, at-1
			}
		}
		// What any code needs: a Huffman code by its definition.
		if length < 16 {
			heap, least := append([]uint64{1}, counts...), uint64(0)
			for len(heap) > 1 {
				slices.Sort(heap)
				heap[1] += heap[0]
				heap = heap[1:]
				least += heap[0]
			}
			// The symbol that no one sees may have any length up to 16.
			if bits+16 < least || bits > least {
				t.Fatalf("%d bits, the best is %d: %v", bits, least, lengths)
			}
		}
	}
	for n := 1; n <= 256; n++ {
		equal, random, steep := make([]uint64, n), make([]uint64, n), make([]uint64, n)
		a, b := uint64(1), uint64(1)
		for i := range n {
			equal[i], random[i], steep[i] = 1, 1+uint64(rnd.IntN(1<<rnd.IntN(16))), a
			if i < 40 { // Fibonacci's numbers make the longest codes
				a, b = b, a+b
			}
		}
		check(equal)
		check(random)
		check(steep)
	}
}

// The quantiser divides as division does, and half a step is away from zero.
func TestQuantiser(t *testing.T) {
	var q quantiser
	for step := uint32(1); step <= 255; step++ {
		q.set(0, 0, step)
		divisor := int32(step * dctScale)
		check := func(x int32) {
			want := int16((x + divisor/2) / divisor)
			if got := q.divide(x, 0); got != want {
				t.Errorf("%d/%d is %d, not %d", x, divisor, got, want)
			}
			if got := q.divide(-x, 0); got != -want {
				t.Errorf("%d/%d is %d, not %d", -x, divisor, got, -want)
			}
		}
		check(1 << 15)
		for x := divisor / 2; x <= 1<<15; x += divisor {
			check(x - 1)
			check(x)
			check(x + 1)
		}
	}
}

// The transform is that of T.81 A.3.3, to a small part of a step of the best
// quality.
func TestTransform(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	worst := 0.0
	for range 500 {
		var x [8]int32
		for i := range x {
			x[i] = int32(rnd.IntN(256)-128) << dctBits
		}
		var y [8]int32
		y[0], y[1], y[2], y[3], y[4], y[5], y[6], y[7] = dct8(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7])
		for k := range y {
			want := 0.0
			for i := range x {
				want += float64(x[i]) * basis(k, i)
			}
			if k > 0 {
				want *= math.Sqrt2
			}
			worst = max(worst, math.Abs(float64(y[k])-want))
		}
	}
	if worst > 3 {
		t.Errorf("a coefficient is wrong by %.2f/%d", worst, 1<<dctBits)
	}
}
