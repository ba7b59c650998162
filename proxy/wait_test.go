package proxy_test

import (
	"image"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/proxy"
)

// waited is the answer to a call that waits.
type waited struct {
	Met     bool
	Seconds float64 `json:"waited_seconds"`
}

// TestWait: a call is answered when the node's picture changes or has been
// still, which starts the console, and in time where it comes to neither.
func TestWait(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	const path = "/v1/nodes/n/console/wait"
	var got waited
	s.call("GET", path+"?still=300ms&timeout=60s", "", http.StatusOK, &got)
	if !got.Met || got.Seconds < 0.3 {
		t.Errorf("a still picture: %+v", got)
	}
	if st := s.svc.Console("n").Status(); st.State != proxy.Live || st.Viewers != 0 {
		t.Errorf("the console is %+v", st)
	}
	s.call("GET", path+"?change=true&timeout=300ms", "", http.StatusOK, &got)
	if got.Met || got.Seconds < 0.3 {
		t.Errorf("nothing changed: %+v", got)
	}

	over := make(chan struct{})
	go func() {
		defer close(over)
		s.call("GET", path+"?change=true&timeout=60s", "", http.StatusOK, &got)
	}()
	tick := time.NewTicker(20 * time.Millisecond) // when the call waits is not told
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-over:
		case <-tick.C:
			m.Fill(image.Rect(0, 0, 5, 5), uint32(n))
			continue
		}
		break
	}
	if !got.Met {
		t.Errorf("the picture changed: %+v", got)
	}

	stop, drawn := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(drawn)
		for n := range uint32(1 << 20) {
			select {
			case <-tick.C:
				m.Fill(image.Rect(0, 0, 5, 5), n)
			case <-stop:
				return
			}
		}
	}()
	s.call("GET", path+"?still=20s&timeout=500ms", "", http.StatusOK, &got)
	close(stop)
	<-drawn
	if got.Met {
		t.Errorf("a picture that changes: %+v", got)
	}
}

func TestWaitRefusals(t *testing.T) {
	s := start(t, nil, proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	for _, query := range []string{"", "?change=true&still=1s", "?change=maybe", "?still=0s", "?still=11m", "?change=true&timeout=-1s", "?change=true&timeout=1h"} {
		wantProblem(t, s.request("GET", "/v1/nodes/n/console/wait"+query, "", nil), http.StatusBadRequest, "parameter")
	}
	if err := s.svc.Console("n").Disable("for a while"); err != nil {
		t.Fatal(err)
	}
	p := wantProblem(t, s.request("GET", "/v1/nodes/n/console/wait?change=true", "", nil), http.StatusServiceUnavailable, "disabled")
	if !strings.Contains(p.Detail, "for a while") {
		t.Errorf("the reason is %q", p.Detail)
	}
}

// TestWaitEndsWithItsConsole: who waits learns that the console was stopped.
func TestWaitEndsWithItsConsole(t *testing.T) {
	s := start(t, nil, proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	answer := make(chan *reply)
	go func() { answer <- s.request("GET", "/v1/nodes/n/console/wait?change=true&timeout=60s", "", nil) }()
	s.awaitState("n", proxy.Live)
	if err := s.svc.Console("n").Disable("it was switched off"); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, <-answer, http.StatusServiceUnavailable, "disabled")
}
