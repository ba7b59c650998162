package pixel

import (
	"encoding/binary"
	"slices"
)

// AppendRow appends the pixels of row as they travel.
func (c *Converter) AppendRow(b []byte, row []uint32) []byte {
	n := len(b)
	b = slices.Grow(b, len(row)*c.size)[:n+len(row)*c.size]
	d := b[n:]
	switch c.size {
	case 4:
		c.put4(d, row)
	case 3:
		c.put3(d, row)
	case 2:
		t := &c.tables.out
		for len(row) > 0 && len(d) >= 2 {
			p := row[0]
			binary.LittleEndian.PutUint16(d, uint16(t[0][p>>16&0xff]|t[1][p>>8&0xff]|t[2][p&0xff]))
			row, d = row[1:], d[2:]
		}
	default:
		t := &c.tables.out
		for i, p := range row {
			d[i] = byte(t[0][p>>16&0xff] | t[1][p>>8&0xff] | t[2][p&0xff])
		}
	}
	return b
}

func (c *Converter) put4(d []byte, row []uint32) {
	if c.kind == kindSame && littleEndian {
		copy(d, bytesOf(row))
		return
	}
	if c.kind == kindSwap {
		for len(row) >= 2 && len(d) >= 8 {
			binary.LittleEndian.PutUint64(d, uint64(swapRB(row[0]))|uint64(swapRB(row[1]))<<32)
			row, d = row[2:], d[8:]
		}
	}
	for len(row) > 0 && len(d) >= 4 {
		binary.LittleEndian.PutUint32(d, c.word(row[0]))
		row, d = row[1:], d[4:]
	}
}

func (c *Converter) put3(d []byte, row []uint32) {
	// Four pixels are twelve bytes: three words instead of twelve bytes.
	for len(row) >= 4 && len(d) >= 12 {
		p, q, r, s := row[0], row[1], row[2], row[3]
		switch c.kind {
		case kindSame:
		case kindSwap:
			p, q, r, s = swapRB(p), swapRB(q), swapRB(r), swapRB(s)
		default:
			p, q, r, s = c.word(p)&Mask, c.word(q)&Mask, c.word(r)&Mask, c.word(s)&Mask
		}
		binary.LittleEndian.PutUint64(d, uint64(p)|uint64(q)<<24|uint64(r)<<48)
		binary.LittleEndian.PutUint32(d[8:], r>>16|s<<8)
		row, d = row[4:], d[12:]
	}
	for len(row) > 0 && len(d) >= 3 {
		w := c.word(row[0])
		d[0], d[1], d[2] = byte(w), byte(w>>8), byte(w>>16)
		row, d = row[1:], d[3:]
	}
}

// ReadRow is the inverse of AppendRow: it fills dst from the first
// len(dst)*Size() bytes of b, and panics where b is shorter. Pad bytes come
// out as zero.
func (c *Converter) ReadRow(dst []uint32, b []byte) {
	b = b[:len(dst)*c.size]
	switch c.size {
	case 4:
		c.get4(dst, b)
	case 3:
		c.get3(dst, b)
	case 2:
		for len(dst) > 0 && len(b) >= 2 {
			dst[0] = c.pixel(uint32(binary.LittleEndian.Uint16(b)))
			dst, b = dst[1:], b[2:]
		}
	default:
		for i, v := range b {
			dst[i] = c.pixel(uint32(v))
		}
	}
}

func (c *Converter) get4(dst []uint32, b []byte) {
	if c.kind == kindSame && littleEndian {
		d := bytesOf(dst)
		for len(d) >= 8 && len(b) >= 8 {
			store(d, 0, load(b, 0)&mask64)
			d, b = d[8:], b[8:]
		}
		if len(b) >= 4 {
			dst[len(dst)-1] = binary.LittleEndian.Uint32(b) & Mask
		}
		return
	}
	if c.kind == kindSwap {
		for len(dst) >= 2 && len(b) >= 8 {
			v := binary.LittleEndian.Uint64(b) & mask64
			dst[0], dst[1] = swapRB(uint32(v)), swapRB(uint32(v>>32))
			dst, b = dst[2:], b[8:]
		}
	}
	for len(dst) > 0 && len(b) >= 4 {
		dst[0] = c.pixel(binary.LittleEndian.Uint32(b))
		dst, b = dst[1:], b[4:]
	}
}

func (c *Converter) get3(dst []uint32, b []byte) {
	for len(dst) >= 4 && len(b) >= 12 {
		v, w := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint32(b[8:])
		p, q, r, s := uint32(v)&Mask, uint32(v>>24)&Mask, uint32(v>>48)|w<<16&Mask, w>>8
		switch c.kind {
		case kindSame:
		case kindSwap:
			p, q, r, s = swapRB(p), swapRB(q), swapRB(r), swapRB(s)
		default:
			p, q, r, s = c.pixel(p), c.pixel(q), c.pixel(r), c.pixel(s)
		}
		dst[0], dst[1], dst[2], dst[3] = p, q, r, s
		dst, b = dst[4:], b[12:]
	}
	for len(dst) > 0 && len(b) >= 3 {
		dst[0] = c.ReadPixel(b)
		dst, b = dst[1:], b[3:]
	}
}
