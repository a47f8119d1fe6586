package shard

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

func hardReload(t *testing.T, w *world, a Access, change func(*config.Config)) {
	t.Helper()
	l := w.listener.Tag.(*Listener)
	cfg := *w.broker.config()
	if change != nil {
		change(&cfg)
	}
	done := make(chan error, 1)
	go func() {
		done <- w.broker.Reload(func() (*config.Config, map[*Listener]*ListenerSettings, error) {
			return &cfg, map[*Listener]*ListenerSettings{l: {Config: l.Settings().Config, Access: a}}, nil
		})
	}()
	until(t, w, func() bool {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return true
		default:
			return false
		}
	})
}

func hardStay(c *codec.Connect) { c.CleanStart, c.SessionExpiry, c.HasSessionExpiry = false, 100, true }

// What was in flight to one user is sent again to another who takes the session over and may not read it. Mosquitto drops it.
func TestInflightToAnotherUser(t *testing.T) {
	r := &rules{users: map[string]string{"alice": "pw", "mallory": "pw", "p": "pw"}, grants: map[string][]string{
		"alice": {"sub:#", "recv:#"}, "mallory": {"sub:#", "recv:open/#"}, "p": {"pub:#"}}}
	for _, qos := range []uint8{1, 2} {
		w := newGuarded(t, 1, r, nil)
		a := w.join("shared-id", func(c *codec.Connect) { as("alice")(c); hardStay(c) })
		a.subscribe(qos, "secret")
		p := w.join("p", as("p"))
		p.publish(qos, "secret", "for alice only", false)
		for _, g := range p.take() {
			if g.Type == codec.TypePubrec {
				p.ack(codec.TypePubrel, g.PacketID)
			}
		}
		a.take() // not acknowledged
		a.sock.Reset()
		w.settle()
		m := w.join("shared-id", func(c *codec.Connect) { as("mallory")(c); hardStay(c) })
		if got := payloads(m.take()); len(got) != 0 {
			t.Errorf("qos %d: mallory got %q", qos, got)
		}
	}
}

// The same after a reload, for the same user.
func TestInflightAfterReload(t *testing.T) {
	old := &rules{users: map[string]string{"u": "pw", "p": "pw"}, grants: map[string][]string{"u": {"sub:#", "recv:#"}, "p": {"pub:#"}}}
	w := newGuarded(t, 1, old, nil)
	a := w.join("a", func(c *codec.Connect) { as("u")(c); hardStay(c) })
	a.subscribe(1, "secret")
	p := w.join("p", as("p"))
	p.publish(1, "secret", "x", false)
	p.take()
	a.take()
	a.sock.Reset()
	w.settle()
	hardReload(t, w, &rules{users: old.users, grants: map[string][]string{"u": {"sub:#"}, "p": {"pub:#"}}}, nil)
	a = w.join("a", func(c *codec.Connect) { as("u")(c); hardStay(c) })
	if got := payloads(a.take()); len(got) != 0 {
		t.Errorf("sent again without the right: %q", got)
	}
}

// The will of a client without restrictions is not asked about when a reload brings restrictions.
func TestWillAfterReload(t *testing.T) {
	w := newWorld(t, 1, nil)
	s := w.join("s", as("s"))
	s.subscribe(0, "#")
	c := w.join("c", func(c *codec.Connect) { c.HasWill, c.Will = true, codec.Will{Topic: "no", Payload: []byte("will")} })
	hardReload(t, w, &rules{users: map[string]string{"": "", "s": ""}, grants: map[string][]string{"s": {"sub:#", "recv:#"}}}, nil)
	c.publish(0, "no", "publish", false)
	w.settle()
	c.sock.Reset()
	w.settle()
	if got := payloads(s.take()); len(got) != 0 {
		t.Errorf("published without the right: %q", got)
	}
}

// The rule that refused a client at a reload, with its file, is told to the client when reason_strings is on.
func TestReloadTellsTheRule(t *testing.T) {
	w := newGuarded(t, 1, &rules{users: map[string]string{"u": "pw"}}, func(c *config.Config, _ *config.Listener) { c.ReasonStrings = true })
	p := w.join("c", as("u"))
	p.sock.Read(4096)
	hardReload(t, w, &rules{users: map[string]string{}}, nil)
	w.settle()
	b := p.sock.Read(4096)
	if strings.Contains(string(b), "no such user") {
		t.Errorf("DISCONNECT says %q", b)
	}
}

// A denied client writes as many log lines as it sends messages.
func TestDenialsFloodTheLog(t *testing.T) {
	w := newGuarded(t, 1, &rules{users: map[string]string{"u": "pw"}}, nil)
	p := w.join("c", as("u"))
	for i := range 10000 {
		p.publish(0, []string{"a", "b"}[i%2], "", false)
	}
	w.settle()
	if n := w.logs("Denied PUBLISH"); n > 100 {
		t.Errorf("%d lines", n)
	}
}

// Whatever a client gave as user name and password stays in memory for each retained message, uncounted.
func TestRetainedKeepsIdentities(t *testing.T) {
	r := &rules{users: map[string]string{"u": ""}, slow: true, grants: map[string][]string{"u": {"pub:#"}}}
	big := strings.Repeat("p", 60000)
	r.users["u"] = big
	w := newGuarded(t, 1, r, nil)
	before := hardHeap()
	for i := range 200 {
		p := w.dial()
		p.connect("c", func(c *codec.Connect) {
			c.HasUserName, c.UserName, c.HasPassword, c.Password = true, "u", true, []byte(big)
		})
		until(t, w, p.hasPacket)
		p.publish(0, fmt.Sprint("t", i), "x", true)
		w.settle()
		p.sock.Reset()
		w.settle()
	}
	grown := hardHeap() - before
	if b := w.broker.retainedBytes.Load(); grown > 200*4096 {
		t.Errorf("200 retained messages, %d bytes by max_retained_bytes, keep %d bytes", b, grown)
	}
	runtime.KeepAlive(w)
}

func hardHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A shared subscription: the member that is chosen may not read, the other may.
func TestSharedDeniedMember(t *testing.T) {
	r := &rules{users: map[string]string{"no": "pw", "yes": "pw", "p": "pw"}, grants: map[string][]string{
		"no": {"sub:#"}, "yes": {"sub:#", "recv:#"}, "p": {"pub:#"}}}
	w := newGuarded(t, 1, r, nil)
	w.join("no", as("no")).subscribe(1, "$share/g/t")
	y := w.join("yes", as("yes"))
	y.subscribe(1, "$share/g/t")
	p := w.join("p", as("p"))
	for i := range 10 {
		p.publish(1, "t", fmt.Sprint(i), false)
	}
	if got := payloads(y.take()); len(got) != 10 {
		t.Errorf("the member that may read got %q of 10", got)
	}
}

// After a reload that changes nothing for them, anonymous clients are cheap again.
func TestReloadKeepsAnonymousFree(t *testing.T) {
	w := newWorld(t, 1, nil)
	l := w.listener.Tag.(*Listener)
	l.settings.Store(&ListenerSettings{Config: l.Settings().Config, Access: &auth.Scope{AllowAnonymous: true}})
	w.join("c", nil)
	hardReload(t, w, &auth.Scope{AllowAnonymous: true}, nil)
	w.broker.shards[0].eachSession(func(ss *session) {
		if ss.who != nil {
			t.Errorf("%s has an identity now", ss.id)
		}
	})
}
