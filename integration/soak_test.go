package integration

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/wire"
	"github.com/ironglass/ironglass/x11"
	"github.com/ironglass/ironglass/x11/session"
)

// How long TestSoak lasts and how often it kills: IRONGLASS_SOAK is a duration,
// IRONGLASS_SOAK_KILLS a number. `make soak` sets them.
const (
	soakTime  = 20 * time.Second
	soakKills = 3
)

// TestSoak: after all loads mixed, in random sizes, before viewers that come
// and go, while X server and client are killed at random, every viewer's
// picture is exact, and when it is over nothing is left.
func TestSoak(t *testing.T) {
	need(t, "Xvfb", "xrandr")
	long, kills := soakTime, soakKills
	if s := os.Getenv("IRONGLASS_SOAK"); s != "" {
		var err error
		if long, err = time.ParseDuration(s); err != nil {
			t.Fatalf("IRONGLASS_SOAK: %v", err)
		}
	}
	if s := os.Getenv("IRONGLASS_SOAK_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatalf("IRONGLASS_SOAK_KILLS: %v", err)
		}
	}
	leavesNothing(t)
	goroutines, files := goleak.IgnoreCurrent(), descriptors(t)
	k := newSoak(t)
	k.load(long, kills)
	if !t.Failed() {
		k.settle()
	}
	k.end()
	eventually(t, "all goroutines to be gone", func() error { return goleak.Find(goroutines) })
	eventually(t, "all descriptors to be closed", func() error {
		for fd, what := range descriptors(t) {
			if files[fd] != what {
				return fmt.Errorf("descriptor %s is %s", fd, what)
			}
		}
		return nil
	})
	if left := segments(t); len(left) > 0 {
		t.Errorf("shared memory is left: %q", left)
	}
	if left, err := os.ReadDir(k.dir); err != nil || len(left) > 0 {
		t.Errorf("%d files are left in the runtime folder, %v", len(left), err)
	}
	for lock, pid := range k.locks {
		if b, err := os.ReadFile(lock); err == nil && strings.TrimSpace(string(b)) == strconv.Itoa(pid) {
			t.Errorf("%s of a killed X server is left", lock)
		}
	}
}

// descriptors are this process's open files by number; those of the runtime,
// which stay, and of the look itself are left out.
func descriptors(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	open := make(map[string]string)
	for _, name := range names {
		what, err := os.Readlink(name)
		if err != nil || strings.HasSuffix(what, "/fd") || strings.HasPrefix(what, "anon_inode:[event") {
			continue
		}
		open[filepath.Base(name)] = what
	}
	return open
}

// segments are the lines of the table of System V shared memory of segments
// that this process made.
func segments(t *testing.T) (mine []string) {
	t.Helper()
	table, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		// key shmid perms size cpid ...
		if f := strings.Fields(line); len(f) > 4 && f[4] == strconv.Itoa(os.Getpid()) {
			mine = append(mine, line)
		}
	}
	return mine
}

// soak is a session under load. It belongs to the test's goroutine.
type soak struct {
	t        *testing.T
	rnd      *rand.Rand
	node     *node
	dir      string // the session's files
	session  *session.Session
	log      *logBuffer
	cancel   context.CancelFunc
	result   chan error
	listener net.Listener
	serving  sync.WaitGroup
	viewers  [5]*soakViewer
	locks    map[string]int // the X servers' lock files, and their processes

	acts, came, sizes, killed int
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	k := &soak{
		t: t, node: pictureNode(t, "soak", "", "-hide-cursor"), dir: shortDir(t), log: &logBuffer{},
		rnd: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)), result: make(chan error, 1), locks: make(map[string]int),
	}
	var err error
	k.session, err = session.New(session.Config{
		Name: "soak", Width: 800, Height: 600, Command: k.node.command, RuntimeDir: k.dir,
		Log: slog.New(slog.NewTextHandler(k.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	var ctx context.Context
	ctx, k.cancel = context.WithCancel(context.Background())
	go func() { k.result <- k.session.Run(ctx) }()
	if k.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	k.serving.Go(k.accept)
	k.node.shown(t)
	return k
}

// accept serves viewers until the listener is closed.
func (k *soak) accept() {
	for {
		conn, err := k.listener.Accept()
		if err != nil {
			return
		}
		k.serving.Go(func() { _ = k.session.Server().Serve(context.Background(), conn, rfb.ViewerConfig{}) })
	}
}

// end ends all of it.
func (k *soak) end() {
	for i := range k.viewers {
		k.leave(i)
	}
	k.cancel()
	select {
	case err := <-k.result:
		if !errors.Is(err, context.Canceled) {
			k.t.Errorf("the session ended with %v", err)
		}
	case <-time.After(patience):
		k.t.Error("the session does not end")
	}
	_ = k.listener.Close()
	k.serving.Wait()
	k.t.Logf("%d loads, %d sizes, %d viewers, %d kills; %+v", k.acts, k.sizes, k.came, k.killed, k.session.Stats())
	if k.t.Failed() {
		k.t.Logf("the session's log:\n%s", k.log)
	}
}

// soakViewer is one viewer: a Client, or a second look at the X display itself
// through shared memory, which ends with the X server.
type soakViewer struct {
	server  *rfb.Server
	client  *rfb.Client
	display *x11.Display
}

// come connects a viewer in place i.
func (k *soak) come(i int) {
	k.came++
	if i == 0 {
		at, err := k.node.place()
		if err != nil {
			k.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(k.t.Context(), patience)
		defer cancel()
		d, err := x11.Open(ctx, x11.Config{Display: at.name, Auth: at.authority})
		if err != nil {
			return // it was killed just now
		}
		k.viewers[i] = &soakViewer{display: d, server: rfb.NewServer(d, rfb.ServerConfig{Linger: -1})}
		k.start(i)
		return
	}
	var list []wire.Encoding // each viewer has its own
	if rows := encoding.All(); k.rnd.IntN(2) == 0 {
		if row := rows[k.rnd.IntN(len(rows))]; !row.Lossy && row.Encode != nil {
			list = []wire.Encoding{wire.EncodingCopyRect, row.Number}
		}
	}
	client := rfb.NewClient(rfb.ClientConfig{Encodings: list, Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", k.listener.Addr().String())
	}})
	k.viewers[i] = &soakViewer{client: client, server: rfb.NewServer(client, rfb.ServerConfig{
		Linger: -1,
		SourceEnded: func(_ rfb.Source, err error) rfb.Source {
			k.t.Errorf("viewer %d lost its connection: %v", i, err)
			return nil
		},
	})}
	k.start(i)
}

// start has viewer i look.
func (k *soak) start(i int) {
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	if _, err := k.viewers[i].server.Snapshot(ctx); err != nil && k.viewers[i].display == nil {
		k.t.Errorf("viewer %d saw nothing: %v", i, err)
	}
}

// leave disconnects the viewer in place i, if one is there.
func (k *soak) leave(i int) {
	v := k.viewers[i]
	if v == nil {
		return
	}
	_ = v.server.Close()
	if v.display != nil {
		_ = v.display.Close()
	}
	k.viewers[i] = nil
}

// load mixes everything for so long.
func (k *soak) load(long time.Duration, kills int) {
	start := time.Now()
	// One kill in each stretch of the time, the last stretch without.
	stretch := long / time.Duration(kills+1)
	next := start.Add(time.Duration(k.rnd.Int64N(int64(stretch))))
	for now := start; now.Sub(start) < long && !k.t.Failed(); now = time.Now() {
		switch k.rnd.IntN(12) {
		case 0:
			k.resize()
		case 1, 2:
			i := k.rnd.IntN(len(k.viewers))
			if k.viewers[i] != nil {
				k.leave(i)
			} else {
				k.come(i)
			}
		case 3:
			time.Sleep(time.Duration(k.rnd.IntN(600)) * time.Millisecond) // nothing happens
		default:
			k.act()
		}
		if k.killed < kills && time.Now().After(next) && k.kill() {
			next = start.Add(time.Duration(k.killed)*stretch + time.Duration(k.rnd.Int64N(int64(stretch))))
		}
		time.Sleep(time.Duration(k.rnd.IntN(80)) * time.Millisecond)
	}
	if k.killed < kills && !k.t.Failed() {
		k.t.Errorf("only %d were killed", k.killed)
	}
}

// act tells the picture to do something, and does not wait for it.
func (k *soak) act() {
	k.acts++
	command := [...]string{"draw", "golden", "scroll", "scroll", "bustle", "bustle"}[k.rnd.IntN(6)]
	_ = k.send(fmt.Sprintf("%s %d", command, 1+k.rnd.IntN(60))) // it may have been killed just now
}

func (k *soak) send(command string) error {
	at, err := k.node.place()
	if err != nil {
		return err
	}
	out, err := at.command(k.t, built.xclient, append([]string{"send"}, strings.Fields(command)...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// resize has a viewer or an X program ask for a size. It may be refused, as
// the X server may be gone.
func (k *soak) resize() {
	k.sizes++
	size := image.Pt(200+k.rnd.IntN(900), 150+k.rnd.IntN(700))
	ctx, cancel := context.WithTimeout(k.t.Context(), patience)
	defer cancel()
	switch v := k.viewers[k.rnd.IntN(len(k.viewers))]; {
	case v == nil:
		k.sizes--
	case v.client != nil:
		_ = v.client.SetDesktopSize(ctx, size.X, size.Y, nil)
	case v.display != nil:
		_ = v.display.SetDesktopSize(ctx, size.X, size.Y, nil)
	}
}

// kill ends the X server or the client, where either is there.
func (k *soak) kill() bool {
	var there []process
	for _, p := range descendants(k.t, os.Getpid()) {
		if p.zombie {
			continue
		}
		if p.is("Xvfb") || p.is("xclient") && strings.Contains(p.String(), " picture ") {
			there = append(there, p)
		}
	}
	if len(there) == 0 {
		return false
	}
	p := there[k.rnd.IntN(len(there))]
	if at, err := k.node.place(); err == nil && p.is("Xvfb") {
		k.locks["/tmp/.X"+strings.TrimPrefix(at.name, ":")+"-lock"] = p.pid
	}
	if err := unix.Kill(p.pid, unix.SIGKILL); err != nil {
		return false // it has ended of itself
	}
	k.killed++
	return true
}

// settle brings the picture to rest and compares what each viewer sees.
func (k *soak) settle() {
	k.t.Helper()
	eventually(k.t, "the session to be as it was", func() error {
		before, err := k.node.said("done draw 7")
		if err != nil {
			return err
		}
		if err := k.send("draw 7"); err != nil {
			return err
		}
		for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if now, err := k.node.said("done draw 7"); err != nil || now > before {
				return err
			}
		}
		return errors.New("the picture does not answer")
	})
	k.leave(0) // its X server may have gone
	for i, v := range k.viewers {
		if v == nil {
			k.come(i)
		}
	}
	for i, v := range k.viewers {
		eventually(k.t, fmt.Sprintf("the picture of viewer %d", i), func() error {
			if v == nil {
				return errors.New("it could not come")
			}
			want, err := k.node.display(k.t).grab(k.t)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(k.t.Context(), patience)
			defer cancel()
			got, err := v.server.Snapshot(ctx)
			if err != nil {
				return err
			}
			return differs(fromFrame(got), want)
		})
	}
}
