package integration

import (
	"encoding/base64"
	"errors"
	"strconv"
	"testing"
)

// recordScript keeps a copy of each state of the canvas that differs from the
// one before at some of a grid of points, up to a number, one per animation
// frame at most.
const recordScript = `(() => {
	const record = window.testRecord = {frames: [], stop: false};
	let last = "";
	const look = () => {
		const canvas = ` + canvasScript + `;
		const image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
		let hash = canvas.width + "x" + canvas.height + ":";
		for (let i = 0; i < image.data.length; i += 4 * 97) hash += String.fromCharCode(image.data[i], image.data[i + 1], image.data[i + 2]);
		if (hash !== last) {
			last = hash;
			record.frames.push(image);
			if (record.frames.length > 200) record.frames.splice(100, 1);
		}
		if (!record.stop) requestAnimationFrame(look);
	};
	look();
})()`

// record starts to keep what the canvas shows from now on.
func (p *tab) record(t testing.TB) {
	t.Helper()
	if _, err := evaluate[*int](p, recordScript+`, null`); err != nil {
		t.Fatalf("recording: %v", err)
	}
}

// recorded calls look with each kept state until it returns nil, and returns
// the last error otherwise.
func (p *tab) recorded(t testing.TB, look func(picture) error) error {
	t.Helper()
	count, err := evaluate[int](p, `window.testRecord.frames.length`)
	if err != nil {
		return err
	}
	err = errors.New("nothing was recorded")
	for i := range count {
		type answer struct {
			Width, Height int
			Data          string
		}
		got, failure := evaluate[answer](p, `((i) => {
			const image = window.testRecord.frames[i];
			let text = "";
			for (let i = 0; i < image.data.length; i += 0x8000)
				text += String.fromCharCode.apply(null, image.data.subarray(i, i + 0x8000));
			return {Width: image.width, Height: image.height, Data: btoa(text)};
		})(`+strconv.Itoa(i)+`)`)
		if failure != nil {
			return failure
		}
		data, failure := base64.StdEncoding.DecodeString(got.Data)
		if failure != nil {
			return failure
		}
		if err = look(fromRGBA(got.Width, got.Height, data)); err == nil {
			return nil
		}
	}
	return err
}
