package encoding

// mostFrequent returns the commonest of the numbers below n in index.
func mostFrequent(index []byte, n int) byte {
	var count [256]int
	for _, i := range index {
		count[i]++
	}
	best := 0
	for i, c := range count[:n] {
		if c > count[best] {
			best = i
		}
	}
	return byte(best)
}

// growRect finds the larger of the rectangles of one colour with the upper
// left corner (x, y) that grow along the row first and along the column first,
// and makes it background.
func growRect(index []byte, w, height, x, y int, back byte) (rw, rh int) {
	c := index[y*w+x]
	row := func(y, n int) bool {
		for _, i := range index[y*w+x : y*w+x+n] {
			if i != c {
				return false
			}
		}
		return true
	}
	column := func(x, n int) bool {
		for k := range n {
			if index[(y+k)*w+x] != c {
				return false
			}
		}
		return true
	}
	w1, h1 := 1, 1
	for x+w1 < w && index[y*w+x+w1] == c {
		w1++
	}
	for y+h1 < height && row(y+h1, w1) {
		h1++
	}
	w2, h2 := 1, 1
	for y+h2 < height && index[(y+h2)*w+x] == c {
		h2++
	}
	for x+w2 < w && column(x+w2, h2) {
		w2++
	}
	if w2*h2 > w1*h1 {
		w1, h1 = w2, h2
	}
	for k := range h1 {
		o := (y+k)*w + x
		for i := range index[o : o+w1] {
			index[o+i] = back
		}
	}
	return w1, h1
}
