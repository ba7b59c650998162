package supervisor

import "runtime"

// oneProcessor makes the program compute on one processor at a time, and
// returns what lets it have all of them for a while (rfb.ServerConfig.Heavy).
//
// Most frames take less than a millisecond. With a second processor at hand
// the scheduler wakes a thread for nearly every message from one goroutine to
// another, which finds the work done when it has come: four of five wake-ups
// and a fifth of the processor time were these.
func oneProcessor() func(heavy bool) {
	all := runtime.GOMAXPROCS(1)
	return func(heavy bool) {
		if heavy {
			runtime.GOMAXPROCS(all)
		} else {
			runtime.GOMAXPROCS(1)
		}
	}
}
