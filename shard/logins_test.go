package shard

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
)

// A CONNECT whose login takes too long is logged with whatever stands in the read buffer now.
func TestLoginTimeoutNamesAnotherClient(t *testing.T) {
	r := &rules{users: map[string]string{"u": "pw"}, slow: true, entered: make(chan struct{}, 9), release: make(chan struct{})}
	w := newGuarded(t, 1, r, func(c *config.Config, _ *config.Listener) { c.ConnectTimeout = time.Second })
	defer close(r.release)
	a := w.dial()
	a.connect("victim-aaaaaaaaaaaaaaaa", as("u"))
	w.settle()
	b := w.dial() // only half of its CONNECT: a password, say
	c := codec.Connect{Version: codec.V5, ClientID: "bbbb", HasUserName: true, UserName: "bob", HasPassword: true, Password: []byte("secret-of-bob")}
	w.pass(900 * time.Millisecond)
	raw := c.Append(nil, codec.V5)
	b.sock.Write(raw[:len(raw)-1])
	w.pass(400 * time.Millisecond)
	for _, line := range w.log.lines {
		if strings.Contains(line, "too many clients") && !strings.Contains(line, "Client victim-aaaaaaaaaaaaaaaa ") {
			t.Errorf("%q", line)
		}
	}
}

type counting struct {
	rules
	n       atomic.Int64
	entered chan struct{}
	gate    chan struct{}
}

func (c *counting) Login(x *auth.Client) (bool, string) {
	if c.n.Add(1) == 1 {
		close(c.entered)
		<-c.gate
	}
	return true, ""
}

// Logins of connections that are gone are still carried out: with 20,000 of them before the workers nobody gets in for
// minutes, because by their turn everybody has timed out and queued again.
func TestDeadLoginsAreCarriedOut(t *testing.T) {
	r := &counting{rules: rules{slow: true}, entered: make(chan struct{}), gate: make(chan struct{})}
	w := newWorld(t, 1, func(c *config.Config, _ *config.Listener) { c.AuthWorkers = 1; c.ConnectTimeout = time.Second })
	l := w.listener.Tag.(*Listener)
	l.settings.Store(&ListenerSettings{Config: l.Settings().Config, Access: r})
	first := w.dial()
	first.connect("first", as("u"))
	w.settle()
	<-r.entered
	for range 100 {
		p := w.dial()
		p.connect("", as("u"))
		w.settle()
		p.sock.Reset()
	}
	w.settle()
	close(r.gate)
	last := w.dial()
	last.connect("last", as("u"))
	until(t, w, last.hasPacket)
	if n := r.n.Load(); n > 2 {
		t.Errorf("%d logins were carried out, 2 connections were there", n)
	}
}

// A client that is kicked while its login is being decided gets in.
func TestKickDuringLogin(t *testing.T) {
	r := &rules{users: map[string]string{"u": "pw"}, slow: true, entered: make(chan struct{}), release: make(chan struct{})}
	w := newGuarded(t, 1, r, nil)
	p := w.dial()
	p.connect("c", as("u"))
	w.settle()
	<-r.entered // Login has begun; a dynamic security would have looked at its client here
	done := make(chan error, 1)
	go func() {
		done <- w.broker.Disconnect(func(c *auth.Client) bool { return c.UserName == "u" }, codec.AdministrativeAction, "kicked")
	}()
	finished := false
	until(t, w, func() bool {
		select {
		case <-done:
			finished = true
		default:
		}
		return finished
	})
	var again atomic.Bool
	go func() {
		for range r.entered {
			again.Store(true)
		}
	}()
	close(r.release)
	until(t, w, func() bool { return p.hasPacket() && again.Load() }) // it was asked again
}

// A loop's full inbox is taken for a stopped loop: Reload reports that nothing changed when half of it has.
func TestFullInboxIsNotStopped(t *testing.T) {
	w := newWorld(t, 1, nil)
	l := w.listener.Tag.(*Listener)
	for w.group.Loop(0).Submit(loop.Mail{Kind: mailNudge}) {
	}
	next := &rules{}
	done := make(chan error, 1)
	go func() {
		done <- w.broker.Reload(func() (*config.Config, map[*Listener]*ListenerSettings, error) {
			return config.Default(), map[*Listener]*ListenerSettings{l: {Config: l.Settings().Config, Access: next}}, nil
		})
	}()
	time.Sleep(50 * time.Millisecond)
	var err error
	until(t, w, func() bool {
		select {
		case err = <-done:
			return true
		default:
			return false
		}
	})
	if err != nil {
		t.Errorf("Reload: %v; the new access is in force: %t", err, l.Settings().Access == Access(next))
	}
	for w.group.Loop(0).Submit(loop.Mail{Kind: mailNudge}) {
	}
	stopped := make(chan error, 1)
	go func() { stopped <- w.broker.Stop() }()
	select {
	case err = <-stopped:
		t.Errorf("Stop gave up at once: %v", err)
	case <-time.After(50 * time.Millisecond):
		until(t, w, func() bool {
			select {
			case err = <-stopped:
				return true
			default:
				return false
			}
		})
		if err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
}

// call waits for ever when the loop ends between Submit and the next turn.
func TestCallAtTheEndHangs(t *testing.T) {
	g, err := loop.NewGroup(1, loop.GroupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := New(Options{Config: config.Default(), Group: g, Seed: 1})
	g.Start()
	second := make(chan error, 1)
	if err := b.call(func(*Shard) {
		go g.Stop()
		time.Sleep(30 * time.Millisecond)
		go func() { second <- b.call(func(*Shard) {}) }()
		time.Sleep(30 * time.Millisecond)
	}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-second:
		t.Log(err)
	case <-time.After(2 * time.Second):
		t.Error("Broker.call hangs")
	}
}

// Client identifiers of any length are remembered before anybody is asked who sends them.
func TestComingsKeepIdentifiers(t *testing.T) {
	r := &rules{users: map[string]string{}}
	w := newGuarded(t, 1, r, func(c *config.Config, _ *config.Listener) { c.ClientRate.Connections = 1 })
	before := hardHeap()
	for i := range 100 {
		p := w.dial()
		p.connect(strings.Repeat(string(rune('a'+i%26)), 60000+i), as("stranger"))
		w.settle()
	}
	w.log.lines = nil                                // they name every one
	if grown := hardHeap() - before; grown > 1<<20 { // the identifiers are 6 MB
		t.Errorf("100 refused connections keep %d bytes; %d of them may", grown, comingsMax)
	}
	runtime.KeepAlive(w)
}

// TestAPendingReloadHoldsNoLoginDuringTheChecksOfTheOneBefore is about a second SIGHUP while many logins are checked again.
func TestAPendingReloadHoldsNoLoginDuringTheChecksOfTheOneBefore(t *testing.T) {
	users := map[string]string{"u": "pw"}
	w := newGuarded(t, 1, &rules{users: users, slow: true}, nil)
	there := w.dial()
	there.connect("there", as("u"))
	until(t, w, there.hasPacket)
	slow := &rules{users: users, slow: true, entered: make(chan struct{}, 9), release: make(chan struct{})}
	defer close(slow.release)
	l := w.listener.Tag.(*Listener)
	w.broker.ExpectReload()
	go func() {
		_ = w.broker.Reload(func() (*config.Config, map[*Listener]*ListenerSettings, error) {
			return config.Default(), map[*Listener]*ListenerSettings{l: {Config: l.Settings().Config, Access: slow}}, nil
		})
	}()
	until(t, w, func() bool { return len(slow.entered) == 1 }) // it is in force, and asks for "there" again
	w.broker.ExpectReload()                                    // it can begin when all have been asked
	p := w.dial()
	p.connect("new", as("u"))
	for end := time.Now().Add(3 * time.Second); len(slow.entered) < 2; w.settle() {
		if time.Now().After(end) {
			t.Fatal("the new client is not even asked who it is")
		}
	}
}
