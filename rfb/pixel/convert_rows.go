package pixel

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// AppendRow appends the pixels of row as they travel.
func (c *Converter) AppendRow(b []byte, row []uint32) []byte {
	n := len(b)
	b = slices.Grow(b, len(row)*c.size)[:n+len(row)*c.size]
	d := b[n:]
	if c.kind == kindSame && c.size == 4 && littleEndian {
		copy(d, bytesOf(row))
		return b
	}
	done := c.vpack.pack(d, row, c.size)
	c.put(d[done*c.size:], row[done:])
	return b
}

// put writes row to d in plain Go.
func (c *Converter) put(d []byte, row []uint32) {
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
}

func (c *Converter) put4(d []byte, row []uint32) {
	switch c.kind {
	case kindSame:
		for len(row) > 0 && len(d) >= 4 {
			binary.LittleEndian.PutUint32(d, row[0])
			row, d = row[1:], d[4:]
		}
	case kindSwap:
		for len(row) >= 2 && len(d) >= 8 {
			binary.LittleEndian.PutUint64(d, uint64(swapRB(row[0]))|uint64(swapRB(row[1]))<<32)
			row, d = row[2:], d[8:]
		}
		if len(row) > 0 && len(d) >= 4 {
			binary.LittleEndian.PutUint32(d, swapRB(row[0]))
		}
	case kindShift:
		r, g, b := c.shift[0]&31, c.shift[1]&31, c.shift[2]&31
		for len(row) > 0 && len(d) >= 4 {
			p := row[0]
			binary.LittleEndian.PutUint32(d, p>>16&0xff<<r|p>>8&0xff<<g|p&0xff<<b)
			row, d = row[1:], d[4:]
		}
	default:
		t := &c.tables.out
		for len(row) > 0 && len(d) >= 4 {
			p := row[0]
			binary.LittleEndian.PutUint32(d, t[0][p>>16&0xff]|t[1][p>>8&0xff]|t[2][p&0xff])
			row, d = row[1:], d[4:]
		}
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
	done := c.vunpack.unpack(dst, b, c.size)
	c.get(dst[done:], b[done*c.size:])
}

// get fills dst from b in plain Go.
func (c *Converter) get(dst []uint32, b []byte) {
	switch c.size {
	case 4:
		c.get4(dst, b)
	case 3:
		c.get3(dst, b)
	default:
		c.getSmall(dst, b)
	}
}

// getSmall is get for pixels of one or two bytes.
func (c *Converter) getSmall(dst []uint32, b []byte) {
	t, r, g, l := c.tables, c.tables.comps[0], c.tables.comps[1], c.tables.comps[2]
	switch {
	case !t.few:
		for i := range dst {
			dst[i] = c.ReadPixel(b[i*c.size:])
		}
	case c.size == 1:
		for i, v := range b {
			v := uint32(v)
			dst[i] = t.in[0][uint8(v>>(r.shift&31)&r.max)] | t.in[1][uint8(v>>(g.shift&31)&g.max)] |
				t.in[2][uint8(v>>(l.shift&31)&l.max)]
		}
	default:
		turn := 0
		if c.format.BigEndian {
			turn = 8
		}
		for len(dst) > 0 && len(b) >= 2 {
			v := uint32(bits.RotateLeft16(binary.LittleEndian.Uint16(b), turn))
			dst[0] = t.in[0][uint8(v>>(r.shift&31)&r.max)] | t.in[1][uint8(v>>(g.shift&31)&g.max)] |
				t.in[2][uint8(v>>(l.shift&31)&l.max)]
			dst, b = dst[1:], b[2:]
		}
	}
}

func (c *Converter) get4(dst []uint32, b []byte) {
	switch c.kind {
	case kindSame:
		for len(dst) >= 2 && len(b) >= 8 {
			v := binary.LittleEndian.Uint64(b) & mask64
			dst[0], dst[1] = uint32(v), uint32(v>>32)
			dst, b = dst[2:], b[8:]
		}
	case kindSwap:
		for len(dst) >= 2 && len(b) >= 8 {
			v := binary.LittleEndian.Uint64(b) & mask64
			dst[0], dst[1] = swapRB(uint32(v)), swapRB(uint32(v>>32))
			dst, b = dst[2:], b[8:]
		}
	case kindShift:
		r, g, l := c.shift[0]&31, c.shift[1]&31, c.shift[2]&31
		for len(dst) > 0 && len(b) >= 4 {
			w := binary.LittleEndian.Uint32(b)
			dst[0] = w>>r&0xff<<16 | w>>g&0xff<<8 | w>>l&0xff
			dst, b = dst[1:], b[4:]
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
