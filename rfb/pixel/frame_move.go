package pixel

import (
	"image"
	"slices"
)

// Move copies the rectangle r's size of pixels at from to r inside one frame,
// as CopyRect does (rfbproto 7.7.2); source and destination may overlap. Both
// must lie inside the frame. Where that is less work, rows change places
// instead of pixels, so that Pix and the numbers of its rows mean nothing any
// more to others than this package.
func (f *Frame) Move(r image.Rectangle, from image.Point) {
	d := from.Sub(r.Min)
	if d.X == 0 && f.canTurn(r, d.Y) {
		f.turn(r, d.Y)
		return
	}
	step, y := 1, r.Min.Y
	if d.Y < 0 {
		step, y = -1, r.Max.Y-1
	}
	for range r.Dy() {
		copy(f.Row(y, r.Min.X, r.Max.X), f.Row(y+d.Y, r.Min.X+d.X, r.Max.X+d.X))
		y += step
	}
}

// leastTurned is how many rows are worth their new order.
const leastTurned = 32

// canTurn reports whether turn does r with less copying.
func (f *Frame) canTurn(r image.Rectangle, d int) bool {
	k := max(d, -d)
	return d != 0 && r.Dy() >= leastTurned && f.Stride >= f.Width &&
		k*r.Dx()+(r.Dy()+2*k)*(f.Width-r.Dx()) < r.Dy()*r.Dx()/2
}

// turn makes row y of r what row y+d was. All rows that r is moved from or to
// change places by d, those that fall out at one end coming in at the other;
// then what should not have moved is copied back: the columns beside r, and
// the rows that it was moved from and not to.
func (f *Frame) turn(r image.Rectangle, d int) {
	if f.order == nil {
		f.order = make([]int32, f.Height)
		for y := range f.order {
			f.order[y] = int32(y)
		}
	}
	// From here on i counts the n rows concerned from the end to which they go.
	k, n := max(d, -d), r.Dy()+max(d, -d)
	first, row := r.Min.Y, func(i int) int { return r.Min.Y + i }
	if d < 0 {
		first, row = r.Min.Y-k, func(i int) int { return r.Max.Y - 1 - i }
	}
	rotate(f.order[first:first+n], (d+n)%n)
	for _, x := range [...][2]int{{0, r.Min.X}, {r.Max.X, f.Width}} {
		f.turnBack(row, n, k, x[0], x[1])
	}
	for i := n - k; i < n; i++ {
		copy(f.Row(row(i), r.Min.X, r.Max.X), f.Row(row(i-k), r.Min.X, r.Max.X))
	}
}

// rotate brings the element at k to the beginning and those before it to the
// end.
func rotate(s []int32, k int) {
	slices.Reverse(s[:k])
	slices.Reverse(s[k:])
	slices.Reverse(s)
}

// turnBack moves the columns from x0 to x1 of n rows back by k.
func (f *Frame) turnBack(row func(i int) int, n, k, x0, x1 int) {
	if x0 == x1 {
		return
	}
	w := x1 - x0
	first := make([]uint32, 0, k*w)
	for i := n - k; i < n; i++ {
		first = append(first, f.Row(row(i), x0, x1)...)
	}
	for i := n - 1; i >= k; i-- {
		copy(f.Row(row(i), x0, x1), f.Row(row(i-k), x0, x1))
	}
	for i := range k {
		copy(f.Row(row(i), x0, x1), first[i*w:])
	}
}
