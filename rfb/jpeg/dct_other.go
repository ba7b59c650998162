package jpeg

// accelerated says whether the machine's own instructions are used.
const accelerated = false

func convert(pairs *[3]pair, src []uint32, stride int, s Subsampling, _ bool) {
	goConvert(pairs, src, stride, s)
}

func transform(p *pair, q *quantiser, _ bool) { goTransform(p, q) }
