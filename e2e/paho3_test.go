package e2e

import (
	"fmt"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// dial3 connects a paho client of MQTT 3.1 (3) or 3.1.1 (4) and hands what arrives outside of subscriptions to inbox.
func dial3(t *testing.T, b *broker, version uint, set func(*mqtt.ClientOptions)) (mqtt.Client, chan mqtt.Message) {
	t.Helper()
	inbox := make(chan mqtt.Message, 10_000)
	o := mqtt.NewClientOptions().AddBroker(b.url()).SetProtocolVersion(version).SetAutoReconnect(false).
		SetClientID(name(t, "c")).SetOrderMatters(true).SetConnectTimeout(patience).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { inbox <- m })
	if set != nil {
		set(o)
	}
	c := mqtt.NewClient(o)
	wait3(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	return c, inbox
}

func wait3(t *testing.T, tk mqtt.Token) {
	t.Helper()
	if !tk.WaitTimeout(patience) {
		t.Fatal("no answer")
	}
	if err := tk.Error(); err != nil {
		t.Fatal(err)
	}
}

func subscribe3(t *testing.T, c mqtt.Client, filter string, qos byte) {
	t.Helper()
	wait3(t, c.Subscribe(filter, qos, nil))
}

func TestPaho3EveryQoSBothWays(t *testing.T) {
	t.Parallel()
	b := start(t)
	for _, version := range []uint{3, 4} {
		c, inbox := dial3(t, b, version, nil)
		for sub := range byte(3) {
			for pub := range byte(3) {
				topic := fmt.Sprintf("v%d/%d/%d", version, sub, pub)
				subscribe3(t, c, topic, sub)
				wait3(t, c.Publish(topic, pub, false, topic))
				m := next(t, inbox)
				if string(m.Payload()) != topic || m.Topic() != topic || m.Qos() != min(sub, pub) || m.Retained() {
					t.Errorf("%s: got %q on %q, QoS %d, retained %v", topic, m.Payload(), m.Topic(), m.Qos(), m.Retained())
				}
			}
		}
	}
}

func TestPaho3RetainedStoredReplacedCleared(t *testing.T) {
	t.Parallel()
	b := start(t)
	c, inbox := dial3(t, b, 4, nil)
	for _, payload := range []string{"one", "two"} {
		wait3(t, c.Publish("state/lamp", 1, true, payload))
	}
	subscribe3(t, c, "state/+", 1)
	if m := next(t, inbox); string(m.Payload()) != "two" || !m.Retained() {
		t.Fatalf("got %q, retained %v", m.Payload(), m.Retained())
	}
	wait3(t, c.Publish("state/lamp", 1, true, ""))
	if m := next(t, inbox); len(m.Payload()) != 0 || m.Retained() {
		t.Fatalf("clearing: got %q, retained %v", m.Payload(), m.Retained())
	}
	other, inbox2 := dial3(t, b, 4, nil)
	subscribe3(t, other, "state/+", 1)
	wait3(t, c.Publish("state/end", 1, false, "end"))
	if m := next(t, inbox2); string(m.Payload()) != "end" {
		t.Fatalf("a cleared message was sent: %q", m.Payload())
	}
}

func TestPaho3WillOnlyWhenTheClientVanishes(t *testing.T) {
	t.Parallel()
	b := start(t)
	watch, inbox := dial3(t, b, 4, nil)
	subscribe3(t, watch, "will/#", 1)
	polite, _ := dial3(t, b, 4, func(o *mqtt.ClientOptions) { o.SetWill("will/polite", "no", 1, false) })
	polite.Disconnect(100)
	port, conns := proxy(t, b)
	dial3(t, &broker{port: port}, 4, func(o *mqtt.ClientOptions) { o.SetWill("will/gone", "yes", 1, false) })
	next(t, conns).Close()
	if m := next(t, inbox); m.Topic() != "will/gone" || string(m.Payload()) != "yes" {
		t.Fatalf("got %q on %q", m.Payload(), m.Topic())
	}
}

func TestPaho3SessionKeepsWhatItMissed(t *testing.T) {
	t.Parallel()
	b := start(t)
	id := name(t, "keeps")
	keep := func(o *mqtt.ClientOptions) { o.SetClientID(id).SetCleanSession(false) }
	c, _ := dial3(t, b, 4, keep)
	subscribe3(t, c, "q/#", 2)
	c.Disconnect(100)
	pub, _ := dial3(t, b, 4, nil)
	const n = 300
	for i := range n {
		wait3(t, pub.Publish("q/x", byte(1+i%2), false, fmt.Sprint(i)))
	}
	_, inbox := dial3(t, b, 4, keep)
	for i := range n {
		if m := next(t, inbox); string(m.Payload()) != fmt.Sprint(i) {
			t.Fatalf("message %d: got %q", i, m.Payload())
		}
	}
}

func TestPaho3TakeOverEndsTheOldConnection(t *testing.T) {
	t.Parallel()
	b := start(t)
	lost := make(chan error, 1)
	id := name(t, "same")
	dial3(t, b, 4, func(o *mqtt.ClientOptions) {
		o.SetClientID(id).SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	})
	c, inbox := dial3(t, b, 4, func(o *mqtt.ClientOptions) { o.SetClientID(id) })
	if err := next(t, lost); err == nil {
		t.Fatal("the old connection ended without an error")
	}
	subscribe3(t, c, "t", 0)
	wait3(t, c.Publish("t", 0, false, "alive"))
	next(t, inbox)
}

func TestPaho3LargePayload(t *testing.T) {
	t.Parallel()
	b := start(t)
	c, inbox := dial3(t, b, 4, nil)
	payload := make([]byte, 1<<20)
	for i := range payload {
		payload[i] = byte(i * i >> 3)
	}
	subscribe3(t, c, "large", 2)
	for qos := range byte(3) {
		wait3(t, c.Publish("large", qos, false, payload))
		if m := next(t, inbox); string(m.Payload()) != string(payload) {
			t.Fatalf("QoS %d: payload of %d bytes differs", qos, len(m.Payload()))
		}
	}
}

// TestPaho3ManyClientsKeepTheOrder has 50 publishers and 50 subscribers on different loops; every subscriber sees each
// publisher's messages in order and complete.
func TestPaho3ManyClientsKeepTheOrder(t *testing.T) {
	t.Parallel()
	b := start(t, "max_queued_messages 0")
	const clients, each = 50, 40
	done := make(chan string, clients)
	for range clients {
		c, inbox := dial3(t, b, 4, nil)
		subscribe3(t, c, "order/+", 1)
		go func() { done <- checkOrder(inbox, clients, each) }()
	}
	for p := range clients {
		c, _ := dial3(t, b, 4, nil)
		go func() {
			for i := range each {
				c.Publish(fmt.Sprintf("order/%d", p), 1, false, fmt.Sprint(i))
			}
		}()
	}
	for range clients {
		if problem := next(t, done); problem != "" {
			t.Fatal(problem)
		}
	}
}

func checkOrder(inbox <-chan mqtt.Message, publishers, each int) string {
	seen := make(map[string]int)
	for range publishers * each {
		select {
		case m := <-inbox:
			if want := fmt.Sprint(seen[m.Topic()]); string(m.Payload()) != want {
				return fmt.Sprintf("%s: got %s, want %s", m.Topic(), m.Payload(), want)
			}
			seen[m.Topic()]++
		case <-time.After(patience):
			return "messages are missing"
		}
	}
	return ""
}
