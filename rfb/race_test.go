//go:build race

package rfb_test

const raceEnabled = true
