package encoding

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	stdjpeg "image/jpeg"
	"slices"

	"github.com/ironglass/ironglass/rfb/jpeg"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/wire"
)

// JPEG (rfbproto 7.7, encoding 21) is a JPEG picture without a length: its end
// is the EOI marker. A picture may lack Huffman or quantisation tables, and
// then uses those of the pictures before it. Those made here are complete.
func init() {
	register(Encoding{
		Number: wire.EncodingJPEG, Name: "JPEG", Rank: 80, Lossy: true,
		Encode:     encodeJPEG,
		NewDecoder: func() Decoder { return new(jpegDecoder) },
	})
}

// jpegMaxPiece is the largest width and height of a piece.
const jpegMaxPiece = 1024

func encodeJPEG(out []Piece, src *pixel.Frame, r image.Rectangle, p Params) []Piece {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	if p.Quality < 0 {
		p.Quality = 100
	}
	for piece := range cells(r, jpegMaxPiece, jpegMaxPiece) {
		s.out = jpeg.Append(s.out[:0], src, piece, int(p.Quality), p.Subsampling)
		out = append(out, Piece{Rect: piece, Encoding: wire.EncodingJPEG, Data: bytes.Clone(s.out), Lossy: true})
	}
	return out
}

// jpegMaxScans is the most scans of a picture. Progressive ones have about
// ten; each takes the time of the whole picture, however few its bytes.
const jpegMaxScans = 100

// decodeJPEG paints a JPEG picture that must have the size of r.
func decodeJPEG(dst *pixel.Frame, r image.Rectangle, data []byte) error {
	if n := bytes.Count(data, []byte{0xff, jpegSOS}); n > jpegMaxScans {
		return fmt.Errorf("the picture has %d scans, more than the %d allowed", n, jpegMaxScans)
	}
	cfg, err := stdjpeg.DecodeConfig(bytes.NewReader(data))
	if err := sameSize(cfg, err, r); err != nil {
		return err
	}
	m, err := stdjpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return err
	}
	dst.Draw(r, m)
	return nil
}

// Markers (ITU-T T.81, table B.1), the second byte of two.
const (
	jpegTEM  = 0x01
	jpegDHT  = 0xc4
	jpegRST0 = 0xd0 // to RST7
	jpegRST7 = 0xd7
	jpegSOI  = 0xd8
	jpegEOI  = 0xd9
	jpegSOS  = 0xda
	jpegDQT  = 0xdb
)

// jpegTable says where a decoder keeps a table: DHT or DQT, and the number,
// for DHT with the class above it. What is kept there is the table with the
// byte that begins it in its segment.
type jpegTable struct{ marker, number byte }

// jpegDecoder keeps the tables from picture to picture.
type jpegDecoder struct {
	tables map[jpegTable][]byte
	own    map[jpegTable]bool // those that the present picture defined
	buf    []byte             // the present picture, made complete
}

// jpegLimit is the most bytes taken for a picture of that many pixels. A pixel
// has at most three components of some twenty bits, and comments and profiles
// may stand before them.
func jpegLimit(pixels int) int { return 1<<20 + 8*pixels }

// Decode reads one rectangle: segments up to the EOI marker.
func (d *jpegDecoder) Decode(rd *wire.Reader, dst *pixel.Frame, r image.Rectangle, _ pixel.PixelFormat) error {
	if d.tables == nil {
		d.tables, d.own = map[jpegTable][]byte{}, map[jpegTable]bool{}
	}
	clear(d.own)
	d.buf = d.buf[:0]
	if a, b := rd.U8("SOI marker"), rd.U8("SOI marker"); rd.Err() == nil && (a != 0xff || b != jpegSOI) {
		return rd.Failf("JPEG data begins with 0x%02x%02x, not with an SOI marker", a, b)
	}
	d.buf = append(d.buf, 0xff, jpegSOI)
	limit, marker := jpegLimit(r.Dx()*r.Dy()), byte(0)
	for marker != jpegEOI && rd.Err() == nil {
		if marker == 0 {
			marker = readMarker(rd)
		}
		marker = d.segment(rd, marker, limit)
	}
	if rd.Err() != nil {
		return rd.Err()
	}
	d.buf = append(d.buf, 0xff, jpegEOI)
	if err := decodeJPEG(dst, r, d.buf); err != nil {
		return rd.Failf("JPEG: %v", err)
	}
	return nil
}

// readMarker reads 0xff, which may be repeated, and the marker's second byte.
func readMarker(rd *wire.Reader) byte {
	if b := rd.U8("JPEG marker"); rd.Err() == nil && b != 0xff {
		_ = rd.Failf("JPEG data has 0x%02x where a marker must be", b)
	}
	for rd.Err() == nil {
		switch b := rd.U8("JPEG marker"); b {
		case 0xff:
		case 0:
			_ = rd.Failf("JPEG data has no marker where one must be")
		default:
			return b
		}
	}
	return 0
}

// segment reads what belongs to the marker and returns the marker after it
// where that was read too: EOI itself, or what ends a scan; otherwise 0.
func (d *jpegDecoder) segment(rd *wire.Reader, marker byte, limit int) byte {
	switch {
	case rd.Err() != nil:
		return 0
	case marker == jpegSOI:
		_ = rd.Failf("JPEG data begins anew before its end")
		return 0
	case marker == jpegEOI:
		return marker
	case marker == jpegTEM || marker >= jpegRST0 && marker <= jpegRST7:
		return 0 // without meaning here
	}
	n := int(rd.U16("length of a JPEG segment"))
	if n < 2 || len(d.buf)+n > limit {
		_ = rd.Failf("JPEG segment of %d bytes after %d, of at most %d allowed", n, len(d.buf), limit)
	}
	if rd.Err() != nil {
		return 0
	}
	if marker == jpegSOS {
		d.complete()
	}
	at := len(d.buf)
	d.buf = append(d.buf, 0xff, marker, byte(n>>8), byte(n))
	d.buf = slices.Grow(d.buf, n-2)[:at+2+n]
	body := d.buf[at+4:]
	rd.Bytes("JPEG segment", body)
	switch marker {
	case jpegDHT, jpegDQT:
		d.remember(rd, marker, body)
	case jpegSOS:
		return d.scan(rd, limit)
	}
	return 0
}

// scan reads compressed data up to a marker that does not belong to it, which
// it returns.
func (d *jpegDecoder) scan(rd *wire.Reader, limit int) byte {
	for rd.Err() == nil {
		b := rd.U8("JPEG scan")
		if b != 0xff {
			d.buf = append(d.buf, b)
		} else {
			for b == 0xff {
				b = rd.U8("JPEG scan")
			}
			if b != 0 && (b < jpegRST0 || b > jpegRST7) {
				return b
			}
			d.buf = append(d.buf, 0xff, b)
		}
		if len(d.buf) > limit {
			_ = rd.Failf("JPEG data has more than the %d bytes allowed", limit)
		}
	}
	return 0
}

// remember keeps the tables of a segment DHT or DQT (T.81, B.2.4.1 and
// B.2.4.2).
func (d *jpegDecoder) remember(rd *wire.Reader, marker byte, body []byte) {
	for len(body) > 0 && rd.Err() == nil {
		high, number := body[0]>>4, body[0]&0x0f
		key, n := jpegTable{marker, number}, 1
		if marker == jpegDQT {
			n += 64 << (high & 1) // values of eight or sixteen bits
		} else {
			key.number = body[0]
			n += 16
			for _, count := range body[1:min(n, len(body))] {
				n += int(count)
			}
		}
		if n > len(body) || number > 3 || high > 1 {
			_ = rd.Failf("JPEG table 0x%02x of %d bytes in a segment of %d", body[0], n, len(body))
			return
		}
		d.tables[key] = append(d.tables[key][:0], body[:n]...)
		d.own[key] = true
		body = body[n:]
	}
}

// complete appends the tables of earlier pictures that this one has not
// defined by now.
func (d *jpegDecoder) complete() {
	for key, table := range d.tables {
		if !d.own[key] {
			d.own[key] = true
			d.buf = append(d.buf, 0xff, key.marker)
			d.buf = binary.BigEndian.AppendUint16(d.buf, uint16(2+len(table)))
			d.buf = append(d.buf, table...)
		}
	}
}
