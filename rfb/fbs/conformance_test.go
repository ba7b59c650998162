package fbs_test

import (
	"testing"
	"testing/synctest"

	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
)

// A player conforms in what it can: it ends at the recording's last picture,
// and nothing can be done to that.
func TestPlayerConforms(t *testing.T) {
	var r taken
	synctest.Test(t, func(t *testing.T) { r = take(t, fbs.RecorderConfig{}, scenes()...) })
	rfbtest.TestSource(t, func(*testing.T) *rfbtest.Subject {
		return &rfbtest.Subject{
			Source: fbs.NewPlayer(fbs.PlayerConfig{Recording: fbs.Stream(reopen(r.data)), Speed: -1}),
			Truth:  func() *pixel.Frame { return r.pictures[len(r.pictures)-1] },
		}
	})
}
