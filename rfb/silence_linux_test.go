package rfb_test

import (
	"net"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"golang.org/x/sys/unix"
)

// A viewer that knows no fences is there as long as its machine is: nothing is
// let go while that answers on TCP, all is when it is lost, and it is asked
// before that is called so.
func TestLostMachineLetsGo(t *testing.T) {
	src := rfbtest.NewSource(100, 100)
	h := serve(t, src, rfb.ServerConfig{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	h.wg.Go(func() { h.results <- h.Serve(t.Context(), theirs, rfb.ViewerConfig{}) })
	v, err := rfbtest.NewViewer(ours)
	if err != nil {
		t.Fatal(err)
	}
	await(t, v, src.Picture())
	hold(t, v)
	src.Events(t.Context(), 3)
	time.Sleep(2 * lostIn) // that nothing happens takes as long as it does
	if keys, buttons := held(src.Events(t.Context(), 3)); len(keys) != 2 || buttons != 1 {
		t.Fatalf("while the machine answers, the keys %v and the buttons %b are down", keys, buttons)
	}

	// From now on the viewer's machine drops all that comes for it.
	raw, err := ours.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := unix.SockFprog{Len: 1, Filter: &unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}}
	var filtered error
	if err := raw.Control(func(fd uintptr) {
		filtered = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &drop)
	}); err != nil || filtered != nil {
		t.Fatal(err, filtered)
	}
	lost := time.Now()
	if keys, buttons := held(src.Events(t.Context(), 6)); len(keys) != 0 || buttons != 0 {
		t.Errorf("the keys %v and the buttons %b are down still", keys, buttons)
	}
	t.Logf("let go after %v", time.Since(lost))
}
