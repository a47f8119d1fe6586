package shard

import (
	"strings"
	"testing"

	"github.com/noctulemq/noctule/auth"
	"github.com/noctulemq/noctule/codec"
	"github.com/noctulemq/noctule/config"
	"github.com/noctulemq/noctule/loop"
	"net/netip"
)

type hardEcho struct{}

func (hardEcho) Control(*auth.Client, string, []byte) []byte { return []byte("x") }

func hardControlWorld(t *testing.T) *world {
	cfg, lc := config.Default(), config.NewListener()
	net := loop.NewSimNet(1)
	w := &world{t: t, net: net, log: &logged{}}
	g, err := loop.NewGroup(1, loop.GroupOptions{System: net.System})
	if err != nil {
		t.Fatal(err)
	}
	w.group = g
	w.broker = New(Options{Config: cfg, Group: g, Seed: 1, Log: w.log, Control: hardEcho{}})
	w.listener = w.net.Listen(netip.MustParseAddrPort("127.0.0.1:1883"))
	w.listener.Tag = NewListener(lc, Everyone{})
	if err := g.Loop(0).Listen(w.listener); err != nil {
		t.Fatal(err)
	}
	return w
}

// Anybody may subscribe to $CONTROL/# and publish to a $CONTROL topic of 65535 bytes; "/response" makes it longer.
func TestControlResponseTooLong(t *testing.T) {
	w := hardControlWorld(t)
	s := w.join("s", nil)
	s.subscribe(0, "$CONTROL/#")
	p := w.join("p", nil)
	p.publish(1, "$CONTROL/"+strings.Repeat("a", 65535-9), "x", false)
	until(t, w, p.hasPacket)
	w.settle()
	if a := p.next(); a.Type != codec.TypePuback {
		t.Errorf("%+v", a)
	}
}

// A topic is longer than MQTT allows behind a mount point.
func TestMountedTopicTooLong(t *testing.T) {
	for _, qos := range []uint8{0, 1, 2} {
		w := newWorld(t, 1, nil)
		s := w.join("s", nil)
		s.subscribe(0, "#")
		l := w.listener.Tag.(*Listener)
		lc := l.Settings().Config
		lc.MountPoint = "tenant/"
		l.settings.Store(&ListenerSettings{Config: lc, Access: Everyone{}})
		p := w.join("p", nil)
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("qos %d: the broker ends: %v", qos, r)
				}
			}()
			p.publish(qos, strings.Repeat("a", 65532), "payload", false)
			for _, a := range p.take() {
				if a.Type == codec.TypePubrec {
					p.ack(codec.TypePubrel, a.PacketID)
				}
			}
			for _, g := range s.take() {
				t.Errorf("qos %d: arrived under topic %.20q (%d bytes), payload of %d bytes", qos, g.Topic, len(g.Topic), len(g.Payload))
			}
		}()
	}
}

// A will too.
func TestMountedWillTooLong(t *testing.T) {
	w := newWorld(t, 1, nil)
	s := w.join("s", nil)
	s.subscribe(0, "#")
	l := w.listener.Tag.(*Listener)
	lc := l.Settings().Config
	lc.MountPoint = "tenant/"
	l.settings.Store(&ListenerSettings{Config: lc, Access: Everyone{}})
	p := w.join("p", func(c *codec.Connect) {
		c.HasWill, c.Will = true, codec.Will{Topic: strings.Repeat("a", 65532), Payload: []byte("w")}
	})
	p.sock.Reset()
	w.settle()
	for _, g := range s.take() {
		t.Errorf("a will arrived under topic %.20q (%d bytes)", g.Topic, len(g.Topic))
	}
}
