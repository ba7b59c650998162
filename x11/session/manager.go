package session

import (
	"context"

	"github.com/ironglass/ironglass/x11/kiosk"
)

// manage starts the management of our own X server's windows. Another X
// server's windows are its user's business.
func (l *life) manage(ctx context.Context) error {
	if l.xserver == nil {
		return nil
	}
	m, err := kiosk.Start(ctx, kiosk.Config{Display: l.name, Auth: l.auth, Log: l.log})
	if err != nil {
		return err
	}
	l.manager = m
	return nil
}

// unmanage ends it.
func (l *life) unmanage() {
	if l.manager != nil {
		_ = l.manager.Close() // the connection is given up in any case
		l.manager = nil
	}
}

// mapped has a token when a window was mapped.
func (l *life) mapped() <-chan struct{} {
	if l.manager == nil {
		return nil
	}
	return l.manager.Mapped()
}

// managerDone is closed when the windows are not managed any more.
func (l *life) managerDone() <-chan struct{} {
	if l.manager == nil {
		return nil
	}
	return l.manager.Done()
}

// manageAgain follows the loss of the manager's connection, which is the X
// server's end mostly: that is returned then.
func (l *life) manageAgain(ctx context.Context) error {
	if gone, err := l.serverEnds(ctx); gone {
		return err
	}
	l.log.Warn("the connection of the window manager was lost; making a new one")
	l.unmanage()
	return l.manage(ctx)
}
