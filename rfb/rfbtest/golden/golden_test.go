package golden

import (
	"testing"

	"github.com/ironglass/ironglass/rfb/pixel"
)

func TestPicturesAreTheSameEveryTime(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {3, 70}, {70, 3}, {640, 480}} {
		a, b := All(size[0], size[1]), All(size[0], size[1])
		for i := range a {
			if a[i].Frame.Width != size[0] || a[i].Frame.Height != size[1] || !a[i].Frame.Equal(b[i].Frame) {
				t.Errorf("%s of %v differs from itself", a[i].Name, size)
			}
			for _, p := range a[i].Frame.Pix {
				if p&^pixel.Mask != 0 {
					t.Fatalf("%s of %v has pad bytes set", a[i].Name, size)
				}
			}
		}
	}
	if Noise(9, 9, 1).Equal(Noise(9, 9, 2)) || !Noise(9, 9, 1).Equal(Noise(9, 9, 1)) {
		t.Error("noise does not follow its seed")
	}
}

// Each picture must be of the kind that it is there for.
func TestPicturesAreOfTheirKind(t *testing.T) {
	colours := map[string]int{}
	for _, p := range All(640, 480) {
		seen := map[uint32]bool{}
		for _, c := range p.Frame.Pix {
			seen[c] = true
		}
		colours[p.Name] = len(seen)
	}
	if n := colours["text"]; n < 3 || n > 4 {
		t.Errorf("the text console has %d colours", n)
	}
	if n := colours["bios"]; n < 4 || n > 8 {
		t.Errorf("the BIOS has %d colours", n)
	}
	if colours["desktop"] < 1000 || colours["photo"] < 50000 {
		t.Errorf("too few colours: %v", colours)
	}
}
