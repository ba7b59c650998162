package encoding

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/draw"
	stdjpeg "image/jpeg"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ironglass/ironglass/rfb/jpeg"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// segments cuts a picture into its segments; the last is the scan with all
// after it.
func segments(data []byte) [][]byte {
	out := [][]byte{data[:2]}
	for data = data[2:]; ; {
		n := 2 + int(binary.BigEndian.Uint16(data[2:]))
		if data[1] == jpegSOS {
			return append(out, data)
		}
		out, data = append(out, data[:n]), data[n:]
	}
}

// without leaves out the segments with that marker.
func without(data []byte, markers ...byte) []byte {
	var out []byte
	for _, s := range segments(data) {
		if bytes.IndexByte(markers, s[1]) < 0 {
			out = append(out, s...)
		}
	}
	return out
}

func decodeAs21(d Decoder, data []byte, dst *pixel.Frame) error {
	rd := wire.NewReader(bytes.NewReader(append(bytes.Clone(data), 0xab)), 16)
	if err := d.Decode(rd, dst, dst.Rect(), formats[1]); err != nil {
		return err
	}
	if b := rd.U8("what follows"); b != 0xab {
		return errors.New("the picture's end was not found")
	}
	return rd.Err()
}

// A picture ends by its EOI marker and may use the tables of those before it.
func TestJPEGTables(t *testing.T) {
	const w, h = 70, 50
	// The standard library's pictures all have the same Huffman tables.
	encode := func(m image.Image, quality int) []byte {
		var b bytes.Buffer
		if err := stdjpeg.Encode(&b, m, &stdjpeg.Options{Quality: quality}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	src := golden.Desktop(w, h)
	first, second, other := encode(golden.Photo(w, h), 90), encode(src, 90), encode(src, 40)
	shades := image.NewGray(src.Rect())
	draw.Draw(shades, shades.Rect, src, image.Point{}, draw.Src)
	grey := encode(shades, 90)
	plain := func(data []byte) *pixel.Frame {
		f := pixel.NewFrame(w, h)
		m, err := stdjpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		f.Draw(f.Rect(), m)
		return f
	}
	comment := []byte{0xff, 0xfe, 0, 9, 0xff, jpegEOI, 0xff, jpegSOI, 0xff, jpegSOS, 'x'}
	filled := bytes.Clone(second[:2])
	for _, s := range segments(second)[1:] {
		filled = append(append(append(filled, 0xff, 0xff), comment[:2]...), comment[2:]...)
		filled = append(append(filled, 0xff), s...)
	}
	for _, c := range []struct {
		name  string
		send  [][]byte
		shows []byte
	}{
		{"complete ones", [][]byte{first, second}, second},
		{"without Huffman tables", [][]byte{first, without(second, jpegDHT)}, second},
		{"without quantisation tables", [][]byte{first, without(second, jpegDQT)}, second},
		{"without tables", [][]byte{first, without(second, jpegDHT, jpegDQT)}, second},
		{"without tables for long", [][]byte{first, without(other, jpegDHT), first, without(second, jpegDHT, jpegDQT)}, second},
		{"another quality", [][]byte{first, other}, other},
		{"grey between", [][]byte{first, grey, without(second, jpegDHT, jpegDQT)}, second},
		{"fill bytes and comments that look like markers", [][]byte{first, filled}, second},
	} {
		d, dst := ByNumber(wire.EncodingJPEG).NewDecoder(), pixel.NewFrame(w, h)
		for i, data := range c.send {
			if err := decodeAs21(d, data, dst); err != nil {
				t.Fatalf("%s: picture %d: %v", c.name, i, err)
			}
		}
		if diff := firstDifference(dst, plain(c.shows)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	// A table of sixteen-bit values takes the place of one of eight.
	wide := bytes.Clone(second[:2])
	for _, s := range segments(second)[1:] {
		if s[1] != jpegDQT {
			wide = append(wide, s...)
			continue
		}
		for table := range slices.Chunk(s[4:], 65) {
			wide = append(wide, 0xff, jpegDQT, 0, 2+1+128, 0x10|table[0])
			for _, v := range table[1:] {
				wide = append(wide, 0, v)
			}
		}
	}
	d, dst := ByNumber(wire.EncodingJPEG).NewDecoder(), pixel.NewFrame(w, h)
	for _, data := range [][]byte{other, wide, without(second, jpegDQT)} {
		if err := decodeAs21(d, data, dst); err != nil {
			t.Fatal(err)
		}
	}
	if diff := firstDifference(dst, plain(second)); diff != "" {
		t.Errorf("wide tables: %s", diff)
	}
	for n := range wide {
		d := ByNumber(wire.EncodingJPEG).NewDecoder()
		if err := d.Decode(wire.NewReader(bytes.NewReader(wide[:n]), 16), dst, dst.Rect(), formats[1]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(wide), err)
		}
	}
}

// progressive is a picture of many scans: the head of one in the progressive
// mode and the same empty scan again and again.
func progressive(scans int) []byte {
	data := []byte{0xff, jpegSOI, 0xff, 0xc2, 0, 11, 8, 0, 64, 0, 64, 1, 1, 0x11, 0, 0xff, jpegDHT, 0, 20, 0x10, 1}
	data = append(append(data, make([]byte, 15)...), 0xe0)
	for range scans {
		data = append(data, 0xff, jpegSOS, 0, 8, 1, 1, 0, 1, 63, 0, 0)
	}
	return append(data, 0xff, jpegEOI)
}

// What no honest server sends as a picture ends in an error that says what is
// wrong, and takes no more memory or time than the rectangle is worth.
func TestHostilePictures(t *testing.T) {
	small := golden.Photo(63, 64)
	good := jpeg.Append(nil, golden.Photo(64, 64), image.Rect(0, 0, 64, 64), 80, jpeg.Sub444)
	giant := bytes.Clone(good)
	at := bytes.Index(giant, []byte{0xff, 0xc0})
	copy(giant[at+5:], "\xff\xff\xff\xff")
	headless := append([]byte{0xff, jpegSOI}, bytes.Repeat(append([]byte{0xff, 0xe1, 0xff, 0xff}, make([]byte, 65533)...), 40)...)
	endless := append(bytes.Clone(good[:len(good)-2]), make([]byte, 4<<20)...)
	for _, c := range []struct {
		name, says string
		data       []byte
	}{
		{"no picture", "SOI", []byte("GIF89a")},
		{"of another size", "63x64", jpeg.Append(nil, small, small.Rect(), 80, jpeg.Sub444)},
		{"giant", "65535x65535", giant},
		{"no marker", "where a marker must be", []byte{0xff, jpegSOI, 1, 2, 3}},
		{"a zero for a marker", "no marker", []byte{0xff, jpegSOI, 0xff, 0, 3}},
		{"two pictures in one", "begins anew", append(bytes.Clone(good[:at]), good...)},
		{"a short segment", "segment of 1 bytes", []byte{0xff, jpegSOI, 0xff, 0xe0, 0, 1}},
		{"a head without end", "allowed", headless},
		{"a scan without end", "allowed", endless},
		{"nothing in it", "JPEG", []byte{0xff, jpegSOI, 0xff, jpegEOI}},
		{"a table that is cut", "table", []byte{0xff, jpegSOI, 0xff, jpegDQT, 0, 10, 0, 1, 2, 3, 4, 5, 6, 7}},
		{"a Huffman table that is cut", "table", []byte{0xff, jpegSOI, 0xff, jpegDHT, 0, 4, 0, 1}},
		{"a Huffman table that is longer", "table", append([]byte{0xff, jpegSOI, 0xff, jpegDHT, 0, 19, 0}, bytes.Repeat([]byte{255}, 16)...)},
		{"a table of no number", "table", append([]byte{0xff, jpegSOI, 0xff, jpegDQT, 0, 67, 9}, make([]byte, 64)...)},
		{"thousands of scans", "scans", progressive(5000)},
		{"a scan without tables", "", without(good, jpegDHT)},
	} {
		dst := pixel.NewFrame(64, 64)
		rd := wire.NewReader(io.MultiReader(bytes.NewReader(c.data), zeros{}), 4096)
		err := ByNumber(wire.EncodingJPEG).NewDecoder().Decode(rd, dst, dst.Rect(), formats[1])
		if !errors.Is(err, wire.ErrProtocol) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v does not say %q", c.name, err, c.says)
		}
	}
	// Progressive pictures themselves are read.
	dst := pixel.NewFrame(64, 64)
	if err := decodeAs21(ByNumber(wire.EncodingJPEG).NewDecoder(), progressive(1), dst); err != nil && strings.Contains(err.Error(), "scans") {
		t.Errorf("a progressive picture: %v", err)
	}
}
