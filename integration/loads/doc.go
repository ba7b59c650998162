// Package loads measures servers of X screens side by side: it starts one
// with an X program that draws a load, connects viewers that ask what noVNC
// asks, and says how many of the frames were seen, how old they were, and what
// it took in bytes, processor time and memory.
//
// A frame ends with a barcode of its number (Barcode). The program that draws
// (integration/xload) tells on the machine's monotonic clock when it gave each
// frame to the X server, and the first viewer notes when it had decoded the
// update that shows it; the difference is the frame's age. The age begins
// before the requests are written and ends after decoding, so it holds all
// that happens between, the viewer's own work included, which is the same for
// every server.
//
// Only the first viewer decodes. The others read and answer all that comes but
// pass over the pixels, as decoding for 20 viewers would leave the servers no
// processor; what they count is updates that touch the barcode.
package loads
