package supervisor

import (
	"runtime"
	"testing"
)

func TestOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	heavy := oneProcessor()
	for i, want := range []int{1, 3, 1, 3, 1} {
		if i > 0 {
			heavy(i%2 == 1)
		}
		if n := runtime.GOMAXPROCS(0); n != want {
			t.Errorf("step %d: %d processors, want %d", i, n, want)
		}
	}
}
