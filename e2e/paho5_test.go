package e2e

import (
	"bytes"
	"fmt"
	"net"
	"testing"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// client5 is a paho client of MQTT 5 and what it received.
type client5 struct {
	*paho.Client
	inbox chan *paho.Publish
	ended chan *paho.Disconnect // the server's DISCONNECT
	ack   *paho.Connack
	conn  net.Conn
}

// dial5 connects; set may change the CONNECT.
func dial5(t *testing.T, b *broker, set func(*paho.Connect)) *client5 {
	t.Helper()
	conn, err := net.Dial("tcp", b.addr())
	if err != nil {
		t.Fatal(err)
	}
	c := &client5{inbox: make(chan *paho.Publish, 10_000), ended: make(chan *paho.Disconnect, 1), conn: conn}
	c.Client = paho.NewClient(paho.ClientConfig{
		Conn: packets.NewThreadSafeConn(conn),
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(p paho.PublishReceived) (bool, error) {
			c.inbox <- p.Packet
			return true, nil
		}},
		OnServerDisconnect: func(d *paho.Disconnect) { c.ended <- d },
	})
	connect := &paho.Connect{ClientID: name(t, "c"), CleanStart: true, KeepAlive: 60}
	if set != nil {
		set(connect)
	}
	if c.ack, err = c.Connect(soon(t), connect); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return c
}

func (c *client5) subscribe(t *testing.T, o paho.SubscribeOptions, id int) {
	t.Helper()
	s := &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{o}}
	if id != 0 {
		s.Properties = &paho.SubscribeProperties{SubscriptionIdentifier: &id}
	}
	if _, err := c.Subscribe(soon(t), s); err != nil {
		t.Fatal(err)
	}
}

func (c *client5) publish(t *testing.T, p *paho.Publish) *paho.PublishResponse {
	t.Helper()
	r, err := c.Publish(soon(t), p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPaho5EveryQoSBothWays(t *testing.T) {
	t.Parallel()
	c := dial5(t, start(t), nil)
	for sub := range byte(3) {
		for pub := range byte(3) {
			topic := fmt.Sprintf("q/%d/%d", sub, pub)
			c.subscribe(t, paho.SubscribeOptions{Topic: topic, QoS: sub}, 0)
			c.publish(t, &paho.Publish{Topic: topic, QoS: pub, Payload: []byte(topic)})
			if m := next(t, c.inbox); m.Topic != topic || m.QoS != min(sub, pub) || string(m.Payload) != topic {
				t.Errorf("%s: got %q QoS %d", topic, m.Topic, m.QoS)
			}
		}
	}
}

func TestPaho5PropertiesTravelVerbatim(t *testing.T) {
	t.Parallel()
	c := dial5(t, start(t), nil)
	c.subscribe(t, paho.SubscribeOptions{Topic: "p", QoS: 1}, 0)
	format, expiry := byte(1), uint32(100)
	sent := &paho.PublishProperties{PayloadFormat: &format, MessageExpiry: &expiry, ContentType: "text/plain",
		ResponseTopic: "answer/here", CorrelationData: []byte{0, 1, 2},
		User: paho.UserProperties{{Key: "b", Value: "1"}, {Key: "a", Value: "2"}, {Key: "b", Value: "1"}}}
	c.publish(t, &paho.Publish{Topic: "p", QoS: 1, Payload: []byte("x"), Properties: sent})
	got := next(t, c.inbox).Properties
	if *got.PayloadFormat != 1 || got.ContentType != "text/plain" || got.ResponseTopic != "answer/here" ||
		!bytes.Equal(got.CorrelationData, sent.CorrelationData) || fmt.Sprint(got.User) != fmt.Sprint(sent.User) {
		t.Errorf("got %+v", got)
	}
	if got.MessageExpiry == nil || *got.MessageExpiry > 100 || *got.MessageExpiry < 80 {
		t.Errorf("message expiry %v", got.MessageExpiry)
	}
}

func TestPaho5TakeOverTellsTheOldClient(t *testing.T) {
	t.Parallel()
	b := start(t)
	id := name(t, "same")
	same := func(c *paho.Connect) { c.ClientID = id }
	old := dial5(t, b, same)
	dial5(t, b, same)
	if d := next(t, old.ended); d.ReasonCode != 0x8e {
		t.Errorf("reason code %#x, want 0x8e", d.ReasonCode)
	}
}

func TestPaho5SessionResumesUntilItExpires(t *testing.T) {
	t.Parallel()
	b := start(t)
	id, forever := name(t, "s"), uint32(1000)
	stay := func(c *paho.Connect) {
		c.ClientID, c.CleanStart, c.Properties = id, false, &paho.ConnectProperties{SessionExpiryInterval: &forever}
	}
	c := dial5(t, b, stay)
	if c.ack.SessionPresent {
		t.Error("a new session was called present")
	}
	c.subscribe(t, paho.SubscribeOptions{Topic: "s/#", QoS: 2}, 7)
	c.conn.Close()
	pub := dial5(t, b, nil)
	for i := range 100 {
		pub.publish(t, &paho.Publish{Topic: "s/x", QoS: byte(1 + i%2), Payload: fmt.Append(nil, i)})
	}
	c = dial5(t, b, stay)
	if !c.ack.SessionPresent {
		t.Error("the session was not resumed")
	}
	for i := range 100 {
		m := next(t, c.inbox)
		if string(m.Payload) != fmt.Sprint(i) || *m.Properties.SubscriptionIdentifier != 7 {
			t.Fatalf("message %d: got %q", i, m.Payload)
		}
	}
}

func TestPaho5RetainHandlingAndRetainAsPublished(t *testing.T) {
	t.Parallel()
	c := dial5(t, start(t), nil)
	c.publish(t, &paho.Publish{Topic: "r", QoS: 1, Retain: true, Payload: []byte("kept")})
	c.subscribe(t, paho.SubscribeOptions{Topic: "r", QoS: 1, RetainHandling: 1}, 0)
	if m := next(t, c.inbox); string(m.Payload) != "kept" || !m.Retain {
		t.Fatalf("handling 1, new: %q retain %v", m.Payload, m.Retain)
	}
	c.subscribe(t, paho.SubscribeOptions{Topic: "r", QoS: 1, RetainHandling: 1}, 0)
	c.subscribe(t, paho.SubscribeOptions{Topic: "r", QoS: 1, RetainHandling: 2, RetainAsPublished: true}, 0)
	c.publish(t, &paho.Publish{Topic: "r", QoS: 1, Retain: true, Payload: []byte("live")})
	if m := next(t, c.inbox); string(m.Payload) != "live" || !m.Retain {
		t.Fatalf("as published: %q retain %v", m.Payload, m.Retain)
	}
}

func TestPaho5SharedSubscriptionSplitsTheWork(t *testing.T) {
	t.Parallel()
	b := start(t)
	var members [3]*client5
	for i := range members {
		members[i] = dial5(t, b, nil)
		members[i].subscribe(t, paho.SubscribeOptions{Topic: "$share/team/job/+", QoS: 1}, 0)
	}
	pub := dial5(t, b, nil)
	const n = 90
	for i := range n {
		pub.publish(t, &paho.Publish{Topic: "job/x", QoS: 1, Payload: fmt.Append(nil, i)})
	}
	seen := make(map[string]bool)
	for _, m := range members {
		for range n / len(members) {
			seen[string(next(t, m.inbox).Payload)] = true
		}
	}
	if len(seen) != n {
		t.Errorf("%d different jobs of %d were done", len(seen), n)
	}
}

func TestPaho5OverlappingFiltersNameTheirSubscriptions(t *testing.T) {
	t.Parallel()
	f := func(setting string, want int) {
		t.Helper()
		c := dial5(t, start(t, "allow_duplicate_messages "+setting), nil)
		c.subscribe(t, paho.SubscribeOptions{Topic: "o/#", QoS: 0}, 1)
		c.subscribe(t, paho.SubscribeOptions{Topic: "o/+", QoS: 2}, 2)
		c.publish(t, &paho.Publish{Topic: "o/x", QoS: 2, Payload: []byte("x")})
		c.subscribe(t, paho.SubscribeOptions{Topic: "end", QoS: 0}, 0)
		c.publish(t, &paho.Publish{Topic: "end"})
		copies, top := 0, byte(0)
		for m := next(t, c.inbox); m.Topic != "end"; m = next(t, c.inbox) {
			copies++
			top = max(top, m.QoS)
		}
		if copies != want || (want == 1 && top != 2) {
			t.Errorf("allow_duplicate_messages %s: %d copies, highest QoS %d", setting, copies, top)
		}
	}
	f("false", 1)
	f("true", 2)
}

func TestPaho5NoLocal(t *testing.T) {
	t.Parallel()
	b := start(t)
	c, other := dial5(t, b, nil), dial5(t, b, nil)
	c.subscribe(t, paho.SubscribeOptions{Topic: "n", QoS: 1, NoLocal: true}, 0)
	c.publish(t, &paho.Publish{Topic: "n", QoS: 1, Payload: []byte("mine")})
	other.publish(t, &paho.Publish{Topic: "n", QoS: 1, Payload: []byte("yours")})
	if m := next(t, c.inbox); string(m.Payload) != "yours" {
		t.Errorf("got %q", m.Payload)
	}
}

func TestPaho5TopicAliases(t *testing.T) {
	t.Parallel()
	b := start(t)
	ten := uint16(10)
	sub := dial5(t, b, func(c *paho.Connect) { c.Properties = &paho.ConnectProperties{TopicAliasMaximum: &ten} })
	sub.subscribe(t, paho.SubscribeOptions{Topic: "alias/#", QoS: 1}, 0)
	pub := dial5(t, b, nil)
	one := uint16(1)
	for _, topic := range []string{"alias/long/name", "", ""} {
		pub.publish(t, &paho.Publish{Topic: topic, QoS: 1, Payload: []byte("x"), Properties: &paho.PublishProperties{TopicAlias: &one}})
	}
	for i := range 3 {
		m := next(t, sub.inbox)
		alias := m.Properties.TopicAlias
		if alias == nil || *alias != 1 || (i == 0) != (m.Topic == "alias/long/name") {
			t.Errorf("message %d: topic %q alias %v", i, m.Topic, alias)
		}
	}
}

func TestPaho5WillWithDelayAndProperties(t *testing.T) {
	t.Parallel()
	b := start(t)
	watch := dial5(t, b, nil)
	watch.subscribe(t, paho.SubscribeOptions{Topic: "will/#", QoS: 1}, 0)
	one, hour := uint32(1), uint32(3600)
	gone := dial5(t, b, func(c *paho.Connect) {
		c.Properties = &paho.ConnectProperties{SessionExpiryInterval: &hour}
		c.WillMessage = &paho.WillMessage{Topic: "will/x", Payload: []byte("bye"), QoS: 1}
		c.WillProperties = &paho.WillProperties{WillDelayInterval: &one,
			User: paho.UserProperties{{Key: "k", Value: "v"}}}
	})
	gone.conn.Close()
	m := next(t, watch.inbox)
	if string(m.Payload) != "bye" || m.Properties.User.Get("k") != "v" {
		t.Errorf("got %q %+v", m.Payload, m.Properties)
	}
}

func TestPaho5AssignedIdentifierAndServerKeepAlive(t *testing.T) {
	t.Parallel()
	c := dial5(t, start(t, "max_keepalive 30"), func(c *paho.Connect) { c.ClientID = "" })
	p := c.ack.Properties
	if len(p.AssignedClientID) != len("auto-")+36 {
		t.Errorf("assigned identifier %q", p.AssignedClientID)
	}
	if p.ServerKeepAlive == nil || *p.ServerKeepAlive != 30 {
		t.Errorf("server keep alive %v", p.ServerKeepAlive)
	}
}

func TestPaho5NoMatchingSubscribers(t *testing.T) {
	t.Parallel()
	c := dial5(t, start(t), nil)
	if r := c.publish(t, &paho.Publish{Topic: "nobody", QoS: 1}); r.ReasonCode != 0x10 {
		t.Errorf("reason code %#x, want 0x10", r.ReasonCode)
	}
}

func TestPaho5MaximumPacketSizeIsKept(t *testing.T) {
	t.Parallel()
	b := start(t)
	small := uint32(64)
	c := dial5(t, b, func(c *paho.Connect) { c.Properties = &paho.ConnectProperties{MaximumPacketSize: &small} })
	c.subscribe(t, paho.SubscribeOptions{Topic: "m", QoS: 1}, 0)
	pub := dial5(t, b, nil)
	pub.publish(t, &paho.Publish{Topic: "m", QoS: 1, Payload: make([]byte, 200)})
	pub.publish(t, &paho.Publish{Topic: "m", QoS: 1, Payload: []byte("fits")})
	if m := next(t, c.inbox); string(m.Payload) != "fits" {
		t.Errorf("got %d bytes", len(m.Payload))
	}
}

func TestPaho5StopSaysServerShuttingDown(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := dial5(t, b, nil)
	if err := b.stop(15); err != nil {
		t.Errorf("the broker ended with %v", err)
	}
	if d := next(t, c.ended); d.ReasonCode != 0x8b {
		t.Errorf("reason code %#x, want 0x8b", d.ReasonCode)
	}
}
