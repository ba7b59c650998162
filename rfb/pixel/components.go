package pixel

// Components takes the pixels of a Converter's format apart, for filters that
// reckon with red, green and blue as they are on the wire.
type Components struct {
	// Max has the largest values of red, green and blue, each a power of two
	// less one.
	Max   [3]uint16
	conv  *Converter
	comps [3]component
}

// Components returns what takes c's pixels apart.
func (c *Converter) Components() Components {
	s := Components{conv: c, comps: c.format.components()}
	for i, comp := range s.comps {
		s.Max[i] = uint16(comp.max)
	}
	return s
}

// Split returns the components of the pixel that b begins with.
func (s *Components) Split(b []byte) [3]uint16 {
	var w uint32
	for i, v := range b[:s.conv.size] {
		w |= uint32(v) << (8 * i)
	}
	w = s.conv.unorder(w)
	var v [3]uint16
	for i, comp := range s.comps {
		v[i] = uint16(w >> comp.shift & comp.max)
	}
	return v
}

// Join returns the colour with these components, none over its maximum.
func (s *Components) Join(v [3]uint16) uint32 {
	var p uint32
	for i, comp := range s.comps {
		p |= comp.scale(uint32(v[i]))
	}
	return p
}
