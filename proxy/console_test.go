package proxy_test

import (
	"errors"
	"image"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// operator makes v ask for the encodings that viewers commonly have.
func operator(t *testing.T, v *rfbtest.Viewer) *rfbtest.Viewer {
	t.Helper()
	err := v.Send(wire.SetEncodings{Encodings: []wire.Encoding{
		wire.EncodingRaw, wire.PseudoExtendedDesktopSize, wire.PseudoCursor,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Request(false); err != nil {
		t.Fatal(err)
	}
	return v
}

func await(t *testing.T, v *rfbtest.Viewer, m *machine) {
	t.Helper()
	if err := v.Await(m.Picture()); err != nil {
		t.Fatal(err)
	}
}

func TestPictureAndInput(t *testing.T) {
	m := newMachine(t, 320, 240)
	s := start(t, nil, proxy.Node{Name: "rack1-u12", Backend: m})
	v := operator(t, s.view(s.token("rack1-u12", token.Operate)))
	await(t, v, m)
	if st := s.svc.Console("rack1-u12").Status(); st.State != proxy.Live || st.Width != 320 || st.Height != 240 || st.Viewers != 1 {
		t.Errorf("status %+v", st)
	}
	m.Fill(image.Rect(10, 20, 90, 70), 0x123456)
	await(t, v, m)

	looker := operator(t, s.view(s.token("rack1-u12", token.View)))
	await(t, looker, m)
	// What the looker types goes nowhere, and is handled before its picture
	// changes again, which is before the operator types.
	if err := looker.Send(wire.KeyEvent{Down: true, Keysym: 'x'}); err != nil {
		t.Fatal(err)
	}
	if err := looker.Request(false); err != nil {
		t.Fatal(err)
	}
	if err := looker.ReadUpdate(); err != nil {
		t.Fatal(err)
	}
	for _, down := range []bool{true, false} {
		if err := v.Send(wire.KeyEvent{Down: down, Keysym: 'a'}); err != nil {
			t.Fatal(err)
		}
	}
	events := m.Events(patience(t), 2)
	if len(events) != 2 || events[0] != (rfb.KeyEvent{Down: true, Keysym: 'a'}) || events[1] != (rfb.KeyEvent{Keysym: 'a'}) {
		t.Errorf("the machine received %v", events)
	}
}

func TestManyViewersOneSession(t *testing.T) {
	m := newMachine(t, 200, 100)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	var viewers []*rfbtest.Viewer
	for range 3 {
		v := operator(t, s.view(s.token("n", token.Operate)))
		await(t, v, m)
		viewers = append(viewers, v)
	}
	s.awaitViewers("n", 3)
	m.Fill(image.Rect(0, 0, 50, 50), 0xff0000)
	for _, v := range viewers {
		await(t, v, m)
	}
	if starts, _, accepted := m.counts(); starts != 1 || accepted != 1 {
		t.Errorf("%d starts and %d sessions with the node, not one of each", starts, accepted)
	}
	// One leaves; the others do not notice.
	if err := viewers[0].Conn.Close(); err != nil {
		t.Fatal(err)
	}
	s.awaitViewers("n", 2)
	m.Fill(image.Rect(50, 0, 60, 50), 0x00ff00)
	await(t, viewers[1], m)
	await(t, viewers[2], m)
}

func TestAStartIsPaintedAtOnce(t *testing.T) {
	m := newMachine(t, 320, 240)
	m.gate = make(chan struct{})
	s := start(t, nil, proxy.Node{Name: "n", Backend: m, Width: 320, Height: 240})
	v := operator(t, s.view(s.token("n", token.View)))
	// The start does not go on before the notice was seen.
	if err := v.ReadUpdate(); err != nil {
		t.Fatal(err)
	}
	blank := rfbtest.NewSource(320, 240).Picture()
	for v.Frame.Equal(blank) {
		if err := v.Request(true); err != nil {
			t.Fatal(err)
		}
		if err := v.ReadUpdate(); err != nil {
			t.Fatal(err)
		}
	}
	st, err := s.svc.Console("n").Await(patience(t), func(st proxy.Status) bool { return st.Reason == "warming up" })
	if err != nil || st.State != proxy.Starting || st.Width != 0 {
		t.Errorf("status %+v, %v", st, err)
	}
	close(m.gate)
	await(t, v, m)
}

func TestALossIsPaintedAndMends(t *testing.T) {
	m := newMachine(t, 320, 240)
	m.last = "the X server ended: out of memory"
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	v := operator(t, s.view(s.token("n", token.Operate)))
	await(t, v, m)
	before := v.Frame.Clone()

	m.set(func(m *machine) { m.gate = make(chan struct{}) })
	m.kill()
	st, err := s.svc.Console("n").Await(patience(t), func(st proxy.Status) bool {
		return st.State == proxy.Lost && strings.Contains(st.Reason, "out of memory")
	})
	if err != nil || st.RetryAt.IsZero() {
		t.Fatalf("status %+v, %v", st, err)
	}
	// The viewer stays, and sees something else than the last picture.
	for v.Frame.Equal(before) {
		if err := v.Request(true); err != nil {
			t.Fatal(err)
		}
		if err := v.ReadUpdate(); err != nil {
			t.Fatal(err)
		}
	}
	if v.Frame.Width != 320 || v.Frame.Height != 240 {
		t.Errorf("the notice has %dx%d pixels", v.Frame.Width, v.Frame.Height)
	}
	s.awaitState("n", proxy.Starting)
	m.Fill(image.Rect(0, 0, 100, 100), 0x00ffff)
	m.set(func(m *machine) { close(m.gate); m.gate = nil })
	await(t, v, m)
	s.awaitState("n", proxy.Live)
	if err := v.Send(wire.KeyEvent{Down: true, Keysym: 'z'}); err != nil {
		t.Fatal(err)
	}
	if e := m.Events(patience(t), 1); len(e) == 0 || e[0] != (rfb.KeyEvent{Down: true, Keysym: 'z'}) {
		t.Errorf("after the loss the machine received %v", e)
	}
}

func TestAFailureIsToldAndTriedAgain(t *testing.T) {
	m := newMachine(t, 320, 240)
	m.startErr = errors.New("the program xterm was not found: install it with apt-get install xterm")
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	v := operator(t, s.view(s.token("n", token.Operate)))
	st := s.awaitState("n", proxy.Failed)
	if st.Reason != m.startErr.Error() || st.RetryAt.IsZero() || !st.RetryAt.After(st.Since) {
		t.Errorf("status %+v", st)
	}
	m.set(func(m *machine) { m.startErr = nil })
	await(t, v, m)
}

func TestARefusedConnectionIsAFailure(t *testing.T) {
	m := newMachine(t, 320, 240)
	s := start(t, nil, proxy.Node{Name: "n", Backend: &unreachable{m}})
	operator(t, s.view(s.token("n", token.Operate)))
	if st := s.awaitState("n", proxy.Failed); !strings.Contains(st.Reason, "rfb.sock") {
		t.Errorf("the reason %q does not name what could not be reached", st.Reason)
	}
}

func TestDisable(t *testing.T) {
	m, other := newMachine(t, 320, 240), newMachine(t, 320, 240)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m}, proxy.Node{Name: "other", Backend: other})
	old := s.token("n", token.Operate)
	v := operator(t, s.view(old))
	await(t, v, m)
	w := operator(t, s.view(s.token("other", token.Operate)))
	await(t, w, other)
	before := v.Frame.Clone()

	s.call("PUT", "/v1/nodes/n/states/console", `{"enabled":false}`, 202, nil)
	// The token has ended when the answer is there.
	_, resp := s.dial("/websockify?token="+old, nil)
	if resp == nil {
		t.Fatal("the old token opens the console")
	}
	wantProblem(t, resp, 403, "token-revoked")
	wantProblem(t, s.request("POST", "/v1/nodes/n/console/tokens", "{}", nil), 409, "disabled")

	// The viewer is shown why, and then disconnected with a reason.
	var err error
	painted := false
	for err == nil {
		if err = v.Request(true); err == nil {
			err = v.ReadUpdate()
		}
		painted = painted || !v.Frame.Equal(before)
	}
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != 4001 || !strings.Contains(closed.Text, "stopped") {
		t.Errorf("the session ended with %v, not close code 4001 and a reason", err)
	}
	if !painted {
		t.Error("nothing was painted before the end")
	}
	s.awaitState("n", proxy.Cold)
	other.Fill(image.Rect(0, 0, 10, 10), 0xabcdef)
	await(t, w, other) // the other node goes on

	s.call("PUT", "/v1/nodes/n/states/console", `{"enabled":true}`, 202, nil)
	_, resp = s.dial("/websockify?token="+old, nil)
	wantProblem(t, resp, 403, "token-revoked")
	v = operator(t, s.view(s.token("n", token.Operate)))
	await(t, v, m)
	if starts, stops, _ := m.counts(); starts != 2 || stops != 1 {
		t.Errorf("%d starts and %d stops", starts, stops)
	}
	if _, stops, _ := other.counts(); stops != 0 {
		t.Error("the other node was stopped")
	}
}

func TestCloseTellsTheViewers(t *testing.T) {
	m := newMachine(t, 320, 240)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	tok := s.token("n", token.Operate)
	v := operator(t, s.view(tok))
	await(t, v, m)
	done := make(chan error, 1)
	go func() { done <- s.svc.Close(patience(t)) }()
	var err error
	for err == nil {
		if err = v.Request(true); err == nil {
			err = v.ReadUpdate()
		}
	}
	if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the session ended with %v, not 1001", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, stops, _ := m.counts(); stops != 0 {
		t.Error("what the backend runs was stopped")
	}
	wantProblem(t, s.request("GET", "/readyz", "", nil), 503, "closing")
	_, resp := s.dial("/websockify?token="+tok, nil)
	wantProblem(t, resp, 503, "closing")
}
