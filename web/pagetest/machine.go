package pagetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
)

// Keys waits for n events at the machine and returns the keys among all that
// came, as keysyms in hexadecimal after a sign for down or up.
func (s *Service) Keys(t testing.TB, n int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out []string
	for _, e := range s.Machine.Events(ctx, n) {
		if k, ok := e.(rfb.KeyEvent); ok {
			out = append(out, fmt.Sprintf("%s%x", map[bool]string{true: "+", false: "-"}[k.Down], k.Keysym))
		}
	}
	return strings.Join(out, " ")
}

// LastEvent is what came to the machine last: a text for its clipboard, or the
// name of an action on its power, such as "reset".
func (s *Service) LastEvent() string {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what is there
	all := s.Machine.Events(ctx, 0)
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprint(all[len(all)-1])
}

// Copy has somebody copy a text at the machine.
func (s *Service) Copy(text string) {
	s.Machine.Desktop(func(d *rfb.Desktop) { d.CutText(text) })
}
