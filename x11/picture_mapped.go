package x11

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ironglass/ironglass/rfb/pixel"
	"golang.org/x/sys/unix"
)

// mapped reads the framebuffer file of an Xvfb run with -fbdir: there the
// server's own pixels lie, so no request is made and nothing is copied. The
// file keeps its size and its stride when the screen is made smaller.
//
// The server draws while we look. A program's drawing may thus be seen half
// done; but the event that tells of it is sent after it was carried out, and
// then these pixels are looked at again.
type mapped struct {
	x      *Display
	mem    []byte
	all    raw // over mem, as large as the file
	screen raw // what the screen shows of it
}

// xwdHeader is what is needed of the header of an XWD file (XWDFile.h): 25
// big-endian words, the first being the size of the header with the name that
// follows the words; then come ncolors records of 12 bytes and the pixels.
type xwdHeader struct {
	HeaderSize, FileVersion, PixmapFormat, PixmapDepth, PixmapWidth, PixmapHeight uint32
	XOffset, ByteOrder, BitmapUnit, BitmapBitOrder, BitmapPad                     uint32
	BitsPerPixel, BytesPerLine                                                    uint32
	VisualClass, RedMask, GreenMask, BlueMask                                     uint32
	BitsPerRGB, ColormapEntries, NColors                                          uint32
	WindowWidth, WindowHeight, WindowX, WindowY, WindowBorder                     uint32
}

const (
	xwdHeaderSize  = 100 // of the words alone
	xwdFileVersion = 7
	xwdZPixmap     = 2
	xwdColourSize  = 12
)

// errXWD is wrapped where a file is not a framebuffer that can be mapped.
var errXWD = errors.New("not a framebuffer that can be mapped")

// parseXWD reads the header of a file of this size, whose pixels must have the
// format, and returns where they start and how they lie, with pix empty.
func parseXWD(r io.Reader, size int64, pixels *format) (offset int, f raw, err error) {
	var h xwdHeader
	if err := binary.Read(r, binary.BigEndian, &h); err != nil {
		return 0, f, fmt.Errorf("%w: reading its header: %w", errXWD, err)
	}
	switch {
	case h.FileVersion != xwdFileVersion || h.HeaderSize < xwdHeaderSize || h.HeaderSize > 1<<16:
		return 0, f, fmt.Errorf("%w: it is no XWD file of version 7", errXWD)
	case h.PixmapFormat != xwdZPixmap || h.XOffset != 0:
		return 0, f, fmt.Errorf("%w: its pixmap format is %d with offset %d, not ZPixmap without", errXWD, h.PixmapFormat, h.XOffset)
	case h.BitsPerPixel != uint32(8*pixels.size) || [3]uint32{h.RedMask, h.GreenMask, h.BlueMask} != pixels.masks:
		return 0, f, fmt.Errorf("%w: its pixels have %d bits and masks %06x %06x %06x, the screen's %d bits and %06x",
			errXWD, h.BitsPerPixel, h.RedMask, h.GreenMask, h.BlueMask, 8*pixels.size, pixels.masks)
	case h.ByteOrder != uint32(pixels.order):
		return 0, f, fmt.Errorf("%w: its byte order is not the X server's", errXWD)
	case h.PixmapWidth == 0 || h.PixmapHeight == 0 || h.PixmapWidth > 1<<15 || h.PixmapHeight > 1<<15:
		return 0, f, fmt.Errorf("%w: its size is %dx%d", errXWD, h.PixmapWidth, h.PixmapHeight)
	case h.BytesPerLine%4 != 0 || h.BytesPerLine < uint32(pixels.size)*h.PixmapWidth || h.BytesPerLine > 1<<20:
		return 0, f, fmt.Errorf("%w: a row of %d pixels has %d bytes", errXWD, h.PixmapWidth, h.BytesPerLine)
	case h.NColors > 1<<16 || h.HeaderSize%4 != 0:
		return 0, f, fmt.Errorf("%w: it has %d colours after a header of %d bytes", errXWD, h.NColors, h.HeaderSize)
	}
	offset = int(h.HeaderSize + h.NColors*xwdColourSize)
	f = raw{width: int(h.PixmapWidth), height: int(h.PixmapHeight), stride: int(h.BytesPerLine)}
	if need := int64(offset) + int64(h.BytesPerLine)*int64(h.PixmapHeight); need > size {
		return 0, f, fmt.Errorf("%w: it has %d bytes, %d fewer than its header says", errXWD, size, need-size)
	}
	return offset, f, nil
}

func openMapped(x *Display, width, height int) (reader, error) {
	m := &mapped{x: x}
	if err := m.remap(); err != nil {
		return nil, err
	}
	if err := m.fit(width, height); err != nil {
		m.close()
		return nil, err
	}
	if err := m.compare(); err != nil {
		m.close()
		return nil, err
	}
	if err := x.hideSprite(); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// remap maps the file as it is now.
func (m *mapped) remap() error {
	m.close()
	file, err := os.Open(m.x.cfg.Framebuffer)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	st, err := file.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%w: %s is not a regular file", errXWD, file.Name())
	}
	offset, f, err := parseXWD(file, st.Size(), m.x.format)
	if err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	mem, err := unix.Mmap(int(file.Fd()), 0, offset+f.stride*f.height, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("mapping %s: %w", file.Name(), err)
	}
	// A mapping starts on a page and the offset is a multiple of four.
	f.pix = mem[offset:]
	m.mem, m.all = mem, f
	return nil
}

// fit makes the view as large as the screen.
func (m *mapped) fit(width, height int) error {
	if width > m.all.width || height > m.all.height {
		return fmt.Errorf("%w: it has %dx%d pixels, fewer than the screen's %dx%d", errXWD, m.all.width, m.all.height, width, height)
	}
	m.screen = m.all
	m.screen.width, m.screen.height = width, height
	return nil
}

// compare sees that the file is really this display's: some rows must be what
// the server says they are. A few tries allow for drawing in between.
func (m *mapped) compare() error {
	const samples, tries = 8, 5
	p := newPlain(m.x, m.screen.width, m.screen.height)
	size := m.x.format.size
	for i := range samples {
		y := m.screen.height * i / samples
		for n := 0; ; n++ {
			if err := p.rows(y, y+1); err != nil {
				return err
			}
			w := p.all.width
			// The pointer's image is in the file until hideSprite.
			if m.x.format.differing(p.all.row(y, 0, w, size), m.screen.row(y, 0, w, size)) <= spriteSide {
				break
			}
			if n == tries {
				return fmt.Errorf("%w: %s does not hold what the screen shows; is it another display's?", errXWD, m.x.cfg.Framebuffer)
			}
		}
	}
	return nil
}

// spriteSide is the width of the largest pointer image that is put up with in
// a comparison, in pixels.
const spriteSide = 64

func (m *mapped) name() string { return "mapped framebuffer" }

func (m *mapped) resize(width, height int) error {
	if m.fit(width, height) == nil {
		return nil
	}
	if err := m.remap(); err != nil {
		return err
	}
	return m.fit(width, height)
}

func (m *mapped) view(*pixel.Region) (*raw, error) { return &m.screen, nil }

func (m *mapped) trim() { _ = unix.Madvise(m.mem, unix.MADV_DONTNEED) }

func (m *mapped) close() {
	if m.mem != nil {
		_ = unix.Munmap(m.mem)
		m.mem, m.all, m.screen = nil, raw{}, raw{}
	}
}
