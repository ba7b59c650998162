package pixel

// Cursor is a pointer's shape. It must not change once handed over.
type Cursor struct {
	// Width and Height are in pixels; 0 by 0 is a hidden pointer.
	Width, Height int
	// HotX and HotY are the pixel that points.
	HotX, HotY int
	// Pix has Width*Height words 0xAARRGGBB, colour not multiplied by alpha.
	Pix []uint32
}
