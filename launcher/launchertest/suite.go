// Package launchertest is the suite that every launcher.Launcher must pass.
// It runs real consoles.
package launchertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironglass/ironglass/launcher"
)

// Suite is a kind of launcher under test.
type Suite struct {
	// New opens a launcher on a place, which is a directory of the test's
	// own; what stands for the state that outlasts a service is derived from
	// it. Launchers on one place are opened one after the other only, and the
	// cleanup of t ends the launcher and the instances.
	New func(t *testing.T, place string) launcher.Launcher
	// Crashed starts a console on a place by a service that then ends without
	// a chance to clear up, and returns the console, which goes on running.
	Crashed func(t *testing.T, place string, spec launcher.Spec) launcher.Instance
	// Kill ends an instance from outside without warning.
	Kill func(t *testing.T, place string, i launcher.Instance)
	// Left returns what is still there of the consoles of a place, in words:
	// processes, files, containers. Nothing is nil.
	Left func(t *testing.T, place string) []string
	// Command shows something and stays. MissingCommand names a program that
	// does not exist.
	Command, MissingCommand []string
}

// patience is how long the suite waits for what must come; nothing hangs on
// how fast it comes.
const patience = 90 * time.Second

// Run runs the suite.
func (s Suite) Run(t *testing.T) {
	for _, tc := range []struct {
		name string
		run  func(*testing.T, run)
	}{
		{"Start", testStart},
		{"StartIsIdempotent", testIdempotent},
		{"StartsAreShared", testShared},
		{"NodesAreApart", testApart},
		{"Stop", testStop},
		{"StopCallsStartOff", testStopStarting},
		{"ContextCallsStartOff", testCancel},
		{"OneOfTwoGivesUp", testOneGivesUp},
		{"MissingCommand", testMissing},
		{"NothingToRun", testEmpty},
		{"KilledFromOutside", testKilled},
		{"AdoptsAfterCrash", testAdopt},
		{"ClearsUpAfterCrash", testClearsUp},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			r := run{Suite: s, place: t.TempDir(), ctx: ctx}
			// Registered first, so it looks after the launcher was ended.
			t.Cleanup(func() {
				for _, left := range s.Left(t, r.place) {
					t.Errorf("left behind: %s", left)
				}
			})
			tc.run(t, r)
		})
	}
}

// run is one test of the suite.
type run struct {
	Suite
	place string
	ctx   context.Context
}

func (r run) spec(node string) launcher.Spec {
	return launcher.Spec{Node: node, Command: r.Command, Width: 640, Height: 480}
}

// start starts a console that must come up.
func (r run) start(t *testing.T, l launcher.Launcher, node string) launcher.Instance {
	t.Helper()
	i, err := l.Start(r.ctx, r.spec(node), nil)
	if err != nil {
		t.Fatalf("start %s: %v", node, err)
	}
	r.answers(t, i)
	return i
}

// greeting reads the first bytes of an instance.
func (r run) greeting(i launcher.Instance) error {
	conn, err := i.Dial(r.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var b [12]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return err
	}
	if string(b[:]) != "RFB 003.008\n" {
		return fmt.Errorf("greeting %q", b)
	}
	return nil
}

func (r run) answers(t *testing.T, i launcher.Instance) {
	t.Helper()
	if err := r.greeting(i); err != nil {
		t.Fatalf("console of %s does not answer: %v", i.Node, err)
	}
}

// list returns the epochs by node.
func (r run) list(t *testing.T, l launcher.Launcher) map[string]string {
	t.Helper()
	all, err := l.List(r.ctx)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	m := make(map[string]string, len(all))
	for _, i := range all {
		if _, twice := m[i.Node]; twice {
			t.Fatalf("two instances of %s in %v", i.Node, all)
		}
		m[i.Node] = i.Epoch
	}
	return m
}

// empty fails unless nothing runs.
func (r run) empty(t *testing.T, l launcher.Launcher) {
	t.Helper()
	if m := r.list(t, l); len(m) != 0 {
		t.Fatalf("instances are left: %v", m)
	}
	for _, left := range r.Left(t, r.place) {
		t.Errorf("left behind: %s", left)
	}
}

// eventually waits until ok is true.
func (r run) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-r.ctx.Done():
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

func testStart(t *testing.T, r run) {
	l := r.New(t, r.place)
	var phases []string
	i, err := l.Start(r.ctx, r.spec("node-1"), func(p string) { phases = append(phases, p) })
	if err != nil {
		t.Fatal(err)
	}
	told := len(phases)
	r.answers(t, i)
	if i.Node != "node-1" || i.ID == "" || i.Epoch == "" {
		t.Errorf("the instance is %+v", i)
	}
	if told == 0 {
		t.Error("no phase was told")
	}
	for _, p := range phases {
		if p == "" {
			t.Errorf("an empty phase among %q", phases)
		}
	}
	if m := r.list(t, l); len(m) != 1 || m["node-1"] != i.Epoch {
		t.Errorf("list is %v, want node-1 with %s", m, i.Epoch)
	}
	if e, ok := l.(launcher.Explainer); ok {
		if why := e.Explain(r.ctx, i.ID); why != "" {
			t.Errorf("a console that runs is explained as %q", why)
		}
	}
}

func testIdempotent(t *testing.T, r run) {
	l := r.New(t, r.place)
	first := r.start(t, l, "node-1")
	if again := r.start(t, l, "node-1"); again != first {
		t.Errorf("the second start gave %+v, the first %+v", again, first)
	}
	if m := r.list(t, l); len(m) != 1 {
		t.Errorf("list is %v", m)
	}
}

func testShared(t *testing.T, r run) {
	l := r.New(t, r.place)
	const callers = 8
	got := make([]launcher.Instance, callers)
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() { got[n], errs[n] = l.Start(r.ctx, r.spec("node-1"), func(string) {}) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, i := range got[1:] {
		if i != got[0] {
			t.Errorf("callers got %+v and %+v", got[0], i)
		}
	}
}

func testApart(t *testing.T, r run) {
	l := r.New(t, r.place)
	// Names that a careless clean-up would make the same.
	nodes := []string{"rack-1", "rack.1", "Rack-1", "rack-1-a-name-longer-than-any-label-should-be-a", "rack-1-a-name-longer-than-any-label-should-be-b"}
	got := make([]launcher.Instance, len(nodes))
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for n, node := range nodes {
		wg.Go(func() { got[n], errs[n] = l.Start(r.ctx, r.spec(node), nil) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for n, i := range got {
		r.answers(t, i)
		if i.Node != nodes[n] || seen[i.ID] || seen[i.Epoch] || seen[i.Address] {
			t.Errorf("%s got %+v", nodes[n], i)
		}
		seen[i.ID], seen[i.Epoch], seen[i.Address] = true, true, true
	}
	if err := l.Stop(r.ctx, got[0].ID); err != nil {
		t.Fatal(err)
	}
	if m := r.list(t, l); len(m) != len(nodes)-1 || m[nodes[0]] != "" {
		t.Errorf("after the end of %s the list is %v", nodes[0], m)
	}
	r.answers(t, got[1])
}

func testStop(t *testing.T, r run) {
	l := r.New(t, r.place)
	first := r.start(t, l, "node-1")
	if err := l.Stop(r.ctx, first.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.greeting(first); err == nil {
		t.Error("a stopped console answers")
	}
	r.empty(t, l)
	for _, id := range []string{first.ID, "never-was"} {
		if err := l.Stop(r.ctx, id); err != nil {
			t.Errorf("stop of %s, which does not run: %v", id, err)
		}
	}
	second := r.start(t, l, "node-1")
	if second.ID != first.ID {
		t.Errorf("the ID of node-1 was %s and is %s", first.ID, second.ID)
	}
	if second.Epoch == first.Epoch {
		t.Errorf("both starts have the epoch %s", first.Epoch)
	}
}

func testStopStarting(t *testing.T, r run) {
	l := r.New(t, r.place)
	id := r.start(t, l, "node-1").ID
	if err := l.Stop(r.ctx, id); err != nil {
		t.Fatal(err)
	}
	under := make(chan struct{})
	over := make(chan error)
	var once sync.Once
	go func() {
		_, err := l.Start(r.ctx, r.spec("node-1"), func(string) { once.Do(func() { close(under) }) })
		over <- err
	}()
	<-under
	if err := l.Stop(r.ctx, id); err != nil {
		t.Fatal(err)
	}
	// A start that was just over when Stop came is a success, and stopped.
	if err := <-over; err != nil && r.ctx.Err() != nil {
		t.Fatal(err)
	}
	r.empty(t, l)
}

func testCancel(t *testing.T, r run) {
	l := r.New(t, r.place)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	_, err := l.Start(ctx, r.spec("node-1"), func(string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a start whose context was cancelled gave %v", err)
	}
	r.empty(t, l)
	if _, err := l.Start(ctx, r.spec("node-1"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a start with a context that had ended gave %v", err)
	}
	r.empty(t, l)
}

func testOneGivesUp(t *testing.T, r run) {
	l := r.New(t, r.place)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	under, over := make(chan struct{}), make(chan error)
	var once sync.Once
	go func() {
		_, err := l.Start(r.ctx, r.spec("node-1"), func(string) { once.Do(func() { close(under) }) })
		over <- err
	}()
	<-under
	if _, err := l.Start(ctx, r.spec("node-1"), func(string) { cancel() }); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the one that gave up got %v", err)
	}
	if err := <-over; err != nil {
		t.Errorf("the one that stayed got %v", err)
	}
	if m := r.list(t, l); len(m) != 1 {
		t.Errorf("list is %v", m)
	}
}

func testMissing(t *testing.T, r run) {
	l := r.New(t, r.place)
	spec := r.spec("node-1")
	spec.Command = r.MissingCommand
	_, err := l.Start(r.ctx, spec, nil)
	if err == nil {
		t.Fatal("a command that does not exist was started")
	}
	for _, word := range []string{"node-1", r.MissingCommand[0]} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not name %s", err, word)
		}
	}
	r.empty(t, l)
	r.start(t, l, "node-1") // the node is not spoilt
}

func testEmpty(t *testing.T, r run) {
	l := r.New(t, r.place)
	for _, spec := range []launcher.Spec{
		{},
		{Node: "node-1"},
		{Command: r.Command},
		{Node: "node-1", Command: r.Command, Width: -1, Height: 480},
		{Node: "node-1", Command: r.Command, Width: 640},
	} {
		if _, err := l.Start(r.ctx, spec, nil); err == nil {
			t.Errorf("%+v was started", spec)
		}
	}
	r.empty(t, l)
}

func testKilled(t *testing.T, r run) {
	l := r.New(t, r.place)
	first := r.start(t, l, "node-1")
	r.Kill(t, r.place, first)
	if e, ok := l.(launcher.Explainer); ok {
		r.eventually(t, "the end of a killed console is explained", func() bool {
			return e.Explain(r.ctx, first.ID) != ""
		})
	}
	r.eventually(t, "a killed console is no longer listed", func() bool { return len(r.list(t, l)) == 0 })
	second := r.start(t, l, "node-1")
	if second.Epoch == first.Epoch {
		t.Errorf("the console was killed and has the epoch %s still", first.Epoch)
	}
	// Without a pause in between: the launcher may not have noticed yet.
	r.Kill(t, r.place, second)
	if third := r.start(t, l, "node-1"); third.Epoch == second.Epoch {
		t.Errorf("the console was killed and has the epoch %s still", second.Epoch)
	}
}

func testAdopt(t *testing.T, r run) {
	left := r.Crashed(t, r.place, r.spec("node-1"))
	l := r.New(t, r.place)
	r.answers(t, left)
	if m := r.list(t, l); len(m) != 1 || m["node-1"] != left.Epoch {
		t.Fatalf("list is %v, want node-1 with %s", m, left.Epoch)
	}
	if i := r.start(t, l, "node-1"); i != left {
		t.Errorf("start gave %+v, the console that ran is %+v", i, left)
	}
	if err := l.Stop(r.ctx, left.ID); err != nil {
		t.Fatal(err)
	}
	r.empty(t, l)
	if i := r.start(t, l, "node-1"); i.Epoch == left.Epoch {
		t.Errorf("the epoch %s came again", i.Epoch)
	}
}

func testClearsUp(t *testing.T, r run) {
	left := r.Crashed(t, r.place, r.spec("node-1"))
	r.Kill(t, r.place, left)
	l := r.New(t, r.place)
	r.eventually(t, "a console that ended after the crash is no longer listed", func() bool { return len(r.list(t, l)) == 0 })
	r.empty(t, l)
	if i := r.start(t, l, "node-1"); i.Epoch == left.Epoch {
		t.Errorf("the epoch %s came again", i.Epoch)
	}
}
