package shard

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
)

// willed gives a CONNECT a will with a delay, and the session an expiry.
func willed(delay, expiry uint32) func(*codec.Connect) {
	return func(c *codec.Connect) {
		c.HasWill, c.HasSessionExpiry, c.SessionExpiry = true, true, expiry
		c.Will = codec.Will{Topic: "will", Payload: []byte("gone"), QoS: 1, DelaySeconds: delay}
		c.CleanStart = false
	}
}

// TestWillTimes holds when a will is published, for loops apart: at the earlier of its delay and the session's end, and
// not when the client is back in time [MQTT-3.1.3-9].
func TestWillTimes(t *testing.T) {
	for _, c := range []struct {
		name          string
		delay, expiry uint32
		after         time.Duration // when it must come; -1: at once
		back          time.Duration // the client returns, 0: never
	}{
		{name: "no delay", expiry: 100, after: -1},
		{name: "session ends at once", delay: 50, after: -1},
		{name: "delay", delay: 10, expiry: 100, after: 10 * time.Second},
		{name: "session ends first", delay: 100, expiry: 10, after: 10 * time.Second},
		{name: "back in time", delay: 10, expiry: 100, back: 5 * time.Second},
	} {
		w := newWorld(t, 2, nil)
		watch := w.join(w.onLoop(0, "watch"), nil)
		watch.subscribe(1, "will")
		id := w.onLoop(1, "p")
		p := w.join(id, willed(c.delay, c.expiry))
		p.sock.Reset()
		w.settle()
		now := len(watch.take())
		if (c.after < 0) != (now == 1) {
			t.Errorf("%s: %d at once", c.name, now)
		}
		if c.after < 0 {
			continue
		}
		if c.back > 0 {
			w.pass(c.back)
			w.join(id, func(c *codec.Connect) { c.CleanStart = false })
			w.pass(20 * time.Second)
			if got := watch.take(); len(got) != 0 {
				t.Errorf("%s: got %+v", c.name, got)
			}
			continue
		}
		w.pass(c.after - time.Second)
		if got := watch.take(); len(got) != 0 {
			t.Errorf("%s: %+v too early", c.name, got)
		}
		w.pass(2 * time.Second)
		if got := watch.take(); len(got) != 1 || got[0].Payload != "gone" || w.count().Wills != 1 {
			t.Errorf("%s: got %+v, counted %d", c.name, got, w.count().Wills)
		}
	}
}

// TestWillLimits holds that a will obeys what the listener and the broker allow.
func TestWillLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*config.Config, *config.Listener)
		edit   func(*codec.Will)
		code   codec.ReasonCode
	}{
		{"max_qos", func(_ *config.Config, l *config.Listener) { l.MaxQoS = 0 }, nil, codec.QoSNotSupported},
		{"retain_available", func(c *config.Config, _ *config.Listener) { c.RetainAvailable = false },
			func(w *codec.Will) { w.Retain = true }, codec.RetainNotSupported},
		{"message_size_limit", func(c *config.Config, _ *config.Listener) { c.MessageSizeLimit = 3 }, nil, codec.PacketTooLarge},
		{"topic", nil, func(w *codec.Will) { w.Topic = "a/#" }, codec.TopicNameInvalid},
	} {
		w := newWorld(t, 1, c.change)
		p := w.dial()
		p.connect("p", func(k *codec.Connect) {
			willed(0, 0)(k)
			if c.edit != nil {
				c.edit(&k.Will)
			}
		})
		if got := p.take(); len(got) != 1 || got[0].Code != c.code || !p.sock.Ended() {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}

// TestStopSendsWillsThenDisconnect holds the order of a graceful stop: wills, also delayed ones, reach whoever is
// there, then version 5 clients hear why they are closed; nothing is taken after that.
func TestStopSendsWillsThenDisconnect(t *testing.T) {
	w := newWorld(t, 2, nil)
	watch := w.join(w.onLoop(0, "watch"), nil)
	watch.subscribe(1, "will")
	w.join(w.onLoop(1, "here"), willed(0, 0))
	away := w.join(w.onLoop(1, "away"), willed(1000, 10000))
	away.sock.Reset()
	w.settle()
	w.stop()
	got := watch.take()
	if len(got) != 3 || got[0].Payload != "gone" || got[1].Payload != "gone" || got[2].Type != codec.TypeDisconnect ||
		got[2].Code != codec.ServerShuttingDown || !watch.sock.Ended() {
		t.Errorf("got %+v, ended %t", got, watch.sock.Ended())
	}
	if err := w.broker.Inject(Injection{Topic: "a"}, nil); !errors.Is(err, ErrStopped) {
		t.Errorf("Inject after the stop: %v", err)
	}
	if _, err := w.broker.Attach(AttachOptions{ClientID: "a", Receiver: &sink{}}, nil); !errors.Is(err, ErrStopped) {
		t.Errorf("Attach after the stop: %v", err)
	}
}

// stop stops the broker, whose loops take their turns meanwhile.
func (w *world) stop() {
	w.t.Helper()
	stopped := make(chan error)
	go func() { stopped <- w.broker.Stop() }()
	for {
		select {
		case err := <-stopped:
			if err != nil {
				w.t.Error(err)
			}
		default:
			for i := range w.group.Len() {
				w.group.Loop(i).Turn(false)
			}
			continue
		}
		break
	}
}

// TestStopSendsWillsToGroups holds that a will whose way leads over a group's home on another loop arrives before the
// member is closed, from many clients at once too.
func TestStopSendsWillsToGroups(t *testing.T) {
	for qos := range uint8(2) {
		w := newWorld(t, 3, func(c *config.Config, _ *config.Listener) { c.MaxQueuedMessages, c.MaxInflightMessages = 0, 1000 })
		topic := "will"
		for w.broker.home("g/"+topic) != 2 {
			topic += "l"
		}
		member := w.join(w.onLoop(0, "member"), nil)
		member.subscribe(1, "$share/g/"+topic)
		const clients = 200
		for i := range clients {
			w.join(fmt.Sprint("c", i), func(c *codec.Connect) {
				c.HasWill, c.Will = true, codec.Will{Topic: topic, Payload: []byte("gone"), QoS: qos}
			})
		}
		member.sock.SetWindow(1 << 20)
		w.stop()
		got := member.take()
		if n := len(payloads(got)); n != clients || got[len(got)-1].Code != codec.ServerShuttingDown {
			t.Errorf("QoS %d: %d of %d wills came, last %+v", qos, n, clients, got[len(got)-1])
		}
	}
}
