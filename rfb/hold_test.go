package rfb_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
)

// What holds a server keeps its source running without a viewer.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := rfbtest.NewSource(16, 16)
		s := rfb.NewServer(src, rfb.ServerConfig{Linger: time.Second})
		first, second := s.Hold(), s.Hold()
		time.Sleep(time.Hour)
		first()
		time.Sleep(time.Hour)
		synctest.Wait()
		if !src.Running() || src.Runs() != 1 {
			t.Errorf("while held: running %v, run %d times", src.Running(), src.Runs())
		}
		second()
		time.Sleep(900 * time.Millisecond)
		synctest.Wait()
		if !src.Running() {
			t.Error("it does not linger")
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if src.Running() {
			t.Error("it runs for nobody")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		s.Hold()() // does nothing, and does not wait
	})
}

// What was sent is on its way once Flush returns, though the session ends then.
func TestFlush(t *testing.T) {
	src := rfbtest.NewSource(16, 16)
	server := rfb.NewServer(src, rfb.ServerConfig{})
	var serving sync.WaitGroup
	defer serving.Wait()
	defer server.Close() // never fails
	live := make(chan struct{}, 1)
	client := rfb.NewClient(rfb.ClientConfig{
		Dial: func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			serving.Go(func() { _ = server.Serve(context.Background(), far, rfb.ViewerConfig{}) })
			return near, nil
		},
		Live: func() { live <- struct{}{} },
	})
	if client.TakesKeycodes() {
		t.Error("a server that is not there takes scancodes")
	}
	client.Flush(t.Context()) // there is nothing to wait for
	front := rfb.NewServer(client, rfb.ServerConfig{})
	release := front.Hold()
	<-live
	if !client.TakesKeycodes() {
		t.Error("the server does not take scancodes")
	}
	var want []any
	for code := range uint32(50) {
		e := rfb.KeyEvent{Down: code%2 == 0, Keysym: 'a', Keycode: 1 + code/2}
		client.KeyEvent(e)
		want = append(want, e)
	}
	client.Flush(t.Context())
	release()
	_ = front.Close()
	ctx, cancel := context.WithTimeout(t.Context(), rfbtest.Patience)
	defer cancel()
	if got := src.Events(ctx, len(want)); !slices.Equal(got, want) {
		t.Errorf("came %v, want %v", got, want)
	}
}
