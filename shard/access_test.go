package shard

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// rules is an Access of words: users logs in each name with its password; a client may do "action:topic" when listed in
// grants, under its user name, with a trailing '#'.
type rules struct {
	users   map[string]string
	grants  map[string][]string
	slow    bool
	entered chan struct{} // a Login began
	release chan struct{} // Login waits for it, unless nil
}

func (r *rules) NeedsWorker() bool { return r.slow }

func (r *rules) Login(c *auth.Client) (ok bool, rule string) {
	if r.entered != nil {
		r.entered <- struct{}{}
		<-r.release
	}
	want, known := r.users[c.UserName]
	if !known {
		return false, "no such user"
	}
	return want == string(c.Password), "wrong password"
}

func (r *rules) Rights(c *auth.Client) auth.Rights { return granted(r.grants[c.UserName]) }

type granted []string

func (g granted) Allows(a auth.Action, topic string) (auth.Decision, string) {
	asked := [...]string{"pub:", "recv:", "sub:", "unsub:"}[a] + topic
	for _, one := range g {
		if prefix, open := strings.CutSuffix(one, "#"); one == asked || open && strings.HasPrefix(asked, prefix) {
			return auth.Allow, ""
		}
	}
	return auth.Deny, "no rule grants it"
}

// newGuarded is newWorld with rules.
func newGuarded(t *testing.T, loops int, r *rules, change func(*config.Config, *config.Listener)) *world {
	t.Helper()
	w := newWorld(t, loops, change)
	l := w.listener.Tag.(*Listener)
	l.settings.Store(&ListenerSettings{Config: l.Settings().Config, Access: r})
	return w
}

func as(user string) func(*codec.Connect) {
	return func(c *codec.Connect) {
		c.HasUserName, c.UserName, c.HasPassword, c.Password = true, user, true, []byte("pw")
	}
}

// TestLoginRefused holds what a client that may not connect is told, and the log line.
func TestLoginRefused(t *testing.T) {
	w := newGuarded(t, 2, &rules{users: map[string]string{"u": "right"}}, nil)
	for _, v := range []codec.Version{codec.V311, codec.V5} {
		p := w.dial()
		p.connect("c", func(c *codec.Connect) { as("u")(c); c.Version = v })
		w.settle()
		want := map[codec.Version]codec.ReasonCode{codec.V311: 5, codec.V5: codec.NotAuthorized}[v]
		if a := p.next(); a.Type != codec.TypeConnack || a.Code != want || !p.sock.Ended() {
			t.Errorf("version %v: %+v", v, a)
		}
	}
	if n := w.logs("disconnected: not authorised. User 'u': wrong password."); n != 2 || w.count().RefusedLogins != 2 {
		t.Errorf("%d lines, %d counted: %q", n, w.count().RefusedLogins, w.log.lines)
	}
}

// TestLoginOnAWorker holds that a slow login holds up its own connection only, and that the packets behind the CONNECT are
// handled after it.
func TestLoginOnAWorker(t *testing.T) {
	r := &rules{users: map[string]string{"u": "pw", "": ""}, grants: map[string][]string{"u": {"pub:#", "recv:#", "sub:#"}, "": {"sub:#", "recv:#"}}}
	w := newGuarded(t, 2, r, nil)
	other := w.join("o", nil)
	other.subscribe(0, "#")
	r.slow, r.entered, r.release = true, make(chan struct{}), make(chan struct{})
	p := w.dial()
	p.connect("c", as("u"))
	p.publish(0, "t", "after", false)
	w.settle()
	<-r.entered
	w.settle()
	if a := p.take(); len(a) != 0 {
		t.Fatalf("answered before the login was decided: %+v", a)
	}
	other.sock.Write(codec.AppendPingreq(nil))
	w.settle()
	if a := other.next(); a.Type != codec.TypePingresp {
		t.Fatalf("another client got %+v", a)
	}
	close(r.release)
	until(t, w, p.hasPacket)
	if a := p.next(); a.Type != codec.TypeConnack || a.Code != codec.Success {
		t.Fatalf("CONNECT answered by %+v", a)
	}
	if got := payloads(other.take()); len(got) != 1 || got[0] != "after" {
		t.Errorf("what followed the CONNECT: %q", got)
	}
}

// TestLoginQueueFull holds the bound: with the queue full a CONNECT is answered Server busy and counted; nobody else is
// affected. A connection that is closed while it waits is forgotten.
func TestLoginQueueFull(t *testing.T) {
	r := &rules{users: map[string]string{"u": "pw"}, slow: true, entered: make(chan struct{}), release: make(chan struct{})}
	w := newGuarded(t, 1, r, func(c *config.Config, _ *config.Listener) { c.AuthWorkers, c.AuthQueueLimit = 1, 2 })
	first := w.dial()
	first.connect("first", as("u"))
	w.settle()
	<-r.entered
	waiting := []*peer{w.dial(), w.dial()}
	for i, p := range waiting {
		p.connect("w"+string(rune('0'+i)), as("u"))
	}
	w.settle()
	late := w.dial()
	late.connect("late", as("u"))
	w.settle()
	if a := late.next(); a.Code != codec.ServerBusy || w.count().RefusedLogins != 1 {
		t.Errorf("%+v, %d counted", a, w.count().RefusedLogins)
	}
	waiting[0].sock.Reset()
	w.settle()
	go func() {
		for range r.entered {
		}
	}()
	close(r.release)
	until(t, w, func() bool { return waiting[1].hasPacket() && first.hasPacket() })
	close(r.entered)
	for _, p := range []*peer{first, waiting[1]} {
		if a := p.next(); a.Code != codec.Success {
			t.Errorf("%s got %+v", p.id, a)
		}
	}
	if n := w.broker.clients.Load(); n != 2 {
		t.Errorf("%d clients", n)
	}
}

// until settles the world until done says so, while workers run beside it.
func until(t *testing.T, w *world, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); ; {
		w.settle()
		if done() {
			return
		}
		if time.Now().After(limit) {
			t.Fatal("it does not happen")
		}
	}
}

// hasPacket reports whether something came that was not looked at.
func (p *peer) hasPacket() bool {
	p.in = append(p.in, p.sock.Read(4096)...)
	return len(p.in) > 0
}

// TestRights holds what each denial looks like, under 3.1.1 and 5.
func TestRights(t *testing.T) {
	r := &rules{users: map[string]string{"u": "pw", "all": "pw"}, grants: map[string][]string{
		"u":   {"pub:ok/#", "recv:ok/#", "sub:ok/#", "sub:half/#"},
		"all": {"pub:#", "recv:#", "sub:#", "unsub:#"},
	}}
	for _, v := range []codec.Version{codec.V311, codec.V5} {
		w := newGuarded(t, 2, r, nil)
		all := w.join(w.onLoop(0, "all"), as("all"))
		all.subscribe(1, "#")
		c := w.join(w.onLoop(1, "c"), func(c *codec.Connect) {
			as("u")(c)
			c.Version = v
			c.HasWill, c.Will = true, codec.Will{Topic: "no/will", Payload: []byte("w")}
		})
		denied := codec.NotAuthorized
		if v != codec.V5 {
			denied = codec.Success
		}
		c.publish(1, "no/x", "1", true)
		c.publish(2, "no/x", "2", true)
		c.publish(0, "no/x", "0", true)
		c.publish(1, "ok/x", "yes", false)
		a := c.take()
		if len(a) != 3 || a[0].Code != denied || a[1].Code != denied || a[2].Code != codec.Success {
			t.Errorf("version %v: PUBLISH answered by %+v", v, a)
		}
		if got := payloads(all.take()); len(got) != 1 || got[0] != "yes" {
			t.Errorf("version %v: the others got %q", v, got)
		}
		all.ack(codec.TypePuback, 1)
		s := codec.Subscribe{PacketID: 9, Filters: []codec.Subscription{{Filter: "ok/#", QoS: 1}, {Filter: "no/#", QoS: 1}, {Filter: "half/#", QoS: 1}}}
		c.sock.Write(s.Append(nil, v))
		w.settle()
		refused := byte(codec.UnspecifiedError)
		if v == codec.V5 {
			refused = byte(codec.NotAuthorized)
		}
		if a := c.next(); len(a.Codes) != 3 || a.Codes[0] != 1 || a.Codes[1] != refused || a.Codes[2] != 1 {
			t.Errorf("version %v: SUBACK %+v", v, a)
		}
		all.publish(0, "half/x", "not for c", false)
		all.publish(0, "ok/x", "for c", false)
		if got := payloads(c.take()); len(got) != 1 || got[0] != "for c" {
			t.Errorf("version %v: delivered %q", v, got)
		}
		u := codec.Unsubscribe{PacketID: 10, Filters: []string{"ok/#"}}
		c.sock.Write(u.Append(nil, v))
		w.settle()
		if a := c.next(); v == codec.V5 && (len(a.Codes) != 1 || a.Codes[0] != byte(codec.NotAuthorized)) {
			t.Errorf("version %v: UNSUBACK %+v", v, a)
		}
		all.take()
		c.sock.Reset()
		w.settle()
		if got := all.take(); len(got) != 0 {
			t.Errorf("version %v: a denied will was published: %+v", v, got)
		}
		n := w.count().Denied
		if n != [4]uint64{auth.Publish: 4, auth.Receive: 1, auth.Subscribe: 1, auth.Unsubscribe: 1} {
			t.Errorf("version %v: counted %v", v, n)
		}
		if lines := w.logs("Denied PUBLISH from " + c.id + " ["); lines != 2 { // no/x once a minute, no/will
			t.Errorf("version %v: %d lines: %q", v, lines, w.log.lines)
		}
		if w.logs("to 'no/x'. User 'u': no rule grants it.") != 1 {
			t.Errorf("version %v: %q", v, w.log.lines)
		}
	}
}

// TestReloadRights holds that a reload changes what connected clients may do, also for what is queued, disconnects whom the
// new rules refuse, and leaves everything as it was when its preparation fails.
func TestReloadRights(t *testing.T) {
	old := &rules{users: map[string]string{"u": "pw", "gone": "pw"}, grants: map[string][]string{"u": {"pub:#", "recv:#", "sub:#"}, "gone": {"sub:#", "recv:#"}}}
	w := newGuarded(t, 2, old, nil)
	l := w.listener.Tag.(*Listener)
	u := w.join("u", func(c *codec.Connect) {
		as("u")(c)
		c.CleanStart = false
		c.SessionExpiry, c.HasSessionExpiry = 100, true
	})
	u.subscribe(1, "a", "b")
	u.sock.Reset()
	gone := w.join("g", as("gone"))
	pub := w.join("p", as("u"))
	pub.publish(1, "a", "queued a", false)
	pub.publish(1, "b", "queued b", false)
	pub.take()
	next := &rules{users: map[string]string{"u": "pw"}, grants: map[string][]string{"u": {"pub:b", "recv:b", "sub:#"}}}
	reload := func(prepare func() (*config.Config, map[*Listener]*ListenerSettings, error)) error {
		done := make(chan error, 1)
		go func() { done <- w.broker.Reload(prepare) }()
		var err error
		until(t, w, func() bool {
			select {
			case err = <-done:
				return true
			default:
				return false
			}
		})
		return err
	}
	if err := reload(func() (*config.Config, map[*Listener]*ListenerSettings, error) { return nil, nil, ErrQuota }); err != ErrQuota {
		t.Fatal(err)
	}
	pub.publish(1, "a", "still allowed", false)
	if a := pub.take(); len(a) != 1 || a[0].Code != codec.Success {
		t.Errorf("after a reload that failed: %+v", a)
	}
	cfg := config.Default()
	cfg.MaxPacketSize = 1000
	err := reload(func() (*config.Config, map[*Listener]*ListenerSettings, error) {
		return cfg, map[*Listener]*ListenerSettings{l: {Config: l.Settings().Config, Access: next}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := gone.next(); a.Type != codec.TypeDisconnect || a.Code != codec.NotAuthorized || !gone.sock.Ended() {
		t.Errorf("a client that is not known any more got %+v", a)
	}
	pub.publish(1, "a", "denied", false)
	if a := pub.take(); len(a) != 1 || a[0].Code != codec.NotAuthorized {
		t.Errorf("after the reload: %+v", a)
	}
	u = w.dial()
	u.connect("u", func(c *codec.Connect) { as("u")(c); c.CleanStart = false })
	w.settle()
	if got := payloads(u.take()); len(got) != 1 || got[0] != "queued b" {
		t.Errorf("of what was queued, %q was delivered", got)
	}
}

// TestRetainedSource holds `check_retain_source`: a retained message whose publisher has lost its right is not sent.
func TestRetainedSource(t *testing.T) {
	for _, check := range []bool{true, false} {
		r := &rules{users: map[string]string{"p": "pw", "s": "pw"}, grants: map[string][]string{"p": {"pub:#"}, "s": {"sub:#", "recv:#"}}}
		w := newGuarded(t, 2, r, func(c *config.Config, _ *config.Listener) { c.CheckRetainSource = check })
		w.join("p", as("p")).publish(0, "kept", "k", true)
		w.settle()
		l := w.listener.Tag.(*Listener)
		next := &rules{users: r.users, grants: map[string][]string{"s": r.grants["s"]}}
		l.settings.Store(&ListenerSettings{Config: l.Settings().Config, Access: next})
		s := w.join("s", as("s"))
		s.subscribe(0, "#")
		if got := payloads(s.take()); (len(got) == 0) != check {
			t.Errorf("check_retain_source %v: got %q", check, got)
		}
	}
}

// TestMountPoint holds that a listener's mount point stands before its clients' topics and filters, and that they do not see it.
func TestMountPoint(t *testing.T) {
	w := newWorld(t, 2, func(_ *config.Config, l *config.Listener) { l.MountPoint = "house/" })
	plain := w.net.Listen(w.listener.Addr())
	plain.Tag = NewListener(config.NewListener(), Everyone{})
	for i := range 2 {
		if err := w.group.Loop(i).Listen(plain); err != nil {
			t.Fatal(err)
		}
	}
	inside := w.join(w.onLoop(0, "in"), func(c *codec.Connect) { c.HasWill, c.Will = true, codec.Will{Topic: "will", Payload: []byte("w")} })
	mounted := w.listener
	w.listener = plain
	outside := w.join(w.onLoop(1, "out"), nil)
	w.listener = mounted
	outside.subscribe(0, "house/#")
	inside.subscribe(1, "a", "$share/g/b")
	topics := func(p *peer) (names []string) {
		for _, g := range p.take() {
			if g.Type == codec.TypePublish {
				names = append(names, g.Topic)
			}
		}
		return names
	}
	outside.publish(1, "house/a", "1", false)
	outside.publish(0, "house/b", "2", false)
	outside.publish(0, "a", "3", false)
	if got := topics(inside); len(got) != 2 || got[0] != "a" || got[1] != "b" {
		t.Errorf("inside got %q", got)
	}
	topics(outside)
	inside.publish(0, "x", "4", true)
	inside.publish(1, "a", "5", false)
	if got := topics(outside); len(got) != 2 || got[0] != "house/x" || got[1] != "house/a" {
		t.Errorf("outside got %q", got)
	}
	inside.take()
	inside.subscribe(0, "x")
	if got := topics(inside); len(got) != 1 || got[0] != "x" {
		t.Errorf("retained inside: %q", got)
	}
	u := codec.Unsubscribe{PacketID: 77, Filters: []string{"x", "$share/g/b", "never"}}
	inside.sock.Write(u.Append(nil, inside.version))
	w.settle()
	if a := inside.next(); string(a.Codes) != "\x00\x00\x11" {
		t.Errorf("UNSUBACK %+v", a)
	}
	inside.sock.Reset()
	w.settle()
	if got := topics(outside); len(got) != 1 || got[0] != "house/will" {
		t.Errorf("will: %q", got)
	}
}

// echo answers control messages with what they said.
type echo struct{ held chan struct{} }

func (e *echo) Control(from *auth.Client, topic string, payload []byte) []byte {
	if e.held != nil {
		<-e.held
	}
	return []byte(from.ID + " said " + string(payload))
}

// TestControl holds that a message to a $CONTROL topic is answered on its response topic, after it was handled, in order
// with the client's other packets, and is not delivered to anyone; and the bound of those that wait.
func TestControl(t *testing.T) {
	w := newWorld(t, 2, nil)
	e := &echo{held: make(chan struct{})}
	w.broker.control = newControl(e)
	watch := w.join(w.onLoop(0, "w"), nil)
	watch.subscribe(0, "$CONTROL/#", "#")
	admin := w.join(w.onLoop(1, "a"), nil)
	admin.publish(1, "$CONTROL/x/v1", "hello", true)
	admin.publish(1, "t", "after", false)
	w.settle()
	if a := admin.take(); len(a) != 0 {
		t.Fatalf("acknowledged before it was handled: %+v", a)
	}
	close(e.held)
	var acks []got
	until(t, w, func() bool { acks = append(acks, admin.take()...); return len(acks) == 2 })
	if acks[0].PacketID != 1 || acks[1].PacketID != 2 || acks[0].Code != codec.Success {
		t.Errorf("acknowledged: %+v", acks)
	}
	if got := payloads(watch.take()); len(got) != 2 || got[0] != admin.id+" said hello" || got[1] != "after" {
		t.Errorf("the watcher got %q", got)
	}
	e.held = make(chan struct{})
	var crowd []*peer
	for i := range controlQueue + 3 {
		p := w.join(fmt.Sprint("c", i), nil)
		p.publish(1, "$CONTROL/x", "x", false)
		crowd = append(crowd, p)
	}
	w.settle()
	refused := 0
	for _, p := range crowd {
		for _, a := range p.take() {
			if a.Code == codec.QuotaExceeded {
				refused++
			}
		}
	}
	close(e.held)
	if refused == 0 || refused > 3 || w.count().RefusedControl != uint64(refused) {
		t.Errorf("%d refused, %d counted", refused, w.count().RefusedControl)
	}
}

// TestDisconnect holds the operator's way to end connections.
func TestDisconnect(t *testing.T) {
	w := newWorld(t, 2, nil)
	a, b := w.join("a", as("u")), w.join("b", as("v"))
	var done atomic.Bool
	go func() {
		if err := w.broker.Disconnect(func(c *auth.Client) bool { return c.UserName == "u" }, codec.AdministrativeAction, "disconnected: kicked."); err != nil {
			t.Error(err)
		}
		done.Store(true)
	}()
	until(t, w, done.Load)
	if g := a.next(); g.Type != codec.TypeDisconnect || g.Code != codec.AdministrativeAction {
		t.Errorf("a got %+v", g)
	}
	if b.sock.Ended() || len(b.take()) != 0 {
		t.Error("b was disconnected too")
	}
}

// TestSubscriptionTree holds what SIGUSR2 prints.
func TestSubscriptionTree(t *testing.T) {
	w := newWorld(t, 2, nil)
	a, b := w.join(w.onLoop(0, "a"), nil), w.join(w.onLoop(1, "b"), nil)
	a.subscribe(1, "x/y", "x", "#")
	b.subscribe(0, "x/y", "$share/g/x/+", "/")
	var text strings.Builder
	done := make(chan error, 1)
	go func() { done <- w.broker.SubscriptionTree(&text) }()
	until(t, w, func() bool { return len(done) > 0 })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := "\n   (B, 0)\n# (A, 1)\nx (A, 1)\n  + (B, shared by g)\n  y (A, 1) (B, 0)\n"
	if got := strings.NewReplacer(a.id, "A", b.id, "B").Replace(text.String()); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

// TestRates holds the rate limits: of messages and bytes a client and an address may bring no more, and nothing is lost;
// of connections the next one is refused.
func TestRates(t *testing.T) {
	for name, change := range map[string]func(*config.Config){
		"client_message_rate":  func(c *config.Config) { c.ClientRate.Messages = 10 },
		"client_byte_rate":     func(c *config.Config) { c.ClientRate.Bytes = 10 * 11 },
		"address_message_rate": func(c *config.Config) { c.AddressRate.Messages = 10 },
		"address_byte_rate":    func(c *config.Config) { c.AddressRate.Bytes = 10 * 11 },
	} {
		w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) { change(c) })
		sub := w.join("s", nil)
		sub.subscribe(0, "t")
		w.pass(10 * time.Second)
		pub := w.join("p", nil)
		w.pass(10 * time.Second)
		for i := range 40 {
			pub.publish(0, "t", fmt.Sprintf("%05d", i), false) // 2 + 2 + 1 + 1 + 5 bytes
		}
		got := payloads(sub.take())
		if len(got) < 10 || len(got) > 12 {
			t.Errorf("%s: %d came at once", name, len(got))
		}
		w.pass(time.Second)
		got = append(got, payloads(sub.take())...)
		if len(got) < 19 || len(got) > 22 {
			t.Errorf("%s: %d came in a second", name, len(got))
		}
		w.pass(3 * time.Second)
		got = append(got, payloads(sub.take())...)
		if len(got) != 40 || got[39] != "00039" || w.count().Slowed == 0 {
			t.Errorf("%s: %d came in the end, slowed %d times", name, len(got), w.count().Slowed)
		}
	}
	w := newWorld(t, 2, func(c *config.Config, _ *config.Listener) { c.ClientRate.Connections = 2 })
	w.join("c", nil)
	w.join("c", nil)
	w.join("other", nil)
	p := w.dial()
	p.connect("c", nil)
	w.settle()
	if a := p.next(); a.Code != codec.ConnectionRateExceeded {
		t.Errorf("client_connection_rate: %+v", a)
	}
	w.pass(time.Second)
	w.join("c", nil)
	w = newWorld(t, 2, func(c *config.Config, _ *config.Listener) { c.AddressRate.Connections = 3 })
	for range 3 {
		w.join("c", nil)
	}
	p = w.dial()
	w.settle()
	if !p.sock.Ended() || w.count().RefusedConnections != 1 || w.logs("address_connection_rate") != 1 {
		t.Errorf("address_connection_rate: ended %v, %d counted", p.sock.Ended(), w.count().RefusedConnections)
	}
	w.pass(time.Second)
	w.join("c", nil)
}

// TestReasonStrings holds `reason_strings`: a version 5 client is told refusals in words, unless it asked not to be
// [MQTT-3.1.2-29] or has no room for them; everyone else gets the codes alone.
func TestReasonStrings(t *testing.T) {
	r := &rules{users: map[string]string{"u": "pw"}, grants: map[string][]string{"u": {"sub:ok"}}}
	w := newGuarded(t, 2, r, func(c *config.Config, _ *config.Listener) { c.ReasonStrings = true })
	reply := func(p *peer) string {
		w.settle()
		b := p.sock.Read(4096)
		return string(b)
	}
	p := w.dial()
	p.connect("c", as("nobody"))
	if got := reply(p); !strings.Contains(got, "\x1f\x00\x0enot authorised") {
		t.Errorf("CONNACK %q", got)
	}
	for name, c := range map[string]struct {
		change func(*codec.Connect)
		words  bool
	}{
		"told":               {func(*codec.Connect) {}, true},
		"wants no words":     {func(c *codec.Connect) { c.RequestProblemInfo = false }, false},
		"has no room":        {func(c *codec.Connect) { c.MaximumPacketSize = 20 }, false},
		"does not know them": {func(c *codec.Connect) { c.Version = codec.V311 }, false},
	} {
		p := w.join(name, func(k *codec.Connect) { as("u")(k); k.RequestProblemInfo = true; c.change(k) })
		p.publish(1, "no", "x", false)
		puback := reply(p)
		p.publish(2, "no", "x", false)
		pubrec := reply(p)
		s := codec.Subscribe{PacketID: 9, Filters: []codec.Subscription{{Filter: "ok"}, {Filter: "no"}}}
		p.sock.Write(s.Append(nil, p.version))
		suback := reply(p)
		u := codec.Unsubscribe{PacketID: 10, Filters: []string{"ok"}}
		p.sock.Write(u.Append(nil, p.version))
		for what, got := range map[string]string{"PUBACK": puback, "PUBREC": pubrec, "SUBACK": suback, "UNSUBACK": reply(p)} {
			if strings.Contains(got, "\x1f\x00\x0eNot authorized") != c.words {
				t.Errorf("%s: %s %q", name, what, got)
			}
		}
		p.sock.Write([]byte{0xF0, 0})
		if got := reply(p); strings.Contains(got, "\x1f\x00") != (p.version == codec.V5 && name != "has no room") {
			t.Errorf("%s: DISCONNECT %q", name, got)
		}
	}
}
